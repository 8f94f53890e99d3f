//! From a plan that breaks a promise to a short one that breaks the same promise.
//!
//! Steps are left out in ever smaller pieces as long as the same oracle speaks. Bounded by runs: a
//! story need not be the shortest, it must come soon.

use crate::history::{Outcome, play};
use crate::oracle::Oracle;
use crate::plan::Plan;
use crate::world::Setting;

/// Histories played at most to shorten one.
const RUNS_MAX: usize = 600;

/// The shortest plan found, and how it went.
pub(crate) fn shrink(setting: &Setting, plan: Plan, outcome: Outcome) -> (Plan, Outcome) {
    let Some(oracle) = outcome.violation.as_ref().map(|violation| violation.oracle) else {
        return (plan, outcome);
    };
    let mut best = (plan, outcome);
    let mut runs = 0;
    for simpler in simpler_starts(&best.0) {
        runs += 1;
        if let Some(outcome) = same(setting, &simpler, oracle) {
            best = (simpler, outcome);
        }
    }
    let mut piece = best.0.steps.len().div_ceil(2).max(1);
    loop {
        let mut at = 0;
        let mut shorter = false;
        while at < best.0.steps.len() && runs < RUNS_MAX {
            let mut candidate = best.0.clone();
            let end = (at + piece).min(candidate.steps.len());
            candidate.steps.drain(at..end);
            runs += 1;
            match same(setting, &candidate, oracle) {
                Some(outcome) => (best, shorter) = ((candidate, outcome), true),
                None => at += piece,
            }
        }
        if runs >= RUNS_MAX || (piece == 1 && !shorter) {
            return best;
        }
        piece = if piece == 1 { 1 } else { piece.div_ceil(2) };
    }
}

/// The same plan among fewer people.
fn simpler_starts(plan: &Plan) -> Vec<Plan> {
    let mut starts = Vec::new();
    if plan.hostile {
        starts.push(Plan { hostile: false, ..plan.clone() });
    }
    if plan.structure {
        starts.push(Plan { structure: false, ..plan.clone() });
    }
    starts
}

fn same(setting: &Setting, plan: &Plan, oracle: Oracle) -> Option<Outcome> {
    let outcome = play(setting, plan);
    let broken = outcome.violation.as_ref().is_some_and(|violation| violation.oracle == oracle);
    broken.then_some(outcome)
}

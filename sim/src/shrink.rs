//! From a plan that breaks a promise to a short one that breaks the same promise.
//!
//! Steps are left out in ever smaller pieces as long as the same oracle speaks. Bounded by runs: a
//! story need not be the shortest, it must come soon.

use crate::history::{Outcome, play};
use crate::oracle::Oracle;
use crate::plan::{Plan, Step};
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
    for simplify in SIMPLER {
        let mut candidate = best.0.clone();
        simplify(&mut candidate);
        if candidate != best.0 {
            runs += 1;
            if let Some(outcome) = same(setting, &candidate, oracle) {
                best = (candidate, outcome);
            }
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
            return smaller_writes(setting, best, oracle);
        }
        piece = if piece == 1 { 1 } else { piece.div_ceil(2) };
    }
}

/// Ways to make a plan simpler as a whole, each tried on what the ones before it left.
const SIMPLER: [fn(&mut Plan); 5] = [
    |plan| plan.devices = plan.devices.min(2),
    |plan| plan.admitted = plan.admitted.min(2),
    |plan| plan.admitted = 1,
    |plan| plan.hostile = false,
    |plan| plan.structure = false,
];

/// Writes of one operation say more than writes of many.
fn smaller_writes(setting: &Setting, mut best: (Plan, Outcome), oracle: Oracle) -> (Plan, Outcome) {
    for at in 0..best.0.steps.len() {
        while let Step::Write { operations, .. } = best.0.steps[at]
            && operations > 1
        {
            let mut candidate = best.0.clone();
            if let Step::Write { operations, .. } = &mut candidate.steps[at] {
                *operations -= 1;
            }
            match same(setting, &candidate, oracle) {
                Some(outcome) => best = (candidate, outcome),
                None => break,
            }
        }
    }
    best
}

fn same(setting: &Setting, plan: &Plan, oracle: Oracle) -> Option<Outcome> {
    let outcome = play(setting, plan);
    let broken = outcome.violation.as_ref().is_some_and(|violation| violation.oracle == oracle);
    broken.then_some(outcome)
}

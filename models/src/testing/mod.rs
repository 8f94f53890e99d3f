//! The contract of [`Model`] as a test: whoever writes a model runs the suite that ours pass.
//!
//! ```
//! # use systole_models::{Model, Object, ObjectMutation};
//! use systole_models::testing::{LawViolation, check_model};
//! use proptest::prelude::*;
//!
//! # fn main() -> Result<(), LawViolation> {
//! let mutation = ("[a-c]", 0..9i64).prop_map(|(key, value)| ObjectMutation::set(key, value));
//! check_model::<Object, _>(mutation, |object| object.node("a"))
//! # }
//! ```
//!
//! Replicas write at true causal positions and read each other's messages in random order, as the engine does
//! it: feeds with gaps (a device also writes to other items), Lamport numbers and pasts derived, pasts
//! restricted to the feeds that write to the item. In half of the histories some authors write bytes that no
//! model made. Each history is then held against the laws:
//!
//! | law | holds if |
//! | --- | --- |
//! | [`Law::Convergence`] | every allowed order and every batching gives the same state |
//! | [`Law::Checkpoint`] | a checkpoint anywhere plus the rest of the messages equals full replay |
//! | [`Law::Digest`] | equal states have equal digests, also after a restart; a model that does not say otherwise has its checkpoint's bytes for a digest |
//! | [`Law::Duplicates`] | messages and whole batches delivered again change nothing, also after a restart |
//! | [`Law::MutateEqualsApply`] | the writer's state equals that of a reader of its messages |
//! | [`Law::Rejection`] | a refused mutation leaves the state as it was |
//! | [`Law::Memory`] | `memory_bytes` is neither 0 nor absurd |
//! | [`Law::NoPanic`] | nothing panics, whatever the bytes |
//!
//! States are compared through a function you give; it must show everything that users can see. A broken law
//! comes back with the smallest history found that breaks it. The suite's own tests hold it against three broken
//! models, one that keeps what arrives last, one that forgets its stamps in a checkpoint, and one that counts
//! duplicates, and each of them is caught.

mod history;
mod laws;
#[doc(hidden)]
pub mod panics;
mod plan;
mod random;
mod report;

use std::cell::{Cell, RefCell};
use std::fmt::Debug;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use crate::model::{Model, Order};
use history::History;
use plan::Plan;
use report::Violation;
pub use report::{CheckReport, Law, LawViolation};

/// Checks model `M` against every law, with defaults: 256 histories of 3 replicas, 6 orders each.
///
/// `mutations` generates what users ask for; `observe` shows a state, for comparison. For more, and for mutations
/// that depend on the state, see [`ModelCheck`].
pub fn check_model<M, T>(
    mutations: impl Strategy<Value = M::Mutation> + 'static,
    observe: impl Fn(&M) -> T + 'static,
) -> Result<(), LawViolation>
where
    M: Model,
    M::Mutation: Clone + Debug,
    T: PartialEq + Debug,
{
    ModelCheck::new(mutations, observe).run().map(drop)
}

/// Makes a mutation of a state and a choice.
type Resolve<M, C> = dyn Fn(&M, &C) -> Option<<M as Model>::Mutation>;

/// A check of model `M`, adjustable. `C` is what is generated for each write, `T` what a state is compared by.
pub struct ModelCheck<M: Model, C, T> {
    choices: BoxedStrategy<C>,
    resolve: Box<Resolve<M, C>>,
    describe: fn(&M::Mutation) -> String,
    observe: Box<dyn Fn(&M) -> T>,
    histories: u32,
    replicas: usize,
    steps_max: usize,
    orders: usize,
    seed: u64,
    hostile: bool,
}

impl<M, T> ModelCheck<M, M::Mutation, T>
where
    M: Model,
    M::Mutation: Clone + Debug,
    T: PartialEq + Debug,
{
    /// A check with mutations that do not depend on the state.
    pub fn new(
        mutations: impl Strategy<Value = M::Mutation> + 'static,
        observe: impl Fn(&M) -> T + 'static,
    ) -> Self {
        Self::with_choices(mutations, |_, mutation| Some(mutation.clone()), observe)
    }
}

impl<M, C, T> ModelCheck<M, C, T>
where
    M: Model,
    M::Mutation: Debug,
    C: Clone + Debug + 'static,
    T: PartialEq + Debug,
{
    /// A check with mutations that `resolve` makes of a generated choice and the state it finds, such as a
    /// position within a text; `None` leaves the write out.
    pub fn with_choices(
        choices: impl Strategy<Value = C> + 'static,
        resolve: impl Fn(&M, &C) -> Option<M::Mutation> + 'static,
        observe: impl Fn(&M) -> T + 'static,
    ) -> Self {
        Self {
            choices: choices.boxed(),
            resolve: Box::new(resolve),
            describe: |mutation| format!("{mutation:?}"),
            observe: Box::new(observe),
            histories: 256,
            replicas: 3,
            steps_max: 24,
            orders: 6,
            seed: 0,
            hostile: true,
        }
    }

    /// Histories to generate; 256 unless told.
    pub fn histories(mut self, histories: u32) -> Self {
        self.histories = histories;
        self
    }

    /// Replicas that write, 1 to 26; 3 unless told.
    pub fn replicas(mut self, replicas: usize) -> Self {
        assert!((1..=26).contains(&replicas), "replicas are named by letters");
        self.replicas = replicas;
        self
    }

    /// Writes, syncs and restarts in one history, at least 1; at most 24 unless told.
    pub fn steps_max(mut self, steps_max: usize) -> Self {
        assert!(steps_max > 0, "a history without steps proves nothing");
        self.steps_max = steps_max;
        self
    }

    /// Delivery orders that each history is tried in; 6 unless told.
    pub fn orders(mut self, orders: usize) -> Self {
        self.orders = orders;
        self
    }

    /// Another seed gives other histories; the same seed gives the same ones. 0 unless told.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Whether half of the histories hold bytes that no model made; they do unless told.
    pub fn hostile(mut self, hostile: bool) -> Self {
        self.hostile = hostile;
        self
    }

    /// Runs the check. On a broken law, histories are made smaller as long as they break the same law.
    pub fn run(self) -> Result<CheckReport, LawViolation> {
        assert!(
            M::ORDER != Order::Total,
            "Order::Total is delivered, and checked, by a later release"
        );
        let config = Config {
            cases: self.histories,
            failure_persistence: None,
            max_shrink_iters: 10_000,
            ..Config::default()
        };
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&self.seed.to_le_bytes());
        let random = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
        let mut runner = TestRunner::new_with_rng(config, random);

        let report = RefCell::new(CheckReport::default());
        let broken: Cell<Option<Law>> = Cell::new(None);
        let plans = plan::plans(self.choices.clone(), self.replicas, self.steps_max, self.hostile);
        let result = runner.run(&plans, |plan| {
            let (history, verdict) = self.judge(&plan);
            match verdict {
                Err(violation) if broken.get().is_none_or(|law| law == violation.law) => {
                    broken.set(Some(violation.law));
                    Err(TestCaseError::fail("law broken"))
                }
                _ => {
                    if broken.get().is_none() {
                        report.borrow_mut().add(&history, self.orders);
                    }
                    Ok(())
                }
            }
        });
        match result {
            Ok(()) => Ok(report.into_inner()),
            Err(TestError::Fail(_, plan)) => Err(self.violation(plan, broken.get())),
            Err(TestError::Abort(reason)) => {
                Err(LawViolation::not_run(reason.message(), self.seed))
            }
        }
    }

    /// Plays a plan and holds it against the laws.
    fn judge(&self, plan: &Plan<C>) -> (History, Result<(), Violation>) {
        let mut history = History::default();
        let verdict = panics::caught(|| {
            history.play(plan, self)?;
            laws::check(&history, plan.seed, self)
        });
        let verdict = verdict.unwrap_or_else(|detail| Err(Violation { law: Law::NoPanic, detail }));
        (history, verdict)
    }

    /// The report of the smallest plan found: no single step can be left out of it.
    fn violation(&self, mut plan: Plan<C>, law: Option<Law>) -> LawViolation {
        let mut at = 0;
        while at < plan.steps.len() {
            let mut smaller = plan.clone();
            smaller.steps.remove(at);
            if self.judge(&smaller).1.is_err_and(|violation| Some(violation.law) == law) {
                plan = smaller;
                at = 0;
            } else {
                at += 1;
            }
        }
        let (history, verdict) = self.judge(&plan);
        match verdict {
            Err(violation) => LawViolation::of(violation, &history, self.seed),
            Ok(()) => LawViolation::not_run("the model is not a function of its input", self.seed),
        }
    }
}

//! The builder: which models, which users, how many devices, which seeds.

use std::fmt::Debug;
use std::rc::Rc;

use systole_models::{Model, Object, Text};

use crate::device::Flaws;
use crate::history::{History, Outcome, play};
use crate::plan::{Plan, Scope};
use crate::random::Random;
use crate::report::{Failure, Report};
use crate::seeds::{Limit, seeds_from_environment};
use crate::shrink::shrink;
use crate::workload::{Typed, Workload, object_users, text_users};
use crate::world::Setting;

/// Devices that a simulation has at most.
const DEVICES_MAX: usize = 6;
/// Models that a simulation has at most.
const MODELS_MAX: usize = 8;

/// A simulation to be run. See the crate's documentation.
#[must_use = "nothing is simulated before `run`"]
pub struct Simulation {
    setting: Setting,
    seeds: Box<dyn Iterator<Item = u64>>,
}

impl Simulation {
    /// Three devices, 100 seeds, hostile authors and faults, and no model yet.
    pub fn new() -> Self {
        let scope = Scope { devices: 3, steps: 100, hostile: true, faults: true };
        let (flaws, splits_positions, panics) = (Flaws::default(), false, false);
        let setting = Setting { workloads: Vec::new(), scope, flaws, splits_positions, panics };
        Self { setting, seeds: Box::new(0..100) }
    }

    /// Adds a model. `users` says what users do to an item in this state; `None` means nothing.
    pub fn model<M>(
        mut self,
        users: impl Fn(&mut Random, &M) -> Option<M::Mutation> + 'static,
    ) -> Self
    where
        M: Model,
        M::Mutation: Debug,
    {
        assert!(self.setting.workloads.len() < MODELS_MAX, "at most {MODELS_MAX} models");
        let workload: Rc<dyn Workload> = Rc::new(Typed::<M, _>::new(users));
        self.setting.workloads.push(workload);
        self
    }

    /// Adds [`Object`] and [`object_users`].
    pub fn objects(self) -> Self {
        self.model::<Object>(object_users)
    }

    /// Adds [`Text`] and [`text_users`].
    pub fn texts(self) -> Self {
        self.model::<Text>(text_users)
    }

    /// How many devices there are at the beginning, 1 to 6; 3 unless told.
    pub fn devices(mut self, devices: usize) -> Self {
        assert!((1..=DEVICES_MAX).contains(&devices), "1 to {DEVICES_MAX} devices");
        self.setting.scope.devices = devices;
        self
    }

    /// About how many steps a history has, before everything heals; 100 unless told. The shortest has a
    /// quarter of it, the longest a quarter more.
    pub fn steps(mut self, steps: usize) -> Self {
        self.setting.scope.steps = steps.max(1);
        self
    }

    /// Which seeds are run, in this order; `0..100` unless told.
    pub fn seeds(mut self, seeds: impl IntoIterator<Item = u64> + 'static) -> Self {
        self.seeds = Box::new(seeds.into_iter());
        self
    }

    /// Whether some authors break the rules; they do unless told.
    pub fn hostile(mut self, hostile: bool) -> Self {
        self.setting.scope.hostile = hostile;
        self
    }

    /// Whether devices crash, restart and are set back; they do unless told.
    pub fn faults(mut self, faults: bool) -> Self {
        self.setting.scope.faults = faults;
        self
    }

    /// Whether models may panic; a panic is a violation unless told. If they may, nothing but the item
    /// may suffer.
    pub fn panics(mut self, panics: bool) -> Self {
        self.setting.panics = panics;
        self
    }

    /// Plants bugs into the engine: to show that the simulation finds them.
    #[doc(hidden)]
    pub fn flaws(mut self, flaws: Flaws) -> Self {
        self.setting.flaws = flaws;
        self
    }

    /// Plants a bug into the store: positions reach the disk before what led to them.
    #[doc(hidden)]
    pub fn splits_positions(mut self, splits: bool) -> Self {
        self.setting.splits_positions = splits;
        self
    }

    /// Runs all seeds, or what the environment says: `SYSTOLE_SIM_SEED` for one seed,
    /// `SYSTOLE_SIM_SEEDS` for so many from the first one on, `SYSTOLE_SIM_MINUTES` for as long as that.
    ///
    /// # Errors
    /// The first promise that a history breaks, with the shortest story that shows it.
    ///
    /// # Panics
    /// If there is no model.
    pub fn run(mut self) -> Result<Report, Failure> {
        let mut limit = Limit::from_environment();
        let seeds = std::mem::replace(&mut self.seeds, Box::new(std::iter::empty()));
        let seeds = seeds_from_environment(seeds);
        self.run_while(seeds, |_| limit.allows())
    }

    /// Runs `seeds` for as long as `more` says, which is asked after each history.
    ///
    /// # Errors
    /// As [`Simulation::run`].
    ///
    /// # Panics
    /// If there is no model.
    pub fn run_while(
        &self,
        seeds: impl IntoIterator<Item = u64>,
        mut more: impl FnMut(&Report) -> bool,
    ) -> Result<Report, Failure> {
        assert!(!self.setting.workloads.is_empty(), "a simulation needs a model");
        let mut report = Report::default();
        for seed in seeds {
            let plan = Plan::new(seed, &self.setting.scope);
            let outcome = play(&self.setting, &plan);
            report.histories += 1;
            if outcome.violation.is_some() {
                return Err(self.failure(plan, outcome, report.histories));
            }
            report.counts += outcome.counts;
            let mut trace = blake3::Hasher::new();
            trace.update(&report.trace).update(&outcome.hash);
            report.trace = *trace.finalize().as_bytes();
            if !more(&report) {
                break;
            }
        }
        Ok(report)
    }

    /// Runs one seed to its end and keeps it.
    ///
    /// # Errors
    /// As [`Simulation::run`].
    pub fn history(&self, seed: u64) -> Result<History<'_>, Failure> {
        let plan = Plan::new(seed, &self.setting.scope);
        History::new(&self.setting, &plan).map_err(|violation| Failure {
            violation,
            seed,
            histories: 1,
            steps: (plan.steps.len(), plan.steps.len()),
            story: Vec::new(),
        })
    }

    fn failure(&self, plan: Plan, outcome: Outcome, histories: u64) -> Failure {
        let (seed, steps) = (plan.seed, plan.steps.len());
        let (plan, outcome) = shrink(&self.setting, plan, outcome);
        let violation = outcome.violation.expect("a failed history keeps its violation");
        let steps = (plan.steps.len(), steps);
        Failure { violation, seed, histories, steps, story: outcome.story }
    }
}

impl Default for Simulation {
    fn default() -> Self {
        Self::new()
    }
}

impl Debug for Simulation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let models = self.setting.workloads.iter().map(|workload| workload.type_name());
        let models: Vec<_> = models.collect();
        let scope = self.setting.scope;
        f.debug_struct("Simulation")
            .field("models", &models)
            .field("scope", &scope)
            .finish_non_exhaustive()
    }
}

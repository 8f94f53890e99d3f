//! Where the time of a workload goes, as the engine measures itself.
//!
//! Invariant: stages stand in the order of a message's path, and those that nothing passed are left out.

use serde::Serialize;

/// Where the time of one workload goes.
#[derive(Clone, Debug, Serialize)]
pub struct Stages {
    /// The workload.
    pub workload: String,
    /// Messages that passed.
    pub messages: u64,
    /// Nanoseconds that a message takes by the clock.
    pub by_the_clock: f64,
    /// The stages, in the order of the path.
    pub stages: Vec<Stage>,
}

impl Stages {
    /// What the engine says of itself, of a workload that passed `rate` messages a second.
    pub fn new(
        workload: impl Into<String>,
        messages: u64,
        rate: f64,
        spent: &systole::Stages,
    ) -> Self {
        let stages = spent.iter().filter(|(_, spent)| spent.count > 0);
        let stages = stages.map(|(stage, spent)| Stage {
            name: stage.name(),
            nanoseconds: spent.time.as_nanos() as f64,
            count: spent.count,
        });
        let (workload, stages) = (workload.into(), stages.collect());
        Self { workload, messages, by_the_clock: 1e9 / rate, stages }
    }

    /// Nanoseconds a message of all stages together, over all threads.
    pub fn of_threads(&self) -> f64 {
        self.stages.iter().map(|stage| stage.nanoseconds).sum::<f64>() / self.messages as f64
    }
}

/// One stage of a message's path.
#[derive(Clone, Debug, Serialize)]
pub struct Stage {
    /// Its name.
    pub name: &'static str,
    /// Nanoseconds spent in it, over all threads together.
    pub nanoseconds: f64,
    /// How many passed: messages, heads, batches or checkpoints.
    pub count: u64,
}

//! Which seeds a test runs, as its caller says in the environment, and for how long. The one clock of
//! the crate; no history sees it.
#![expect(clippy::disallowed_methods, reason = "how long to go on is no part of any history")]

use std::env;
use std::time::{Duration, Instant};

/// One seed instead of all.
const SEED: &str = "SYSTOLE_SIM_SEED";
/// So many seeds, from the first one on.
const SEEDS: &str = "SYSTOLE_SIM_SEEDS";
/// Seeds from the first one on, for so many minutes.
const MINUTES: &str = "SYSTOLE_SIM_MINUTES";

/// The seeds that the environment asks for, else those given.
pub(crate) fn seeds_from_environment(
    mut given: Box<dyn Iterator<Item = u64>>,
) -> Box<dyn Iterator<Item = u64>> {
    if let Some(seed) = number(SEED) {
        return Box::new(std::iter::once(seed));
    }
    if number(SEEDS).is_none() && number(MINUTES).is_none() {
        return given;
    }
    let first = given.next().unwrap_or(0);
    match number(SEEDS) {
        Some(count) => Box::new(first..first.saturating_add(count)),
        None => Box::new(first..),
    }
}

/// How long seeds are run.
pub(crate) struct Limit(Option<(Instant, Duration)>);

impl Limit {
    pub(crate) fn from_environment() -> Self {
        let minutes = number(MINUTES).filter(|_| number(SEED).is_none());
        Self(minutes.map(|minutes| (Instant::now(), Duration::from_secs(60 * minutes))))
    }

    pub(crate) fn allows(&mut self) -> bool {
        self.0.is_none_or(|(start, length)| start.elapsed() < length)
    }
}

fn number(name: &str) -> Option<u64> {
    let value = env::var(name).ok()?;
    let number = value.trim().parse();
    Some(number.unwrap_or_else(|_| panic!("{name} is {value:?}, which is no number")))
}

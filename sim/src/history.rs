//! One history from its plan to its verdict, and what a finished one can be asked.

use std::panic::{self, AssertUnwindSafe};

use systole::{Error, ItemId, ItemInfo, PartyKey, Range};
use systole_models::Model;
use systole_models::testing::panics;

use crate::oracle::{Oracle, Violation};
use crate::plan::Plan;
use crate::report::Counts;
use crate::world::{Setting, World};

/// A history that ran to its end.
pub(crate) struct Outcome {
    pub(crate) violation: Option<Violation>,
    pub(crate) story: Vec<String>,
    pub(crate) hash: [u8; 32],
    pub(crate) counts: Counts,
}

/// Plays `plan`. Assertions of the engine that do not hold are violations like any other.
pub(crate) fn play(setting: &Setting, plan: &Plan) -> Outcome {
    let mut outcome =
        Outcome { violation: None, story: Vec::new(), hash: [0; 32], counts: Counts::default() };
    let verdict = panics::caught(|| {
        let mut world = match World::new(setting, plan) {
            Ok(world) => world,
            Err(violation) => return Some(violation),
        };
        // A panic in a step must not take the story with it.
        let verdict = panic::catch_unwind(AssertUnwindSafe(|| run(&mut world, plan)));
        let World { story, counts, .. } = world;
        (outcome.hash, outcome.counts) = (story.hash(), counts);
        let verdict = match verdict {
            Ok(verdict) => verdict.err(),
            Err(panic) => {
                outcome.story = story.into_lines(true);
                panic::resume_unwind(panic);
            }
        };
        let is_progress = |violation: &Violation| {
            matches!(violation.oracle, Oracle::Progress | Oracle::Soundness)
        };
        outcome.story = story.into_lines(verdict.as_ref().is_some_and(is_progress));
        verdict
    });
    outcome.violation = verdict.unwrap_or_else(|message| {
        Some(Violation::new(Oracle::Soundness, format!("panic: {message}")))
    });
    outcome
}

fn run(world: &mut World<'_>, plan: &Plan) -> Result<usize, Violation> {
    for step in &plan.steps {
        world.step(step)?;
    }
    world.heal()
}

/// A finished history, for whoever wants to hold its blocks against another implementation.
pub struct History<'a> {
    world: World<'a>,
    judge: usize,
}

impl<'a> History<'a> {
    pub(crate) fn new(setting: &'a Setting, plan: &Plan) -> Result<Self, Violation> {
        let mut world = World::new(setting, plan)?;
        let judge = run(&mut world, plan)?;
        Ok(Self { world, judge })
    }

    /// The party.
    pub fn party(&self) -> PartyKey {
        self.world.party
    }

    /// Every block that a device which holds everything can show, feed by feed.
    pub fn ranges(&mut self) -> Vec<Range> {
        let device = &mut self.world.members[self.judge].device;
        let Ok(status) = device.status() else { return Vec::new() };
        let mut ranges = Vec::new();
        for feed in status.feeds {
            let mut at = 0;
            while let Ok(Some(range)) = device.read(&feed.feed, at) {
                at = range.end();
                ranges.push(range);
            }
        }
        ranges
    }

    /// The items at the end.
    ///
    /// # Errors
    /// As the engine's own.
    pub fn items(&mut self) -> Result<Vec<ItemInfo>, Error> {
        self.world.members[self.judge].device.items()
    }

    /// Looks at an item at the end.
    ///
    /// # Errors
    /// As the engine's own.
    pub fn view<M: Model, R>(
        &mut self,
        item: &ItemId,
        look: impl FnOnce(&M) -> R,
    ) -> Result<R, Error> {
        self.world.members[self.judge].device.view(item, look)
    }
}

impl std::fmt::Debug for History<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("History").field("party", &self.world.party).finish_non_exhaustive()
    }
}

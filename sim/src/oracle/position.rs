//! How far a device has come with each feed: forward only, and after a crash not below what was
//! durable before it. What it processed, it processed once.

use std::collections::{BTreeMap, BTreeSet};

use systole::{FeedKey, FeedStatus};

use super::{Oracle, Violation};
use crate::story::Names;

/// One feed at one device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reach {
    pub(crate) stored: u64,
    pub(crate) processed: u64,
    pub(crate) own: bool,
    pub(crate) admitted: bool,
    pub(crate) halted: bool,
    pub(crate) waits: bool,
}

pub(crate) type Reaches = BTreeMap<FeedKey, Reach>;

/// What a device was last seen to hold.
#[derive(Clone, Default)]
pub(crate) struct Watch {
    pub(crate) last: Reaches,
    /// When nothing was left to sync.
    durable: Reaches,
    /// What the device had processed before the write that the power cut fell into.
    pub(crate) writing: Option<crate::witness::OwnPast>,
    /// Messages processed in the life of the store: feed, position, label.
    pub(crate) seen: BTreeSet<(FeedKey, u64, u32)>,
}

impl Watch {
    /// The device stands at `feeds`; `durable` says that a crash would lose nothing.
    pub(crate) fn advance(
        &mut self,
        feeds: &[FeedStatus],
        durable: bool,
        names: &Names,
    ) -> Result<(), Violation> {
        let reaches = reaches(feeds);
        not_behind(&reaches, &self.last, "", names)?;
        if durable {
            self.durable.clone_from(&reaches);
        }
        self.last = reaches;
        Ok(())
    }

    /// The device is back after a crash and stands at `feeds`.
    pub(crate) fn reopened(
        &mut self,
        feeds: &[FeedStatus],
        names: &Names,
    ) -> Result<(), Violation> {
        let reaches = reaches(feeds);
        not_behind(&reaches, &self.durable, " after a crash, though it was durable", names)?;
        self.seen.retain(|(feed, seq, _)| reaches.get(feed).is_some_and(|at| *seq < at.processed));
        self.durable.clone_from(&reaches);
        self.last = reaches;
        Ok(())
    }

    /// The device processed a message.
    pub(crate) fn process(
        &mut self,
        feed: FeedKey,
        seq: u64,
        label: u32,
        names: &Names,
    ) -> Result<(), Violation> {
        if self.seen.insert((feed, seq, label)) {
            return Ok(());
        }
        let at = names.position(&feed, seq);
        Err(Violation::new(Oracle::Once, format!("{at} is processed a second time")))
    }
}

fn reaches(feeds: &[FeedStatus]) -> Reaches {
    let reach = |feed: &FeedStatus| Reach {
        stored: feed.stored,
        processed: feed.processed,
        own: feed.own,
        admitted: feed.admitted,
        halted: feed.halted.is_some(),
        waits: feed.waits_for.is_some(),
    };
    feeds.iter().map(|feed| (feed.feed, reach(feed))).collect()
}

fn not_behind(now: &Reaches, before: &Reaches, when: &str, names: &Names) -> Result<(), Violation> {
    for (feed, before) in before {
        let now = now.get(feed).copied().unwrap_or_default();
        if now.stored < before.stored || now.processed < before.processed {
            let feed = names.feed(feed);
            let detail = format!(
                "feed {feed} went from {} of {} processed to {} of {}{when}",
                before.processed, before.stored, now.processed, now.stored
            );
            return Err(Violation::new(Oracle::Positions, detail));
        }
    }
    Ok(())
}

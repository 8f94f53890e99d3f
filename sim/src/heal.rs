//! The end of a history: the network heals, every model is known, nothing fails any more, and
//! everything honest is exchanged until nothing moves. Then everything must be there, and the same.

use systole::{FeedKey, ItemId};

use crate::backend::Disk;
use crate::device::{Device, Identity};
use crate::oracle::convergence::{self, Summary};
use crate::oracle::{Oracle, Violation};
use crate::world::World;

/// Rounds in which every device meets every other one; more are needed only by a system that does not
/// come to rest.
const ROUNDS_MAX: usize = 16;

impl World<'_> {
    /// Heals everything and holds the end against the oracles. Where the last device, which joined
    /// only to judge, stands among the members.
    pub(crate) fn heal(&mut self) -> Result<usize, Violation> {
        self.story.heal();
        self.network.clear();
        for at in 0..self.members.len() {
            self.mend(at)?;
        }
        self.exchange_all()?;
        for at in 1..self.members.len() {
            if !self.speaks(at)
                && let Some(by) = (0..self.members.len()).find(|by| self.speaks(*by))
            {
                self.admit(at, by)?;
            }
        }
        self.exchange_all()?;
        self.forget_lost();
        self.arrived()?;
        for at in 0..self.members.len() {
            let member = &self.members[at];
            member.ledger.check(&member.device, &self.names)?;
        }
        let judge = self.judge()?;
        let summaries = self.compare(judge)?;
        self.repeat(judge, &summaries)?;
        Ok(judge)
    }

    fn mend(&mut self, at: usize) -> Result<(), Violation> {
        let all = self.settings(0, true).models;
        let member = &mut self.members[at];
        member.device.disk.plan_cut(None);
        member.device.clock_ahead = 0;
        if member.device.settings.models != all {
            let seen = member.device.take_seen();
            member.device.settings.models = all;
            self.hear(at, seen)?;
            self.reopen(at)?;
        }
        self.settle(at, true).map(drop)
    }

    fn exchange_all(&mut self) -> Result<(), Violation> {
        for _ in 0..ROUNDS_MAX {
            let mut moved = false;
            for to in 0..self.members.len() {
                for from in (0..self.members.len()).filter(|from| *from != to) {
                    moved |= self.pull(from, to, true, false)?;
                }
            }
            if !moved {
                return Ok(());
            }
        }
        Err(Violation::new(Oracle::Progress, "blocks go round without end"))
    }

    /// What a device had written since its backup, and nobody else has, is gone with its disk.
    fn forget_lost(&mut self) {
        for feed in std::mem::take(&mut self.set_back) {
            let held = self.members.iter().filter_map(|member| member.watch.last.get(&feed));
            let held = held.map(|reach| reach.stored).max().unwrap_or(0);
            self.records.lose(&feed, held);
        }
        // A block may have been shown that had seen one which was not.
        let exists = |(feed, length): (&FeedKey, &u64)| self.records.length(feed) >= *length;
        let blocks = self.records.iter().filter(|(feed, _)| self.is_honest(feed));
        self.torn |=
            blocks.flat_map(|(_, blocks)| blocks).any(|block| !block.past.iter().all(exists));
    }

    /// Whether everything can arrive everywhere. Who believed one history of a feed and who believed the
    /// other do not come together, by design; and what had seen a block that is gone with its disk waits
    /// for good.
    fn is_whole(&self) -> bool {
        self.archive.two_faced.is_empty() && !self.torn
    }

    /// Every block of every honest feed must have arrived everywhere, and count.
    fn arrived(&self) -> Result<(), Violation> {
        if !self.is_whole() {
            return Ok(());
        }
        let behind = |detail: String| Err(Violation::new(Oracle::Progress, detail));
        for (feed, records) in self.records.iter() {
            let written = records.len() as u64;
            if written == 0 || !self.is_honest(feed) {
                continue;
            }
            let known = |at: usize| self.members[at].watch.last.get(feed).copied();
            for at in 0..self.members.len() {
                let (name, feed) = (&self.members[at].name, self.names.feed(feed));
                let reach = known(at).unwrap_or_default();
                if reach.stored != written {
                    return behind(format!(
                        "{name} holds {} of {written} blocks of {feed}",
                        reach.stored
                    ));
                }
                if !reach.admitted {
                    return behind(format!("{name} does not know that feed {feed} is admitted"));
                }
                if reach.processed != written || reach.halted || reach.waits {
                    let processed = reach.processed;
                    return behind(format!(
                        "{name} processed {processed} of {written} blocks of {feed}"
                    ));
                }
            }
        }
        Ok(())
    }

    /// One more device that sees everything for the first time, in peace.
    fn judge(&mut self) -> Result<usize, Violation> {
        let identity = Identity::new(self.party, self.seed, 0x7fff);
        let mut settings = self.settings(0, true);
        (settings.mailbox, settings.checkpoint_messages) = (64, 1_024);
        settings.memory_budget_bytes = 64 << 20;
        let disk = Disk::new(self.setting.splits_positions);
        let place = self.place();
        let device = Device::new(identity, settings, disk, place);
        let judge = self.join(device, "a fresh device".to_owned(), None, false)?;
        self.pull(0, judge, true, false)?;
        Ok(judge)
    }

    fn compare(&mut self, judge: usize) -> Result<Vec<Summary>, Violation> {
        let mut summaries = Vec::with_capacity(self.members.len());
        for at in 0..self.members.len() {
            summaries.push(self.summary(at)?);
        }
        for summary in &summaries {
            self.story.note(&summary.hash());
        }
        convergence::all_equal(&summaries, &self.names)?;
        let expected = convergence::expected_logs(&self.records, |feed| self.is_honest(feed));
        for at in 0..self.members.len() {
            if self.is_whole() {
                self.logged(at, &expected)?;
            }
        }
        self.counts.items += summaries[judge].items.len() as u64;
        Ok(summaries)
    }

    /// What a device shows its users, each item held against full replay.
    fn summary(&mut self, at: usize) -> Result<Summary, Violation> {
        let listed = self.members[at].device.items();
        let listed = listed.map_err(|error| self.failure(at, "cannot list its items", &error))?;
        let mut items = Vec::with_capacity(listed.len());
        for item in listed {
            let digest = self.state(at, &item.id)?;
            items.push((item, digest));
        }
        items.sort_by_key(|(item, _)| item.id);
        let device = &mut self.members[at].device;
        let status = device.status();
        let refused = device.quarantined();
        let status = status.map_err(|error| self.failure(at, "has no status", &error))?;
        let refused = refused.map_err(|error| self.failure(at, "lists no refusals", &error))?;
        let roots = status.feeds.iter().filter(|feed| feed.processed > 0);
        let roots = roots.map(|feed| {
            let last = self.members[at].device.block(&feed.feed, feed.processed - 1);
            let last = last.ok().flatten().unwrap_or_default();
            (feed.feed, feed.processed, *blake3::hash(&last).as_bytes())
        });
        let name = self.members[at].name.clone();
        Ok(Summary::new(name, roots.collect(), items, status.members, refused))
    }

    /// The state of an item, held against the replay of all of its messages; `None` if its model failed
    /// and may.
    pub(crate) fn state(&mut self, at: usize, item: &ItemId) -> Result<Option<Vec<u8>>, Violation> {
        let device = &mut self.members[at].device;
        let (digest, replayed) = (device.digest(item), device.replay_digest(item));
        let (shown, name) = (self.names.item(item), &self.members[at].name);
        match (digest, replayed) {
            (Ok(digest), Ok(replayed)) if digest == replayed => Ok(Some(digest)),
            (Ok(_), Ok(_)) => {
                let detail = format!("{shown} at {name} differs from the replay of its messages");
                Err(Violation::new(Oracle::Replay, detail))
            }
            (Err(error), Ok(_)) if self.setting.panics => {
                let error = crate::world::said(&error);
                let detail = format!("{shown} at {name} is broken ({error}), its messages are not");
                Err(Violation::new(Oracle::Isolation, detail))
            }
            (Err(error), _) | (_, Err(error)) if !self.setting.panics => {
                Err(self.failure(at, &format!("cannot show {shown}"), &error))
            }
            _ => Ok(None),
        }
    }

    /// The log of each item must list what was written to it, each message once.
    fn logged(
        &self,
        at: usize,
        expected: &std::collections::BTreeMap<ItemId, Vec<convergence::Entry>>,
    ) -> Result<(), Violation> {
        let member = &self.members[at];
        for (item, expected) in expected {
            let log = member.device.log(item);
            let log = log.map_err(|error| self.failure(at, "cannot read a log", &error))?;
            let mut log: Vec<_> =
                log.into_iter().filter(|(feed, ..)| self.is_honest(feed)).collect();
            log.sort_unstable();
            if let Some(difference) = convergence::difference(&log, expected) {
                let (place, what) =
                    (self.names.position(&difference.0.0, difference.0.1), difference.1);
                let item = self.names.item(item);
                let detail = format!("the log of {item} at {} {what} {place}", member.name);
                return Err(Violation::new(Oracle::Once, detail));
            }
        }
        Ok(())
    }

    /// Everything comes a second time, to every device.
    fn repeat(&mut self, judge: usize, before: &[Summary]) -> Result<(), Violation> {
        let to = (self.seed % judge as u64) as usize;
        let feeds: Vec<FeedKey> = self.members[judge].watch.last.keys().copied().collect();
        for feed in feeds {
            if self.archive.two_faced.contains(&feed) {
                continue;
            }
            let mut at = 0;
            while let Some(range) = self.read(judge, &feed, at)? {
                at = range.end();
                let taken = self.act(to, |device, now| device.ingest(range, now))?;
                if !matches!(taken, Some(systole::Ingested::Duplicate)) {
                    let (name, feed) = (&self.members[to].name, self.names.feed(&feed));
                    let detail = format!("{name} answers known blocks of {feed} with {taken:?}");
                    return Err(Violation::new(Oracle::Duplicates, detail));
                }
            }
        }
        self.settle(to, true)?;
        if self.summary(to)? != before[to] {
            let detail = format!("{} changed", self.members[to].name);
            return Err(Violation::new(Oracle::Duplicates, detail));
        }
        Ok(())
    }
}

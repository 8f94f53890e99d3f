//! Items: indexes, logs, and checkpoints against full replay.
//!
//! A log is compared with the blocks by count and by the sum of its messages' hashes, so nothing but
//! that is held per item; only a log that differs is looked through block by block.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use systole_models::Model as _;
use systole_proto::{Block, Body, ItemCheckpoint, ItemId, ItemRef};
use systole_store::{FeedNo, ItemKey, ItemRecord, LogEntry};

use super::host::Tally;
use super::party::{Facts, said};
use super::report::{Damage, DamageKind, chain, unreadable};
use super::rules::Derived;
use super::{Context, Sink};
use crate::Error;
use crate::item::state::ItemState;
use crate::party::effect::{LABEL_METADATA, LABEL_MODEL};
use crate::party::history;
use crate::snapshot::Loader;

/// Processing numbers that are given more than once and looked into; more follow from the same damage.
const REPEATED_MAX: usize = 1_024;

/// Checks the items that the party's blocks create, and that there are no others.
pub(super) fn check(
    context: &Context<'_>,
    facts: &mut Facts,
    derived: &Derived,
    sink: &mut Sink<'_>,
) {
    sink.begin("items and checkpoints", derived.items.len() as u64);
    sink.findings.report.messages += derived.messages;
    sink.findings.report.items += derived.items.len() as u64;
    let certain = derived.complete && facts.is_certain();
    let ordinals = Ordinals::new(derived.messages);
    let mut items =
        Items { context, facts, sink, derived, certain, ordinals, wrong_logs: BTreeSet::new() };
    for (key, tally) in &derived.items {
        items.check_item(*key, tally);
    }
    items.check_numbers();
    for key in derived.items.keys() {
        items.check_checkpoint(*key);
        items.sink.progress(1);
    }
    items.check_unfounded();
}

/// Which processing numbers of a party were seen: one bit each.
struct Ordinals {
    count: u64,
    seen: Vec<u64>,
    repeated: BTreeSet<u64>,
}

impl Ordinals {
    fn new(count: u64) -> Self {
        // Counted while the blocks were processed, so no more than they are.
        let words = usize::try_from(count / 64 + 1).expect("one bit a message fits into memory");
        Self { count, seen: vec![0; words], repeated: BTreeSet::new() }
    }

    /// Notes a number; whether the party can have given it. Its numbers are 1 and on, each given once.
    fn see(&mut self, ordinal: u64) -> bool {
        if ordinal > self.count {
            return false;
        }
        let (word, bit) = ((ordinal / 64) as usize, 1 << (ordinal % 64));
        if self.seen[word] & bit != 0 && self.repeated.len() < REPEATED_MAX {
            self.repeated.insert(ordinal);
        }
        self.seen[word] |= bit;
        true
    }

    fn first_missing(&self) -> Option<u64> {
        (1..=self.count)
            .find(|ordinal| self.seen[(ordinal / 64) as usize] & (1 << (ordinal % 64)) == 0)
    }
}

struct Items<'a, 'b> {
    context: &'a Context<'a>,
    facts: &'a mut Facts,
    sink: &'a mut Sink<'b>,
    derived: &'a Derived,
    /// Whether every block was processed that the stored positions claim, and none is in doubt.
    certain: bool,
    ordinals: Ordinals,
    /// Items whose logs were found damaged.
    wrong_logs: BTreeSet<ItemKey>,
}

impl Items<'_, '_> {
    /// Checks an item's indexes and log.
    fn check_item(&mut self, key: ItemKey, tally: &Tally) {
        let Some(id) = self.id(key) else { return };
        // What differs was told, and put right in the copy.
        let Ok(Some(record)) = self.context.scratch.items().item(key) else { return };
        match self.context.stored.items().is_indexed(&record) {
            Ok(true) => {}
            Ok(false) => {
                let reason = "an index by id, model or parent does not name it".to_owned();
                self.damage(DamageKind::Index, key, id, reason);
            }
            Err(error) => self.damage(DamageKind::Index, key, id, unreadable(&error)),
        }
        self.check_log(key, id, &record, tally);
    }

    fn id(&self, key: ItemKey) -> Option<ItemId> {
        self.facts.feeds.get(&key.feed).map(|feed| ItemId::of(&feed.key, key.seq))
    }

    /// Compares an item's log with what the blocks say.
    fn check_log(&mut self, key: ItemKey, id: ItemId, record: &ItemRecord, expected: &Tally) {
        let (mut tally, mut first, mut wrong) = (Tally::default(), None, None);
        let mut last: Vec<(FeedNo, u64)> = Vec::new();
        let scanned = self.context.scratch.items().scan_log(key, 0, &mut |entry| {
            first.get_or_insert(entry.ordinal);
            if !self.ordinals.see(entry.ordinal) {
                wrong.get_or_insert_with(|| {
                    let count = self.ordinals.count;
                    let ordinal = entry.ordinal;
                    format!("it lists processing number {ordinal}, the party has {count} messages")
                });
            }
            match last.iter_mut().find(|(feed, _)| *feed == entry.feed) {
                Some((_, seq)) if *seq > entry.seq => {
                    wrong.get_or_insert_with(|| {
                        format!("it lists block {} behind block {seq} of one feed", entry.seq)
                    });
                }
                Some((_, seq)) => *seq = entry.seq,
                None => last.push((entry.feed, entry.seq)),
            }
            if !self.facts.is_doubtful(entry.feed, entry.seq) {
                tally.add(&entry);
            }
            ControlFlow::Continue(())
        });
        if let Err(error) = scanned {
            self.log_damage(key, id, unreadable(&error));
        } else if !self.derived.complete {
            // Messages of blocks that were not processed are missing from what is expected.
        } else if tally != *expected {
            self.tell_difference(key, id, &tally, expected);
        } else if let Some(reason) = wrong.filter(|_| self.certain) {
            self.log_damage(key, id, reason);
        } else if first != Some(record.ordinal) && !self.derived.damaged.contains(&key) {
            let reason = "its number is not that of the item's first message".to_owned();
            self.damage(DamageKind::Item, key, id, reason);
        }
    }

    /// Whether the processing numbers of all logs together are each given once.
    fn check_numbers(&mut self) {
        if !self.certain {
            return;
        }
        let repeated = std::mem::take(&mut self.ordinals.repeated);
        let mut holders: BTreeMap<u64, Vec<ItemKey>> = BTreeMap::new();
        for key in self.derived.items.keys().filter(|_| !repeated.is_empty()) {
            let scanned = self.context.scratch.items().scan_log(*key, 0, &mut |entry| {
                if repeated.contains(&entry.ordinal) {
                    holders.entry(entry.ordinal).or_default().push(*key);
                }
                ControlFlow::Continue(())
            });
            // Told when the log was read.
            drop(scanned);
        }
        let mut told = BTreeSet::new();
        for (ordinal, keys) in holders {
            // Where one of the logs is known to be damaged the number is wrong there.
            if keys.iter().any(|key| self.wrong_logs.contains(key) && !told.contains(key)) {
                continue;
            }
            for key in keys {
                if told.insert(key)
                    && let Some(id) = self.id(key)
                {
                    let reason = format!(
                        "its processing number {ordinal} is also in the log of another item; one of the two is wrong"
                    );
                    self.log_damage(key, id, reason);
                }
            }
        }
        if self.wrong_logs.is_empty()
            && let Some(ordinal) = self.ordinals.first_missing()
        {
            let reason =
                format!("the message with processing number {ordinal} is in no item's log");
            self.sink.findings.add(self.facts.damage(DamageKind::Log, reason));
        }
    }

    /// Looks for the messages by which a log differs from the blocks.
    fn tell_difference(&mut self, key: ItemKey, id: ItemId, found: &Tally, expected: &Tally) {
        let (mut first, mut count) = (None, 0);
        let scanned = self.context.scratch.items().scan_log(key, 0, &mut |entry| {
            if !self.facts.is_doubtful(entry.feed, entry.seq)
                && let Err(reason) = self.holds(key, &entry)
            {
                count += 1;
                first.get_or_insert((entry, reason));
            }
            ControlFlow::Continue(())
        });
        // It was read a moment ago.
        drop(scanned);
        self.wrong_logs.insert(key);
        let Some((entry, reason)) = first else {
            let (found, expected) = (found.messages, expected.messages);
            let reason = match found == expected {
                true => "it lists a message with another stamp than its block".to_owned(),
                false => format!("it lists {found} messages, the blocks hold {expected}"),
            };
            return self.log_damage(key, id, reason);
        };
        // Entries are stored as differences, so those behind it are mostly wrong with it.
        let more = if count > 1 { format!(" (the first of {count})") } else { String::new() };
        let reason = format!("processing number {}{more}: {reason}", entry.ordinal);
        let mut damage = self.facts.damage(DamageKind::Log, reason).item(id);
        if let Some(feed) = self.facts.feeds.get(&entry.feed) {
            damage = damage.feed(feed.key).at(entry.seq);
        }
        self.sink.findings.add(damage);
    }

    /// Whether the block that a log's entry names holds that message of the item.
    fn holds(&self, item: ItemKey, entry: &LogEntry) -> Result<(), String> {
        let store = self.context.scratch;
        let block =
            store.feeds().block(entry.feed, entry.seq).map_err(|error| unreadable(&error))?;
        let block = block.ok_or_else(|| format!("block {} is not there", entry.seq))?;
        let block = Block::decode(block).map_err(|error| format!("its block: {error}"))?;
        let label = match &block.body {
            Body::Genesis(genesis) if item == (ItemKey { feed: entry.feed, seq: entry.seq }) => {
                let metadata = entry.label == LABEL_METADATA && !genesis.metadata.is_empty();
                metadata || entry.label == LABEL_MODEL
            }
            Body::Mutation(mutation) if self.names(entry.feed, mutation.item, item) => {
                mutation.label == entry.label
            }
            _ => return Err("its block holds no message of the item".to_owned()),
        };
        if !label {
            return Err("its block holds no message under this label".to_owned());
        }
        if block.effective_at != entry.effective_at {
            return Err("its block gives another time".to_owned());
        }
        let step =
            history::step(store, entry.feed, entry.seq).map_err(|error| error.to_string())?;
        let lamport = step.map_or(entry.seq + 1, |(step, _)| step.causal(entry.seq).lamport);
        if lamport != entry.lamport {
            return Err("its block has another Lamport number".to_owned());
        }
        Ok(())
    }

    fn names(&self, feed: FeedNo, named: ItemRef, item: ItemKey) -> bool {
        let target = match named.feed {
            0 => Some(feed),
            alias => self.context.scratch.feeds().alias(feed, alias).ok().flatten(),
        };
        target == Some(item.feed) && named.seq == item.seq
    }

    fn check_checkpoint(&mut self, key: ItemKey) {
        let Some(id) = self.id(key) else { return };
        let (ordinal, bytes) = match self.context.stored.items().checkpoint(key) {
            Ok(Some(checkpoint)) => checkpoint,
            Ok(None) => return,
            Err(error) => {
                return self.damage(DamageKind::Checkpoint, key, id, unreadable(&error));
            }
        };
        let Ok(Some(record)) = self.context.scratch.items().item(key) else { return };
        let (mut covered, mut doubtful) = (false, Vec::new());
        let scanned = self.context.scratch.items().scan_log(key, 0, &mut |entry| {
            covered |= entry.ordinal == ordinal;
            if entry.ordinal > ordinal {
                return ControlFlow::Break(());
            }
            if self.facts.is_doubtful(entry.feed, entry.seq) {
                doubtful.push((entry.feed, entry.seq));
            }
            ControlFlow::Continue(())
        });
        let log_sound = scanned.is_ok() && !self.wrong_logs.contains(&key);
        let checkpoint =
            Stored { key, id, record: &record, ordinal, covered: covered || !log_sound };
        let compared =
            catch_unwind(AssertUnwindSafe(|| self.compare_checkpoint(&checkpoint, bytes)));
        let wrong = match compared {
            Ok(Ok(true)) => return self.sink.findings.report.checkpoints += 1,
            Ok(Ok(false)) => return self.sink.findings.report.unregistered += 1,
            Ok(Err(wrong)) => wrong,
            Err(panic) => {
                let reason = format!("its model fails: {}", said(&*panic));
                Wrong { reason, by_itself: false }
            }
        };
        if wrong.by_itself || (log_sound && self.derived.complete && doubtful.is_empty()) {
            return self.damage(DamageKind::Checkpoint, key, id, wrong.reason);
        }
        // What it covers is damaged, so that a difference tells nothing of the checkpoint; but it may
        // tell something of that.
        self.sink.findings.report.skipped += 1;
        self.facts.suspect(&doubtful, format!("the checkpoint of item {id} contradicts it"));
    }

    /// Compares a checkpoint with a replay of what it covers; false if nothing can be replayed, for its
    /// type is not registered.
    fn compare_checkpoint(&self, stored: &Stored<'_>, bytes: Bytes) -> Result<bool, Wrong> {
        let Stored { key, id, record, ordinal, covered } = *stored;
        let itself = |reason: String| Wrong { reason, by_itself: true };
        let checkpoint = ItemCheckpoint::decode(bytes).map_err(|error| itself(chain(&error)))?;
        if checkpoint.ordinal != ordinal {
            return Err(itself("it is stored under another processing number".to_owned()));
        }
        if !covered {
            let reason = format!("no message of the item has its processing number {ordinal}");
            return Err(itself(reason));
        }
        let (model, version) = (&record.model, record.version);
        let made_for = (&checkpoint.model, checkpoint.version, checkpoint.algorithm);
        if made_for != (model, version, record.algorithm) {
            return Err(itself("it is of another model type than the item".to_owned()));
        }
        if !checkpoint.raw && self.context.registry.model(model, version).is_none() {
            return Ok(false);
        }
        let Context { scratch, registry, telemetry, .. } = self.context;
        let loader = Loader::new((*scratch).clone(), registry.clone(), telemetry.clone(), key, id);
        let restored = loader.load_checkpoint().map_err(|error| itself(chain(&error)))?;
        let restored = restored.ok_or_else(|| itself("it is gone".to_owned()))?;
        let replayed = loader.replay(ordinal);
        let differs = |reason: String| Wrong { reason, by_itself: false };
        let replayed =
            replayed.map_err(|error| differs(format!("the item cannot be replayed: {error}")))?;
        match difference(&restored, &replayed) {
            Ok(None) => Ok(true),
            Ok(Some(part)) => {
                Err(differs(format!("its {part} differs from that of a full replay")))
            }
            Err(error) => Err(differs(chain(&error))),
        }
    }

    /// Records and index entries that no block accounts for.
    fn check_unfounded(&mut self) {
        let feeds: Vec<FeedNo> = self.facts.feeds.keys().copied().collect();
        let mut items = self.derived.items.len() as u64;
        for feed in feeds {
            let mut unfounded = Vec::new();
            let scanned = self.context.stored.items().scan_keys(feed, &mut |key| {
                if !self.derived.items.contains_key(&key) {
                    unfounded.push(key);
                }
                ControlFlow::Continue(())
            });
            // What cannot be read was told when the files were.
            if scanned.is_err() || !self.derived.complete {
                return;
            }
            for key in unfounded {
                items += 1;
                let reason = "no block creates the item".to_owned();
                self.facts.disagree(self.sink, DamageKind::Item, (key.feed, key.seq), reason);
            }
        }
        let counts = self.context.stored.items().index_counts(self.facts.record.no);
        let names = ["id", "model", "parent"];
        for (count, by) in counts.into_iter().flatten().zip(names) {
            if count > items {
                let reason = format!("the index by {by} names {count} items, there are {items}");
                let damage = self.facts.damage(DamageKind::Index, reason);
                self.sink.findings.add(damage);
            }
        }
    }

    fn log_damage(&mut self, key: ItemKey, id: ItemId, reason: String) {
        self.wrong_logs.insert(key);
        self.damage(DamageKind::Log, key, id, reason);
    }

    fn damage(&mut self, kind: DamageKind, key: ItemKey, id: ItemId, reason: String) {
        let mut damage: Damage = self.facts.damage(kind, reason).item(id);
        damage.feed = self.facts.feeds.get(&key.feed).map(|feed| feed.key);
        self.sink.findings.add(damage);
    }
}

/// A checkpoint, and what it is for.
struct Stored<'a> {
    key: ItemKey,
    id: ItemId,
    record: &'a ItemRecord,
    ordinal: u64,
    /// Whether a message of the item has its processing number, as far as that can be told.
    covered: bool,
}

/// Why a checkpoint is not what it should be.
struct Wrong {
    reason: String,
    /// It is wrong whatever the blocks say.
    by_itself: bool,
}

/// The part of an item in which two states differ.
fn difference(restored: &ItemState, replayed: &ItemState) -> Result<Option<&'static str>, Error> {
    let authors = |state: &ItemState| state.authors().collect::<Vec<_>>();
    Ok(if restored.ordinal() != replayed.ordinal() {
        Some("processing number")
    } else if authors(restored) != authors(replayed) {
        Some("list of authors")
    } else if restored.metadata()?.digest() != replayed.metadata()?.digest() {
        Some("metadata")
    } else if restored.model()?.digest() != replayed.model()?.digest() {
        Some("state")
    } else {
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processing_numbers_are_each_given_once() {
        let mut ordinals = Ordinals::new(130);
        assert!((1..=130).filter(|ordinal| *ordinal != 64).all(|ordinal| ordinals.see(ordinal)));
        assert_eq!(ordinals.first_missing(), Some(64));
        assert!(ordinals.see(7) && !ordinals.see(131));
        assert_eq!(ordinals.repeated, BTreeSet::from([7]));
    }
}

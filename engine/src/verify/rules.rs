//! A party processed again by the engine's own rules; whatever comes out is compared with what is
//! stored.
//!
//! Invariants:
//! - blocks are processed exactly as far as the stored positions say, so the same must come out;
//! - what a replica may order as it likes (processing numbers) is not compared here;
//! - from the first block of a feed that is in doubt, nothing of that feed is compared: whatever
//!   differs then follows from what is damaged.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use systole_proto::{Block, FeedKey};
use systole_store::{FeedNo, FeedPosition, ItemKey, ItemRecord};

use super::host::{Replica, Tally};
use super::party::{Facts, FeedFacts};
use super::report::{DamageKind, unreadable};
use super::{Context, Sink, repair};
use crate::Error;
use crate::party::admit::Membership;
use crate::party::effect::Effect;
use crate::party::{PartyState, Progress, ReadAhead};
use crate::settings::CURSORS_BYTES_MAX;

/// Blocks of one feed that are processed before others get their turn.
const TURN_BLOCKS: u64 = 4_096;
/// Blocks processed before what only bridges the time to a commit is forgotten.
const COMMIT_BLOCKS: u64 = 1_024;

/// How far a party is processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// As far as the stored positions say.
    Claimed,
    /// As far as there are blocks that can be.
    All,
}

/// What a party's blocks say.
pub(super) struct Derived {
    /// Every item and its messages, those of doubtful blocks left out.
    pub(super) items: BTreeMap<ItemKey, Tally>,
    /// Messages of all items.
    pub(super) messages: u64,
    /// Whether every block was processed that the stored positions claim.
    pub(super) complete: bool,
    pub(super) membership: Membership,
    /// Where credentials stand that count or may come to count.
    pub(super) credentials: BTreeSet<(FeedNo, u64)>,
    /// Items whose records were damaged.
    pub(super) damaged: BTreeSet<ItemKey>,
}

/// Processes the party's blocks, and compares.
pub(super) fn derive(
    context: &Context<'_>,
    facts: &mut Facts,
    sink: &mut Sink<'_>,
    reach: Reach,
) -> Derived {
    let target = |feed: &FeedFacts| match reach {
        Reach::Claimed => feed.processed(),
        Reach::All => feed.checked.length,
    };
    let mut state = PartyState::new(facts.record.key, facts.record.no, 0);
    let mut numbers: BTreeMap<FeedKey, FeedNo> = BTreeMap::new();
    for (no, feed) in &facts.feeds {
        numbers.insert(feed.key, *no);
        // A feed without blocks is known to the rules only where this device writes it; they treat it
        // alike.
        let position = FeedPosition { length: target(feed), ..FeedPosition::default() };
        state.add_feed(*no, feed.key, position);
    }
    sink.begin("what the blocks mean", facts.feeds.values().map(target).sum());
    let mut rules = Rules {
        context,
        host: Replica::new(context.scratch.clone(), numbers),
        ahead: ReadAhead::default(),
        state,
        facts,
        sink,
        effects: Vec::new(),
        steps: BTreeMap::new(),
        quarantined: BTreeSet::new(),
        credentials: BTreeSet::new(),
        damaged: BTreeSet::new(),
        genesis: None,
        messages: 0,
        uncommitted: 0,
    };
    rules.process_all();
    let complete = rules.check_positions(reach);
    rules.check_rest(complete);
    let Rules { host, state, credentials, damaged, messages, .. } = rules;
    let membership = state.membership;
    Derived { items: host.items, messages, complete, membership, credentials, damaged }
}

struct Rules<'a, 'b> {
    context: &'a Context<'a>,
    state: PartyState,
    host: Replica,
    ahead: ReadAhead,
    facts: &'a mut Facts,
    sink: &'a mut Sink<'b>,
    effects: Vec<Effect>,
    /// How many causal steps each feed has.
    steps: BTreeMap<FeedNo, u64>,
    quarantined: BTreeSet<(FeedNo, u64)>,
    credentials: BTreeSet<(FeedNo, u64)>,
    damaged: BTreeSet<ItemKey>,
    genesis: Option<FeedNo>,
    messages: u64,
    uncommitted: u64,
}

impl Rules<'_, '_> {
    fn process_all(&mut self) {
        // A party key that signed two geneses founded two parties of one name: the first one heard
        // stays, so it is heard first again.
        let genesis = self.facts.record.genesis_feed;
        let genesis = genesis
            .filter(|feed| self.facts.feeds.get(feed).is_some_and(|feed| feed.processed() > 0));
        if let Some(feed) = genesis {
            self.process_feed(feed, 1);
        }
        let mut last = None;
        while let Some(feed) = self.state.next_ready(last) {
            last = Some(feed);
            self.process_feed(feed, TURN_BLOCKS);
        }
    }

    /// Processes blocks of one feed until it waits, ends, or has had its share.
    fn process_feed(&mut self, feed: FeedNo, most: u64) {
        for _ in 0..most {
            let position = self.state.feed(feed).expect("a ready feed is known");
            let (seq, length) = (position.processed, position.length);
            if seq >= length {
                return;
            }
            // What cannot be read was told when the feed was.
            let Some(block) = self.block(feed, seq, length) else {
                return self.state.halt(feed, "unreadable".to_owned());
            };
            self.host.begin(block.clone());
            self.effects.clear();
            let progress =
                self.state.process(&mut self.host, feed, block.clone(), &mut self.effects);
            match progress {
                Ok(Progress::Processed) => self.ahead.used(feed, length - seq - 1),
                Ok(_) => return,
                Err(error) => return self.give_up(feed, seq, &error),
            }
            self.compare(feed, seq, block);
            self.uncommitted += 1;
            if self.uncommitted == COMMIT_BLOCKS {
                self.sink.progress(self.uncommitted);
                self.uncommitted = 0;
                drop(self.state.take_positions());
                self.state.committed(CURSORS_BYTES_MAX);
            }
        }
    }

    fn block(&mut self, feed: FeedNo, seq: u64, length: u64) -> Option<bytes::Bytes> {
        let feeds = self.context.scratch.feeds();
        let block = self.ahead.block(feed, seq, length, |range, chunk| {
            let mut next = range.start;
            let scanned = feeds.scan_blocks(feed, range.start, range.end, &mut |seq, block| {
                let follows = seq == next;
                next += 1;
                if follows && chunk.push(block) {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                }
            });
            // What came before a failure is good.
            if next > range.start { Ok(()) } else { Ok(scanned?) }
        });
        block.ok().flatten()
    }

    /// Something that the rules look up cannot be read.
    fn give_up(&mut self, feed: FeedNo, seq: u64, error: &Error) {
        let reason = format!("it cannot be processed: {error}");
        self.disagree(DamageKind::File, feed, seq, reason);
        self.state.halt(feed, "unreadable".to_owned());
        let facts = self.facts.feeds.get_mut(&feed).expect("only known feeds are processed");
        facts.checked.doubtful_from.get_or_insert(seq);
    }

    fn disagree(&mut self, kind: DamageKind, feed: FeedNo, seq: u64, reason: String) {
        self.facts.disagree(self.sink, kind, (feed, seq), reason);
    }

    fn compare(&mut self, feed: FeedNo, seq: u64, block: bytes::Bytes) {
        for (target, length) in self.host.wrong_links() {
            // Then the other feed's blocks are wrong, not the link.
            if self.facts.is_doubtful(target, length - 1) {
                continue;
            }
            let target = self.facts.feeds.get(&target).map_or("?".to_owned(), |it| it.key.short());
            let reason = format!("it links to another history of feed {target} at length {length}");
            self.disagree(DamageKind::Block, feed, seq, reason);
        }
        for key in std::mem::take(&mut self.host.unnumbered) {
            let reason = format!("block {seq} names feed {key}, which has no record");
            self.disagree(DamageKind::Feed, feed, seq, reason);
        }
        let doubtful = self.facts.is_doubtful(feed, seq);
        if doubtful && let Err(error) = Block::decode(block) {
            self.facts.unreadable((feed, seq), format!("it cannot be read: {error}"));
        }
        let mut is_quarantined = false;
        for effect in std::mem::take(&mut self.effects) {
            match effect {
                Effect::Step { step, .. } => {
                    *self.steps.entry(feed).or_default() += 1;
                    let feeds = self.context.scratch.feeds();
                    let reason = match feeds.step(feed, seq) {
                        Ok(Some(stored)) if stored == step => continue,
                        Ok(Some(_)) => "another one is stored".to_owned(),
                        Ok(None) => "missing".to_owned(),
                        Err(error) => unreadable(&error),
                    };
                    self.disagree(DamageKind::CausalStep, feed, seq, reason);
                    if !doubtful {
                        repair(self.context.scratch, |batch| feeds.put_step(batch, feed, &step));
                    }
                }
                Effect::Alias { alias, target, .. } => {
                    self.host.named.insert(feed, alias);
                    let feeds = self.context.scratch.feeds();
                    let reason = match feeds.alias(feed, alias) {
                        Ok(Some(stored)) if stored == target => continue,
                        Ok(Some(_)) => format!("alias {alias} stands for another feed"),
                        Ok(None) => format!("alias {alias} is missing"),
                        Err(error) => unreadable(&error),
                    };
                    self.disagree(DamageKind::Alias, feed, seq, reason);
                    repair(self.context.scratch, |batch| {
                        feeds.put_alias(batch, feed, alias, target);
                    });
                }
                Effect::Credential { feed, seq, .. } => drop(self.credentials.insert((feed, seq))),
                Effect::Genesis { feed } => self.genesis = Some(feed),
                Effect::Item { record, .. } => self.host.derived(&record),
                Effect::Message { item, entry, .. } => {
                    self.messages += 1;
                    if !doubtful && let Some(tally) = self.host.items.get_mut(&item) {
                        tally.add(&entry);
                    }
                }
                Effect::Quarantine { code, .. } => {
                    is_quarantined = true;
                    self.compare_quarantine(feed, seq, code);
                }
                Effect::Event(_) => {}
            }
        }
        if is_quarantined {
            self.quarantined.insert((feed, seq));
        }
    }

    fn compare_quarantine(&mut self, feed: FeedNo, seq: u64, code: &str) {
        let stored = self.context.stored.meta().quarantine(self.facts.record.no, feed, seq);
        let reason = match stored {
            // The reason is for people; its words may change.
            Ok(Some(stored)) if stored.code == code => return,
            Ok(Some(stored)) => {
                format!("it is ignored as {code:?}, but noted as {:?}", stored.code)
            }
            Ok(None) => format!("it is ignored as {code:?}, but that is not noted"),
            Err(error) => unreadable(&error),
        };
        self.disagree(DamageKind::Quarantine, feed, seq, reason);
    }

    /// Compares where every feed stands; whether all of them got as far as they claim.
    fn check_positions(&mut self, reach: Reach) -> bool {
        self.sink.progress(self.uncommitted);
        let certain = self.facts.is_certain();
        let mut complete = true;
        for (no, facts) in &self.facts.feeds {
            let Some(position) = facts.position() else { continue };
            let state = self.state.feed(*no).expect("every feed was added");
            let claimed = facts.processed();
            let stuck = state.processed < claimed;
            if stuck && reach == Reach::Claimed {
                complete = false;
                self.sink.findings.report.skipped += claimed - state.processed;
            }
            let reason = if stuck && certain {
                format!(
                    "it says that {claimed} blocks are processed, but block {} {}",
                    state.processed,
                    self.why_not(*no)
                )
            } else if stuck {
                continue;
            } else if reach == Reach::All && state.processed != position.processed {
                format!(
                    "it says that {} blocks are processed, but what follows from {} is stored",
                    position.processed, state.processed
                )
            } else if (state.lamport, state.stamp) != (position.lamport, position.stamp)
                && claimed > 0
                && !facts.checked.is_doubtful(claimed - 1)
            {
                "its Lamport number or stamp is not that of the last block".to_owned()
            } else {
                continue;
            };
            let damage = self.facts.damage(DamageKind::Position, reason);
            self.sink.findings.add(damage.feed(facts.key));
        }
        complete
    }

    /// Why a feed's next block cannot be processed.
    fn why_not(&self, feed: FeedNo) -> String {
        match self.state.waits_for(feed) {
            Some((feed, length)) => {
                let key = self.facts.feeds.get(&feed).map(|feed| feed.key.short());
                format!("waits for {length} blocks of feed {}", key.unwrap_or_default())
            }
            None => "cannot be: its feed is not admitted".to_owned(),
        }
    }

    /// Looks for what is stored and follows from no block, and for what differs still.
    fn check_rest(&mut self, complete: bool) {
        let certain = complete && self.facts.is_certain();
        let record = self.facts.record.clone();
        if certain && self.genesis != record.genesis_feed {
            let reason = "its genesis lies in another feed than its record says";
            self.sink.findings.add(self.facts.damage(DamageKind::Party, reason));
        }
        if certain && self.messages != record.ordinal {
            let reason = format!(
                "it says that {} messages were processed, its blocks hold {}",
                record.ordinal, self.messages
            );
            self.sink.findings.add(self.facts.damage(DamageKind::Party, reason));
        }
        let feeds: Vec<FeedNo> = self.facts.feeds.keys().copied().collect();
        for feed in feeds {
            self.check_steps(feed);
            self.check_aliases(feed);
        }
        self.check_quarantine();
        self.check_records(certain);
    }

    fn check_steps(&mut self, feed: FeedNo) {
        let store = self.context.stored;
        let derived = self.steps.get(&feed).copied().unwrap_or(0);
        // What cannot be counted was told when the files were read.
        if store.feeds().step_count(feed).is_ok_and(|stored| stored <= derived) {
            return;
        }
        let mut unfounded = Vec::new();
        let scanned = store.feeds().scan_steps(feed, 0, u64::MAX, &mut |step| {
            let block = self.context.scratch.feeds().block(feed, step.seq).ok().flatten();
            let links = block.and_then(|block| Block::decode(block).ok()).map(|it| it.links.len());
            if links.is_none_or(|links| links == 0) {
                unfounded.push(step.seq);
            }
            if unfounded.len() < super::DAMAGE_LISTED_MAX {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        });
        drop(scanned);
        for seq in unfounded {
            let reason = "it is stored, but the block links to nothing".to_owned();
            self.disagree(DamageKind::CausalStep, feed, seq, reason);
        }
    }

    fn check_aliases(&mut self, feed: FeedNo) {
        let named = self.host.named.get(&feed).copied().unwrap_or(0);
        let facts = &self.facts.feeds[&feed];
        let state = self.state.feed(feed).expect("every feed was added");
        // A block that is not processed yet may well name it.
        let all_named = state.processed == facts.checked.length;
        if all_named
            && facts.checked.doubtful_from.is_none()
            && let Ok(Some(_)) = self.context.stored.feeds().alias(feed, named + 1)
        {
            let reason = format!("alias {} is stored, but no block gives it", named + 1);
            let damage = self.facts.damage(DamageKind::Alias, reason);
            self.sink.findings.add(damage.feed(facts.key));
        }
    }

    fn check_quarantine(&mut self) {
        let (meta, party) = (self.context.stored.meta(), self.facts.record.no);
        let mut after = None;
        loop {
            let page = match meta.quarantined(party, after, 1_024) {
                Ok(page) => page,
                // Told when the files were read, or with the block.
                Err(_) => return,
            };
            let Some(last) = page.last() else { return };
            after = Some((last.feed, last.seq));
            for record in page {
                let at = (record.feed, record.seq);
                let state = self.state.feed(record.feed).map_or(0, |feed| feed.processed);
                if !self.quarantined.contains(&at) && record.seq < state {
                    let reason = format!("it is noted as ignored ({}), but it counts", record.code);
                    self.disagree(DamageKind::Quarantine, at.0, at.1, reason);
                }
            }
        }
    }

    /// Items whose records are not what all their blocks together make of them.
    fn check_records(&mut self, certain: bool) {
        let items = self.context.stored.items();
        for (key, derived) in std::mem::take(&mut self.host.differing) {
            let reason = match items.item(key) {
                // Blocks that move or delete it may be among those that are damaged.
                Ok(Some(stored)) if !certain && same_genesis(&derived, &stored) => continue,
                Ok(Some(stored)) => difference(&derived, &stored),
                Ok(None) => "missing".to_owned(),
                Err(error) => unreadable(&error),
            };
            if self.facts.is_doubtful(key.feed, key.seq) {
                self.disagree(DamageKind::Item, key.feed, key.seq, reason);
                continue;
            }
            self.damaged.insert(key);
            let mut damage = self.facts.damage(DamageKind::Item, reason).item(derived.id);
            damage.feed = self.facts.feeds.get(&key.feed).map(|feed| feed.key);
            self.sink.findings.add(damage.at(key.seq));
            let scratch = self.context.scratch;
            repair(scratch, |batch| scratch.items().put_item(batch, &derived, None));
        }
    }
}

/// Whether two records are of the same item, wherever it lies and whether or not it is deleted.
fn same_genesis(derived: &ItemRecord, stored: &ItemRecord) -> bool {
    let parts = |record: &ItemRecord| {
        (record.id, record.party, record.model.clone(), record.version, record.algorithm)
    };
    parts(derived) == parts(stored)
}

/// In what a stored record differs from the one derived.
fn difference(derived: &ItemRecord, stored: &ItemRecord) -> String {
    let parts = [
        ("id", derived.id != stored.id),
        ("party", derived.party != stored.party),
        (
            "model",
            (&derived.model, derived.version, derived.algorithm)
                != (&stored.model, stored.version, stored.algorithm),
        ),
        (
            "parent",
            (derived.parent, derived.moved_to, derived.parent_rank)
                != (stored.parent, stored.moved_to, stored.parent_rank),
        ),
        (
            "deletion",
            (derived.deleted, derived.deleted_rank) != (stored.deleted, stored.deleted_rank),
        ),
    ];
    let wrong: Vec<&str> = parts.iter().filter(|part| part.1).map(|part| part.0).collect();
    format!("its {} is not what its blocks say", wrong.join(" and "))
}

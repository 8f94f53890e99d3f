//! One party after the other: its records, its feeds, then everything that follows from them.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use systole_proto::{Block, Body, Credential, FeedKey, PartyKey};
use systole_store::{FeedNo, FeedPosition, FeedRecord, PartyNo, PartyRecord, Store};

use super::chain::{self, Checked};
use super::report::{Damage, DamageKind, unreadable};
use super::rules::{Derived, Reach};
use super::{Context, Sink, credentials, items, repair, rules};

/// Blocks of which it is remembered that they contradict what is derived from them.
const EVIDENCE_MAX: usize = 4_096;

/// A party as far as it was checked.
pub(super) struct Facts {
    pub(super) record: PartyRecord,
    pub(super) feeds: BTreeMap<FeedNo, FeedFacts>,
    /// What speaks against single blocks where altered ones are among several.
    evidence: BTreeMap<(FeedNo, u64), Evidence>,
}

/// What speaks against a block.
#[derive(Clone, Debug)]
struct Evidence {
    reason: String,
    /// It cannot follow from an earlier block that is altered.
    own: bool,
}

/// A feed as far as it was checked.
pub(super) struct FeedFacts {
    pub(super) key: FeedKey,
    own: bool,
    position: Option<FeedPosition>,
    pub(super) checked: Checked,
}

impl FeedFacts {
    /// The stored position, unless it is known to be wrong.
    pub(super) fn position(&self) -> Option<&FeedPosition> {
        self.position.as_ref().filter(|_| !self.checked.position_wrong)
    }

    /// Blocks whose effects are stored, as far as they are there; all where nothing tells.
    pub(super) fn processed(&self) -> u64 {
        let processed = self.position().map_or(u64::MAX, |position| position.processed);
        processed.min(self.checked.length)
    }
}

impl Facts {
    /// Whether nothing can be said of what a block means.
    pub(super) fn is_doubtful(&self, feed: FeedNo, seq: u64) -> bool {
        self.feeds.get(&feed).is_some_and(|feed| feed.checked.is_doubtful(seq))
    }

    /// Whether nothing in the party is in doubt.
    pub(super) fn is_certain(&self) -> bool {
        self.feeds.values().all(|feed| feed.checked.doubtful_from.is_none())
    }

    /// Something contradicts a block: a damage of `kind`, or, where the block may be the altered one,
    /// evidence of that.
    pub(super) fn disagree(
        &mut self,
        sink: &mut Sink<'_>,
        kind: DamageKind,
        (feed, seq): (FeedNo, u64),
        reason: String,
    ) {
        match self.feeds.get(&feed) {
            Some(facts) if facts.checked.is_doubtful(seq) => {
                self.note((feed, seq), Evidence { reason, own: false });
            }
            facts => {
                let mut damage = Damage::new(kind, reason).party(self.record.key).at(seq);
                damage.feed = facts.map(|facts| facts.key);
                sink.findings.add(damage);
            }
        }
    }

    /// A block cannot be read, which speaks against it where it may be altered.
    pub(super) fn unreadable(&mut self, at: (FeedNo, u64), reason: String) {
        self.note(at, Evidence { reason, own: true });
    }

    /// What speaks against one of several blocks, if only one of them may be altered.
    pub(super) fn suspect(&mut self, blocks: &[(FeedNo, u64)], reason: String) {
        let mut suspects = blocks.iter().filter(|at| self.is_suspect(**at));
        if let (Some(one), None) = (suspects.next(), suspects.next()) {
            self.note(*one, Evidence { reason, own: false });
        }
    }

    fn is_suspect(&self, (feed, seq): (FeedNo, u64)) -> bool {
        self.feeds.get(&feed).is_some_and(|feed| feed.checked.is_suspect(seq))
    }

    fn note(&mut self, at: (FeedNo, u64), evidence: Evidence) {
        if self.is_suspect(at) && self.evidence.len() < EVIDENCE_MAX {
            self.evidence.entry(at).or_insert(evidence);
        }
    }

    /// A damage of the party.
    pub(super) fn damage(&self, kind: DamageKind, reason: impl Into<String>) -> Damage {
        Damage::new(kind, reason).party(self.record.key)
    }

    /// Tells of the altered blocks that could not be put right, as exactly as anything says.
    fn tell_altered(&mut self, sink: &mut Sink<'_>) {
        for (no, feed) in &self.feeds {
            for (blocks, reason) in &feed.checked.altered {
                let damage = |reason: String| {
                    Damage::new(DamageKind::Block, reason).party(self.record.key).feed(feed.key)
                };
                let span = (*no, blocks.start)..(*no, blocks.end);
                let evidence: Vec<_> = self.evidence.range(span).collect();
                let own = evidence.iter().filter(|(_, evidence)| evidence.own);
                // What contradicts later blocks may follow from the first.
                let first = evidence.first().filter(|_| own.clone().next().is_none());
                let mut named = false;
                for ((_, seq), Evidence { reason, .. }) in own.chain(first) {
                    let count = blocks.end - blocks.start;
                    let reason = format!(
                        "{reason}; of the {count} blocks from {} at least one is not what its author signed",
                        blocks.start
                    );
                    sink.findings.add(damage(reason).at(*seq));
                    named = true;
                }
                if !named {
                    sink.findings.add(damage(reason.clone()).within(blocks.clone()));
                }
            }
        }
    }
}

/// Checks every party whose data were not deleted.
pub(super) fn check_all(context: &Context<'_>, sink: &mut Sink<'_>) {
    let records = match context.stored.meta().parties() {
        Ok(records) => records,
        Err(error) => {
            let reason = format!("the parties cannot be listed: {}", unreadable(&error));
            sink.findings.add(Damage::new(DamageKind::Party, reason));
            return;
        }
    };
    check_numbers(context, sink, &records);
    for record in records.into_iter().filter(|record| !record.deleted) {
        sink.findings.report.parties += 1;
        check(context, sink, record);
    }
}

/// A party keeps its record and its number for ever, even when its data are deleted.
fn check_numbers(context: &Context<'_>, sink: &mut Sink<'_>, records: &[PartyRecord]) {
    let next = match context.stored.meta().next_party_no() {
        Ok(next) => next,
        Err(error) => {
            return sink.findings.add(Damage::new(DamageKind::Party, unreadable(&error)));
        }
    };
    let last = records.last().map_or(PartyNo(0), |record| record.no);
    if last >= next {
        let reason = "the next party would get a number that is taken";
        return sink.findings.add(Damage::new(DamageKind::Party, reason));
    }
    let missing = (1..next.0).find(|no| !records.iter().any(|record| record.no.0 == *no));
    if let Some(no) = missing {
        let reason = format!("{} has no record, so that nothing of it was checked", PartyNo(no));
        sink.findings.add(Damage::new(DamageKind::Party, reason));
    }
}

fn check(context: &Context<'_>, sink: &mut Sink<'_>, record: PartyRecord) {
    let mut facts = Facts { record, feeds: BTreeMap::new(), evidence: BTreeMap::new() };
    check_record(context, sink, &mut facts);
    let lengths = facts.feeds.values().map(|feed| feed.position.as_ref().map_or(0, |it| it.length));
    sink.begin("hashes and signatures", lengths.sum());
    for (no, feed) in &mut facts.feeds {
        let (key, position) = (feed.key, feed.position.as_ref());
        let party = facts.record.key;
        feed.checked = chain::check(context.scratch, party, (*no, key), position, sink);
        sink.findings.report.feeds += u64::from(feed.checked.length > 0);
    }
    // What contradicts a block may break an assumption of the rules. Nothing of what they leave behind
    // is used then.
    let derived = catch_unwind(AssertUnwindSafe(|| derive(context, &mut facts, sink)));
    match derived {
        Ok((scratch, derived)) => {
            let context = Context { scratch: &scratch, ..context.clone() };
            credentials::check(&context, &mut facts, &derived, sink);
            items::check(&context, &mut facts, &derived, sink);
        }
        Err(panic) => {
            let reason = format!("its blocks cannot be processed: {}", said(&*panic));
            sink.findings.add(facts.damage(DamageKind::Party, reason));
        }
    }
    facts.tell_altered(sink);
}

/// Processes the party again, as far as its positions say; and where what comes out cannot be, as far
/// as its blocks allow, for then a position may be what is wrong. With the copy in which damaged
/// records were put right.
fn derive(context: &Context<'_>, facts: &mut Facts, sink: &mut Sink<'_>) -> (Store, Derived) {
    let run = |facts: &mut Facts, sink: &mut Sink<'_>, reach| {
        let scratch = context.scratch.scratch();
        let context = Context { scratch: &scratch, ..context.clone() };
        let derived = rules::derive(&context, facts, sink, reach);
        (scratch, derived)
    };
    let before = (sink.findings.clone(), facts.evidence.clone());
    let (scratch, derived) = run(facts, sink, Reach::Claimed);
    let expected = facts.record.ordinal;
    if !facts.is_certain() || (derived.complete && derived.messages == expected) {
        return (scratch, derived);
    }
    let found = std::mem::replace(&mut sink.findings, before.0);
    let evidence = std::mem::replace(&mut facts.evidence, before.1);
    let all = run(facts, sink, Reach::All);
    if all.1.messages == expected {
        return all;
    }
    (sink.findings, facts.evidence) = (found, evidence);
    (scratch, derived)
}

/// What a panic said.
pub(super) fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "panicked".to_owned())
}

/// The party's record and those of its feeds, which go into `facts`.
fn check_record(context: &Context<'_>, sink: &mut Sink<'_>, facts: &mut Facts) {
    let meta = context.stored.meta();
    let record = facts.record.clone();
    let found = meta.party_no(&record.key).map_err(|error| unreadable(&error));
    if found != Ok(Some(record.no)) {
        let reason = "the party is not found by its key".to_owned();
        if let Some(key) = key_of_genesis(context, &record) {
            facts.record.key = key;
        }
        sink.findings.add(facts.damage(DamageKind::Party, found.err().unwrap_or(reason)));
    }
    let listed = meta.feed_nos(record.no).unwrap_or_else(|error| {
        let reason = format!("its feeds cannot be listed: {}", unreadable(&error));
        sink.findings.add(facts.damage(DamageKind::Party, reason));
        Vec::new()
    });
    let mut numbers: BTreeSet<FeedNo> = listed.into_iter().collect();
    let scanned = meta.scan_feeds(&mut |feed| {
        if feed.party == record.no && numbers.insert(feed.no) {
            let reason = format!("{} is not listed by its party", feed.no);
            sink.findings.add(facts.damage(DamageKind::Feed, reason).feed(feed.key));
        }
        ControlFlow::Continue(())
    });
    // What cannot be read was told when the files were.
    drop(scanned);
    let secrets = context.stored.keys().list();
    for no in numbers {
        let Some(feed) = check_feed_record(context, sink, facts, no) else { continue };
        if let Ok(secrets) = &secrets
            && feed.own != secrets.contains(feed.key.as_bytes())
        {
            let reason = match feed.own {
                true => "it is marked as written here, but its secret key is not stored",
                false => "it is marked as another device's, but its secret key is stored",
            };
            sink.findings.add(facts.damage(DamageKind::Feed, reason).feed(feed.key));
        }
        let position = match meta.position(no) {
            Ok(Some(position)) => Some(position),
            // A feed that was only named has none.
            Ok(None) if matches!(context.stored.feeds().latest_head(no), Ok(None)) => None,
            other => {
                let reason = other.err().map_or("missing".to_owned(), |error| unreadable(&error));
                let damage = facts.damage(DamageKind::Position, reason);
                sink.findings.add(damage.feed(feed.key));
                None
            }
        };
        let checked = Checked::default();
        let FeedRecord { key, own, .. } = feed;
        facts.feeds.insert(no, FeedFacts { key, own, position, checked });
    }
    for (name, feed) in [("genesis", record.genesis_feed), ("own", record.own_feed)] {
        if let Some(feed) = feed.filter(|feed| !facts.feeds.contains_key(feed)) {
            let reason = format!("its {name} {feed} is not among its feeds");
            sink.findings.add(facts.damage(DamageKind::Party, reason));
        }
    }
    let own = record.own_feed.and_then(|feed| facts.feeds.get(&feed));
    if own.is_some_and(|feed| !feed.own) {
        let reason = "it writes to a feed of another device";
        sink.findings.add(facts.damage(DamageKind::Party, reason));
    }
}

/// The key in the party's first credential, if the store knows the party by it.
fn key_of_genesis(context: &Context<'_>, record: &PartyRecord) -> Option<PartyKey> {
    let block = context.stored.feeds().block(record.genesis_feed?, 0).ok().flatten()?;
    let Body::Credential(bytes) = Block::decode(block).ok()?.body else { return None };
    let key = Credential::decode(bytes).ok()?.claim().ok()?.party();
    (context.stored.meta().party_no(&key).ok().flatten() == Some(record.no)).then_some(key)
}

/// A feed's record, put right as far as its head tells whose it is.
fn check_feed_record(
    context: &Context<'_>,
    sink: &mut Sink<'_>,
    facts: &Facts,
    no: FeedNo,
) -> Option<FeedRecord> {
    let meta = context.stored.meta();
    let is_known_by = |key: &FeedKey| matches!(meta.feed_no(key), Ok(Some(found)) if found == no);
    let stored = meta.feed(no);
    let reason = match &stored {
        Ok(Some(record)) if record.party == facts.record.no && is_known_by(&record.key) => {
            return Some(record.clone());
        }
        Ok(Some(record)) if record.party != facts.record.no => {
            format!("{no} is listed by a party that it does not belong to")
        }
        Ok(Some(_)) => format!("{no} is not found by its key"),
        Ok(None) => format!("{no} is listed by its party, but has no record"),
        Err(error) => unreadable(error),
    };
    // Whoever signed its head is the feed.
    let head = context.stored.feeds().latest_head(no).ok().flatten();
    let signer = head.and_then(|head| head.verify().ok()).map(|head| head.feed);
    let stored = stored.ok().flatten();
    let key = signer.or(stored.as_ref().map(|record| record.key));
    let mut damage = facts.damage(DamageKind::Feed, reason);
    damage.feed = key;
    sink.findings.add(damage);
    let own = stored.as_ref().map(|record| record.own);
    let own = own.or_else(|| Some(context.stored.keys().list().ok()?.contains(&key?.0)));
    let record = FeedRecord {
        no,
        key: key?,
        party: facts.record.no,
        own: own.unwrap_or(false),
        created_millis: stored.map_or(0, |record| record.created_millis),
    };
    repair(context.scratch, |batch| context.scratch.meta().put_feed(batch, &record));
    Some(record)
}

//! From a block to what it does: aliases become feeds, item references become items, bodies become
//! effects. The rules that decide whether a block counts stand here.
//!
//! Invariant: every answer is a function of the block and its causal past. An item that a block
//! names must have been created in its past, so a message can never come before its genesis.

use std::sync::Arc;

use systole_proto::{Block, Body, Genesis, ItemId, ItemRef, Stamp, limits};
use systole_store::{FeedNo, ItemKey, ItemRecord, LogEntry};

use super::admit::{Admitted, AdmittedKind, Verdict};
use super::causal::{Causal, Past};
use super::compose::Plan;
use super::effect::{Effect, LABEL_METADATA, LABEL_MODEL, Quarantined};
use super::state::{Feed, Host, PartyState};
use crate::{Error, Event};

/// A check of a stranger's block: the outer error is ours, the inner one is the block's.
type Checked<T> = Result<Result<T, Quarantined>, Error>;

impl PartyState {
    /// The feeds that the block's new keys name. A feed names itself by alias 0 and every other
    /// feed once.
    pub(super) fn resolve_keys(
        &mut self,
        host: &mut dyn Host,
        feed: FeedNo,
        block: &Block,
    ) -> Checked<Vec<FeedNo>> {
        if block.keys.is_empty() {
            return Ok(Ok(Vec::new()));
        }
        let own = self.feeds[&feed].key;
        let cursor = self.cursor(host, feed)?;
        if cursor.aliases.len() + block.keys.len() > limits::ALIASES_MAX as usize {
            return Ok(Err(Quarantined::new(
                "aliases",
                format!("names more than {} feeds", limits::ALIASES_MAX),
            )));
        }
        let mut named = Vec::with_capacity(block.keys.len());
        for key in &block.keys {
            let number = host.number(key)?;
            let cursor = self.cursor(host, feed)?;
            if *key == own || named.contains(&number) || cursor.alias_of.contains_key(&number) {
                return Ok(Err(Quarantined::new("aliases", "names a feed a second time")));
            }
            named.push(number);
        }
        Ok(Ok(named))
    }

    /// The feeds and lengths that the block links to.
    pub(super) fn resolve_links(
        &self,
        feed: FeedNo,
        block: &Block,
        learning: &[FeedNo],
    ) -> Result<Vec<(FeedNo, u64)>, Quarantined> {
        let links = block.links.iter().map(|link| {
            let target = self.aliased(feed, link.feed, learning)?;
            if target == feed || link.length == 0 {
                return Err(Quarantined::new("link", "links to its own feed or to nothing"));
            }
            Ok((target, link.length))
        });
        links.collect()
    }

    /// Takes the block's new names into the feed's table.
    pub(super) fn learn(&mut self, feed: FeedNo, named: &[FeedNo], effects: &mut Vec<Effect>) {
        if named.is_empty() {
            return;
        }
        let state = self.feeds.get_mut(&feed).expect("the feed is being processed");
        let cursor = state.cursor.as_mut().expect("loaded to resolve the names");
        for target in named {
            cursor.aliases.push(*target);
            let alias = cursor.aliases.len() as u32;
            cursor.alias_of.insert(*target, alias);
            effects.push(Effect::Alias { feed, alias, target: *target });
        }
    }

    fn aliased(
        &self,
        feed: FeedNo,
        alias: u32,
        learning: &[FeedNo],
    ) -> Result<FeedNo, Quarantined> {
        let Some(index) = alias.checked_sub(1) else { return Ok(feed) };
        let known = self.feeds[&feed].cursor.as_ref().map_or(&[][..], |cursor| &cursor.aliases);
        let index = index as usize;
        known
            .get(index)
            .or_else(|| learning.get(index.checked_sub(known.len())?))
            .copied()
            .ok_or_else(|| Quarantined::new("alias", format!("alias {alias} names no feed")))
    }

    /// Turns the block's body into effects, or says why the block does not count.
    pub(super) fn demultiplex(
        &mut self,
        host: &mut dyn Host,
        feed: FeedNo,
        seq: u64,
        causal: &Causal,
        block: &Block,
        effects: &mut Vec<Effect>,
    ) -> Checked<()> {
        if !self.may_write(feed, seq, &causal.past) {
            let reason = "its feed was not admitted in the block's causal past";
            return Ok(Err(Quarantined::new("not admitted", reason)));
        }
        let place = Place { feed, seq, causal, stamp: stamped(self.feeds[&feed].stamp, block) };
        match &block.body {
            Body::Credential(_) => unreachable!("credentials are heard, not demultiplexed"),
            Body::Empty => Ok(Ok(())),
            Body::Unknown(kind) => {
                let reason = format!("kind {kind} is not known to this version");
                Ok(Err(Quarantined::new("kind", reason)))
            }
            Body::Genesis(genesis) => self.create(host, &place, block, genesis, effects),
            Body::Mutation(mutation) => {
                let item = match self.existing(host, &place, mutation.item)? {
                    Ok(item) => item,
                    Err(refused) => return Ok(Err(refused)),
                };
                if mutation.label != LABEL_MODEL && mutation.label != LABEL_METADATA {
                    let reason = format!("label {} means nothing here", mutation.label);
                    return Ok(Err(Quarantined::new("label", reason)));
                }
                let payload = mutation.payload.clone();
                effects.push(self.message(&place, block, item, mutation.label, payload));
                Ok(Ok(()))
            }
            Body::Move(moved) => self.reparent(host, &place, moved.item, moved.parent, effects),
            Body::Tombstone(tombstone) => {
                let item = match self.existing(host, &place, tombstone.item)? {
                    Ok(item) => item,
                    Err(refused) => return Ok(Err(refused)),
                };
                self.rank_and_change(host, &place, item, effects, |record, rank| {
                    if rank > record.deleted_rank {
                        record.deleted_rank = rank;
                        record.deleted = !tombstone.restore;
                    }
                })?;
                Ok(Ok(()))
            }
        }
    }

    /// Tells what became of the credential in a block.
    pub(super) fn heard(
        &mut self,
        feed: FeedNo,
        seq: u64,
        block: &Block,
        verdict: Verdict,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Quarantined> {
        match verdict {
            Verdict::Accepted(accepted) => {
                for admitted in accepted {
                    self.take_in(&admitted, effects);
                }
                self.order.release_held();
                Ok(())
            }
            Verdict::Known => Ok(()),
            Verdict::Parked { waits_for } => {
                if let Body::Credential(bytes) = &block.body {
                    effects.push(Effect::Credential { feed, seq, bytes: bytes.clone() });
                }
                effects.push(Effect::Event(Event::CredentialParked {
                    feed: self.feeds[&feed].key,
                    seq,
                    waits_for: waits_for.to_string(),
                }));
                Ok(())
            }
            Verdict::Held { .. } => unreachable!("a held block is not processed"),
            Verdict::Rejected(rejection) => {
                Err(Quarantined::new("credential", rejection.to_string()))
            }
        }
    }

    fn take_in(&mut self, admitted: &Admitted, effects: &mut Vec<Effect>) {
        let from = self.number_of(&admitted.at.feed).expect("a credential comes from a known feed");
        let (seq, bytes) = (admitted.at.seq, admitted.bytes.clone());
        effects.push(Effect::Credential { feed: from, seq, bytes });
        match admitted.kind {
            AdmittedKind::Genesis { key, feed } => {
                effects.push(Effect::Genesis { feed: from });
                effects.push(Effect::Event(Event::KeyAdmitted { key }));
                effects.push(Effect::Event(Event::FeedAdmitted { feed }));
                self.admitted(&feed);
            }
            AdmittedKind::Key(key) => effects.push(Effect::Event(Event::KeyAdmitted { key })),
            AdmittedKind::Feed(feed) => {
                effects.push(Effect::Event(Event::FeedAdmitted { feed }));
                self.admitted(&feed);
            }
            AdmittedKind::Repeat => {}
        }
    }

    /// Whether what an own feed plans to write would count.
    pub(super) fn may_speak(&mut self, plan: &Plan) -> bool {
        let past = plan.past.clone();
        self.may_write(plan.feed, plan.seq, &past)
    }

    fn may_write(&mut self, feed: FeedNo, seq: u64, past: &Past) -> bool {
        let Feed { key, speaks, .. } = self.feeds[&feed];
        let speaks = speaks
            || self.membership.may_write(&key, |admission| {
                if admission.feed == key {
                    return admission.seq <= seq;
                }
                self.number_of(&admission.feed)
                    .is_some_and(|number| past.length(number) > admission.seq)
            });
        self.feeds.get_mut(&feed).expect("looked up above").speaks = speaks;
        speaks
    }

    fn create(
        &mut self,
        host: &mut dyn Host,
        place: &Place<'_>,
        block: &Block,
        genesis: &Genesis,
        effects: &mut Vec<Effect>,
    ) -> Checked<()> {
        let parent = match genesis.parent {
            None => None,
            Some(parent) => match self.existing(host, place, parent)? {
                Ok(parent) => Some(parent),
                Err(refused) => return Ok(Err(refused)),
            },
        };
        if genesis.model.is_empty() || genesis.model.len() > limits::MODEL_TYPE_BYTES_MAX {
            return Ok(Err(Quarantined::new("genesis", "names no model type")));
        }
        let key = ItemKey { feed: place.feed, seq: place.seq };
        let author = self.feeds[&place.feed].key;
        let rank = (place.causal.lamport, author);
        let record = ItemRecord {
            id: ItemId::of(&author, place.seq),
            key,
            party: self.number,
            model: genesis.model.clone(),
            version: genesis.version,
            algorithm: genesis.algorithm,
            parent,
            moved_to: parent,
            parent_rank: rank,
            deleted: false,
            deleted_rank: rank,
            ordinal: self.ordinal + 1,
        };
        self.put(record, None, effects);
        effects.push(self.message(place, block, key, LABEL_MODEL, genesis.init.clone()));
        if !genesis.metadata.is_empty() {
            effects.push(self.message(place, block, key, LABEL_METADATA, genesis.metadata.clone()));
        }
        Ok(Ok(()))
    }

    fn reparent(
        &mut self,
        host: &mut dyn Host,
        place: &Place<'_>,
        item: ItemRef,
        parent: Option<ItemRef>,
        effects: &mut Vec<Effect>,
    ) -> Checked<()> {
        let item = match self.existing(host, place, item)? {
            Ok(item) => item,
            Err(refused) => return Ok(Err(refused)),
        };
        let parent = match parent {
            None => None,
            Some(parent) => match self.existing(host, place, parent)? {
                Ok(parent) => Some(parent),
                Err(refused) => return Ok(Err(refused)),
            },
        };
        let rank = (place.causal.lamport, self.feeds[&place.feed].key);
        self.move_item(host, item, parent, rank, effects)?;
        Ok(Ok(()))
    }

    /// Changes an item's record by a rule that compares ranks, so that the greatest rank wins in
    /// whatever order the blocks come.
    fn rank_and_change(
        &mut self,
        host: &mut dyn Host,
        place: &Place<'_>,
        item: ItemKey,
        effects: &mut Vec<Effect>,
        change: impl FnOnce(&mut ItemRecord, (u64, systole_proto::FeedKey)),
    ) -> Result<(), Error> {
        let previous = self.record(host, item)?.expect("checked to exist");
        let mut record = ItemRecord::clone(&previous);
        change(&mut record, (place.causal.lamport, self.feeds[&place.feed].key));
        if record != *previous {
            self.put(record, Some(previous), effects);
        }
        Ok(())
    }

    /// The item's record, as the blocks since the last commit have left it.
    pub(super) fn record(
        &self,
        host: &mut dyn Host,
        item: ItemKey,
    ) -> Result<Option<Arc<ItemRecord>>, Error> {
        match self.fresh.get(&item) {
            Some(record) => Ok(Some(record.clone())),
            None => host.item(item),
        }
    }

    pub(super) fn put(
        &mut self,
        record: ItemRecord,
        previous: Option<Arc<ItemRecord>>,
        effects: &mut Vec<Effect>,
    ) {
        let record = Arc::new(record);
        self.fresh.insert(record.key, record.clone());
        effects.push(Effect::Item { record, previous });
    }

    /// The item that a reference names, if it was created in the block's past.
    fn existing(
        &mut self,
        host: &mut dyn Host,
        place: &Place<'_>,
        item: ItemRef,
    ) -> Checked<ItemKey> {
        let origin = match self.aliased(place.feed, item.feed, &[]) {
            Ok(origin) => origin,
            Err(refused) => return Ok(Err(refused)),
        };
        let seen = if origin == place.feed {
            item.seq < place.seq
        } else {
            place.causal.past.length(origin) > item.seq
        };
        let key = ItemKey { feed: origin, seq: item.seq };
        if seen && (self.fresh.contains_key(&key) || host.item_exists(key)?) {
            return Ok(Ok(key));
        }
        Ok(Err(Quarantined::new("item", "names an item that is not in its causal past")))
    }

    fn message(
        &mut self,
        place: &Place<'_>,
        block: &Block,
        item: ItemKey,
        label: u32,
        payload: bytes::Bytes,
    ) -> Effect {
        self.ordinal += 1;
        Effect::Message {
            item,
            entry: LogEntry {
                ordinal: self.ordinal,
                feed: place.feed,
                seq: place.seq,
                lamport: place.causal.lamport,
                stamp: place.stamp,
                effective_at: block.effective_at,
                label,
            },
            key: self.feeds[&place.feed].key,
            past: place.causal.past.clone(),
            payload,
        }
    }
}

/// Where a block stands.
struct Place<'a> {
    feed: FeedNo,
    seq: u64,
    causal: &'a Causal,
    stamp: Stamp,
}

/// The stamp of a block whose feed's last stamp was `previous`. A stamp only orders displays, so one
/// that runs out of its range stays at the range's end.
pub(super) fn stamped(previous: Stamp, block: &Block) -> Stamp {
    let logical = u16::try_from(block.stamp_logical).unwrap_or(u16::MAX);
    previous.after(block.stamp_millis_delta, logical)
}

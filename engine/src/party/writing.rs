//! The queue of a party: local writes and ranges of others, committed together.
//!
//! Invariants:
//! - a refused write changes nothing: items that had taken part of it are loaded anew before anything
//!   else is asked of them;
//! - own blocks are signed, stored and processed in one batch;
//! - a caller is answered after the commit.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;
use systole_models::AnyModel;
use systole_proto::{FeedKey, ItemId, Stamp};
use systole_store::{Durability, FeedNo, ItemKey, ItemRecord};
use tokio::sync::oneshot;

use super::admit::{Membership, Position, Verdict};
use super::command::{Command, Ingest, Ingested, Operation, Receipt, Write, Written};
use super::compose::{PAYLOAD_BYTES_MAX, Plan};
use super::effect::LocalBody;
use super::processor::PartyProcessor;
use super::turn::{Answer, Turn};
use crate::feed::{RangeVerdict, append_local};
use crate::item::actor::LocalMutation;
use crate::item::state::{ItemState, Placement};
use crate::settings::{UNADMITTED_BLOCKS_MAX, UNADMITTED_FEEDS_MAX};
use crate::shared::Shared;
use crate::{Error, ErrorKind, Event};

/// A write whose bodies are known: what is left cannot be refused.
struct Prepared {
    plan: Plan,
    bodies: Vec<(LocalBody, Stamp, Option<i64>)>,
    created: Vec<(ItemKey, ItemId, ItemState)>,
}

/// A write that is being prepared.
struct Preparing {
    plan: Plan,
    bodies: Vec<(LocalBody, Stamp, Option<i64>)>,
    created: Vec<(ItemKey, ItemId, ItemState)>,
    ordinal: u64,
    effective_at: Option<i64>,
    /// Items that have applied a part of it.
    touched: BTreeSet<ItemKey>,
    /// The membership as its credentials would leave it.
    membership: Option<Membership>,
}

impl PartyProcessor {
    /// Does what is queued, in order, and commits it together.
    pub(super) async fn run_queue(&mut self) {
        let mut turn = Turn::default();
        for command in std::mem::take(&mut self.queue) {
            match command {
                Command::Write(write) => turn = self.write(write, turn).await,
                Command::Credentials { bytes, reply } => {
                    let operations = bytes
                        .into_iter()
                        .map(|bytes| Operation::Plain(LocalBody::Credential(bytes)))
                        .collect();
                    let durability = Durability::Synced;
                    let write =
                        Write { feed: None, operations, effective_at: None, durability, reply };
                    turn = self.write(write, turn).await;
                }
                Command::Ingest(ingest) => turn = self.ingest(ingest, turn).await,
                _ => unreachable!("only writes and ingests are queued"),
            }
        }
        self.commit(turn).await;
        self.residents.end_turn(false).await;
    }

    async fn write(&mut self, write: Write, mut turn: Turn) -> Turn {
        let Write { feed, operations, effective_at, durability, reply } = write;
        let result = match self.may_write(feed, &operations) {
            Ok(feed) => self.prepare(feed, operations, effective_at, &mut turn).await,
            Err(error) => Err(error),
        };
        let written = match result {
            Ok(prepared) => self.lay_out(prepared, durability, &mut turn),
            Err(error) => Err(error),
        };
        match written {
            Ok(written) => {
                turn.durable |= durability == Durability::Synced;
                turn.answers.push(answer(written, reply));
            }
            // The caller may have gone; the write is refused all the same.
            Err(error) => drop(reply.send(Err(error))),
        }
        turn
    }

    /// The feed to write to, if it may be written to now.
    fn may_write(&self, feed: Option<FeedKey>, operations: &[Operation]) -> Result<FeedNo, Error> {
        if let Some(error) = self.failure() {
            return Err(error);
        }
        if self.is_paused() {
            return Err(Error::unavailable("the party is paused"));
        }
        let no = match feed {
            None => Some(self.record.own_feed.ok_or_else(super::handle::no_own_feed)?),
            Some(key) => self.state.number_of(&key),
        };
        let no = no.filter(|no| self.signers.contains_key(no)).ok_or_else(|| {
            Error::invalid("the feed is not one of this device's feeds in the party")
        })?;
        let state = self.state.feed(no).expect("own feeds are known");
        if let Some(reason) = &state.halted {
            return Err(Error::unavailable(format!("the feed is halted: {reason}")));
        }
        let credentials =
            operations.iter().all(|op| matches!(op, Operation::Plain(LocalBody::Credential(_))));
        if !credentials && !self.state.membership.is_admitted(&state.key) {
            return Err(Error::unavailable("the feed is not admitted to the party yet"));
        }
        Ok(no)
    }

    /// Has every operation checked, applied and encoded. On failure everything is as before.
    async fn prepare(
        &mut self,
        feed: FeedNo,
        operations: Vec<Operation>,
        effective_at: Option<i64>,
        turn: &mut Turn,
    ) -> Result<Prepared, Error> {
        let plan = self.state.plan(&mut self.host, feed)?;
        let mut preparing = Preparing {
            plan,
            bodies: Vec::with_capacity(operations.len()),
            created: Vec::new(),
            ordinal: self.state.ordinal,
            effective_at,
            touched: BTreeSet::new(),
            membership: None,
        };
        match self.prepare_all(operations, &mut preparing).await {
            Ok(()) => {
                let Preparing { plan, bodies, created, .. } = preparing;
                Ok(Prepared { plan, bodies, created })
            }
            Err(error) => {
                if !preparing.touched.is_empty() {
                    // What they are loaded from must hold what this turn has written so far.
                    self.commit(std::mem::take(turn)).await;
                    for item in preparing.touched {
                        self.residents.reload(item).await?;
                    }
                }
                Err(error)
            }
        }
    }

    async fn prepare_all(
        &mut self,
        operations: Vec<Operation>,
        preparing: &mut Preparing,
    ) -> Result<(), Error> {
        let mut operations = operations.into_iter().peekable();
        while let Some(operation) = operations.next() {
            match operation {
                Operation::Mutate { item, id, mutation } => {
                    let mut run = vec![mutation];
                    while let Some(Operation::Mutate { mutation, .. }) = operations.next_if(|next| {
                        matches!(next, Operation::Mutate { item: other, .. } if *other == item)
                    }) {
                        run.push(mutation);
                    }
                    self.prepare_mutations(item, id, run, preparing).await?;
                }
                Operation::Create { model, version, parent, init, metadata } => {
                    self.prepare_create(model, version, parent, init, metadata, preparing)?;
                }
                Operation::Plain(body) => {
                    if let LocalBody::Credential(bytes) = &body {
                        self.check_credential(bytes, preparing)?;
                    }
                    if let LocalBody::Move { item, parent } = &body
                        && self.state.lies_under(&mut self.host, *parent, *item)?
                    {
                        let reason = "an item cannot lie under itself";
                        return Err(Error::new(ErrorKind::Rejected, reason));
                    }
                    preparing.push(body, self.clock.tick(Shared::now_millis()));
                }
            }
        }
        Ok(())
    }

    /// Refuses to write a credential that would not count where it stands: an honest feed is never
    /// held for what it wrote itself.
    fn check_credential(&self, bytes: &Bytes, preparing: &mut Preparing) -> Result<(), Error> {
        let at = Position {
            feed: preparing.plan.key,
            seq: preparing.plan.seq + preparing.bodies.len() as u64,
        };
        let membership = preparing.membership.get_or_insert_with(|| self.state.membership.clone());
        match membership.admit(at, bytes) {
            Verdict::Accepted(_) => Ok(()),
            Verdict::Known => Err(Error::invalid("the credential says what is known already")),
            Verdict::Parked { waits_for } | Verdict::Held { waits_for } => {
                Err(Error::unavailable(format!("the credential does not count before {waits_for}")))
            }
            Verdict::Rejected(rejection) => {
                Err(Error::caused(ErrorKind::Rejected, "the credential is refused", rejection))
            }
        }
    }

    async fn prepare_mutations(
        &mut self,
        item: ItemKey,
        id: ItemId,
        run: Vec<LocalMutation>,
        preparing: &mut Preparing,
    ) -> Result<(), Error> {
        let now = Shared::now_millis();
        let mut labels = Vec::with_capacity(run.len());
        let mut placed = Vec::with_capacity(run.len());
        for (n, mutation) in run.into_iter().enumerate() {
            labels.push(mutation.label());
            let at = preparing.placement(n as u64, self.clock.tick(now));
            placed.push((mutation, at));
        }
        let stamps: Vec<Stamp> = placed.iter().map(|(_, at)| at.stamp).collect();
        let resident = self.residents.bring(item, id, None);
        let payloads = resident.mutate(placed).await.map_err(|(error, partly)| {
            if partly {
                preparing.touched.insert(item);
            }
            error
        })?;
        preparing.touched.insert(item);
        for ((payload, label), stamp) in payloads.into_iter().zip(labels).zip(stamps) {
            check_payload(payload.len())?;
            preparing.ordinal += 1;
            preparing.push(LocalBody::Mutation { item, label, payload }, stamp);
        }
        Ok(())
    }

    fn prepare_create(
        &mut self,
        model: String,
        version: u32,
        parent: Option<ItemKey>,
        init: Option<Box<dyn std::any::Any + Send>>,
        metadata: Option<systole_models::ObjectMutation>,
        preparing: &mut Preparing,
    ) -> Result<(), Error> {
        let factory = self.shared.registry.model(&model, version).ok_or_else(|| {
            Error::invalid(format!("model type {model} version {version} is not registered"))
        })?;
        let stamp = self.clock.tick(Shared::now_millis());
        let mut at = preparing.placement(0, stamp);
        let key = ItemKey { feed: at.feed, seq: at.seq };
        let id = ItemId::of(&at.key, at.seq);
        let rank = (at.lamport, at.key);
        let record = ItemRecord {
            id,
            key,
            party: self.record.no,
            model: model.clone(),
            version,
            algorithm: factory.algorithm(),
            parent,
            moved_to: parent,
            parent_rank: rank,
            deleted: false,
            deleted_rank: rank,
            ordinal: at.ordinal,
        };
        let algorithm = record.algorithm;
        let empty: Box<dyn AnyModel> = factory.empty();
        let mut state = ItemState::new(Arc::new(record), empty);
        let init = match init {
            Some(init) => state.mutate(init, &at)?.0,
            None => {
                state.place(&at);
                Bytes::new()
            }
        };
        preparing.ordinal += 1;
        let metadata = match metadata {
            Some(metadata) => {
                at.ordinal += 1;
                preparing.ordinal += 1;
                state.mutate_metadata(metadata, &at)?.0
            }
            None => Bytes::new(),
        };
        check_payload(init.len() + metadata.len())?;
        preparing.created.push((key, id, state));
        let body = LocalBody::Genesis { model, version, algorithm, parent, init, metadata };
        preparing.push(body, stamp);
        Ok(())
    }

    /// Turns prepared bodies into signed blocks and their effects.
    fn lay_out(
        &mut self,
        prepared: Prepared,
        durability: Durability,
        turn: &mut Turn,
    ) -> Result<Written, Error> {
        let Prepared { plan, bodies, created } = prepared;
        let messages = bodies.len() as u64;
        let seq = plan.seq;
        let blocks = self.state.compose(&mut self.host, &plan, bodies, &mut turn.effects)?;
        let signer = self.signers.get(&plan.feed).expect("checked before").clone();
        let feeds = self.shared.store.feeds();
        let held = self.host.held(plan.feed)?;
        let feed = (plan.feed, plan.key);
        let appended = append_local(feeds, &mut turn.batch, feed, &held.tail, &blocks, &*signer);
        let (tail, head) = match appended {
            Ok(appended) => appended,
            Err(error) => {
                // The blocks are processed but cannot be signed: nothing of this turn may be written.
                let error = Error::caused(ErrorKind::Unavailable, "signing failed", error);
                self.fail(error.clone());
                return Err(error);
            }
        };
        held.tail = tail;
        held.head = Some(head);
        turn.written.push(plan.feed);
        let ids = created.iter().map(|(key, id, _)| (*key, *id)).collect();
        for (key, id, state) in created {
            self.residents.bring(key, id, Some(state));
        }
        let receipt = Receipt { feed: plan.key, seq, messages, durability };
        Ok(Written { receipt, created: ids })
    }

    async fn ingest(&mut self, ingest: Ingest, mut turn: Turn) -> Turn {
        let Ingest { range, reply } = ingest;
        if let Some(error) = self.failure() {
            let _ = reply.send(Err(error));
            return turn;
        }
        let known = self.state.number_of(&range.feed());
        if known.is_some_and(|feed| turn.extended.contains(&feed) || turn.written.contains(&feed)) {
            // What the range is compared with must be in the store.
            self.commit(std::mem::take(&mut turn)).await;
        }
        match self.take_range(&range, &mut turn) {
            Ok(ingested) => turn.answers.push(answer(ingested, reply)),
            Err(error) => {
                let _ = reply.send(Err(error));
            }
        }
        turn
    }

    fn take_range(
        &mut self,
        range: &crate::feed::PreparedRange,
        turn: &mut Turn,
    ) -> Result<Ingested, Error> {
        let key = range.feed();
        if self.host.party_of(&key)?.is_some_and(|party| party != self.record.no) {
            return Err(Error::invalid(format!("feed {} belongs to another party", key.short())));
        }
        if !self.state.membership.is_admitted(&key) && self.too_many_unadmitted(&key, range.end()) {
            return Ok(Ingested::TooManyUnadmitted);
        }
        let feed = self.know_feed(&key)?;
        let store = self.shared.store.clone();
        let held = self.host.held(feed)?;
        let from = held.tail.length();
        let verdict = range
            .check(&held.tail, held.head.as_ref(), |length| store.feeds().peaks_at(feed, length))?;
        match verdict {
            RangeVerdict::Accepted(append) => {
                append.write(store.feeds(), &mut turn.batch, feed);
                held.head = Some(append.head().clone());
                held.tail = append.into_tail();
                let to = held.tail.length();
                self.telemetry.live.verified.fetch_add(to - from, Relaxed);
                self.state.extended(feed, to);
                turn.extended.push(feed);
                if self.signers.remove(&feed).is_some() {
                    self.lose_feed(feed, key, turn)?;
                }
                Ok(Ingested::Added { from, to })
            }
            RangeVerdict::Duplicate => Ok(Ingested::Duplicate),
            RangeVerdict::Gap { held, .. } => Ok(Ingested::Gap { held }),
            RangeVerdict::Inconsistent => Ok(Ingested::Inconsistent),
            RangeVerdict::Equivocation { ours, theirs } => {
                store.feeds().put_equivocation(&mut turn.batch, feed, &ours, &theirs);
                self.state.halt(feed, "its author signed two histories".into());
                self.event(Event::Equivocation { feed: key });
                Ok(Ingested::Equivocation)
            }
        }
    }

    /// Somebody holds more of our own feed than we do: this device was set back, or copied. Writing on
    /// would fork the feed, so its secret is forgotten; what stands in it is processed as anybody's.
    fn lose_feed(&mut self, no: FeedNo, feed: FeedKey, turn: &mut Turn) -> Result<(), Error> {
        let store = &self.shared.store;
        if let Some(mut record) = store.meta().feed(no)? {
            record.own = false;
            store.meta().put_feed(&mut turn.batch, &record);
        }
        store.keys().remove(&mut turn.batch, feed.as_bytes());
        if self.record.own_feed == Some(no) {
            self.record.own_feed = None;
            store.meta().put_party(&mut turn.batch, &self.record);
        }
        turn.durable = true;
        self.event(Event::OwnFeedLost { feed });
        Ok(())
    }

    fn too_many_unadmitted(&self, key: &FeedKey, end: u64) -> bool {
        if end > UNADMITTED_BLOCKS_MAX {
            return true;
        }
        let membership = &self.state.membership;
        self.state.number_of(key).is_none()
            && self.state.feeds().filter(|(_, feed)| !membership.is_admitted(&feed.key)).count()
                >= UNADMITTED_FEEDS_MAX
    }
}

impl Preparing {
    /// Where the message `ahead` messages after those prepared so far will stand.
    fn placement(&self, ahead: u64, stamp: Stamp) -> Placement {
        let blocks = self.bodies.len() as u64 + ahead;
        Placement {
            feed: self.plan.feed,
            key: self.plan.key,
            seq: self.plan.seq + blocks,
            lamport: self.plan.lamport + blocks,
            stamp,
            effective_at: self.effective_at,
            past: self.plan.past.clone(),
            ordinal: self.ordinal + ahead + 1,
        }
    }

    fn push(&mut self, body: LocalBody, stamp: Stamp) {
        self.bodies.push((body, stamp, self.effective_at));
    }
}

fn check_payload(bytes: usize) -> Result<(), Error> {
    if bytes <= PAYLOAD_BYTES_MAX {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "the message takes {bytes} bytes, at most {PAYLOAD_BYTES_MAX} are allowed"
    )))
}

/// Sends `value` once the commit went well, else its failure.
fn answer<T: Send + 'static>(value: T, reply: oneshot::Sender<Result<T, Error>>) -> Answer {
    // A caller that went away needs no answer.
    Box::new(move |committed| drop(reply.send(committed.map(|()| value))))
}

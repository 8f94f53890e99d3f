//! Writing: every operation is checked and applied where it will stand, then all of them become
//! signed blocks.
//!
//! ```text
//! begin ──► next ──► Ask: an item mutates ──► answered ──► lay_out
//!            ▲  └── next … need not wait for answers
//! ```
//!
//! Invariants:
//! - where every message will stand is known before any item is asked, so items answer in any order; of
//!   one item it is asked in the order of the operations;
//! - until [`PartyCore::lay_out`] only items have changed, and [`Preparing::touched`] names them:
//!   whoever gives up loads them anew before anything else is asked of them;
//! - own blocks are signed, stored and processed in one batch: one head covers all that a turn writes to
//!   a feed.

use std::sync::Arc;

use bytes::Bytes;
use systole_models::AnyModel;
use systole_proto::{FeedKey, ItemId, SignError, Stamp};
use systole_store::{Durability, FeedNo, ItemKey, ItemRecord};

use super::PartyCore;
use crate::feed::{append_local, seal_local};
use crate::item::actor::LocalMutation;
use crate::item::state::{ItemState, Placement};
use crate::party::admit::{Membership, Position, Verdict};
use crate::party::command::{Operation, Receipt, Written};
use crate::party::compose::{PAYLOAD_BYTES_MAX, Plan};
use crate::party::effect::LocalBody;
use crate::party::turn::Turn;
use crate::stages::Stage;
use crate::{Error, ErrorKind};

/// A write on its way.
pub(crate) struct Preparing {
    plan: Plan,
    operations: std::vec::IntoIter<Operation>,
    /// In the order of the operations. Those that an item was asked for have no payload yet.
    bodies: Vec<(LocalBody, Stamp, Option<i64>)>,
    created: Vec<(ItemKey, ItemId, ItemState)>,
    ordinal: u64,
    effective_at: Option<i64>,
    /// How many asks are not answered yet.
    unanswered: usize,
    touched: Vec<ItemKey>,
    /// The membership as its credentials would leave it.
    membership: Option<Membership>,
}

/// A mutation that an item is to check and apply at exactly this place.
pub(crate) struct Ask {
    /// Which operation of the write it is, for the answer.
    pub(crate) operation: usize,
    pub(crate) item: ItemKey,
    pub(crate) id: ItemId,
    pub(crate) mutation: LocalMutation,
    pub(crate) at: Placement,
}

/// A write that is in the turn's batch, and the items that it creates.
pub(crate) struct Laid {
    pub(crate) written: Written,
    pub(crate) created: Vec<(ItemKey, ItemId, ItemState)>,
}

impl PartyCore {
    /// Begins a write to `feed`, or to the device's first one.
    pub(crate) fn begin(
        &mut self,
        feed: Option<FeedKey>,
        operations: Vec<Operation>,
        effective_at: Option<i64>,
    ) -> Result<Preparing, Error> {
        let feed = self.may_write(feed, &operations)?;
        let plan = self.state.plan(&mut self.host, feed)?;
        Ok(Preparing {
            plan,
            bodies: Vec::with_capacity(operations.len()),
            operations: operations.into_iter(),
            created: Vec::new(),
            ordinal: self.state.ordinal,
            effective_at,
            unanswered: 0,
            touched: Vec::new(),
            membership: None,
        })
    }

    /// Goes on until an item must be asked; `None` when all operations are prepared but for answers.
    pub(crate) fn next(&mut self, preparing: &mut Preparing) -> Result<Option<Ask>, Error> {
        while let Some(operation) = preparing.operations.next() {
            match operation {
                Operation::Mutate { item, id, mutation } => {
                    let stamp = self.clock.tick(self.now_millis);
                    let at = preparing.placement(stamp);
                    let (operation, label) = (preparing.bodies.len(), mutation.label());
                    let payload = Bytes::new();
                    preparing.push(LocalBody::Mutation { item, label, payload }, stamp);
                    preparing.ordinal += 1;
                    preparing.unanswered += 1;
                    return Ok(Some(Ask { operation, item, id, mutation, at }));
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
                    preparing.push(body, self.clock.tick(self.now_millis));
                }
            }
        }
        Ok(None)
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

    fn prepare_create(
        &mut self,
        model: String,
        version: u32,
        parent: Option<ItemKey>,
        init: Option<Box<dyn std::any::Any + Send>>,
        metadata: Option<systole_models::ObjectMutation>,
        preparing: &mut Preparing,
    ) -> Result<(), Error> {
        let factory = self.device.registry.model(&model, version).ok_or_else(|| {
            Error::invalid(format!("model type {model} version {version} is not registered"))
        })?;
        let stamp = self.clock.tick(self.now_millis);
        let mut at = preparing.placement(stamp);
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

    /// Turns prepared bodies into signed blocks and their effects. What is left can only fail for
    /// reasons of this device, and then the party has failed.
    pub(crate) fn lay_out(
        &mut self,
        preparing: Preparing,
        durability: Durability,
        turn: &mut Turn,
    ) -> Result<Laid, Error> {
        let ready = preparing.operations.as_slice().is_empty() && preparing.unanswered == 0;
        assert!(ready, "all is prepared");
        let laid = self.compose(preparing, durability, turn);
        self.failing(laid)
    }

    fn compose(
        &mut self,
        preparing: Preparing,
        durability: Durability,
        turn: &mut Turn,
    ) -> Result<Laid, Error> {
        let Preparing { plan, bodies, created, touched, .. } = preparing;
        let messages = bodies.len() as u64;
        let blocks = self.state.compose(&mut self.host, &plan, bodies, &mut turn.effects)?;
        let signer = self.signers.get(&plan.feed).expect("checked before").clone();
        let feeds = self.device.store.feeds();
        let held = self.host.held(plan.feed)?;
        let feed = (plan.feed, plan.key);
        let appended = append_local(feeds, &mut turn.batch, feed, &held.tail, &blocks, &*signer);
        held.tail = appended.map_err(signing_failed)?;
        if !turn.written.contains(&plan.feed) {
            turn.written.push(plan.feed);
        }
        turn.mutated.extend(touched);
        turn.durable |= durability == Durability::Synced;
        let ids = created.iter().map(|(key, id, _)| (*key, *id)).collect();
        let receipt = Receipt { feed: plan.key, seq: plan.seq, messages, durability };
        Ok(Laid { written: Written { receipt, created: ids }, created })
    }

    /// Signs the heads of the own feeds that the turn has written to, one each.
    pub(super) fn seal(&mut self, turn: &mut Turn) -> Result<(), Error> {
        let mut watch = self.device.live.stages.watch();
        for no in &turn.written {
            let signer = self.signers.get(no).expect("checked before it was written to");
            let feed = (*no, self.state.feed(*no).expect("own feeds are known").key);
            let held = self.host.held(*no)?;
            let feeds = self.device.store.feeds();
            let head = seal_local(feeds, &mut turn.batch, feed, &held.tail, &**signer);
            held.head = Some(head.map_err(signing_failed)?);
            watch.lap(Stage::Sign, 1);
        }
        Ok(())
    }

    /// The feed to write to, if it may be written to now.
    fn may_write(&self, feed: Option<FeedKey>, operations: &[Operation]) -> Result<FeedNo, Error> {
        if let Some(error) = self.failure() {
            return Err(error);
        }
        if self.paused {
            return Err(Error::unavailable("the party is paused"));
        }
        let no = match feed {
            None => Some(self.record.own_feed.ok_or_else(no_own_feed)?),
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
}

impl Preparing {
    /// The item that was asked for `operation` has applied it; these are its bytes.
    pub(crate) fn answered(&mut self, operation: usize, bytes: Bytes) -> Result<(), Error> {
        let LocalBody::Mutation { item, payload, .. } = &mut self.bodies[operation].0 else {
            unreachable!("only mutations are asked for")
        };
        self.touched.push(*item);
        self.unanswered -= 1;
        check_payload(bytes.len())?;
        *payload = bytes;
        Ok(())
    }

    /// The item refused, after it had applied other operations.
    pub(crate) fn touch(&mut self, item: ItemKey) {
        self.touched.push(item);
    }

    /// The items that have applied what is not written, if the write is given up.
    pub(crate) fn touched(mut self) -> Vec<ItemKey> {
        self.touched.sort_unstable();
        self.touched.dedup();
        self.touched
    }

    /// Where the next message will stand.
    fn placement(&self, stamp: Stamp) -> Placement {
        let blocks = self.bodies.len() as u64;
        Placement {
            feed: self.plan.feed,
            key: self.plan.key,
            seq: self.plan.seq + blocks,
            lamport: self.plan.lamport + blocks,
            stamp,
            effective_at: self.effective_at,
            past: self.plan.past.clone(),
            ordinal: self.ordinal + 1,
        }
    }

    fn push(&mut self, body: LocalBody, stamp: Stamp) {
        self.bodies.push((body, stamp, self.effective_at));
    }
}

fn signing_failed(error: SignError) -> Error {
    Error::caused(ErrorKind::Unavailable, "signing failed", error)
}

fn check_payload(bytes: usize) -> Result<(), Error> {
    if bytes <= PAYLOAD_BYTES_MAX {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "the message takes {bytes} bytes, at most {PAYLOAD_BYTES_MAX} are allowed"
    )))
}

/// The answer to who wants to write without naming a feed.
pub(crate) fn no_own_feed() -> Error {
    Error::unavailable("this device has no feed of its own in the party")
}

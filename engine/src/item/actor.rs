//! The actor of one resident item: a shell that moves messages into an [`ItemState`] and answers.
//!
//! Invariants:
//! - it never waits for its party, so a party may always wait for it;
//! - subscribers are told of what is written only, each update with a greater version;
//! - its mailbox is bounded by [`MAILBOX_COMMANDS`], the bytes in it by the permits that each
//!   delivery carries ([`BYTES_IN_FLIGHT_MAX`]);
//! - an item that could not be loaded is tried again with every command, and answers with the reason.

use std::any::Any;
use std::sync::Arc;

use bytes::Bytes;
use kameo::Actor;
use kameo::actor::{ActorRef, PreparedActor};
use kameo::mailbox;
use kameo::message::{Context, Message};
use systole_models::ObjectMutation;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast, oneshot};
use tokio::task::JoinHandle;

use super::gauge::Gauge;
use super::loads::Loads;
use super::state::{Applied, Incoming, ItemState, Placement};
use super::subscribe::{RawUpdate, UPDATES_KEPT};
use crate::party::effect::{LABEL_METADATA, LABEL_MODEL};
use crate::snapshot::{self, Loader};
use crate::stages::Stage;
use crate::telemetry::Telemetry;
use crate::{Error, Event};

/// Most commands that wait for one item.
pub const MAILBOX_COMMANDS: usize = 64;

/// Most payload bytes that wait for one item.
pub const BYTES_IN_FLIGHT_MAX: usize = 4 << 20;

/// What a local user asks of an item.
pub(crate) enum LocalMutation {
    /// The mutation of its model's type.
    Model(Box<dyn Any + Send>),
    /// A mutation of its metadata.
    Metadata(ObjectMutation),
}

impl LocalMutation {
    /// The label of its message.
    pub(crate) fn label(&self) -> u32 {
        match self {
            Self::Model(_) => LABEL_MODEL,
            Self::Metadata(_) => LABEL_METADATA,
        }
    }
}

/// The bytes of local mutations, or why one of them was refused and whether others were applied
/// before it, so that the item must be loaded anew.
pub(crate) type Mutated = Result<Vec<Bytes>, (Error, bool)>;

/// A checkpoint of an item: the ordinal it covers, and its bytes.
pub(crate) type Taken = Result<(u64, Vec<u8>), Error>;

/// Something to run on an item's state, or on why it could not be loaded.
pub(crate) type View = Box<dyn FnOnce(Result<&ItemState, &Error>) + Send>;

/// What an item's actor is asked.
pub(crate) enum Command {
    /// Apply messages that are written.
    Deliver { batch: Vec<Incoming>, bytes: u64, _permit: OwnedSemaphorePermit },
    /// Apply local mutations at exactly these places and give their bytes.
    Mutate { mutations: Vec<(LocalMutation, Placement)>, reply: oneshot::Sender<Mutated> },
    /// Tell subscribers of the local mutations up to this ordinal: they are written.
    Publish(u64),
    /// Run something on the state.
    View(View),
    /// Give a receiver of updates.
    Subscribe(oneshot::Sender<broadcast::Receiver<Arc<RawUpdate>>>),
    /// Give a checkpoint.
    Checkpoint(oneshot::Sender<Taken>),
    /// Forget what is in memory and load the item anew.
    Reload(oneshot::Sender<()>),
}

/// What an item's actor starts from.
pub(crate) struct Args {
    pub(crate) loader: Loader,
    pub(crate) gauge: Arc<Gauge>,
    pub(crate) telemetry: Arc<Telemetry>,
    /// What loads items, shared by all items of the engine.
    pub(crate) loads: Arc<Loads>,
    /// The state, where it is already there; else it is loaded.
    pub(crate) state: Option<ItemState>,
}

/// The actor of one resident item.
pub(crate) struct ItemActor {
    loader: Loader,
    gauge: Arc<Gauge>,
    telemetry: Arc<Telemetry>,
    loads: Arc<Loads>,
    state: Result<ItemState, Error>,
    updates: Option<broadcast::Sender<Arc<RawUpdate>>>,
    /// Local mutations that are applied and not known to be written: the ordinal of each, and what it
    /// did.
    unwritten: Vec<(u64, Applied)>,
}

impl Actor for ItemActor {
    type Args = Args;
    type Error = std::convert::Infallible;

    async fn on_start(args: Args, _: ActorRef<Self>) -> Result<Self, Self::Error> {
        let Args { loader, gauge, telemetry, loads, state } = args;
        let state = match state {
            Some(state) => Ok(state),
            None => load(&loader, &gauge, &loads).await,
        };
        let actor =
            Self { loader, gauge, telemetry, loads, state, updates: None, unwritten: Vec::new() };
        actor.measure(0, 0);
        Ok(actor)
    }
}

impl Message<Command> for ItemActor {
    type Reply = ();

    async fn handle(&mut self, command: Command, _: &mut Context<Self, ()>) {
        self.gauge.touch(self.telemetry.tick());
        if let Some(updates) = &self.updates {
            self.gauge.subscribed(updates.receiver_count());
        }
        if self.state.is_err() {
            self.state = load(&self.loader, &self.gauge, &self.loads).await;
            self.measure(0, 0);
        }
        if let Ok(state) = &mut self.state {
            let listeners = self.updates.as_ref().map_or(0, broadcast::Sender::receiver_count);
            state.hear(listeners > 0);
        }
        match command {
            Command::Deliver { batch, bytes, _permit } => self.deliver(batch, bytes),
            Command::Mutate { mutations, reply } => {
                let mutated = self.mutate(mutations);
                // A caller that went away has still had its mutation applied and written.
                let _ = reply.send(mutated);
            }
            Command::Publish(until) => {
                let written = self.unwritten.partition_point(|(ordinal, _)| *ordinal <= until);
                let later = self.unwritten.split_off(written);
                for (ordinal, applied) in std::mem::replace(&mut self.unwritten, later) {
                    self.publish(ordinal, applied);
                }
            }
            Command::View(view) => view(self.state.as_ref()),
            Command::Subscribe(reply) => {
                let updates =
                    self.updates.get_or_insert_with(|| broadcast::channel(UPDATES_KEPT).0);
                let receiver = updates.subscribe();
                self.gauge.subscribed(updates.receiver_count());
                let _ = reply.send(receiver);
            }
            Command::Checkpoint(reply) => {
                let _ = reply.send(self.checkpoint());
            }
            Command::Reload(reply) => {
                self.unwritten.clear();
                self.state = load(&self.loader, &self.gauge, &self.loads).await;
                self.measure(0, 0);
                let _ = reply.send(());
            }
        }
    }
}

impl ItemActor {
    fn deliver(&mut self, batch: Vec<Incoming>, bytes: u64) {
        let Ok(state) = &mut self.state else { return };
        let was_broken = state.broken().is_some();
        let mut watch = self.telemetry.live.stages.watch();
        match state.apply(batch) {
            Ok(applied) => {
                watch.lap(Stage::Apply, applied.messages);
                self.telemetry.applied(applied.messages);
                let ordinal = state.ordinal();
                self.measure(applied.messages, bytes);
                self.publish(ordinal, applied);
            }
            Err(error) if !was_broken => self.broke(&error),
            Err(_) => {}
        }
    }

    fn mutate(&mut self, mutations: Vec<(LocalMutation, Placement)>) -> Mutated {
        let state = self.state.as_mut().map_err(|error| (error.clone(), false))?;
        let mut payloads = Vec::with_capacity(mutations.len());
        let mut all = Vec::with_capacity(mutations.len());
        let mut refused = None;
        for (n, (mutation, at)) in mutations.into_iter().enumerate() {
            let result = match mutation {
                LocalMutation::Model(mutation) => state.mutate(mutation, &at),
                LocalMutation::Metadata(mutation) => state.mutate_metadata(mutation, &at),
            };
            match result {
                Ok((payload, applied)) => {
                    payloads.push(payload);
                    all.push((at.ordinal, applied));
                }
                Err(error) => {
                    refused = Some((n, error));
                    break;
                }
            }
        }
        if let Some((n, error)) = refused {
            if state.broken().is_some() {
                self.broke(&error);
            }
            return Err((error, n > 0));
        }
        let bytes = payloads.iter().map(|payload| payload.len() as u64).sum();
        self.telemetry.applied(payloads.len() as u64);
        self.measure(payloads.len() as u64, bytes);
        if self.updates.as_ref().is_none_or(|updates| updates.receiver_count() == 0) {
            self.unwritten.clear();
        } else {
            self.unwritten.append(&mut all);
        }
        Ok(payloads)
    }

    fn checkpoint(&mut self) -> Taken {
        let state = self.state.as_mut().map_err(|error| error.clone())?;
        let mut watch = self.telemetry.live.stages.watch();
        let taken = snapshot::encode(state);
        watch.lap(Stage::Checkpoint, 1);
        // One that fails is tried again when as much has come once more.
        self.gauge.checkpointed();
        if let Err(error) = &taken
            && state.broken().is_some()
        {
            self.broke(error);
        }
        taken
    }

    fn measure(&self, messages: u64, bytes: u64) {
        let memory_bytes = match &self.state {
            Ok(state) => state.memory_bytes(),
            Err(_) => size_of::<Self>(),
        };
        self.gauge.applied(messages, bytes, memory_bytes);
    }

    fn publish(&self, version: u64, applied: Applied) {
        self.telemetry.refused(applied.refused.len() as u64);
        for (feed, seq, reason) in applied.refused {
            self.telemetry.event(Event::Refused { item: self.loader.id(), feed, seq, reason });
        }
        let Some(updates) = &self.updates else { return };
        let changes =
            applied.model.filter(|outcome| outcome.count > 0).map(|outcome| outcome.changes);
        if changes.is_none() && applied.metadata.is_empty() {
            return;
        }
        // Nobody listening is not an error: subscribers come and go.
        let _ = updates.send(Arc::new(RawUpdate { version, changes, metadata: applied.metadata }));
    }

    fn broke(&self, error: &Error) {
        self.gauge.broke();
        tracing::error!(item = %self.loader.id(), %error, "item quarantined");
        self.telemetry
            .event(Event::ItemQuarantined { item: self.loader.id(), reason: error.to_string() });
    }
}

async fn load(loader: &Loader, gauge: &Gauge, loads: &Loads) -> Result<ItemState, Error> {
    let (state, tail) = loads.load(loader.clone()).await?;
    gauge.loaded(tail.messages, tail.bytes);
    Ok(state)
}

/// A resident item as its party holds it.
pub(crate) struct Resident {
    actor: ActorRef<ItemActor>,
    task: JoinHandle<()>,
    pub(crate) gauge: Arc<Gauge>,
    in_flight: Arc<Semaphore>,
}

impl Resident {
    /// Starts the item's actor.
    pub(crate) fn spawn(args: Args) -> Self {
        let gauge = args.gauge.clone();
        let prepared = PreparedActor::new(mailbox::bounded(MAILBOX_COMMANDS));
        let actor = prepared.actor_ref().clone();
        let running = prepared.spawn(args);
        // The outer task ends only when the actor's state is dropped, and with it its hold on the store.
        let task = tokio::spawn(async move { drop(running.await) });
        Self { actor, task, gauge, in_flight: Arc::new(Semaphore::new(BYTES_IN_FLIGHT_MAX)) }
    }

    /// Hands over written messages; waits while too many bytes are on their way.
    pub(crate) async fn deliver(&self, batch: Vec<Incoming>) -> Result<(), Error> {
        let bytes: usize = batch.iter().map(|incoming| incoming.payload.len()).sum();
        let permits = bytes.clamp(1, BYTES_IN_FLIGHT_MAX) as u32;
        let permit = self.in_flight.clone().acquire_many_owned(permits).await;
        let permit = permit.map_err(|_| Error::closed("the item"))?;
        self.handle().send(Command::Deliver { batch, bytes: bytes as u64, _permit: permit }).await
    }

    /// Applies local mutations; see [`Command::Mutate`].
    pub(crate) async fn mutate(&self, mutations: Vec<(LocalMutation, Placement)>) -> Mutated {
        let (reply, answer) = oneshot::channel();
        let sent = self.handle().send(Command::Mutate { mutations, reply }).await;
        sent.map_err(|error| (error, false))?;
        answer.await.map_err(|_| (Error::closed("the item"), false))?
    }

    /// The local mutations up to this ordinal are written: tells subscribers, if there are any.
    pub(crate) async fn publish(&self, until: u64) -> Result<(), Error> {
        if self.gauge.subscribers() == 0 {
            return Ok(());
        }
        self.handle().send(Command::Publish(until)).await
    }

    /// A handle that others may hold: it keeps the item's actor from ending by itself only while it
    /// is held.
    pub(crate) fn handle(&self) -> ItemHandle {
        ItemHandle(self.actor.clone())
    }

    /// Whether somebody outside the party holds a handle or a subscription.
    pub(crate) fn is_watched(&self) -> bool {
        self.gauge.subscribers() > 0
    }

    /// Ends the actor after what is in its mailbox, and waits until its state is dropped.
    pub(crate) async fn stop(self) {
        // An actor that has already ended needs no stopping.
        let _ = self.actor.stop_gracefully().await;
        drop(self.actor);
        if let Err(error) = self.task.await {
            tracing::error!(%error, "an item's actor did not end cleanly");
        }
    }
}

/// Reaches one resident item's actor.
#[derive(Clone)]
pub(crate) struct ItemHandle(ActorRef<ItemActor>);

impl ItemHandle {
    /// Sends a command; waits while the mailbox is full.
    pub(crate) async fn send(&self, command: Command) -> Result<(), Error> {
        self.0.tell(command).send().await.map_err(|_| Error::closed("the item"))
    }

    /// Whether the actor still runs.
    pub(crate) fn is_alive(&self) -> bool {
        self.0.is_alive()
    }
}

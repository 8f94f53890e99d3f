//! The actor of one resident item: a shell that moves messages into its [`Memory`] and answers.
//!
//! Its party need not wait for the actor to be woken: where nothing of the party waits in the mailbox it
//! reaches the memory itself ([`Resident::mutate_now`]).
//!
//! Invariants:
//! - it never waits for its party, so a party may always wait for it;
//! - what one party asks happens in the order in which it was asked;
//! - the memory is locked while something runs on it, and never across a wait;
//! - what was handed over is applied before anything that is asked later;
//! - its mailbox is bounded by [`MAILBOX_COMMANDS`], the bytes in its inbox by [`BYTES_IN_FLIGHT_MAX`];
//! - an item that could not be loaded is tried again with every command, and answers with the reason.

use std::any::Any;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use bytes::Bytes;
use kameo::Actor;
use kameo::actor::{ActorRef, PreparedActor};
use kameo::mailbox;
use kameo::message::{Context, Message};
use systole_models::ObjectMutation;
use tokio::sync::{Semaphore, broadcast, oneshot};
use tokio::task::JoinHandle;

use super::gauge::Gauge;
use super::inbox::Inbox;
use super::loads::{Loading, Loads, loaded};
use super::memory::Memory;
use super::state::{Incoming, ItemState, Placement};
use super::subscribe::RawUpdate;
use crate::Error;
use crate::party::effect::{LABEL_METADATA, LABEL_MODEL};
use crate::snapshot::Loader;
use crate::telemetry::Telemetry;

/// Most commands that wait for one item.
pub const MAILBOX_COMMANDS: usize = 64;

/// Most payload bytes that wait for one item.
pub const BYTES_IN_FLIGHT_MAX: usize = 4 << 20;

/// An item for which so many messages wait is woken while others are still being handed over: beyond, one
/// waking for all of them is cheap enough.
const WOKEN_FOR_MESSAGES: usize = 256;

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

/// The bytes of local mutations, or how many were applied before the one that was refused, and why it
/// was.
pub(crate) type Mutated = Result<Vec<Bytes>, (usize, Error)>;

/// A checkpoint of an item: the ordinal it covers, and its bytes.
pub(crate) type Taken = Result<(u64, Vec<u8>), Error>;

/// Something to run on an item's state, or on why it could not be loaded.
pub(crate) type View = Box<dyn FnOnce(Result<&ItemState, &Error>) + Send>;

/// What an item's actor is asked.
pub(crate) enum Command {
    /// Apply what waits in the inbox, as is done before anything else.
    CatchUp,
    /// Apply local mutations at exactly these places and give their bytes.
    Mutate { mutations: Vec<(LocalMutation, Placement)>, reply: oneshot::Sender<Mutated> },
    /// The local mutations up to this ordinal are written.
    Written(u64),
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
    pub(crate) start: Start,
}

/// Where an item's state comes from.
pub(crate) enum Start {
    /// It was made here.
    There(Box<ItemState>),
    /// It is being loaded.
    Loading(Loading),
}

/// The actor of one resident item.
pub(crate) struct ItemActor {
    loader: Loader,
    loads: Arc<Loads>,
    memory: Arc<Mutex<Memory>>,
    /// The first load, until it is done.
    loading: Option<Loading>,
}

impl Actor for ItemActor {
    type Args = Self;
    type Error = std::convert::Infallible;

    async fn on_start(mut actor: Self, _: ActorRef<Self>) -> Result<Self, Self::Error> {
        if let Some(loading) = actor.loading.take() {
            let loaded = loaded(loading).await;
            let mut memory = actor.memory();
            memory.loaded(loaded);
            memory.catch_up();
        }
        Ok(actor)
    }
}

impl Message<Command> for ItemActor {
    type Reply = ();

    async fn handle(&mut self, command: Command, _: &mut Context<Self, ()>) {
        if self.memory().must_load() || matches!(command, Command::Reload(_)) {
            self.load().await;
        }
        let mut memory = self.memory();
        memory.touch();
        memory.catch_up();
        // A caller that went away needs no answer; its mutation is applied all the same.
        match command {
            Command::CatchUp => {}
            Command::Mutate { mutations, reply } => {
                let mut payloads = Vec::with_capacity(mutations.len());
                let mutated = mutations.into_iter().try_for_each(|(mutation, at)| {
                    payloads.push(memory.mutate(mutation, &at)?);
                    Ok(())
                });
                let applied = payloads.len();
                drop(reply.send(mutated.map(|()| payloads).map_err(|error| (applied, error))));
            }
            Command::Written(until) => memory.written(until),
            Command::View(view) => {
                if let Some(state) = memory.state() {
                    view(state);
                }
            }
            Command::Subscribe(reply) => drop(reply.send(memory.subscribe())),
            Command::Checkpoint(reply) => drop(reply.send(memory.checkpoint())),
            Command::Reload(reply) => drop(reply.send(())),
        }
    }
}

impl ItemActor {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        lock(&self.memory)
    }

    /// Loads the item, whatever is in memory.
    async fn load(&self) {
        let loaded = self.loads.load(self.loader.clone()).await;
        self.memory().loaded(loaded);
    }
}

/// Models' panics are caught under the lock, and leave an item that says it is broken.
fn lock(memory: &Mutex<Memory>) -> MutexGuard<'_, Memory> {
    memory.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A resident item as its party holds it.
pub(crate) struct Resident {
    actor: ActorRef<ItemActor>,
    task: JoinHandle<()>,
    pub(crate) gauge: Arc<Gauge>,
    memory: Arc<Mutex<Memory>>,
    inbox: Arc<Inbox>,
    in_flight: Arc<Semaphore>,
}

impl Resident {
    /// Starts the item's actor.
    pub(crate) fn spawn(args: Args) -> Self {
        let Args { loader, gauge, telemetry, loads, start } = args;
        let (state, loading) = match start {
            Start::There(state) => (Some(*state), None),
            Start::Loading(loading) => (None, Some(loading)),
        };
        let inbox = Arc::new(Inbox::default());
        let memory = Memory::new(loader.id(), gauge.clone(), telemetry, inbox.clone(), state);
        let memory = Arc::new(Mutex::new(memory));
        let prepared = PreparedActor::new(mailbox::bounded(MAILBOX_COMMANDS));
        let actor = prepared.actor_ref().clone();
        let actor_parts = ItemActor { loader, loads, memory: memory.clone(), loading };
        let running = prepared.spawn(actor_parts);
        // The outer task ends only when the actor's state is dropped, and with it its hold on the store.
        let task = tokio::spawn(async move { drop(running.await) });
        let in_flight = Arc::new(Semaphore::new(BYTES_IN_FLIGHT_MAX));
        Self { actor, task, gauge, memory, inbox, in_flight }
    }

    /// Hands over written messages; waits while too many bytes are on their way. Whether the item is at
    /// them: else it is to be woken ([`Self::wake`]) when nothing more is to come soon.
    pub(crate) async fn deliver(&self, messages: Vec<Incoming>) -> Result<bool, Error> {
        let bytes: usize = messages.iter().map(|incoming| incoming.payload.len()).sum();
        let permits = bytes.clamp(1, BYTES_IN_FLIGHT_MAX) as u32;
        let permit = match self.in_flight.clone().try_acquire_many_owned(permits) {
            Ok(permit) => permit,
            Err(_) => {
                self.wake().await?;
                let permit = self.in_flight.clone().acquire_many_owned(permits).await;
                permit.map_err(|_| Error::closed("the item"))?
            }
        };
        if self.inbox.put(messages, bytes as u64, permit) < WOKEN_FOR_MESSAGES {
            return Ok(false);
        }
        self.wake().await.map(|()| true)
    }

    /// Has the item apply what was handed over.
    pub(crate) async fn wake(&self) -> Result<(), Error> {
        if self.inbox.wakes() { self.handle().send(Command::CatchUp).await } else { Ok(()) }
    }

    /// Applies a local mutation at once, or gives it back, where the item is not loaded or busy. Nothing
    /// else of the party may wait in its mailbox.
    pub(crate) fn mutate_now(
        &self,
        mutation: LocalMutation,
        at: Placement,
    ) -> Result<Result<Bytes, Error>, Box<(LocalMutation, Placement)>> {
        match self.idle().filter(|memory| !memory.must_load()) {
            Some(mut memory) => {
                memory.touch();
                memory.catch_up();
                Ok(memory.mutate(mutation, &at))
            }
            None => Err(Box::new((mutation, at))),
        }
    }

    /// Asks for local mutations, after everything that was asked before.
    pub(crate) async fn mutate(
        &self,
        mutations: Vec<(LocalMutation, Placement)>,
    ) -> Result<oneshot::Receiver<Mutated>, Error> {
        let (reply, answer) = oneshot::channel();
        self.handle().send(Command::Mutate { mutations, reply }).await?;
        Ok(answer)
    }

    /// The local mutations up to this ordinal are written: tells subscribers, if there are any.
    pub(crate) async fn written(&self, until: u64) -> Result<(), Error> {
        if let Some(mut memory) = self.idle() {
            memory.written(until);
            return Ok(());
        }
        self.handle().send(Command::Written(until)).await
    }

    /// The memory, while nobody else is at it.
    fn idle(&self) -> Option<MutexGuard<'_, Memory>> {
        match self.memory.try_lock() {
            Ok(memory) => Some(memory),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// A way to have the item apply what it was handed, without waking its actor.
    pub(crate) fn reach(&self) -> Reached {
        let (memory, inbox) = (self.memory.clone(), self.inbox.clone());
        Reached { memory, inbox, handle: self.handle() }
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
        drop((self.actor, self.memory));
        if let Err(error) = self.task.await {
            tracing::error!(%error, "an item's actor did not end cleanly");
        }
    }
}

/// Reaches one resident item's memory.
pub(crate) struct Reached {
    memory: Arc<Mutex<Memory>>,
    inbox: Arc<Inbox>,
    handle: ItemHandle,
}

impl Reached {
    /// The item applies what it was handed; one that is not loaded yet does so when it is.
    pub(crate) async fn catch_up(&self) {
        match self.memory.try_lock() {
            Ok(mut memory) if !memory.must_load() => return memory.catch_up(),
            Ok(_) => return,
            Err(TryLockError::Poisoned(poisoned)) => return poisoned.into_inner().catch_up(),
            Err(TryLockError::WouldBlock) => {}
        }
        // Somebody is at it, and may have looked into the inbox before. A thread is not to wait for them.
        if self.inbox.wakes() {
            // An item that has ended reads its log when it is loaded again.
            drop(self.handle.send(Command::CatchUp).await);
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

    /// Asks to be told when the item is loaded.
    pub(crate) async fn ask_loaded(&self) -> Result<oneshot::Receiver<Result<(), Error>>, Error> {
        let (reply, answer) = oneshot::channel();
        let tell = |state: Result<&ItemState, &Error>| {
            // Whoever asked may have gone.
            drop(reply.send(state.map(|_| ()).map_err(Clone::clone)));
        };
        self.send(Command::View(Box::new(tell))).await.map(|()| answer)
    }

    /// Whether the actor still runs.
    pub(crate) fn is_alive(&self) -> bool {
        self.0.is_alive()
    }
}

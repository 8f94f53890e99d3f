//! The actor of one active party: a shell that feeds stored blocks and local writes to the pure core,
//! commits what comes out, and tells items, listeners and callers.
//!
//! Invariants:
//! - waiting goes one way: callers wait for the party, the party waits for the writer and for items,
//!   items wait for nobody;
//! - a turn ends with its commit; the next one sees everything of it in the store;
//! - when a local mutation is applied, its item has applied every message processed before, so the
//!   position it is written at says exactly what its author had seen;
//! - after a failed commit the party answers everything with that failure; after a panic it writes
//!   nothing more.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use kameo::Actor;
use kameo::actor::{ActorRef, PreparedActor, WeakActorRef};
use kameo::error::{ActorStopReason, HookError};
use kameo::mailbox::{self, MailboxReceiver, Signal};
use kameo::message::{Context, Message};
use systole_proto::Ed25519Signer;
use systole_store::{Batch, PartyRecord};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tracing::{Instrument as _, Span};

use super::command::Command;
use super::core::PartyCore;
use super::pace::{Applies, Pace};
use super::residents::{ROUND, Residents};
use super::turn::Turn;
use crate::settings::{CHECKPOINT_BYTES_WARN, PARTY_MAILBOX_COMMANDS, TURN_REQUESTS_MAX};
use crate::shared::Shared;
use crate::stages::Stage;
use crate::telemetry::Telemetry;
use crate::{Error, ErrorKind};

/// How long the party rests between two looks for checkpoints that are on their way.
const CHECKPOINTS_LOOKED_AFTER: Duration = Duration::from_millis(2);

/// A turn of more blocks than this is followed by a look at all residents.
const THOROUGH_BLOCKS: usize = 256;

/// How many commands may be handled between two turns of processing.
const COMMANDS_BETWEEN_TURNS: u32 = 64;

/// What a party's actor starts from.
pub(crate) struct Args {
    pub(crate) shared: Arc<Shared>,
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) record: PartyRecord,
    /// What is to be written first, for a party that this device has only come to know.
    pub(crate) beginning: Option<Beginning>,
}

/// The first commit of a party on this device: its record, its first feed, and the genesis if this
/// device founds it. Half of it would be a party that nobody can found.
pub(crate) struct Beginning {
    pub(crate) batch: Batch,
    pub(crate) founder: Option<Ed25519Signer>,
}

/// The actor of one active party.
pub(crate) struct PartyProcessor {
    pub(super) core: PartyCore,
    pub(super) residents: Residents,
    /// Writes and ingests that go into the next turn.
    pub(super) queue: Vec<Command>,
    shared: Arc<Shared>,
    telemetry: Arc<Telemetry>,
    commands: u32,
    pace: Pace,
    /// Who waits until nothing is left to be processed.
    settling: Vec<oneshot::Sender<()>>,
    /// Inside the engine's span; every batch has one inside this.
    span: Span,
}

impl Actor for PartyProcessor {
    type Args = Args;
    type Error = Error;

    async fn on_start(args: Args, _: ActorRef<Self>) -> Result<Self, Error> {
        let Args { shared, telemetry, record, beginning } = args;
        let party = record.key;
        let core = PartyCore::open(shared.device.clone(), record, Shared::now_millis())?;
        let residents = Residents::new(shared.clone(), telemetry.clone());
        let span = tracing::info_span!(parent: &shared.span, "party", party = %party.short());
        tracing::info!(parent: &span, feeds = core.state.feeds().count(), "party opened");
        let queue = Vec::new();
        let mut party = Self {
            core,
            residents,
            queue,
            shared,
            telemetry,
            commands: 0,
            pace: Pace::default(),
            settling: Vec::new(),
            span,
        };
        match beginning {
            Some(beginning) => party.begin(beginning).await?,
            None if party.core.needs_upkeep() => party.keep_up().await?,
            None => {}
        }
        Ok(party)
    }

    /// Takes what is ready from the mailbox, then works: writes and ingests that came together are
    /// committed together, and stored blocks are processed while nobody asks for anything.
    async fn next(
        &mut self,
        _: WeakActorRef<Self>,
        mailbox: &mut MailboxReceiver<Self>,
    ) -> Result<Option<Signal<Self>>, Error> {
        loop {
            if self.core.needs_upkeep() {
                let kept_up = self.keep_up().await;
                kept_up.unwrap_or_else(|error| self.core.fail(error));
            }
            let work = self.core.has_ready();
            let busy = self.queue.len() >= TURN_REQUESTS_MAX
                || (self.commands >= COMMANDS_BETWEEN_TURNS && (work || !self.queue.is_empty()));
            if !busy && let Ok(signal) = mailbox.try_recv() {
                self.commands += 1;
                return Ok(Some(signal));
            }
            self.commands = 0;
            if !self.queue.is_empty() {
                self.run_queue().await;
            } else if work {
                self.process_turn().await;
            } else if self.residents.has_unapplied() {
                // The backlog ended without a turn: the party was paused, or its last feed halted.
                self.residents.apply(Applies::All).await;
            } else if !self.settling.is_empty() {
                self.settled();
            } else {
                let busy = self.residents.is_busy();
                let pause = if busy { CHECKPOINTS_LOOKED_AFTER } else { ROUND };
                match tokio::time::timeout(pause, mailbox.recv()).await {
                    Ok(signal) => return Ok(signal),
                    Err(_) if busy => self.gather_checkpoints().await,
                    Err(_) => self.rest().await,
                }
            }
        }
    }

    async fn on_stop(
        &mut self,
        _: WeakActorRef<Self>,
        reason: ActorStopReason,
    ) -> Result<(), Error> {
        if let ActorStopReason::Panicked(panic) = reason {
            // Whatever was half done is ahead of the store, and must stay out of it.
            self.core.fail(Error::caused(ErrorKind::Internal, "the party panicked", panic));
        }
        if !self.queue.is_empty() {
            self.run_queue().await;
        }
        let mut turn = Turn::default();
        let checkpoints = self.residents.close().await;
        self.put_checkpoints(&mut turn, checkpoints);
        self.commit(turn).await;
        tracing::info!(parent: &self.span, "party closed");
        Ok(())
    }
}

impl Message<Command> for PartyProcessor {
    type Reply = ();

    async fn handle(&mut self, command: Command, _: &mut Context<Self, ()>) {
        match command {
            Command::Write(_) | Command::Ingest(_) | Command::Credentials { .. } => {
                self.pace.heard(command.messages());
                self.queue.push(command);
            }
            Command::Item { item, id, reply } => {
                let handle = match self.core.failure() {
                    Some(error) => Err(error),
                    None => Ok(self.residents.bring(item, id, None).handle()),
                };
                // Whoever asked and went away needs no answer; the same holds below.
                let _ = reply.send(handle);
                if self.residents.are_many_fresh() {
                    self.end_turn(false).await;
                }
            }
            Command::Items { items, reply } => {
                let handles = match self.core.failure() {
                    Some(error) => Err(error),
                    None => Ok(self.residents.bring_together(items)),
                };
                let _ = reply.send(handles);
                self.end_turn(false).await;
            }
            Command::Status(reply) => {
                let _ = reply.send(self.core.status());
            }
            Command::Pause(paused, reply) => {
                self.core.pause(paused);
                let _ = reply.send(());
            }
            Command::CreateFeed { signer, reply } => {
                let _ = reply.send(self.create_feed(signer).await);
            }
            Command::Settle(reply) => self.settling.push(reply),
        }
    }
}

impl PartyProcessor {
    /// Nothing is left to be processed: tells who waits for it.
    fn settled(&mut self) {
        for reply in self.settling.drain(..) {
            // Whoever asked may have gone.
            let _ = reply.send(());
        }
    }

    /// Nothing was asked for a round: looks after residents.
    async fn rest(&mut self) {
        self.residents.round();
        self.end_turn(true).await;
    }

    /// Writes the checkpoints that have come, and asks for the next ones.
    async fn gather_checkpoints(&mut self) {
        self.commit(Turn::default()).await;
        self.end_turn(false).await;
    }

    pub(super) async fn end_turn(&mut self, thorough: bool) {
        self.residents.end_turn(thorough, self.core.has_ready()).await;
    }

    /// Processes stored blocks up to the bounds of one turn.
    async fn process_turn(&mut self) {
        // Whoever was answered since the last turn may wait for this very thread.
        tokio::task::yield_now().await;
        self.core.tell_time(Shared::now_millis());
        let mut turn = Turn::default();
        match self.core.process(self.pace.blocks_max(), &mut turn) {
            Ok(blocks) => {
                self.commit(turn).await;
                let applies = self.pace.turn_ended(self.core.has_ready());
                self.residents.apply(applies).await;
                self.end_turn(blocks > THOROUGH_BLOCKS).await;
            }
            Err(error) => tracing::error!(parent: &self.span, %error, "party failed"),
        }
    }

    /// Writes a turn's batch, then tells whoever is concerned. Of a party that has failed nothing is
    /// written.
    pub(super) async fn commit(&mut self, mut turn: Turn) {
        let checkpoints = self.residents.take_checkpoints();
        self.put_checkpoints(&mut turn, checkpoints);
        if turn.is_empty() {
            return;
        }
        let written = match self.core.failure() {
            Some(error) => Err(error),
            None => self.write_turn(&mut turn).await,
        };
        for answer in turn.answers {
            answer(written.clone());
        }
    }

    async fn write_turn(&mut self, turn: &mut Turn) -> Result<(), Error> {
        let mut told = self.core.close_turn(turn)?;
        let durability = turn.durability();
        let batch = std::mem::take(&mut turn.batch);
        let span = tracing::debug_span!(
            parent: &self.span,
            "batch",
            messages = told.messages,
            bytes = batch.bytes(),
            ?durability
        );
        let telemetry = self.telemetry.clone();
        let written = self.shared.writer.commit(batch, durability).instrument(span).await;
        if let Err(error) = written {
            let error = Error::from(error);
            tracing::error!(parent: &self.span, %error, "party failed");
            self.core.fail(error.clone());
            return Err(error);
        }
        self.core.committed(&mut told);
        self.telemetry.live.demultiplexed.fetch_add(told.messages, Relaxed);
        self.telemetry.live.quarantined.fetch_add(told.quarantined, Relaxed);
        // A later write may be in preparation, and be refused: what it has applied lies above.
        let until = self.core.state.ordinal;
        turn.mutated.sort_unstable();
        turn.mutated.dedup();
        for item in std::mem::take(&mut turn.mutated) {
            if let Some(resident) = self.residents.get(item)
                && let Err(error) = resident.written(until).await
            {
                tracing::debug!(%item, %error, "subscribers not told");
            }
        }
        let mut watch = telemetry.live.stages.watch();
        for (item, batch) in told.deliveries {
            self.deliver(item, batch).await;
        }
        watch.lap(Stage::Mailbox, told.messages);
        for event in told.events {
            self.telemetry.event(event);
        }
        Ok(())
    }

    async fn deliver(
        &mut self,
        item: systole_store::ItemKey,
        batch: Vec<crate::item::state::Incoming>,
    ) {
        let messages = batch.len() as u64;
        let bytes = batch.iter().map(|incoming| incoming.payload.len() as u64).sum();
        if self.residents.hand_over(item, batch).await {
            self.pace.handed_over(bytes);
            return;
        }
        if self.residents.missed(item, messages, bytes) {
            match self.core.item_id(item) {
                Ok(id) => self.residents.is_due(item, id),
                Err(error) => self.core.fail(error),
            }
        }
    }

    fn put_checkpoints(
        &self,
        turn: &mut Turn,
        checkpoints: Vec<(systole_store::ItemKey, u64, Vec<u8>)>,
    ) {
        for (item, ordinal, bytes) in checkpoints {
            if bytes.len() > CHECKPOINT_BYTES_WARN {
                tracing::warn!(parent: &self.span, %item, bytes = bytes.len(), "a large checkpoint");
            }
            self.shared.device.store.items().put_checkpoint(&mut turn.batch, item, ordinal, &bytes);
            self.telemetry.live.checkpointed.fetch_add(1, Relaxed);
        }
    }
}

/// An active party's actor as the engine holds it.
pub(crate) struct Running {
    handle: PartyHandle,
    task: JoinHandle<
        Result<(PartyProcessor, kameo::error::ActorStopReason), kameo::error::PanicError>,
    >,
}

impl Running {
    /// Starts the actor and waits until it has read where the party stands.
    pub(crate) async fn start(args: Args) -> Result<Self, Error> {
        let telemetry = args.telemetry.clone();
        let prepared =
            PreparedActor::<PartyProcessor>::new(mailbox::bounded(PARTY_MAILBOX_COMMANDS));
        let actor = prepared.actor_ref().clone();
        let task = prepared.spawn(args);
        let started = actor.wait_for_startup_result().await;
        if let Err(error) = started {
            drop(task.await);
            return Err(match error {
                HookError::Error(error) => error,
                HookError::Panicked(panic) => {
                    Error::caused(ErrorKind::Internal, "a party could not be opened", panic)
                }
            });
        }
        Ok(Self { handle: PartyHandle { actor, telemetry }, task })
    }

    /// A way to the party.
    pub(crate) fn handle(&self) -> PartyHandle {
        self.handle.clone()
    }

    /// Whether the actor still runs.
    pub(crate) fn is_alive(&self) -> bool {
        self.handle.actor.is_alive()
    }

    /// Ends the actor after what it was asked before, and waits until nothing of it is left.
    pub(crate) async fn stop(self) {
        // An actor that has ended already needs no stopping.
        let _ = self.handle.actor.stop_gracefully().await;
        match self.task.await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::error!(%error, "a party's actor did not end cleanly"),
            Err(error) => tracing::error!(%error, "a party's actor did not end cleanly"),
        }
    }
}

/// Reaches an active party's actor.
#[derive(Clone)]
pub(crate) struct PartyHandle {
    actor: ActorRef<PartyProcessor>,
    pub(crate) telemetry: Arc<Telemetry>,
}

impl PartyHandle {
    /// Sends a command; waits while the mailbox is full.
    pub(crate) async fn send(&self, command: Command) -> Result<(), Error> {
        self.actor.tell(command).send().await.map_err(|_| Error::closed("the party"))
    }

    /// Sends a command that is answered, and waits for the answer.
    pub(crate) async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        self.send(command(reply)).await?;
        answer.await.map_err(|_| Error::closed("the party"))
    }
}

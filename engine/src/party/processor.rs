//! The actor of one active party: a shell that feeds stored blocks and local writes to the pure core,
//! commits what comes out, and tells items, listeners and callers.
//!
//! Invariants:
//! - waiting goes one way: callers wait for the party, the party waits for the writer and for items,
//!   items wait for nobody;
//! - a turn ends with its commit; the next one sees everything of it in the store;
//! - when a local mutation is applied, its item has applied every message processed before, so the
//!   position it is written at says exactly what its author had seen;
//! - after a failed commit the party answers everything with that failure.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::Bytes;
use kameo::Actor;
use kameo::actor::{ActorRef, PreparedActor, WeakActorRef};
use kameo::error::HookError;
use kameo::mailbox::{self, MailboxReceiver, Signal};
use kameo::message::{Context, Message};
use systole_proto::{Clock, FeedKey, PublicKey, Signer};
use systole_store::{FeedNo, FeedPosition, PartyRecord};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tracing::{Instrument as _, Span};

use super::admit::Position;
use super::ahead::ReadAhead;
use super::command::{Command, FeedStatus, PartyStatus};
use super::host::StoreHost;
use super::residents::{ROUND, Residents};
use super::state::{Host as _, PartyState, Progress};
use super::turn::Turn;
use crate::settings::{
    CHECKPOINT_BYTES_WARN, CURSORS_BYTES_MAX, PARTY_MAILBOX_COMMANDS, TURN_BLOCKS_MAX,
    TURN_REQUESTS_MAX,
};
use crate::shared::Shared;
use crate::telemetry::Telemetry;
use crate::{Error, ErrorKind, Event};

/// How long the party rests between two looks for checkpoints that are on their way.
const CHECKPOINTS_LOOKED_AFTER: Duration = Duration::from_millis(2);

/// How many commands may be handled between two turns of processing.
const COMMANDS_BETWEEN_TURNS: u32 = 64;

/// What a party's actor starts from.
pub(crate) struct Args {
    pub(crate) shared: Arc<Shared>,
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) record: PartyRecord,
    /// The keys of this device's feeds in the party.
    pub(crate) signers: Vec<Arc<dyn Signer>>,
}

/// The actor of one active party.
pub(crate) struct PartyProcessor {
    pub(super) shared: Arc<Shared>,
    pub(super) telemetry: Arc<Telemetry>,
    pub(super) record: PartyRecord,
    pub(super) state: PartyState,
    pub(super) host: StoreHost,
    pub(super) residents: Residents,
    pub(super) signers: BTreeMap<FeedNo, Arc<dyn Signer>>,
    pub(super) clock: Clock,
    /// Writes and ingests that go into the next turn.
    pub(super) queue: Vec<Command>,
    next_credential: u64,
    read_ahead: ReadAhead,
    last_ready: Option<FeedNo>,
    paused: bool,
    commands: u32,
    failed: Option<Error>,
    /// Inside the engine's span; every batch has one inside this.
    span: Span,
}

impl Actor for PartyProcessor {
    type Args = Args;
    type Error = Error;

    async fn on_start(args: Args, _: ActorRef<Self>) -> Result<Self, Error> {
        let Args { shared, telemetry, record, signers } = args;
        let mut host = StoreHost::new(shared.clone(), record.no);
        let mut state = PartyState::new(record.key, record.no, record.ordinal);
        let mut last_stamp = systole_proto::Stamp::default();
        for feed in shared.store.meta().feeds_of(record.no)? {
            let position = shared.store.meta().position(feed.no)?.unwrap_or_default();
            last_stamp = last_stamp.max(position.stamp);
            if position.length > 0 || feed.own {
                state.add_feed(feed.no, feed.key, position);
            }
        }
        let credentials = shared.store.meta().credentials(record.no)?;
        let next_credential = credentials.last().map_or(0, |(n, _)| n + 1);
        for (_, credential) in credentials {
            let at = Position { feed: host.key(credential.feed)?, seq: credential.seq };
            state.membership.restore(at, &credential.bytes).map_err(|rejection| {
                let message = format!("a stored credential of party {} is damaged", record.key);
                Error::caused(ErrorKind::Corrupt, message, rejection)
            })?;
        }
        let mut own = BTreeMap::new();
        for signer in signers {
            let key = FeedKey(signer.public_key());
            if let Some(no) = state.number_of(&key) {
                own.insert(no, signer);
            }
        }
        let residents = Residents::new(shared.clone(), telemetry.clone());
        let span = tracing::info_span!(parent: &shared.span, "party", party = %record.key.short());
        tracing::info!(parent: &span, feeds = state.feeds().count(), "party opened");
        Ok(Self {
            shared,
            telemetry,
            record,
            state,
            host,
            residents,
            signers: own,
            clock: Clock::resume(last_stamp),
            queue: Vec::new(),
            next_credential,
            read_ahead: ReadAhead::default(),
            last_ready: None,
            paused: false,
            commands: 0,
            failed: None,
            span,
        })
    }

    /// Takes what is ready from the mailbox, then works: writes and ingests that came together are
    /// committed together, and stored blocks are processed while nobody asks for anything.
    async fn next(
        &mut self,
        _: WeakActorRef<Self>,
        mailbox: &mut MailboxReceiver<Self>,
    ) -> Result<Option<Signal<Self>>, Error> {
        loop {
            let work = self.failed.is_none() && !self.paused && self.has_ready();
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
        _: kameo::error::ActorStopReason,
    ) -> Result<(), Error> {
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
                self.queue.push(command);
            }
            Command::Item { item, id, reply } => {
                let handle = match &self.failed {
                    Some(error) => Err(error.clone()),
                    None => Ok(self.residents.bring(item, id, None).handle()),
                };
                // Whoever asked and went away needs no answer; the same holds below.
                let _ = reply.send(handle);
                if self.residents.are_many_fresh() {
                    self.residents.end_turn(false).await;
                }
            }
            Command::Status(reply) => {
                let _ = reply.send(self.status());
            }
            Command::Pause(paused, reply) => {
                self.paused = paused;
                let _ = reply.send(());
            }
            Command::AddFeed { signer, reply } => {
                let _ = reply.send(self.add_feed(signer).await);
            }
            Command::Settle(reply) => {
                self.run_queue().await;
                while self.failed.is_none() && !self.paused && self.has_ready() {
                    self.process_turn().await;
                }
                let _ = reply.send(());
            }
        }
    }
}

impl PartyProcessor {
    fn has_ready(&self) -> bool {
        self.state.next_ready(self.last_ready).is_some()
    }

    /// Nothing was asked for a round: looks after residents.
    async fn rest(&mut self) {
        self.residents.round();
        self.residents.end_turn(true).await;
    }

    /// Writes the checkpoints that have come, and asks for the next ones.
    async fn gather_checkpoints(&mut self) {
        self.commit(Turn::default()).await;
        self.residents.end_turn(false).await;
    }

    /// Processes stored blocks of the feeds whose turn it is, up to the bounds of one turn.
    async fn process_turn(&mut self) {
        let mut turn = Turn::default();
        let mut blocks = 0;
        while blocks < TURN_BLOCKS_MAX {
            let Some(feed) = self.state.next_ready(self.last_ready) else { break };
            self.last_ready = Some(feed);
            match self.process_feed(feed, TURN_BLOCKS_MAX - blocks, &mut turn) {
                Ok(done) => blocks += done,
                Err(error) => {
                    self.fail(error);
                    return;
                }
            }
        }
        self.commit(turn).await;
        self.residents.end_turn(blocks > 256).await;
    }

    /// Processes blocks of one feed until it waits, ends, or has had its share.
    fn process_feed(&mut self, feed: FeedNo, most: usize, turn: &mut Turn) -> Result<usize, Error> {
        let mut done = 0;
        while done < most {
            let position = self.state.feed(feed).expect("a ready feed is known");
            if position.processed >= position.length {
                break;
            }
            let (seq, length) = (position.processed, position.length);
            let block = self.block(feed, seq, length)?;
            match self.state.process(&mut self.host, feed, block, &mut turn.effects)? {
                Progress::Processed => done += 1,
                Progress::Waits { .. } => {
                    self.telemetry.live.parked.fetch_add(1, Relaxed);
                    break;
                }
                Progress::NotAdmitted | Progress::Halted | Progress::Held => break,
            }
            self.read_ahead.used(feed, length - seq - 1);
        }
        Ok(done)
    }

    /// A stored block, read together with those after it.
    fn block(&mut self, feed: FeedNo, seq: u64, length: u64) -> Result<Bytes, Error> {
        let (shared, telemetry) = (&self.shared, &self.telemetry);
        let block = self.read_ahead.block(feed, seq, length, |range, chunk| {
            shared.store.feeds().scan_blocks(feed, range.start, range.end, &mut |_, block| {
                if chunk.push(block) { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })?;
            telemetry.read(chunk.len() as u64);
            Ok(())
        })?;
        block.ok_or_else(|| Error::corrupt(format!("block {seq} of {feed} is missing")))
    }

    /// Writes a turn's batch, then tells whoever is concerned.
    pub(super) async fn commit(&mut self, mut turn: Turn) {
        let checkpoints = self.residents.take_checkpoints();
        self.put_checkpoints(&mut turn, checkpoints);
        if turn.is_empty() {
            return;
        }
        let ordinal = self.record.ordinal;
        let genesis = self.record.genesis_feed;
        let told = turn.lay_down(
            &self.shared.store,
            self.record.no,
            &mut self.next_credential,
            &mut self.record.genesis_feed,
        );
        self.put_positions(&mut turn);
        self.record.ordinal = self.state.ordinal;
        if self.record.ordinal != ordinal || self.record.genesis_feed != genesis {
            self.shared.store.meta().put_party(&mut turn.batch, &self.record);
        }
        let durability = turn.durability();
        let batch = std::mem::take(&mut turn.batch);
        let span = tracing::debug_span!(
            parent: &self.span,
            "batch",
            messages = told.messages,
            bytes = batch.bytes(),
            ?durability
        );
        let written = self.shared.writer.commit(batch, durability).instrument(span).await;
        let written = written.map_err(Error::from);
        if let Err(error) = &written {
            self.fail(error.clone());
        } else {
            self.state.committed(CURSORS_BYTES_MAX);
            self.telemetry.live.demultiplexed.fetch_add(told.messages, Relaxed);
            self.telemetry.live.quarantined.fetch_add(told.quarantined, Relaxed);
            for record in told.records {
                self.host.remember(record);
            }
            for (item, batch) in told.deliveries {
                self.deliver(item, batch).await;
            }
            for event in told.events {
                self.telemetry.event(event);
            }
        }
        for answer in turn.answers {
            answer(written.clone());
        }
    }

    async fn deliver(
        &mut self,
        item: systole_store::ItemKey,
        batch: Vec<crate::item::state::Incoming>,
    ) {
        if let Some(resident) = self.residents.get(item) {
            if let Err(error) = resident.deliver(batch).await {
                // It reads its log when it is loaded again.
                tracing::debug!(%item, %error, "messages not handed over");
            }
            return;
        }
        let (messages, bytes) =
            batch.iter().fold((0, 0), |sum, next| (sum.0 + 1, sum.1 + next.payload.len() as u64));
        match self.host.item(item) {
            Ok(Some(record)) => self.residents.missed(item, record.id, messages, bytes),
            Ok(None) => {
                tracing::error!(%item, "a message was processed for an item without a record")
            }
            Err(error) => self.fail(error),
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
            self.shared.store.items().put_checkpoint(&mut turn.batch, item, ordinal, &bytes);
            self.telemetry.live.checkpointed.fetch_add(1, Relaxed);
        }
    }

    fn put_positions(&mut self, turn: &mut Turn) {
        let meta = self.shared.store.meta();
        for feed in self.host.take_new_feeds() {
            meta.put_feed(&mut turn.batch, &feed);
        }
        for (feed, position) in self.state.take_positions() {
            meta.put_position(&mut turn.batch, feed, &position);
            // Their clock only moves ours forward within the allowed drift; a stamp beyond it is theirs alone.
            let _ = self.clock.observe(position.stamp, Shared::now_millis());
        }
    }

    pub(super) fn fail(&mut self, error: Error) {
        tracing::error!(parent: &self.span, %error, "party failed");
        self.failed.get_or_insert(error);
    }

    pub(super) fn failure(&self) -> Option<Error> {
        self.failed.clone()
    }

    pub(super) fn is_paused(&self) -> bool {
        self.paused
    }

    /// Takes a feed into the state at the position it is stored at.
    pub(super) fn know_feed(&mut self, key: &FeedKey) -> Result<FeedNo, Error> {
        if let Some(no) = self.state.number_of(key) {
            return Ok(no);
        }
        let no = self.host.number(key)?;
        let position = self.shared.store.meta().position(no)?.unwrap_or_default();
        self.state.add_feed(no, *key, position);
        Ok(no)
    }

    /// Adds a feed of this device; its admission is signed by the feed and the device.
    async fn add_feed(&mut self, signer: Arc<dyn Signer>) -> Result<FeedKey, Error> {
        let key = FeedKey(signer.public_key());
        if self.state.number_of(&key).is_some() {
            return Err(Error::invalid(format!("feed {} is known already", key.short())));
        }
        let no = self.host.add_own_feed(key)?;
        self.state.add_feed(no, key, FeedPosition::default());
        self.signers.insert(no, signer);
        let first = self.record.own_feed.and_then(|no| self.state.feed(no));
        if first.is_none_or(|first| first.halted.is_some()) {
            self.record.own_feed = Some(no);
        }
        let mut turn = Turn { durable: true, ..Turn::default() };
        self.shared.store.meta().put_party(&mut turn.batch, &self.record);
        self.put_positions(&mut turn);
        self.commit(turn).await;
        self.failure().map_or(Ok(key), Err)
    }

    fn status(&mut self) -> Result<PartyStatus, Error> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let mut feeds = Vec::new();
        let states: Vec<_> =
            self.state.feeds().map(|(no, _)| (no, self.state.waits_for(no))).collect();
        for (no, waits_for) in states {
            let waits_for = match waits_for {
                None => None,
                Some((target, length)) => Some((self.host.key(target)?, length)),
            };
            let feed = self.state.feed(no).expect("listed above");
            feeds.push(FeedStatus {
                feed: feed.key,
                own: self.signers.contains_key(&no),
                admitted: self.state.membership.is_admitted(&feed.key),
                owner: self.state.membership.author(&feed.key, |_| true).copied(),
                stored: feed.length,
                verified: feed.length,
                processed: feed.processed,
                waits_for,
                halted: feed.halted.clone(),
            });
        }
        let membership = &self.state.membership;
        let parked = membership.parked();
        Ok(PartyStatus {
            party: self.record.key,
            founded: membership.genesis().is_some(),
            paused: self.paused,
            members: membership.members().copied().collect::<Vec<PublicKey>>(),
            feeds,
            parked: parked.map(|(at, waits)| (at.feed, at.seq, waits.to_string())).collect(),
            items: self.shared.store.items().count(self.record.no)?,
            quarantined: self.shared.store.meta().quarantined_count(self.record.no)?,
        })
    }

    pub(super) fn event(&self, event: Event) {
        self.telemetry.event(event);
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

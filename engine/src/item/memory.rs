//! An item in memory: its state, who watches it, and what they are still to be told. Its actor and its
//! party reach it, by turns.
//!
//! Invariants:
//! - subscribers are told of what is written only, each update with a greater version;
//! - whatever runs a model's code here survives its panic.

use std::sync::Arc;

use bytes::Bytes;
use systole_proto::ItemId;
use tokio::sync::broadcast;

use super::actor::LocalMutation;
use super::gauge::Gauge;
use super::inbox::{Inbox, Waiting};
use super::state::{Applied, Incoming, ItemState, Placement};
use super::subscribe::{Changes, RawUpdate, Updates};
use crate::snapshot::{self, Tail};
use crate::stages::Stage;
use crate::telemetry::Telemetry;
use crate::{Error, Event};

/// See the [module](self).
pub(crate) struct Memory {
    id: ItemId,
    gauge: Arc<Gauge>,
    telemetry: Arc<Telemetry>,
    inbox: Arc<Inbox>,
    /// `None` until it is loaded.
    state: Option<Result<ItemState, Error>>,
    updates: Option<Updates>,
    /// Local mutations that are applied and not known to be written: the ordinal of each, what it did, and
    /// its bytes. Only while somebody watches.
    unwritten: Vec<(u64, Applied, u64)>,
    /// Messages and payload bytes of local mutations that the gauge does not count yet.
    uncounted: (u64, u64),
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Memory").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Memory {
    pub(crate) fn new(
        id: ItemId,
        gauge: Arc<Gauge>,
        telemetry: Arc<Telemetry>,
        inbox: Arc<Inbox>,
        state: Option<ItemState>,
    ) -> Self {
        let (state, unwritten) = (state.map(Ok), Vec::new());
        Self { id, gauge, telemetry, inbox, state, updates: None, unwritten, uncounted: (0, 0) }
    }

    /// The state, or why it is not there; `None` before it was first loaded.
    pub(crate) fn state(&self) -> Option<Result<&ItemState, &Error>> {
        self.state.as_ref().map(Result::as_ref)
    }

    /// Whether it must be loaded before anything can be asked of it.
    pub(crate) fn must_load(&self) -> bool {
        !matches!(self.state, Some(Ok(_)))
    }

    /// The item as it was loaded. What was not written is gone.
    pub(crate) fn loaded(&mut self, loaded: Result<(ItemState, Tail), Error>) {
        self.unwritten.clear();
        self.uncounted = (0, 0);
        self.state = Some(loaded.map(|(state, tail)| {
            self.gauge.loaded(tail.messages, tail.bytes);
            state
        }));
        self.measure(0, 0);
    }

    /// Notes that the item is used, and by how many it is watched.
    pub(crate) fn touch(&self) {
        self.gauge.touch(self.telemetry.tick());
        if let Some(updates) = &self.updates {
            self.gauge.subscribed(updates.subscribers());
        }
    }

    /// Applies what waits in the inbox and tells of it.
    pub(crate) fn catch_up(&mut self) {
        let Waiting { messages, bytes, .. } = self.inbox.take();
        let Some(first) = messages.first() else { return };
        // Local mutations before it were written before it.
        self.written(first.entry.ordinal);
        self.deliver(messages, bytes);
    }

    fn deliver(&mut self, batch: Vec<Incoming>, bytes: u64) {
        let heard = self.is_watched();
        let Some(Ok(state)) = &mut self.state else { return };
        state.hear(heard);
        let was_broken = state.broken().is_some();
        let mut watch = self.telemetry.live.stages.watch();
        match state.apply(batch) {
            Ok(applied) => {
                watch.lap(Stage::Apply, applied.messages);
                self.telemetry.applied(applied.messages);
                let ordinal = state.ordinal();
                self.measure(applied.messages, bytes);
                self.publish(ordinal, applied, bytes);
            }
            Err(error) if !was_broken => self.broke(&error),
            Err(_) => {}
        }
    }

    /// Applies a local mutation as the message at `at`, and returns its bytes. If it is refused, nothing
    /// has changed.
    pub(crate) fn mutate(
        &mut self,
        mutation: LocalMutation,
        at: &Placement,
    ) -> Result<Bytes, Error> {
        let heard = self.is_watched();
        let state = match &mut self.state {
            Some(Ok(state)) => state,
            Some(Err(error)) => return Err(error.clone()),
            None => return Err(Error::internal("the item is not loaded")),
        };
        state.hear(heard);
        let was_broken = state.broken().is_some();
        let mutated = match mutation {
            LocalMutation::Model(mutation) => state.mutate(mutation, at),
            LocalMutation::Metadata(mutation) => state.mutate_metadata(mutation, at),
        };
        match mutated {
            Ok((payload, applied)) => {
                self.uncounted.0 += 1;
                self.uncounted.1 += payload.len() as u64;
                if self.is_watched() {
                    self.unwritten.push((at.ordinal, applied, payload.len() as u64));
                }
                Ok(payload)
            }
            Err(error) => {
                if !was_broken && state.broken().is_some() {
                    self.broke(&error);
                }
                Err(error)
            }
        }
    }

    /// The local mutations up to this ordinal are written: counts them, and tells who watches.
    pub(crate) fn written(&mut self, until: u64) {
        let (messages, bytes) = std::mem::take(&mut self.uncounted);
        if messages == 0 && self.unwritten.is_empty() {
            return;
        }
        self.telemetry.applied(messages);
        self.measure(messages, bytes);
        let written = self.unwritten.partition_point(|(ordinal, ..)| *ordinal <= until);
        let later = self.unwritten.split_off(written);
        for (ordinal, applied, bytes) in std::mem::replace(&mut self.unwritten, later) {
            self.publish(ordinal, applied, bytes);
        }
    }

    /// A receiver of updates.
    pub(crate) fn subscribe(&mut self) -> broadcast::Receiver<Arc<RawUpdate>> {
        let updates = self.updates.get_or_insert_with(Updates::new);
        let receiver = updates.subscribe();
        self.gauge.subscribed(updates.subscribers());
        receiver
    }

    /// A checkpoint: the ordinal it covers, and its bytes.
    pub(crate) fn checkpoint(&mut self) -> Result<(u64, Vec<u8>), Error> {
        let state = match &mut self.state {
            Some(Ok(state)) => state,
            Some(Err(error)) => return Err(error.clone()),
            None => return Err(Error::internal("the item is not loaded")),
        };
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

    fn is_watched(&self) -> bool {
        self.updates.as_ref().is_some_and(|updates| updates.subscribers() > 0)
    }

    fn measure(&mut self, messages: u64, bytes: u64) {
        let measured = match &mut self.state {
            Some(Ok(state)) => {
                let was_broken = state.broken().is_some();
                state.measure().map_err(|error| (error, was_broken))
            }
            _ => Ok(0),
        };
        let memory_bytes = measured.unwrap_or_else(|(error, was_broken)| {
            if !was_broken {
                self.broke(&error);
            }
            size_of::<ItemState>()
        });
        self.gauge.applied(messages, bytes, memory_bytes);
    }

    fn publish(&mut self, version: u64, applied: Applied, bytes: u64) {
        self.telemetry.refused(applied.refused.len() as u64);
        for (feed, seq, reason) in applied.refused {
            self.telemetry.event(Event::Refused { item: self.id, feed, seq, reason });
        }
        let Some(updates) = &mut self.updates else { return };
        let model = applied.model.and_then(|outcome| outcome.changes);
        if model.is_some() || !applied.metadata.is_empty() {
            updates.send(version, Changes { model, metadata: applied.metadata }, bytes);
        }
    }

    fn broke(&self, error: &Error) {
        self.gauge.broke();
        tracing::error!(item = %self.id, %error, "item quarantined");
        self.telemetry.event(Event::ItemQuarantined { item: self.id, reason: error.to_string() });
    }
}

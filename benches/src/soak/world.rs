//! What all tasks of a soak share.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use systole::{Error, ErrorKind};

use super::Settings;
use super::devices::Devices;
use super::latency::Latencies;
use super::story::Story;
use crate::{Failure, Random};

/// What all tasks share.
#[derive(Debug)]
pub(super) struct World {
    pub(super) settings: Settings,
    pub(super) devices: Devices,
    pub(super) latencies: Latencies,
    pub(super) started: Instant,
    /// Messages that were written and acknowledged.
    pub(super) written: AtomicU64,
    /// Operations whose party, item or engine was closed meanwhile by somebody else.
    pub(super) overtaken: AtomicU64,
    /// Looks at an item that left memory whenever it was to be asked.
    pub(super) evicted: AtomicU64,
    over: AtomicBool,
    /// Oldest first.
    live: Mutex<VecDeque<Arc<Story>>>,
}

impl World {
    pub(super) fn new(settings: Settings, devices: Devices) -> Self {
        Self {
            settings,
            devices,
            latencies: Latencies::new(),
            started: Instant::now(),
            written: AtomicU64::new(0),
            overtaken: AtomicU64::new(0),
            evicted: AtomicU64::new(0),
            over: AtomicBool::new(false),
            live: Mutex::default(),
        }
    }

    /// Whether the time is up.
    pub(super) fn is_late(&self) -> bool {
        self.started.elapsed() >= self.settings.duration
    }

    /// Whether everything is done.
    pub(super) fn is_over(&self) -> bool {
        self.over.load(Relaxed)
    }

    pub(super) fn end(&self) {
        self.over.store(true, Relaxed);
    }

    pub(super) fn live(&self) -> MutexGuard<'_, VecDeque<Arc<Story>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One of the parties that are alive.
    pub(super) fn any(&self, random: &mut Random) -> Option<Arc<Story>> {
        let live = self.live();
        live.get(random.below(live.len())).cloned()
    }

    /// Gives others the processor.
    pub(super) async fn rest(&self) {
        if self.settings.pause.is_zero() {
            tokio::task::yield_now().await;
        } else {
            tokio::time::sleep(self.settings.pause).await;
        }
    }

    /// Errors that somebody meets who holds what others close and delete are counted; all others are
    /// failures.
    pub(super) fn tolerate(
        &self,
        story: &Story,
        result: Result<(), Failure>,
    ) -> Result<(), Failure> {
        let Err(failure) = result else { return Ok(()) };
        let Some(error) = failure.downcast_ref::<Error>() else { return Err(failure) };
        match error.kind() {
            ErrorKind::Closed => self.overtaken.fetch_add(1, Relaxed),
            // A deleted party is unknown.
            ErrorKind::Invalid if story.ended.load(Relaxed) => self.overtaken.fetch_add(1, Relaxed),
            ErrorKind::Unavailable => self.evicted.fetch_add(1, Relaxed),
            _ => return Err(failure),
        };
        Ok(())
    }
}

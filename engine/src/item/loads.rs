//! Loading items on a few threads of the engine's own.
//!
//! Invariants:
//! - there are at most [`LOADS_AT_ONCE_MAX`] threads, however many items are to be loaded; they end with
//!   the engine;
//! - loads begin in the order in which they were asked for.
//!
//! A runtime's pool for blocking work starts another thread whenever none is idle at that very moment,
//! and under steady work none is ever idle for long enough to end: it grows, and with it the memory that
//! threads keep for themselves.

use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

use crate::Error;
use crate::settings::LOADS_AT_ONCE_MAX;

type Job = Box<dyn FnOnce() + Send>;

/// The threads that load items.
#[derive(Debug)]
pub(crate) struct Loads {
    jobs: Mutex<Sender<Job>>,
}

impl Loads {
    /// Starts the threads.
    pub(crate) fn start() -> std::io::Result<Self> {
        let (sender, receiver) = mpsc::channel();
        let receiver = Arc::new(Mutex::new(receiver));
        for _ in 0..LOADS_AT_ONCE_MAX {
            let receiver = receiver.clone();
            let thread = std::thread::Builder::new().name("systole-load".to_owned());
            thread.spawn(move || work(&receiver))?;
        }
        Ok(Self { jobs: Mutex::new(sender) })
    }

    /// Runs `load` when its turn comes.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        load: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        // Whoever asked may have gone.
        let job: Job = Box::new(move || drop(reply.send(load())));
        let sent = self.jobs.lock().unwrap_or_else(PoisonError::into_inner).send(job);
        sent.map_err(|_| Error::closed("the engine"))?;
        answer.await.map_err(|_| Error::internal("loading an item failed"))
    }
}

/// Runs jobs until nobody can ask for more. A load that panics breaks its own item alone.
fn work(jobs: &Mutex<Receiver<Job>>) {
    loop {
        let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = next else { return };
        // The reply is dropped by the panic, which is how its asker learns of it.
        drop(std::panic::catch_unwind(std::panic::AssertUnwindSafe(job)));
    }
}

//! A caller that goes on when something fails, and remembers what it was promised.
//!
//! Invariants:
//! - nothing may fail before a fault was injected;
//! - what was acknowledged is never unsaid: a promise is dropped only where the power was lost before
//!   anything made it durable.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use systole::{Engine, Error, ErrorKind, ItemId, Party, PartyKey};
use systole_store::{Call, Faulty};
use systole_tests::{oracle, within};

/// What was acknowledged: this word stands in that item.
#[derive(Clone, Debug)]
pub(crate) struct Promise {
    pub(crate) party: PartyKey,
    pub(crate) item: ItemId,
    pub(crate) word: String,
    pub(crate) durable: bool,
}

/// What a caller has seen of an engine, over all its openings.
pub(crate) struct Caller {
    pub(crate) faulty: Arc<Faulty>,
    pub(crate) promises: Vec<Promise>,
    /// Parties whose founding or joining was acknowledged.
    pub(crate) parties: Vec<PartyKey>,
    pub(crate) preference: Option<String>,
    /// What was refused, and how.
    pub(crate) refused: Vec<(&'static str, Option<Error>)>,
    words: usize,
}

impl Caller {
    pub(crate) fn new(faulty: Arc<Faulty>) -> Self {
        let (promises, parties, refused) = (Vec::new(), Vec::new(), Vec::new());
        Self { faulty, promises, parties, preference: None, refused, words: 0 }
    }

    /// A word that was never used before.
    pub(crate) fn word(&mut self) -> String {
        self.words += 1;
        format!("<{}>", self.words)
    }

    /// What `step` gives; `None` if it fails, which it must not do before there was a fault.
    pub(crate) async fn attempt<T>(
        &mut self,
        what: &'static str,
        step: impl Future<Output = Result<T, Error>>,
    ) -> Option<T> {
        let refused = match within(what, caught(step)).await {
            Some(Ok(value)) => return Some(value),
            Some(Err(error)) => Some(error),
            None => None,
        };
        assert!(self.injected() > 0, "{what} failed without a fault: {refused:?}");
        self.refused.push((what, refused));
        None
    }

    /// Faults so far.
    pub(crate) fn injected(&self) -> u64 {
        [Call::Read, Call::Write, Call::Sync].map(|call| self.faulty.injected(call)).iter().sum()
    }

    /// Faults so far after which nothing may be written.
    fn injected_writing(&self) -> u64 {
        self.faulty.injected(Call::Write) + self.faulty.injected(Call::Sync)
    }

    /// A word was acknowledged.
    pub(crate) fn promised(&mut self, party: PartyKey, item: ItemId, word: String, durable: bool) {
        self.promises.push(Promise { party, item, word, durable });
        if durable {
            self.all_durable();
        }
    }

    /// Whatever was written before something durable is durable.
    pub(crate) fn all_durable(&mut self) {
        for promise in &mut self.promises {
            promise.durable = true;
        }
    }

    /// The power is lost: what was not durable may or may not be there.
    pub(crate) fn power_lost(&mut self) {
        self.promises.retain(|promise| promise.durable);
    }

    /// Looks at what was promised. What cannot be seen is a refusal, what can must be right.
    pub(crate) async fn look(&mut self, party: &Party) {
        let promises: Vec<Promise> =
            self.promises.iter().filter(|promise| promise.party == party.key()).cloned().collect();
        for promise in promises {
            let seen = self
                .attempt("view", async { oracle::value(party, &party.info(promise.item)?).await });
            if let Some(seen) = seen.await {
                assert!(seen.contains(&promise.word), "{promise:?} is not in {seen:?}");
            }
        }
    }

    /// After a failed write or sync everything that writes is refused, with the first reason.
    pub(crate) async fn check_refusals(
        &mut self,
        before: u64,
        engine: &Engine,
        party: Option<&Party>,
    ) {
        if self.injected_writing() == before {
            return;
        }
        let mut refusals = Vec::new();
        for _ in 0..2 {
            let refused = within("a preference", engine.set_preference("late", Some(b"x"))).await;
            refusals.push(("a preference", refused.err()));
        }
        if let Some(party) = party {
            let refused = within("an item", party.create(systole::NewItem::<systole::Text>::new()));
            refusals.push(("an item", refused.await.err()));
        }
        for (what, error) in refusals {
            let error = error.unwrap_or_else(|| panic!("{what} is written after a fault"));
            let reason = chain(&error);
            let named = reason.contains("injected") || reason.contains("panicked");
            let closed = error.kind() == ErrorKind::Closed;
            assert!(named || closed, "{what} does not say why: {error:?}");
            let full = error.kind() == ErrorKind::Unavailable && reason.contains("disk is full");
            assert!(closed || full || error.kind() == ErrorKind::Corrupt, "{what}: {error:?}");
        }
    }

    /// The faults to give to [`Self::check_refusals`] later.
    pub(crate) fn writing_faults(&self) -> u64 {
        self.injected_writing()
    }
}

/// An error and its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut chain = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        chain = format!("{chain}: {error}");
        source = error.source();
    }
    chain
}

/// What a future gives; `None` if it panics.
async fn caught<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    std::future::poll_fn(|context| {
        let poll = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context)));
        poll.map_or(Poll::Ready(None), |poll| poll.map(Some))
    })
    .await
}

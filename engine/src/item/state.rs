//! One item's state: its model, its metadata, and which messages they contain.
//!
//! Pure: no tokio, no actor, no store. Invariants:
//! - a message with an ordinal at or below [`ItemState::ordinal`] is already contained and is skipped;
//! - the causal past that a model sees names exactly the feeds that wrote to this item within that
//!   past, so it is the same on every replica;
//! - after a panic of the model the state answers nothing and changes no more: it is `broken`.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use systole_models::Model as _;
use systole_models::{
    self as models, AnyModel, AnyOutcome, CausalPast, Message, MutateError, Object, ObjectChange,
    ObjectMutation, Origin, Outcome,
};
use systole_proto::{FeedKey, Stamp};
use systole_store::{FeedNo, ItemRecord, LogEntry};

use crate::party::causal::Past;
use crate::party::effect::LABEL_METADATA;
use crate::{Error, ErrorKind};

/// A message on its way to an item.
#[derive(Clone, Debug)]
pub(crate) struct Incoming {
    pub(crate) entry: LogEntry,
    pub(crate) key: FeedKey,
    pub(crate) past: Arc<Past>,
    pub(crate) payload: Bytes,
}

/// Where a local mutation will stand.
#[derive(Clone, Debug)]
pub(crate) struct Placement {
    pub(crate) feed: FeedNo,
    pub(crate) key: FeedKey,
    pub(crate) seq: u64,
    pub(crate) lamport: u64,
    pub(crate) stamp: Stamp,
    pub(crate) effective_at: Option<i64>,
    pub(crate) past: Arc<Past>,
    pub(crate) ordinal: u64,
}

/// A feed that wrote to the item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Author {
    pub(crate) feed: FeedNo,
    pub(crate) key: FeedKey,
    /// Its first message in the item.
    pub(crate) first: u64,
    /// One past its last message in the item.
    pub(crate) next: u64,
}

/// What a batch did to an item.
#[derive(Debug, Default)]
pub(crate) struct Applied {
    pub(crate) model: Option<AnyOutcome>,
    pub(crate) metadata: Vec<ObjectChange>,
    /// Messages that every replica ignores: feed, seq, and why.
    pub(crate) refused: Vec<(FeedKey, u64, String)>,
    /// Messages that the state now contains and did not before.
    pub(crate) messages: u64,
}

/// One item in memory.
pub(crate) struct ItemState {
    pub(crate) record: Arc<ItemRecord>,
    model: Box<dyn AnyModel>,
    metadata: Object,
    /// Rising by key; shared with the pasts of messages, and another list once a feed is added.
    authors: Arc<Vec<models::Author>>,
    /// For each author, one past its last message.
    nexts: Vec<u64>,
    ordinal: u64,
    broken: Option<String>,
    /// Whether somebody reads what changes.
    heard: bool,
}

impl ItemState {
    /// An item before its first message.
    pub(crate) fn new(record: Arc<ItemRecord>, model: Box<dyn AnyModel>) -> Self {
        Self::restored(record, model, Object::empty(), Vec::new(), 0)
    }

    /// An item as a checkpoint describes it.
    pub(crate) fn restored(
        record: Arc<ItemRecord>,
        model: Box<dyn AnyModel>,
        metadata: Object,
        mut authors: Vec<Author>,
        ordinal: u64,
    ) -> Self {
        authors.sort_unstable_by_key(|author| author.key);
        let nexts = authors.iter().map(|author| author.next).collect();
        let author = |author: &Author| models::Author {
            key: author.key,
            number: author.feed.0,
            first: author.first,
        };
        let authors = Arc::new(authors.iter().map(author).collect());
        Self { record, model, metadata, authors, nexts, ordinal, broken: None, heard: false }
    }

    /// Whether somebody reads what changes from here on.
    pub(crate) fn hear(&mut self, heard: bool) {
        self.heard = heard;
    }

    /// Applies messages in the order given; those already contained are skipped.
    pub(crate) fn apply(&mut self, batch: Vec<Incoming>) -> Result<Applied, Error> {
        self.check()?;
        let mut applied = Applied::default();
        let (mut model, mut metadata) = (Vec::new(), Vec::new());
        for incoming in batch {
            if incoming.entry.ordinal <= self.ordinal {
                continue;
            }
            self.ordinal = incoming.entry.ordinal;
            applied.messages += 1;
            let origin = self.origin(
                incoming.entry.feed,
                incoming.key,
                incoming.entry.seq,
                incoming.entry.lamport,
                incoming.entry.stamp,
                incoming.entry.effective_at,
                incoming.past,
            );
            self.wrote(incoming.entry.feed, incoming.key, incoming.entry.seq);
            if incoming.payload.is_empty() {
                continue;
            }
            let list = match incoming.entry.label {
                LABEL_METADATA => &mut metadata,
                _ => &mut model,
            };
            list.push(Message { origin, payload: incoming.payload });
        }
        if !model.is_empty() {
            let outcome = self.guard(|state| state.model.apply(&model, state.heard))?;
            note_refused(&mut applied, &outcome.refused, &model);
            applied.model = Some(outcome);
        }
        if !metadata.is_empty() {
            let mut outcome = Outcome::default();
            self.guard(|state| state.metadata.apply(&metadata, &mut outcome))?;
            note_refused(&mut applied, &outcome.refused, &metadata);
            applied.metadata = outcome.changes;
        }
        Ok(applied)
    }

    /// Applies a local mutation of the model as the message at `at`, and returns its bytes.
    pub(crate) fn mutate(
        &mut self,
        mutation: Box<dyn Any + Send>,
        at: &Placement,
    ) -> Result<(Bytes, Applied), Error> {
        self.check()?;
        let origin = self.local_origin(at);
        let (payload, outcome) = self
            .guard(|state| state.model.mutate(mutation, &origin, state.heard))?
            .map_err(|error| match error {
                MutateError::Rejected(source) => {
                    Error::boxed(ErrorKind::Rejected, "the model refuses the mutation", source)
                }
                other => {
                    Error::caused(ErrorKind::Invalid, "the mutation does not fit the model", other)
                }
            })?;
        let applied = Applied { model: Some(outcome), messages: 1, ..Applied::default() };
        self.place(at);
        Ok((payload, applied))
    }

    /// Applies a local mutation of the metadata as the message at `at`, and returns its bytes.
    pub(crate) fn mutate_metadata(
        &mut self,
        mutation: ObjectMutation,
        at: &Placement,
    ) -> Result<(Bytes, Applied), Error> {
        self.check()?;
        let origin = self.local_origin(at);
        let mut outcome = Outcome::default();
        let payload = self
            .guard(|state| state.metadata.mutate(mutation, &origin, &mut outcome))?
            .map_err(|source| {
            Error::caused(ErrorKind::Rejected, "the metadata refuse the mutation", source)
        })?;
        let applied = Applied { metadata: outcome.changes, messages: 1, ..Applied::default() };
        self.place(at);
        Ok((payload, applied))
    }

    /// The model, while it is sound.
    pub(crate) fn model(&self) -> Result<&dyn AnyModel, Error> {
        self.check()?;
        Ok(&*self.model)
    }

    /// The metadata, while the item is sound.
    pub(crate) fn metadata(&self) -> Result<&Object, Error> {
        self.check()?;
        Ok(&self.metadata)
    }

    /// The feeds that wrote to the item, by rising key.
    pub(crate) fn authors(&self) -> impl Iterator<Item = Author> + '_ {
        self.authors.iter().zip(&self.nexts).map(|(author, next)| Author {
            feed: FeedNo(author.number),
            key: author.key,
            first: author.first,
            next: *next,
        })
    }

    /// Number of the last message contained.
    pub(crate) fn ordinal(&self) -> u64 {
        self.ordinal
    }

    /// Why the item answers nothing any more.
    pub(crate) fn broken(&self) -> Option<&str> {
        self.broken.as_deref()
    }

    /// Estimate of the memory held, in bytes.
    pub(crate) fn memory_bytes(&self) -> usize {
        if self.broken.is_some() {
            return size_of::<Self>();
        }
        size_of::<Self>()
            + self.model.memory_bytes()
            + self.metadata.memory_bytes()
            + self.authors.len() * size_of::<Author>()
    }

    /// [`Self::memory_bytes`], which asks the model, whose panic breaks the item.
    pub(crate) fn measure(&mut self) -> Result<usize, Error> {
        self.guard(|state| state.memory_bytes())
    }

    /// The state of the model and of the metadata as their checkpoints.
    pub(crate) fn checkpoint(&mut self) -> Result<(Vec<u8>, Vec<u8>), Error> {
        self.check()?;
        self.guard(|state| (state.model.checkpoint(), state.metadata.checkpoint()))
    }

    /// Bytes that are equal where model and metadata are.
    pub(crate) fn digest(&mut self) -> Result<(Vec<u8>, Vec<u8>), Error> {
        self.check()?;
        self.guard(|state| (state.model.digest(), state.metadata.digest()))
    }

    fn local_origin(&self, at: &Placement) -> Origin {
        self.origin(at.feed, at.key, at.seq, at.lamport, at.stamp, at.effective_at, at.past.clone())
    }

    /// Notes a message that stands at `at` and carries nothing for the model.
    pub(crate) fn place(&mut self, at: &Placement) {
        assert!(at.ordinal > self.ordinal, "a local message is the item's newest");
        self.ordinal = at.ordinal;
        self.wrote(at.feed, at.key, at.seq);
    }

    #[expect(clippy::too_many_arguments, reason = "an origin has that many parts")]
    fn origin(
        &self,
        feed: FeedNo,
        key: FeedKey,
        seq: u64,
        lamport: u64,
        stamp: Stamp,
        effective_at: Option<i64>,
        past: Arc<Past>,
    ) -> Origin {
        let past = CausalPast::new(self.authors.clone(), past, Some((feed.0, seq)));
        Origin { feed: key, seq, lamport, stamp, effective_at, past }
    }

    fn wrote(&mut self, feed: FeedNo, key: FeedKey, seq: u64) {
        if let Some(at) = self.authors.iter().position(|author| author.number == feed.0) {
            self.nexts[at] = self.nexts[at].max(seq + 1);
            return;
        }
        let at = self.authors.partition_point(|author| author.key < key);
        let author = models::Author { key, number: feed.0, first: seq };
        Arc::make_mut(&mut self.authors).insert(at, author);
        self.nexts.insert(at, seq + 1);
    }

    fn check(&self) -> Result<(), Error> {
        match &self.broken {
            None => Ok(()),
            Some(reason) => {
                Err(Error::internal(format!("the item is quarantined: its model {reason}")))
            }
        }
    }

    /// Runs model code; a panic breaks this item and nothing else.
    fn guard<R>(&mut self, run: impl FnOnce(&mut Self) -> R) -> Result<R, Error> {
        match catch_unwind(AssertUnwindSafe(|| run(self))) {
            Ok(result) => Ok(result),
            Err(panic) => {
                let said = panic
                    .downcast_ref::<&str>()
                    .map(ToString::to_string)
                    .or_else(|| panic.downcast_ref::<String>().cloned())
                    .unwrap_or_else(|| "without a message".to_owned());
                self.broken = Some(format!("panicked: {said}"));
                self.check()?;
                unreachable!("a broken item fails its check")
            }
        }
    }
}

fn note_refused(applied: &mut Applied, refused: &[(usize, String)], messages: &[Message]) {
    for (index, reason) in refused {
        let origin = &messages[*index].origin;
        applied.refused.push((origin.feed, origin.seq, reason.clone()));
    }
}

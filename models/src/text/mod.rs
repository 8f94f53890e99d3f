//! `Text`: text that several people edit at once.
//!
//! ```text
//! mutate:  edits ─► adapter ─► ops with ids ─► wire ─► payload
//! apply:   payload ─► wire ─► history (place, length, targets) ─► adapter ─► changes
//! ```
//!
//! A message carries positions, content and the ids of what it deletes (`wire.rs`). Everything else
//! follows from its causal past (`history.rs`). One file, `adapter.rs`, names the library that
//! merges; another library can read the same feeds. All messages of a batch go in as one import.
//!
//! **What a stranger can do.** A message is refused if its bytes are malformed, if it reaches past
//! the end of the text that its author saw, if it deletes ids that are not in its past, or if it
//! exceeds a bound. Each is a function of the message and its causal past, so all replicas refuse
//! the same; a refused message takes no numbers. Whatever passes is a sequence of edits that some
//! author could have made, which is all that the library relies on: it places ops by position. The
//! ids of deleted text are proven to exist, not to stand at the position; the library keeps them as
//! hints, and nothing here reads them.
//!
//! **Cost.** The length an author saw is known at once, except while authors delete the same code
//! points unseen by each other and then write at the very end: then the text is built once as that
//! author saw it. A hostile author can force that with a few messages each time, at a cost that
//! grows with the history.
//!
//! Invariants: `history` and `document` hold the same messages whenever a public method returns;
//! `length` is that of the document; `repeats` is exact for what the document holds.

mod adapter;
mod admit;
mod author;
mod change;
mod checkpoint;
mod columns;
mod history;
mod peers;
mod wire;

use std::fmt;
use std::ops::Range;

use bytes::Bytes;

use crate::{CorruptCheckpoint, Message, Model, Order, Origin, Outcome};
use adapter::{Document, FailedEdit, PeerEnd};
use history::{History, Reach};
use wire::WireOp;

/// Up to so many messages at once are made as edits if nothing is concurrent to them: an import
/// costs about as much as two, and leaves pieces behind.
const REPLAYS_MAX: usize = 4;
/// So many single imports make a document worth compacting. They leave pieces of a few code points
/// each, which cost memory and make the first edit after a restore slow.
const IMPORTS_MAX: u64 = 4096;

// Measured: what the heap grew by.
const BASE_BYTES: usize = 14 << 10;
const BYTES_PER_NUMBER: u64 = 10;
const BYTES_PER_IMPORT: u64 = 70;

pub use change::{TextChange, TextMutation, TextRejection};
pub use history::TEXT_CHARS_MAX;
pub use wire::{TEXT_BYTES_MAX, TEXT_OPS_MAX};

/// Plain text, edited by any number of people at once.
///
/// ```
/// use systole_models::{Model, Text};
///
/// let text = Text::empty();
/// assert_eq!(text.to_string(), "");
/// assert_eq!(text.len(), 0);
/// ```
pub struct Text {
    document: Document,
    history: History,
    /// Code points in the document.
    length: u64,
    /// Deletes in the document of what another feed deleted as well.
    repeats: u64,
    /// At most so many more are queued.
    repeats_queued: u64,
    /// Bytes of the snapshot that the document was read from.
    snapshot_bytes: usize,
    /// Numbers added since.
    added: u64,
    /// Imports since the document was last compact.
    imports: u64,
}

impl Text {
    /// Number of Unicode code points.
    pub const fn len(&self) -> usize {
        self.length as usize
    }

    /// Whether there is no text.
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Number of UTF-16 code units.
    pub fn len_utf16(&self) -> usize {
        self.document.length_utf16()
    }

    /// The code points in `range`; `None` if it reaches past the end or runs backwards.
    pub fn slice(&self, range: Range<usize>) -> Option<String> {
        if range.start > range.end || range.end > self.len() {
            return None;
        }
        self.document.slice(range.start, range.end)
    }

    /// Makes the queued messages part of the document.
    fn flush(&mut self, changes: &mut Vec<TextChange>) {
        self.imports += u64::from(self.document.flush());
        self.take_changes(changes);
        let total = self.history.total;
        let repeats = self.length as i64 - (total.inserted - total.deleted);
        self.repeats = u64::try_from(repeats).expect("the document holds what the tables counted");
        self.repeats_queued = 0;
    }

    /// Moves what happened to the document into `changes` and counts its length on.
    fn take_changes(&mut self, changes: &mut Vec<TextChange>) {
        let fresh = self.document.take_changes();
        for change in &fresh {
            match change {
                TextChange::Insert { text, .. } => self.length += text.chars().count() as u64,
                TextChange::Delete { len, .. } => self.length -= *len as u64,
            }
        }
        changes.extend(fresh);
    }

    fn peer_end(&self, reach: &Reach) -> PeerEnd {
        (self.history.peer(reach.track), reach.end)
    }

    fn version(&self) -> Vec<PeerEnd> {
        self.history.ends().map(|reach| self.peer_end(&reach)).collect()
    }
}

impl Model for Text {
    const TYPE: &'static str = "systole.text";
    const VERSION: u32 = 1;
    const ORDER: Order = Order::Causal;
    /// 1: concurrent inserts at one place stand in the order of Fugue, ties by hash of feed key.
    const ALGORITHM: u32 = 1;
    type Mutation = TextMutation;
    type Change = TextChange;
    type Rejection = TextRejection;

    fn empty() -> Self {
        Self {
            document: Document::new(),
            history: History::default(),
            length: 0,
            repeats: 0,
            repeats_queued: 0,
            snapshot_bytes: 0,
            added: 0,
            imports: 0,
        }
    }

    /// # Panics
    ///
    /// If the message at `origin` was applied before. And if the library panics; the text is then
    /// unusable and only good for being dropped.
    fn mutate(
        &mut self,
        mutation: TextMutation,
        origin: &Origin,
        outcome: &mut Outcome<TextChange>,
    ) -> Result<Bytes, TextRejection> {
        let edits = self.precheck(mutation.edits, mutation.unit)?;
        let track = self.history.track_of(origin.feed);
        assert!(!self.history.is_applied(track, origin.seq), "a local message is new");
        let place = self.history.place(track, origin, self.repeats..=self.repeats);
        if !place.sees_all {
            return Err(TextRejection::Stale);
        }
        let inserted: usize = edits.iter().map(inserted).sum();
        if place.total.inserted + inserted as i64 > TEXT_CHARS_MAX as i64 {
            return Err(TextRejection::TooLarge);
        }
        let peer = self.history.peer(track);
        let edited = self.document.edit(peer, place.start, &edits, mutation.unit);
        let written = edited.and_then(|ops| {
            let written = self.write(&place, origin, &ops);
            written.map_err(|rejection| FailedEdit { rejection, dirty: true })
        });
        let payload = written.map_err(|failed| {
            if failed.dirty {
                self.document.rewind(&self.version());
            }
            failed.rejection
        })?;
        let ops = wire::decode(&payload).expect("a message of our own is well formed");
        self.history.record(&place, origin, ops.iter().map(numbers));
        self.history.advance(track, origin.seq);
        self.added += ops.iter().map(|op| numbers(op).0 as u64).sum::<u64>();
        self.take_changes(&mut outcome.changes);
        Ok(payload.into())
    }

    /// # Panics
    ///
    /// If the library panics; the text is then unusable and only good for being dropped.
    fn apply(&mut self, batch: &[Message], outcome: &mut Outcome<TextChange>) {
        for (index, message) in batch.iter().enumerate() {
            let track = self.history.track_of(message.origin.feed);
            if self.history.is_applied(track, message.origin.seq) {
                continue;
            }
            let few = batch.len() <= REPLAYS_MAX;
            if let Err(reason) = self.admit(track, message, few, &mut outcome.changes) {
                outcome.refuse(index, reason);
            }
            self.history.advance(track, message.origin.seq);
        }
        self.flush(&mut outcome.changes);
        // Every number is compacted a bounded number of times on average.
        if self.imports >= IMPORTS_MAX.max(self.history.total.numbers() as u64 / 4) {
            self.document.compact();
            self.imports = 0;
        }
    }

    /// # Panics
    ///
    /// If the library panics, or if what it writes does not read back as the same text.
    fn checkpoint(&self) -> Vec<u8> {
        checkpoint::encode(&self.history, self.length, self.repeats, &self.document.snapshot())
    }

    fn restore(bytes: &[u8]) -> Result<Self, CorruptCheckpoint> {
        let corrupt = |reason: &str| CorruptCheckpoint(format!("text: {reason}"));
        let (header, snapshot) = checkpoint::decode(bytes).map_err(corrupt)?;
        let document =
            Document::from_snapshot(snapshot, header.length).map_err(|error| corrupt(&error))?;
        let text = Self {
            document,
            history: header.history,
            length: header.length,
            repeats: header.repeats,
            repeats_queued: 0,
            snapshot_bytes: snapshot.len(),
            added: 0,
            imports: 0,
        };
        if !text.document.is_at(&text.version()) {
            return Err(corrupt("tables and snapshot disagree"));
        }
        Ok(text)
    }

    /// The text, and what was applied of each feed.
    fn digest(&self) -> Vec<u8> {
        let mut digest = blake3::Hasher::new();
        digest.update(self.to_string().as_bytes());
        // A feed of which only mutations were refused has a track, too.
        let mut tracks: Vec<_> =
            self.history.tracks.iter().filter(|track| track.length > 0).collect();
        tracks.sort_unstable_by_key(|track| track.feed);
        for track in tracks {
            digest.update(track.feed.as_bytes());
            digest.update(&track.length.to_be_bytes());
            digest.update(&track.ends.last().to_be_bytes());
        }
        digest.finalize().as_bytes().to_vec()
    }

    fn memory_bytes(&self) -> usize {
        let pieces = self.added * BYTES_PER_NUMBER + self.imports * BYTES_PER_IMPORT;
        BASE_BYTES + self.history.memory_bytes() + 4 * self.snapshot_bytes + pieces as usize
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.document.to_text())
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Text").field("length", &self.length).finish_non_exhaustive()
    }
}

/// Code points that an edit inserts.
fn inserted(edit: &TextChange) -> usize {
    match edit {
        TextChange::Insert { text, .. } => text.chars().count(),
        TextChange::Delete { .. } => 0,
    }
}

/// How many numbers an op takes, and whether it inserts.
fn numbers(op: &WireOp<'_>) -> (i32, bool) {
    match op {
        WireOp::Insert { text, .. } => (text.chars().count() as i32, true),
        WireOp::Delete { len, .. } => (*len as i32, false),
    }
}

#[cfg(test)]
mod tests;

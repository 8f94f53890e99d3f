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
use adapter::{Document, DocumentOp, FailedEdit, PeerEnd};
use history::{History, Place, Reach, Repeats};
use wire::{WireFeed, WireOp};

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

use change::Unit;

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

    /// Checks one message and queues its ops.
    fn admit(
        &mut self,
        track: usize,
        message: &Message,
        few: bool,
        changes: &mut Vec<TextChange>,
    ) -> Result<(), String> {
        let origin = &message.origin;
        let ops = wire::decode(&message.payload).map_err(|malformed| malformed.to_string())?;
        let whole = self.repeats..=self.repeats + self.repeats_queued;
        let mut place = self.history.place(track, origin, whole);
        let checked = self.check(&place, origin, &ops)?;
        self.require_length(&mut place, checked.reaches, changes)?;

        let peer = self.history.peer(track);
        if few && place.sees_all && self.document.is_flushed() {
            self.document.replay(peer, &checked.ops);
            self.take_changes(changes);
        } else {
            let deps: Vec<PeerEnd> = place.deps.iter().map(|dep| self.peer_end(dep)).collect();
            self.document.queue(peer, place.start, &deps, checked.ops.into_iter());
        }
        if !place.sees_all {
            self.repeats_queued += u64::from(checked.deleted);
        }
        self.history.record(&place, origin, ops.iter().map(numbers));
        self.added += checked.numbers as u64;
        Ok(())
    }

    /// Checks everything but the length of the author's text, and says how long that must be.
    fn check(&self, place: &Place, origin: &Origin, ops: &[WireOp<'_>]) -> Result<Checked, String> {
        let mut checked = Checked::default();
        let mut others = None;
        for op in ops {
            let (count, _) = numbers(op);
            // Text of one message is bounded, so the sum stays small; a delete is as long as its
            // author claims.
            let next = i64::from(place.start) + checked.numbers;
            let shift = checked.inserted - i64::from(checked.deleted);
            match *op {
                WireOp::Insert { at, text } => {
                    checked.reaches = checked.reaches.max(i64::from(at) - shift);
                    checked.inserted += i64::from(count);
                    checked.ops.push(DocumentOp::Insert { at, text: text.to_owned() });
                }
                WireOp::Delete { at, len, feed, back } => {
                    checked.reaches = checked.reaches.max(i64::from(at) + i64::from(len) - shift);
                    if checked.reaches > TEXT_CHARS_MAX as i64 {
                        return Err("message reaches past any text".to_owned());
                    }
                    checked.deleted += len;
                    let (target, end) = match feed {
                        WireFeed::Own => (place.track, next),
                        WireFeed::Other(index) => {
                            let others = others.get_or_insert_with(|| {
                                self.history.others(place.track, &origin.past).collect::<Vec<_>>()
                            });
                            let reach = usize::try_from(index).ok().and_then(|i| others.get(i));
                            let reach: &Reach = reach.ok_or("deleted feed is not in the past")?;
                            (reach.track, i64::from(reach.end))
                        }
                    };
                    let first = end - i64::from(back);
                    if first < 0 || first + i64::from(len) > end {
                        return Err("deleted text is not in the past".to_owned());
                    }
                    let (peer, counter) = (self.history.peer(target), first as i32);
                    checked.ops.push(DocumentOp::Delete { at, len, peer, counter });
                }
            }
            checked.numbers += i64::from(count);
        }
        if place.total.inserted + checked.inserted > TEXT_CHARS_MAX as i64 {
            return Err("text is too large".to_owned());
        }
        Ok(checked)
    }

    /// Refuses a message that needs a longer text than its author saw. Where that length is not
    /// known from the tables, it is found out, and `place` keeps it.
    fn require_length(
        &mut self,
        place: &mut Place,
        reaches: i64,
        changes: &mut Vec<TextChange>,
    ) -> Result<(), String> {
        if reaches > place.length() && place.repeats.vague {
            self.flush(changes);
            let possible = (self.repeats - place.repeats.at_least) as i64;
            if place.sees_all {
                place.repeats = Repeats { at_least: self.repeats, vague: false };
            } else if reaches <= place.length() + possible {
                let version: Vec<PeerEnd> =
                    self.history.version(place).iter().map(|reach| self.peer_end(reach)).collect();
                let missing = self.document.length_at(&version) as i64 - place.length();
                assert!(
                    (0..=possible).contains(&missing),
                    "a version's length contradicts the tables"
                );
                let at_least = place.repeats.at_least + missing as u64;
                place.repeats = Repeats { at_least, vague: false };
            }
        }
        if reaches <= place.length() {
            Ok(())
        } else {
            Err("message reaches past the end of its author's text".to_owned())
        }
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

    /// The edits that do something, if they are within bounds as far as that is known without the
    /// text.
    fn precheck(
        &self,
        edits: Vec<TextChange>,
        unit: Unit,
    ) -> Result<Vec<TextChange>, TextRejection> {
        let edits: Vec<TextChange> = edits.into_iter().filter(|edit| !edit.is_empty()).collect();
        if edits.is_empty() {
            return Err(TextRejection::Empty);
        }
        if edits.len() > TEXT_OPS_MAX {
            return Err(TextRejection::TooManyOps);
        }
        let mut length = self.len();
        let mut bytes = 0;
        for edit in &edits {
            let (end, after) = match edit {
                TextChange::Insert { at, text } => {
                    bytes += text.len();
                    (*at, length + inserted(edit))
                }
                TextChange::Delete { at, len } => {
                    let end = at.saturating_add(*len);
                    (end, length.saturating_sub(*len))
                }
            };
            // UTF-16 lengths are known by the document only; it checks edit by edit.
            if unit == Unit::CodePoint && end > length {
                return Err(TextRejection::OutOfBounds { at: end, length });
            }
            length = after;
        }
        if bytes > TEXT_BYTES_MAX { Err(TextRejection::TooLarge) } else { Ok(edits) }
    }

    /// Ops of our own as a message.
    fn write(
        &self,
        place: &Place,
        origin: &Origin,
        ops: &[DocumentOp],
    ) -> Result<Vec<u8>, TextRejection> {
        if ops.len() > TEXT_OPS_MAX {
            return Err(TextRejection::TooManyOps);
        }
        let mut others = None;
        let mut next = place.start;
        let mut written = Vec::with_capacity(ops.len());
        for op in ops {
            written.push(match op {
                DocumentOp::Insert { at, text } => WireOp::Insert { at: *at, text },
                DocumentOp::Delete { at, len, peer, counter } => {
                    let (feed, end) = if *peer == self.history.peer(place.track) {
                        (WireFeed::Own, next)
                    } else {
                        let others = others.get_or_insert_with(|| {
                            self.history.others(place.track, &origin.past).collect::<Vec<_>>()
                        });
                        let position =
                            others.iter().position(|reach| self.history.peer(reach.track) == *peer);
                        let index = position.expect("deleted text is in the past");
                        (WireFeed::Other(index as u32), others[index].end)
                    };
                    WireOp::Delete { at: *at, len: *len, feed, back: (end - counter) as u32 }
                }
            });
            next += numbers(&written[written.len() - 1]).0;
        }
        let payload = wire::encode(&written);
        if payload.len() > TEXT_BYTES_MAX { Err(TextRejection::TooLarge) } else { Ok(payload) }
    }

    /// Code points that were ever inserted or deleted.
    const fn numbers(&self) -> u64 {
        (self.history.total.inserted + self.history.total.deleted) as u64
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
        if self.imports >= IMPORTS_MAX.max(self.numbers() / 4) {
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

/// What [`Text::check`] found.
#[derive(Default)]
struct Checked {
    ops: Vec<DocumentOp>,
    /// Length that the author's text must have had.
    reaches: i64,
    inserted: i64,
    deleted: u32,
    numbers: i64,
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

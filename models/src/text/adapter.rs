//! The one file that names Loro: it holds the text and merges concurrent edits.
//!
//! Loro is given structs that [`super`] built and checked, never bytes of a stranger. The only
//! bytes it reads are its own snapshots, behind our checksum.
//!
//! **Panics.** Loro poisons its locks when it panics and locks them again when it is dropped, which
//! would abort the process. So every call runs in [`Document::guard`]: after a panic the library's
//! objects are leaked, the document refuses all further use by panicking, and dropping it is
//! harmless. Documents that are made inside a guarded call stand in [`ManuallyDrop`] for the same
//! reason.
//!
//! Invariants: nothing is queued and no edit is uncommitted when a public method of
//! [`Text`](super::Text) returns.

use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use loro::cursor::PosType;
use loro::event::{Diff, DiffEvent};
use loro::{
    ContainerID, ContainerType, ExportMode, Frontiers, ID, IdSpan, JsonChange, JsonOp,
    JsonOpContent, JsonSchema, JsonTextOp, LoroDoc, LoroText, Subscription, TextDelta,
    VersionVector,
};

use super::change::{TextChange, TextRejection, Unit};

const CONTAINER: &str = "t";
/// Code points of a text that is not edited straight from a snapshot. The library unpacks a
/// snapshot's state in time that grows with the square of the text; building it from the history is
/// linear.
const FROZEN_CHARS_MIN: u64 = 128 << 10;

/// One op with ids, as the library wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum DocumentOp {
    Insert { at: u32, text: String },
    Delete { at: u32, len: u32, peer: u64, counter: i32 },
}

/// How far one peer's numbers reach.
pub(super) type PeerEnd = (u64, i32);

/// The text with its history.
pub(super) struct Document {
    /// `None` once a panic made it unusable and it was leaked.
    library: Option<Library>,
    broken: AtomicBool,
    queue: Vec<JsonChange>,
    /// The next number of the last queued change's peer and how many code points its last insert
    /// holds.
    queue_tail: (i32, u32),
    /// Peer that edits are made as.
    peer: Option<u64>,
    /// Whether the state is better built anew than unpacked. Only whole-text reads are cheap then.
    frozen: bool,
    container: ContainerID,
}

struct Library {
    doc: LoroDoc,
    text: LoroText,
    changes: Arc<Mutex<Vec<TextChange>>>,
    _subscription: Subscription,
}

impl Document {
    /// A text without history.
    pub(super) fn new() -> Self {
        Self::open(None).expect("a fresh document has no bytes to refuse")
    }

    /// The text of `length` code points in a snapshot of ours. It stays packed until it is edited.
    pub(super) fn from_snapshot(snapshot: &[u8], length: u64) -> Result<Self, String> {
        let mut document = Self::open(Some(snapshot))?;
        document.frozen = length >= FROZEN_CHARS_MIN;
        Ok(document)
    }

    fn open(snapshot: Option<&[u8]>) -> Result<Self, String> {
        let opened = catch_unwind(|| {
            let doc = ManuallyDrop::new(load(snapshot)?);
            let text = ManuallyDrop::new(doc.get_text(CONTAINER));
            let changes = Arc::new(Mutex::new(Vec::new()));
            let sink = changes.clone();
            let subscription = ManuallyDrop::new(doc.subscribe_root(Arc::new(move |event| {
                collect(&event, &mut sink.lock().unwrap_or_else(PoisonError::into_inner));
            })));
            Ok::<_, String>(Library {
                doc: ManuallyDrop::into_inner(doc),
                text: ManuallyDrop::into_inner(text),
                changes,
                _subscription: ManuallyDrop::into_inner(subscription),
            })
        });
        let library = opened.map_err(|_| "the text library panicked".to_owned())??;
        Ok(Self {
            library: Some(library),
            broken: AtomicBool::new(false),
            queue: Vec::new(),
            queue_tail: (0, 0),
            peer: None,
            frozen: false,
            container: ContainerID::new_root(CONTAINER, ContainerType::Text),
        })
    }

    /// Runs `call` with the library's objects; a panic in it marks the document broken and goes on.
    fn guard<R>(&self, call: impl FnOnce(&Library) -> R) -> R {
        assert!(!self.broken.load(Ordering::Relaxed), "text is broken by an earlier panic");
        let library = self.library.as_ref().expect("leaked only when broken or dropped");
        match catch_unwind(AssertUnwindSafe(|| call(library))) {
            Ok(value) => value,
            Err(panic) => {
                self.broken.store(true, Ordering::Relaxed);
                resume_unwind(panic)
            }
        }
    }

    /// Queues ops of `peer` from number `start` on, after `deps`. They count once
    /// [`Document::flush`] ran.
    pub(super) fn queue(
        &mut self,
        peer: u64,
        start: i32,
        deps: &[PeerEnd],
        ops: impl Iterator<Item = DocumentOp>,
    ) {
        let follows = *deps == [(peer, start)]
            && self.queue.last().is_some_and(|change| change.id.peer == peer)
            && self.queue_tail.0 == start;
        if !follows {
            // One change per message would do as well; one for a whole run of typing is cheaper.
            let deps = deps.iter().map(|&(peer, end)| ID::new(peer, end - 1)).collect();
            let id = ID::new(peer, start);
            self.queue.push(JsonChange {
                id,
                timestamp: 0,
                deps,
                lamport: 0,
                msg: None,
                ops: Vec::new(),
            });
            self.queue_tail = (start, 0);
        }
        let change = self.queue.last_mut().expect("pushed above or followed");
        let (next, tail) = &mut self.queue_tail;
        for op in ops {
            let counter = *next;
            let content = match op {
                DocumentOp::Insert { at, text } => {
                    let chars = text.chars().count() as u32;
                    *next += chars as i32;
                    if let Some(JsonOp {
                        content: JsonOpContent::Text(JsonTextOp::Insert { pos, text: before }),
                        ..
                    }) = change.ops.last_mut()
                        && *pos + *tail == at
                    {
                        before.push_str(&text);
                        *tail += chars;
                        continue;
                    }
                    *tail = chars;
                    JsonTextOp::Insert { pos: at, text }
                }
                DocumentOp::Delete { at, len, peer, counter: target } => {
                    *next += len as i32;
                    let start_id = ID::new(peer, target);
                    JsonTextOp::Delete { pos: at as i32, len: len as i32, start_id }
                }
            };
            let container = self.container.clone();
            change.ops.push(JsonOp { content: JsonOpContent::Text(content), container, counter });
        }
    }

    /// Makes everything queued part of the text, in one go; tells whether there was any.
    pub(super) fn flush(&mut self) -> bool {
        if self.queue.is_empty() {
            return false;
        }
        let changes = std::mem::take(&mut self.queue);
        self.thaw();
        self.guard(|library| {
            let schema = JsonSchema {
                schema_version: 1,
                start_version: Frontiers::default(),
                peers: None,
                changes,
            };
            // The history was checked before it was queued: whatever fails here is a bug, and the
            // text is unusable.
            match library.doc.import_json_updates(schema) {
                Ok(status) if status.pending.is_none() => {}
                Ok(_) => panic!("the text library misses a dependency"),
                Err(error) => panic!("the text library refuses a checked history: {error}"),
            }
        });
        true
    }

    /// Whether nothing is queued.
    pub(super) const fn is_flushed(&self) -> bool {
        self.queue.is_empty()
    }

    /// Makes ops of `peer` that saw the text as it stands, as if they were made here. Cheaper than
    /// an import of one message, and it leaves the text in fewer pieces. The library finds the ids
    /// of deleted text itself.
    pub(super) fn replay(&mut self, peer: u64, ops: &[DocumentOp]) {
        self.write_as(peer);
        self.guard(|library| {
            for op in ops {
                let made = match op {
                    DocumentOp::Insert { at, text } => library.text.insert(*at as usize, text),
                    DocumentOp::Delete { at, len, .. } => {
                        library.text.delete(*at as usize, *len as usize)
                    }
                };
                made.expect("ops were checked against the length of the text");
            }
            library.doc.commit();
        });
    }

    fn thaw(&mut self) {
        if self.frozen {
            self.compact();
        }
    }

    fn write_as(&mut self, peer: u64) {
        self.thaw();
        if self.peer != Some(peer) {
            let set = self.guard(|library| library.doc.set_peer_id(peer));
            set.expect("history never hands out the reserved peer");
            self.peer = Some(peer);
        }
    }

    /// Makes `edits` as `peer`, whose next number is `start`, and gives them back with ids. On an
    /// error some edits may be made: the caller then calls [`Document::rewind`] if the error says
    /// so.
    pub(super) fn edit(
        &mut self,
        peer: u64,
        start: i32,
        edits: &[TextChange],
        unit: Unit,
    ) -> Result<Vec<DocumentOp>, FailedEdit> {
        self.write_as(peer);
        self.guard(|library| {
            let mut end = start;
            for (index, edit) in edits.iter().enumerate() {
                let located = locate(&library.text, edit, unit);
                let (at, len) =
                    located.map_err(|rejection| FailedEdit { rejection, dirty: index > 0 })?;
                let made = match edit {
                    TextChange::Insert { text, .. } => {
                        end += text.chars().count() as i32;
                        library.text.insert(at, text)
                    }
                    TextChange::Delete { .. } => {
                        end += len as i32;
                        library.text.delete(at, len)
                    }
                };
                made.expect("position lies within the text");
            }
            library.doc.commit();
            let changes = library.doc.export_json_in_id_span(IdSpan::new(peer, start, end));
            let mut next = start;
            let mut ops = Vec::new();
            for op in changes.into_iter().flat_map(|change| change.ops) {
                assert_eq!(op.counter, next, "exported ops have a gap");
                next += unpack(op.content, &mut ops);
            }
            assert_eq!(next, end, "exported ops are incomplete");
            Ok(ops)
        })
    }

    /// Forgets everything beyond `version`. Costs as much as building the text again.
    pub(super) fn rewind(&mut self, version: &[PeerEnd]) {
        let old = self.guard(|library| {
            library.doc.commit();
            export_until(&library.doc, version)
        });
        let mut fresh = Self::new();
        fresh.guard(|library| import_all(&library.doc, &old));
        fresh.take_changes();
        self.replace(fresh);
    }

    /// Builds the text again from its history, which merges the small pieces that single imports
    /// leave behind.
    pub(super) fn compact(&mut self) {
        let (history, text) = self.guard(|library| {
            let all = ExportMode::all_updates();
            let history = library.doc.export(all).expect("a whole history exports");
            (history, library.text.to_string())
        });
        let mut fresh = Self::new();
        fresh.guard(|library| import_all(&library.doc, &history));
        assert!(fresh.to_text() == text, "a history does not give the text it came from");
        fresh.take_changes();
        self.replace(fresh);
    }

    fn replace(&mut self, fresh: Self) {
        debug_assert!(self.queue.is_empty(), "queued ops would be lost");
        *self = fresh;
    }

    /// Length of the text at an earlier version. Costs as much as building it again.
    pub(super) fn length_at(&self, version: &[PeerEnd]) -> usize {
        self.guard(|library| {
            let doc = ManuallyDrop::new(LoroDoc::new());
            import_all(&doc, &export_until(&library.doc, version));
            let length = doc.get_text(CONTAINER).len_unicode();
            drop(ManuallyDrop::into_inner(doc));
            length
        })
    }

    /// What happened to the text since the last call.
    pub(super) fn take_changes(&mut self) -> Vec<TextChange> {
        self.guard(|library| {
            std::mem::take(&mut *library.changes.lock().unwrap_or_else(PoisonError::into_inner))
        })
    }

    /// The whole history and state as bytes for [`Document::from_snapshot`], proven to load.
    pub(super) fn snapshot(&self) -> Vec<u8> {
        self.guard(|library| {
            let snapshot =
                library.doc.export(ExportMode::Snapshot).expect("a whole document exports");
            let again =
                ManuallyDrop::new(load(Some(&snapshot)).expect("a snapshot of our own loads"));
            assert!(
                again.oplog_vv() == library.doc.oplog_vv()
                    && again.get_text(CONTAINER).to_string() == library.text.to_string(),
                "a snapshot does not hold what was put in"
            );
            drop(ManuallyDrop::into_inner(again));
            snapshot
        })
    }

    /// Whether the history is exactly `version`.
    pub(super) fn is_at(&self, version: &[PeerEnd]) -> bool {
        self.guard(|library| library.doc.oplog_vv() == vector(version))
    }

    pub(super) fn to_text(&self) -> String {
        self.guard(|library| library.text.to_string())
    }

    pub(super) fn slice(&self, start: usize, end: usize) -> Option<String> {
        if self.frozen {
            return Some(self.to_text().chars().skip(start).take(end - start).collect());
        }
        self.guard(|library| library.text.slice(start, end).ok())
    }

    pub(super) fn length_utf16(&self) -> usize {
        if self.frozen {
            return self.to_text().encode_utf16().count();
        }
        self.guard(|library| library.text.len_utf16())
    }
}

impl Drop for Document {
    fn drop(&mut self) {
        if *self.broken.get_mut() {
            std::mem::forget(self.library.take());
        }
    }
}

/// Why [`Document::edit`] stopped, and whether it had changed the text.
pub(super) struct FailedEdit {
    pub(super) rejection: TextRejection,
    pub(super) dirty: bool,
}

fn load(snapshot: Option<&[u8]>) -> Result<LoroDoc, String> {
    let doc = ManuallyDrop::new(LoroDoc::new());
    let imported = snapshot.map_or(Ok(()), |snapshot| doc.import(snapshot).map(drop));
    let doc = ManuallyDrop::into_inner(doc);
    imported.map(|()| doc).map_err(|error| error.to_string())
}

fn vector(version: &[PeerEnd]) -> VersionVector {
    version.iter().copied().collect()
}

fn export_until(doc: &LoroDoc, version: &[PeerEnd]) -> Vec<u8> {
    doc.export(ExportMode::updates_till(&vector(version))).expect("a part of the history exports")
}

fn import_all(doc: &LoroDoc, updates: &[u8]) {
    let status = doc.import(updates).expect("updates of our own import");
    assert!(status.pending.is_none(), "a version of our own is closed");
}

/// Position and length of `edit` in code points, if it fits the text as it stands.
fn locate(text: &LoroText, edit: &TextChange, unit: Unit) -> Result<(usize, usize), TextRejection> {
    let (start, len) = match edit {
        TextChange::Insert { at, .. } => (*at, 0),
        TextChange::Delete { at, len } => (*at, *len),
    };
    let end = start.saturating_add(len);
    let length = match unit {
        Unit::CodePoint => text.len_unicode(),
        Unit::Utf16 => text.len_utf16(),
    };
    if end > length {
        return Err(TextRejection::OutOfBounds { at: end, length });
    }
    if unit == Unit::CodePoint {
        return Ok((start, len));
    }
    let code_point = |at: usize| {
        let found = text.convert_pos(at, PosType::Utf16, PosType::Unicode);
        found
            .filter(|&found| text.convert_pos(found, PosType::Unicode, PosType::Utf16) == Some(at))
            .ok_or(TextRejection::SplitsSurrogatePair)
    };
    let (from, to) = (code_point(start)?, code_point(end)?);
    Ok((from, to - from))
}

/// Appends one exported op and gives the numbers it takes. Deletes that run backwards become one op
/// per code point: the numbers then name the same code points on every replica.
fn unpack(content: JsonOpContent, ops: &mut Vec<DocumentOp>) -> i32 {
    match content {
        JsonOpContent::Text(JsonTextOp::Insert { pos, text }) => {
            let numbers = text.chars().count() as i32;
            ops.push(DocumentOp::Insert { at: pos, text });
            numbers
        }
        JsonOpContent::Text(JsonTextOp::Delete { pos, len, start_id: ID { peer, counter } }) => {
            if len > 0 {
                ops.push(DocumentOp::Delete { at: pos as u32, len: len as u32, peer, counter });
            }
            for back in (0..-len).rev() {
                let at = (pos + back + 1 + len) as u32;
                ops.push(DocumentOp::Delete { at, len: 1, peer, counter: counter + back });
            }
            len.abs()
        }
        other => unreachable!("text holds inserts and deletes only, not {other:?}"),
    }
}

/// Turns an event into edits that apply in sequence.
fn collect(event: &DiffEvent<'_>, changes: &mut Vec<TextChange>) {
    for container in &event.events {
        let Diff::Text(deltas) = &container.diff else { continue };
        let mut at = 0;
        for delta in deltas {
            match delta {
                TextDelta::Retain { retain, .. } => at += retain,
                TextDelta::Insert { insert, .. } => {
                    changes.push(TextChange::Insert { at, text: insert.clone() });
                    at += insert.chars().count();
                }
                TextDelta::Delete { delete } => {
                    changes.push(TextChange::Delete { at, len: *delete });
                }
            }
        }
    }
}

#[cfg(test)]
impl Document {
    /// Panics as the library would: while it holds its locks.
    pub(super) fn panic_inside(&self) {
        self.guard(|library| library.doc.with_state(|_| panic!("injected")));
    }
}

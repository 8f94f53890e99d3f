//! Whether a message of a stranger becomes part of the text.
//!
//! Invariant: the verdict follows from the message and its causal past alone. What only this
//! replica knows may decide how the verdict is found, never what it is.

use crate::{Message, Origin};

use super::adapter::{DocumentOp, PeerEnd};
use super::change::TextChange;
use super::history::{Place, Reach, Repeats};
use super::wire::{self, WireFeed, WireOp};
use super::{TEXT_CHARS_MAX, Text, numbers};

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

impl Text {
    /// Checks one message and queues its ops.
    pub(super) fn admit(
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
}

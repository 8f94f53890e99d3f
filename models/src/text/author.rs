//! A user's edits on their way into a message.
//!
//! Invariant: what cannot be written is found out before the text changes, or the caller undoes it.

use crate::Origin;

use super::adapter::DocumentOp;
use super::change::{TextChange, TextRejection, Unit};
use super::history::Place;
use super::wire::{self, WireFeed, WireOp};
use super::{TEXT_BYTES_MAX, TEXT_OPS_MAX, Text, inserted, numbers};

impl Text {
    /// The edits that do something, if they are within bounds as far as that is known without the
    /// text.
    pub(super) fn precheck(
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
    pub(super) fn write(
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
}

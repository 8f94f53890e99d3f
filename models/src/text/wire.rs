//! The bytes of a text message: positions, content and the ids of what is deleted; nothing that the
//! reader can derive.
//!
//! A message is one or more ops. Each begins with a number: the position times four, plus the op's
//! kind.
//!
//! | kind | op | behind the position |
//! | --- | --- | --- |
//! | 0 | insert | bytes of text, UTF-8 |
//! | 1 | insert, the last op | UTF-8 to the end of the message |
//! | 2 | delete what the author's own feed inserted | length - 1, back |
//! | 3 | delete what another feed inserted | length - 1, feed, back |
//!
//! Numbers are LEB128. Positions and lengths count code points, in the text as the ops before left
//! it. Every code point inserted and every code point deleted takes one number of its author's
//! counter. `back` names the first deleted code point by how many numbers it lies behind the
//! counter: of the op itself (kind 2), or of the last message of that feed in the author's past
//! (kind 3). The deleted ones carry consecutive numbers; otherwise they need several ops. `feed` is
//! the place, by rising key, among the feeds with ops of this item in the message's past, without
//! the author's own. So every number has its meaning from the message's own past alone.
//!
//! Invariant: decoding reads at most [`TEXT_BYTES_MAX`] bytes and makes at most [`TEXT_OPS_MAX`]
//! ops.

use std::fmt;

/// Bytes of one message: a block's, less room for its links and keys.
pub const TEXT_BYTES_MAX: usize = (1 << 20) - (1 << 16);
/// Ops of one message.
pub const TEXT_OPS_MAX: usize = 1 << 16;

/// One op as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WireOp<'a> {
    Insert { at: u32, text: &'a str },
    Delete { at: u32, len: u32, feed: WireFeed, back: u32 },
}

/// Whose text a delete takes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WireFeed {
    Own,
    /// By place among the feeds in the message's past.
    Other(u32),
}

/// Why bytes are no text message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Malformed {
    TooLong,
    TooManyOps,
    NoOps,
    Truncated,
    Number,
    NotUtf8,
    EmptyInsert,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "message exceeds its bytes",
            Self::TooManyOps => "message exceeds its ops",
            Self::NoOps => "message holds no op",
            Self::Truncated => "message ends within an op",
            Self::Number => "number exceeds 32 bits",
            Self::NotUtf8 => "inserted text is not UTF-8",
            Self::EmptyInsert => "insert holds no text",
        })
    }
}

const KIND_INSERT: u64 = 0;
const KIND_INSERT_LAST: u64 = 1;
const KIND_DELETE_OWN: u64 = 2;
const KIND_DELETE_OTHER: u64 = 3;

/// Writes `ops`.
pub(super) fn encode(ops: &[WireOp<'_>]) -> Vec<u8> {
    let mut out = Vec::with_capacity(8 * ops.len());
    for (index, op) in ops.iter().enumerate() {
        match *op {
            WireOp::Insert { at, text } if index + 1 == ops.len() => {
                put(&mut out, u64::from(at) << 2 | KIND_INSERT_LAST);
                out.extend_from_slice(text.as_bytes());
            }
            WireOp::Insert { at, text } => {
                put(&mut out, u64::from(at) << 2 | KIND_INSERT);
                put(&mut out, text.len() as u64);
                out.extend_from_slice(text.as_bytes());
            }
            WireOp::Delete { at, len, feed, back } => {
                let kind = if feed == WireFeed::Own { KIND_DELETE_OWN } else { KIND_DELETE_OTHER };
                put(&mut out, u64::from(at) << 2 | kind);
                put(&mut out, u64::from(len) - 1);
                if let WireFeed::Other(place) = feed {
                    put(&mut out, u64::from(place));
                }
                put(&mut out, u64::from(back));
            }
        }
    }
    out
}

/// Reads what [`encode`] wrote, from a stranger.
pub(super) fn decode(mut bytes: &[u8]) -> Result<Vec<WireOp<'_>>, Malformed> {
    if bytes.len() > TEXT_BYTES_MAX {
        return Err(Malformed::TooLong);
    }
    let mut ops = Vec::new();
    while !bytes.is_empty() {
        if ops.len() == TEXT_OPS_MAX {
            return Err(Malformed::TooManyOps);
        }
        let head = take(&mut bytes).ok_or(Malformed::Truncated)?;
        let at = narrow(head >> 2)?;
        ops.push(match head & 3 {
            KIND_INSERT => {
                let length = take(&mut bytes).ok_or(Malformed::Truncated)?;
                let length = usize::try_from(length).map_err(|_| Malformed::Truncated)?;
                let (text, rest) = bytes.split_at_checked(length).ok_or(Malformed::Truncated)?;
                bytes = rest;
                insert(at, text)?
            }
            KIND_INSERT_LAST => insert(at, std::mem::take(&mut bytes))?,
            kind => {
                let mut number = || narrow(take(&mut bytes).ok_or(Malformed::Truncated)?);
                let len = number()?.checked_add(1).ok_or(Malformed::Number)?;
                let feed = if kind == KIND_DELETE_OWN {
                    WireFeed::Own
                } else {
                    WireFeed::Other(number()?)
                };
                WireOp::Delete { at, len, feed, back: number()? }
            }
        });
    }
    if ops.is_empty() { Err(Malformed::NoOps) } else { Ok(ops) }
}

fn insert(at: u32, text: &[u8]) -> Result<WireOp<'_>, Malformed> {
    if text.is_empty() {
        return Err(Malformed::EmptyInsert);
    }
    let text = std::str::from_utf8(text).map_err(|_| Malformed::NotUtf8)?;
    Ok(WireOp::Insert { at, text })
}

fn narrow(number: u64) -> Result<u32, Malformed> {
    u32::try_from(number).map_err(|_| Malformed::Number)
}

/// Appends `number`, seven bits a byte, lowest first.
pub(super) fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Takes a number off the front of `bytes`; `None` if they end within it or it exceeds 64 bits.
pub(super) fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let bits = u64::from(byte & 0x7f);
        if bits << shift >> shift != bits {
            return None;
        }
        number |= bits << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let ops = [
            WireOp::Insert { at: 0, text: "ab\u{1f980}" },
            WireOp::Delete { at: 3, len: 2, feed: WireFeed::Own, back: 5 },
            WireOp::Delete { at: u32::MAX, len: u32::MAX, feed: WireFeed::Other(300), back: 0 },
            WireOp::Insert { at: 100_000, text: "x" },
        ];
        for count in 1..=ops.len() {
            assert_eq!(decode(&encode(&ops[..count])), Ok(ops[..count].to_vec()));
        }
    }

    #[test]
    fn a_keystroke_takes_four_bytes_and_a_backspace_five() {
        let typed = encode(&[WireOp::Insert { at: 100_000, text: "x" }]);
        assert_eq!(typed.len(), 4);
        let erased =
            encode(&[WireOp::Delete { at: 100_000, len: 1, feed: WireFeed::Own, back: 1 }]);
        assert_eq!(erased.len(), 5);
    }

    #[test]
    fn bytes_that_are_no_message_are_refused() {
        let cases: [(&[u8], Malformed); 9] = [
            (&[], Malformed::NoOps),
            (&[0x80], Malformed::Truncated),
            (&[0], Malformed::Truncated),
            (&[0, 5, b'a'], Malformed::Truncated),
            (&[0, 0], Malformed::EmptyInsert),
            (&[1], Malformed::EmptyInsert),
            (&[1, 0xff], Malformed::NotUtf8),
            (&[2, 0], Malformed::Truncated),
            (&[0xff, 0xff, 0xff, 0xff, 0xff, 0x01], Malformed::Number),
        ];
        for (bytes, expected) in cases {
            assert_eq!(decode(bytes), Err(expected), "{bytes:?}");
        }
        assert_eq!(decode(&vec![1; TEXT_BYTES_MAX + 1]), Err(Malformed::TooLong));
        // Deletes of three bytes each: the bytes are within bounds, the ops are not.
        assert_eq!(decode(&[2, 0, 0].repeat(TEXT_OPS_MAX + 1)), Err(Malformed::TooManyOps));
    }
}

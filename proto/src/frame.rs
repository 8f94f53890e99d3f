//! What all frames share: one version byte, then a protobuf message that was scanned before it is
//! decoded.
//!
//! The scan walks the top-level fields without allocating and refuses a field that stands too often
//! or is too long. After it, decoding holds no more than the bounds in [`crate::limits`] allow,
//! however the bytes were made. An element without content takes two bytes on the wire and a handle
//! of up to 64 bytes in a list that doubles: so at most 64 bytes are held per byte given, plus 4
//! KiB, and never more than the sum that each decoder names. The hostile tests measure both.

use std::ops::RangeInclusive;

use bytes::{Buf, Bytes};

use crate::error::DecodeError;

/// The version that this crate writes and reads, in every kind of frame.
pub const FORMAT_VERSION: u8 = 1;

/// A bound on the fields with certain numbers. A number without a rule is a later version's: it is
/// skipped, and survives because the frame's bytes are kept.
pub(crate) struct Rule {
    pub(crate) fields: RangeInclusive<u32>,
    pub(crate) what: &'static str,
    /// How often they may stand, all together.
    pub(crate) count_max: usize,
    /// Bytes that each may have.
    pub(crate) bytes_max: usize,
}

impl Rule {
    /// One field that stands once at most.
    pub(crate) const fn once(field: u32, what: &'static str, bytes_max: usize) -> Self {
        Self { fields: field..=field, what, count_max: 1, bytes_max }
    }

    /// One field that may stand `count_max` times.
    pub(crate) const fn list(
        field: u32,
        what: &'static str,
        count_max: usize,
        bytes_max: usize,
    ) -> Self {
        Self { fields: field..=field, what, count_max, bytes_max }
    }
}

/// Writes the version byte and `message`.
pub(crate) fn seal(message: &impl prost::Message) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1 + message.encoded_len());
    bytes.push(FORMAT_VERSION);
    message.encode_raw(&mut bytes);
    bytes
}

/// Checks the length and the version byte, scans what follows and decodes it. `bytes` fields of the
/// message are slices of `bytes`.
pub(crate) fn open<M: prost::Message + Default>(
    bytes: &Bytes,
    what: &'static str,
    bytes_max: usize,
    rules: &[Rule],
) -> Result<M, DecodeError> {
    let message = unframe(bytes, what, bytes_max)?;
    scan(&message, what, rules)?;
    M::decode(message).map_err(|error| DecodeError::Malformed { what, reason: error.to_string() })
}

/// Checks the length and the version byte; the message is the rest.
pub(crate) fn unframe(
    bytes: &Bytes,
    what: &'static str,
    bytes_max: usize,
) -> Result<Bytes, DecodeError> {
    if bytes.len() > bytes_max {
        return Err(DecodeError::TooLong { what, bytes: bytes.len(), bytes_max });
    }
    match bytes.first() {
        None => Err(DecodeError::Empty { what }),
        Some(&FORMAT_VERSION) => Ok(bytes.slice(1..)),
        Some(&found) => Err(DecodeError::Version { found, supported: FORMAT_VERSION }),
    }
}

/// Checks the top-level fields of `message` against `rules`.
pub(crate) fn scan(message: &[u8], what: &'static str, rules: &[Rule]) -> Result<(), DecodeError> {
    const RULES_MAX: usize = 16;
    let mut counts = [0usize; RULES_MAX];
    assert!(rules.len() <= RULES_MAX, "one counter per rule");
    let mut rest = message;
    while !rest.is_empty() {
        let (field, bytes) = take_field(&mut rest, what)?;
        let Some(at) = rules.iter().position(|rule| rule.fields.contains(&field)) else {
            continue;
        };
        let rule = &rules[at];
        counts[at] += 1;
        if counts[at] > rule.count_max {
            return Err(if rule.count_max == 1 {
                DecodeError::Repeated { what: rule.what }
            } else {
                let (count, count_max) = (counts[at], rule.count_max);
                DecodeError::TooMany { what: rule.what, count, count_max }
            });
        }
        if bytes > rule.bytes_max {
            let bytes_max = rule.bytes_max;
            return Err(DecodeError::TooLong { what: rule.what, bytes, bytes_max });
        }
    }
    Ok(())
}

/// The number of the first top-level field within `fields`. `message` has passed [`scan`].
pub(crate) fn find(
    message: &[u8],
    what: &'static str,
    fields: RangeInclusive<u32>,
) -> Result<Option<u32>, DecodeError> {
    let mut rest = message;
    while !rest.is_empty() {
        let (field, _) = take_field(&mut rest, what)?;
        if fields.contains(&field) {
            return Ok(Some(field));
        }
    }
    Ok(None)
}

/// Takes a field off the front: its number, and its payload's length if it has one.
fn take_field(rest: &mut &[u8], what: &'static str) -> Result<(u32, usize), DecodeError> {
    let malformed = |reason: &str| DecodeError::Malformed { what, reason: reason.to_owned() };
    let tag = take_number(rest, what)?;
    let field = u32::try_from(tag >> 3).ok().filter(|&field| field > 0);
    let field = field.ok_or_else(|| malformed("field number out of range"))?;
    let skipped = match tag & 7 {
        0 => {
            take_number(rest, what)?;
            return Ok((field, 0));
        }
        1 => 8,
        2 => take_number(rest, what)?,
        5 => 4,
        _ => return Err(malformed("groups are not used")),
    };
    let skipped = usize::try_from(skipped).ok().filter(|&length| length <= rest.len());
    let skipped = skipped.ok_or_else(|| malformed("field reaches behind the end"))?;
    rest.advance(skipped);
    Ok((field, skipped))
}

/// Protobuf's numbers may be padded, other than this crate's own.
fn take_number(rest: &mut &[u8], what: &'static str) -> Result<u64, DecodeError> {
    prost::encoding::decode_varint(rest)
        .map_err(|error| DecodeError::Malformed { what, reason: error.to_string() })
}

//! Variable-length integers: seven bits a byte, lowest first, high bit set on all but the last.
//!
//! One number has one encoding: padded forms are refused.

use crate::error::DecodeError;

/// Appends `value`.
pub(crate) fn write(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Takes a number off the front of `bytes`.
pub(crate) fn read(bytes: &mut &[u8], what: &'static str) -> Result<u64, DecodeError> {
    let malformed = |reason: &str| DecodeError::Malformed { what, reason: reason.to_owned() };
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first().ok_or_else(|| malformed("number cut off"))?;
        *bytes = rest;
        if shift == 63 && byte > 1 {
            return Err(malformed("number exceeds 64 bits"));
        }
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            if byte == 0 && shift > 0 {
                return Err(malformed("number is padded"));
            }
            return Ok(value);
        }
    }
    Err(malformed("number exceeds 64 bits"))
}

//! Base32 of RFC 4648, lower case, without padding: how ids look to people.
//!
//! One id has one text: decoding refuses bits that encoding would not have written.

use crate::error::ParseIdError;

const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// Characters that `bytes` bytes take.
pub(crate) const fn text_length(bytes: usize) -> usize {
    (bytes * 8).div_ceil(5)
}

/// Writes the text of `bytes` into `text`, which must have [`text_length`] characters.
pub(crate) fn encode<'a>(bytes: &[u8], text: &'a mut [u8]) -> &'a str {
    assert_eq!(text.len(), text_length(bytes.len()));
    let (mut bits, mut count, mut next) = (0u32, 0u32, bytes.iter());
    for character in text.iter_mut() {
        if count < 5 {
            // Past the last byte the missing bits are zero.
            bits = (bits << 8) | u32::from(next.next().copied().unwrap_or(0));
            count += 8;
        }
        count -= 5;
        *character = ALPHABET[(bits >> count) as usize & 31];
    }
    std::str::from_utf8(text).expect("the alphabet is ASCII")
}

/// Reads `text`, in either case, into `bytes`.
pub(crate) fn decode(text: &str, bytes: &mut [u8]) -> Result<(), ParseIdError> {
    let expected = text_length(bytes.len());
    let found = text.chars().count();
    if found != expected {
        return Err(ParseIdError::Length { found, expected });
    }
    let (mut bits, mut count, mut filled) = (0u32, 0u32, 0);
    for character in text.chars() {
        let value = match character.to_ascii_lowercase() {
            letter @ 'a'..='z' => letter as u32 - 'a' as u32,
            digit @ '2'..='7' => digit as u32 - '2' as u32 + 26,
            _ => return Err(ParseIdError::Character(character)),
        };
        bits = ((bits << 5) | value) & 0xfff;
        count += 5;
        if count >= 8 {
            count -= 8;
            bytes[filled] = (bits >> count) as u8;
            filled += 1;
        }
    }
    assert_eq!(filled, bytes.len());
    if bits & ((1 << count) - 1) != 0 {
        return Err(ParseIdError::TrailingBits);
    }
    Ok(())
}

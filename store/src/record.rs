//! How stored values are coded: a version byte, then fields in a fixed order.
//!
//! Invariants:
//! - every value opens with its version byte; another version is refused, never guessed at;
//! - a decoder allocates only for bytes that are there, and refuses bytes that are left over.
//!
//! Numbers are LEB128 varints, signed numbers zigzag; text and bytes carry their length.

use crate::numbers::{FeedNo, ItemKey};

/// What is wrong with a value; becomes `Error::Corrupt` once family and key are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) &'static str);

/// Appends fields to a value.
pub(crate) struct Encoder<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> Encoder<'a> {
    pub(crate) fn new(out: &'a mut Vec<u8>, version: u8) -> Self {
        out.push(version);
        Self { out }
    }

    pub(crate) fn byte(&mut self, value: u8) -> &mut Self {
        self.out.push(value);
        self
    }

    pub(crate) fn flag(&mut self, value: bool) -> &mut Self {
        self.byte(u8::from(value))
    }

    pub(crate) fn number(&mut self, mut value: u64) -> &mut Self {
        while value >= 0x80 {
            self.out.push((value as u8) | 0x80);
            value >>= 7;
        }
        self.out.push(value as u8);
        self
    }

    pub(crate) fn signed(&mut self, value: i64) -> &mut Self {
        self.number(((value << 1) ^ (value >> 63)) as u64)
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.out.extend_from_slice(bytes);
        self
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.number(bytes.len() as u64).raw(bytes)
    }

    pub(crate) fn item(&mut self, item: ItemKey) -> &mut Self {
        self.number(item.feed.0.into()).number(item.seq)
    }

    pub(crate) fn option<T>(
        &mut self,
        value: Option<T>,
        encode: impl FnOnce(&mut Self, T) -> &mut Self,
    ) -> &mut Self {
        self.flag(value.is_some());
        if let Some(value) = value {
            encode(self, value);
        }
        self
    }
}

/// Takes fields from a value.
pub(crate) struct Decoder<'a> {
    rest: &'a [u8],
}

impl<'a> Decoder<'a> {
    /// Opens a value of this version.
    pub(crate) fn new(value: &'a [u8], version: u8) -> Result<Self, Malformed> {
        match value.split_first() {
            Some((found, rest)) if *found == version => Ok(Self { rest }),
            Some(_) => Err(Malformed("unknown version byte")),
            None => Err(Malformed("empty value")),
        }
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Malformed> {
        let [byte] = self.array::<1>()?;
        Ok(byte)
    }

    pub(crate) fn flag(&mut self) -> Result<bool, Malformed> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed("flag is neither 0 nor 1")),
        }
    }

    pub(crate) fn number(&mut self) -> Result<u64, Malformed> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let low = u64::from(byte & 0x7f);
            if shift == 63 && low > 1 {
                return Err(Malformed("number exceeds 64 bits"));
            }
            value |= low << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Malformed("number exceeds 64 bits"))
    }

    pub(crate) fn number_u32(&mut self) -> Result<u32, Malformed> {
        u32::try_from(self.number()?).map_err(|_| Malformed("number exceeds 32 bits"))
    }

    pub(crate) fn number_u16(&mut self) -> Result<u16, Malformed> {
        u16::try_from(self.number()?).map_err(|_| Malformed("number exceeds 16 bits"))
    }

    pub(crate) fn signed(&mut self) -> Result<i64, Malformed> {
        let value = self.number()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (head, rest) =
            self.rest.split_first_chunk::<N>().ok_or(Malformed("value ends early"))?;
        self.rest = rest;
        Ok(*head)
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.number()?;
        let length = usize::try_from(length)
            .ok()
            .filter(|length| *length <= self.rest.len())
            .ok_or(Malformed("length exceeds the value"))?;
        let (head, rest) = self.rest.split_at(length);
        self.rest = rest;
        Ok(head)
    }

    pub(crate) fn text(&mut self) -> Result<String, Malformed> {
        match str::from_utf8(self.bytes()?) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Err(Malformed("text is not UTF-8")),
        }
    }

    pub(crate) fn item(&mut self) -> Result<ItemKey, Malformed> {
        Ok(ItemKey { feed: FeedNo(self.number_u32()?), seq: self.number()? })
    }

    pub(crate) fn option<T>(
        &mut self,
        decode: impl FnOnce(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Option<T>, Malformed> {
        if self.flag()? { decode(self).map(Some) } else { Ok(None) }
    }

    /// A count of elements that take at least `bytes_min` bytes each: never more than can be there.
    pub(crate) fn count(&mut self, bytes_min: usize) -> Result<usize, Malformed> {
        usize::try_from(self.number()?)
            .ok()
            .filter(|count| *count <= self.rest.len() / bytes_min)
            .ok_or(Malformed("count exceeds the value"))
    }

    /// Everything that is left.
    pub(crate) fn rest(self) -> &'a [u8] {
        self.rest
    }

    /// Ends the value: nothing may be left.
    pub(crate) fn finish(self) -> Result<(), Malformed> {
        if self.rest.is_empty() { Ok(()) } else { Err(Malformed("bytes left over")) }
    }
}

//! Protobuf bytes read field by field, without memory of their own: for what is counted, or decoded, on the way.

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content<'a> {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    Bytes(&'a [u8]),
}

/// The fields of a message in their order, with their numbers; an error is the last thing that comes.
pub(crate) fn fields(bytes: &[u8]) -> impl Iterator<Item = Result<(u32, Content<'_>), Malformed>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let field = field(&mut rest);
        if field.is_none() {
            rest = &[];
        }
        Some(field.ok_or(Malformed))
    })
}

/// Bytes that are no protobuf, or hold groups, which nobody writes any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

impl From<Malformed> for String {
    fn from(_: Malformed) -> Self {
        "bytes are not protobuf".to_owned()
    }
}

fn field<'a>(rest: &mut &'a [u8]) -> Option<(u32, Content<'a>)> {
    let tag = u32::try_from(varint(rest)?).ok()?;
    let number = Some(tag >> 3).filter(|&number| number > 0)?;
    let content = match tag & 7 {
        0 => Content::Varint(varint(rest)?),
        1 => Content::Fixed64(u64::from_le_bytes(*take(rest)?)),
        2 => {
            let length = usize::try_from(varint(rest)?).ok()?;
            let (content, after) = rest.split_at_checked(length)?;
            *rest = after;
            Content::Bytes(content)
        }
        5 => Content::Fixed32(u32::from_le_bytes(*take(rest)?)),
        _ => return None,
    };
    Some((number, content))
}

fn take<'a, const N: usize>(rest: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (content, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(content)
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            // The tenth byte has room for one bit.
            return (shift < 63 || byte < 2).then_some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_every_kind_are_read() {
        let bytes =
            [0x08, 0x96, 0x01, 0x12, 2, b'h', b'i', 0x1d, 1, 0, 0, 0, 0x21, 2, 0, 0, 0, 0, 0, 0, 0];
        let fields: Vec<_> = fields(&bytes).map(Result::unwrap).collect();
        let expected = [
            (1, Content::Varint(150)),
            (2, Content::Bytes(b"hi")),
            (3, Content::Fixed32(1)),
            (4, Content::Fixed64(2)),
        ];
        assert_eq!(fields, expected);
    }

    #[test]
    fn bytes_that_end_early_or_are_no_protobuf_are_refused() {
        let eleven = [0xff; 11];
        let no_number = [0x02, 0];
        let number_too_large = [0x80, 0x80, 0x80, 0x80, 0x10, 0];
        for bytes in [
            &[0x12, 5, 1][..],
            &[0x08],
            &[0x0b],
            &[0x1d, 1],
            &eleven,
            &no_number,
            &number_too_large,
        ] {
            assert_eq!(fields(bytes).last(), Some(Err(Malformed)), "{bytes:?}");
        }
    }
}

//! A look at protobuf bytes before they are decoded, so that counts are known before memory is reserved.

/// The fields of a message in order: number, and the bytes of length-delimited ones (else empty).
pub(crate) fn fields(bytes: &[u8]) -> impl Iterator<Item = Result<(u32, &[u8]), String>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let field = field(&mut rest);
        if field.is_none() {
            rest = &[];
        }
        Some(field.ok_or_else(|| "bytes are not protobuf".to_owned()))
    })
}

fn field<'a>(rest: &mut &'a [u8]) -> Option<(u32, &'a [u8])> {
    let tag = varint(rest)?;
    let number = u32::try_from(tag >> 3).ok()?;
    let skip = match tag & 7 {
        0 => {
            varint(rest)?;
            0
        }
        1 => 8,
        2 => usize::try_from(varint(rest)?).ok()?,
        5 => 4,
        _ => return None,
    };
    let (content, after) = rest.split_at_checked(skip)?;
    *rest = after;
    Some((number, content))
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_every_kind_are_stepped_over() {
        let bytes =
            [0x08, 0x96, 0x01, 0x12, 2, b'h', b'i', 0x1d, 1, 2, 3, 4, 0x21, 0, 0, 0, 0, 0, 0, 0, 0];
        let fields: Vec<_> = fields(&bytes).map(Result::unwrap).collect();
        assert_eq!(fields.iter().map(|field| field.0).collect::<Vec<_>>(), [1, 2, 3, 4]);
        assert_eq!(fields[1].1, b"hi");
    }

    #[test]
    fn bytes_that_end_early_or_are_no_protobuf_are_refused() {
        for bytes in [&[0x12, 5, 1][..], &[0x08], &[0x0b], &[0xff; 11], &[0x1d, 1]] {
            assert!(fields(bytes).any(|field| field.is_err()), "{bytes:?}");
        }
    }
}

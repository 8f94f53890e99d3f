//! Fields that end in a NUL byte, as `git` writes them under `-z`.

use std::io::{self, BufRead, Read};

/// Longest name or path that is read; Git itself has no limit.
const FIELD_BYTES_MAX: u64 = 1024 * 1024;

/// Reads one field after the other into one buffer.
pub(super) struct Fields<R> {
    output: R,
    field: Vec<u8>,
}

impl<R: BufRead> Fields<R> {
    pub(super) fn new(output: R) -> Self {
        Self { output, field: Vec::new() }
    }

    /// The next field without its NUL, or nothing at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<&[u8]>> {
        self.field.clear();
        (&mut self.output).take(FIELD_BYTES_MAX).read_until(0, &mut self.field)?;
        match self.field.pop() {
            None => Ok(None),
            Some(0) => Ok(Some(&self.field)),
            Some(_) if self.field.len() as u64 + 1 == FIELD_BYTES_MAX => {
                Err(invalid("a name or path is too long"))
            }
            Some(_) => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// The next field, where the output must not end.
    pub(super) fn must(&mut self) -> io::Result<&[u8]> {
        self.next()?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    /// The field that was read last.
    pub(super) fn last(&self) -> &[u8] {
        &self.field
    }
}

/// Output that its documentation does not allow.
pub(super) fn invalid(problem: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_one_by_one_and_may_be_empty() {
        let mut fields = Fields::new(&b"one\0\0t\nwo\0"[..]);
        assert_eq!(fields.next().unwrap(), Some(&b"one"[..]));
        assert_eq!(fields.next().unwrap(), Some(&b""[..]));
        assert_eq!(fields.must().unwrap(), b"t\nwo");
        assert_eq!(fields.last(), b"t\nwo");
        assert_eq!(fields.next().unwrap(), None);
        assert_eq!(fields.must().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn a_field_without_end_is_refused_before_it_fills_the_memory() {
        let mut fields = Fields::new(io::BufReader::new(io::repeat(b'x')));
        assert_eq!(fields.next().unwrap_err().kind(), io::ErrorKind::InvalidData);
        let mut fields = Fields::new(&b"cut of"[..]);
        assert_eq!(fields.next().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}

//! Contents of files, asked for in small groups so that no round trip is waited for twice.
//!
//! Invariants:
//! - the size of a content is known before any of it is read; what is over the limit is never read;
//! - no more requests are in flight than fit a pipe, so neither side can block the other.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{ChildStdin, ChildStdout};

use crate::error::{Error, Result};
use crate::git::ObjectId;
use crate::git::command::Process;
use crate::git::fields::invalid;

/// Most contents that may be asked for at once: their requests fit the smallest pipe, 4 KiB.
pub const PIPELINE_MAX: usize = 32;

/// Longest line that announces a content.
const LINE_BYTES_MAX: u64 = 256;

/// What a content is, as far as its size goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Blob {
    /// The content.
    Content(Vec<u8>),
    /// It is over the limit, and was not read.
    OverLarge,
}

/// Reads contents by their ids.
pub struct Blobs {
    sizes: Conversation,
    contents: Conversation,
    bytes_max: u64,
    expected: VecDeque<(ObjectId, u64)>,
}

impl Blobs {
    pub(super) fn start(repository: &Path, bytes_max: u64) -> Result<Self> {
        Ok(Self {
            sizes: Conversation::start(repository, "--batch-check")?,
            contents: Conversation::start(repository, "--batch")?,
            bytes_max,
            expected: VecDeque::new(),
        })
    }

    /// Asks for these contents, to be [taken](Self::take) in the same order.
    ///
    /// # Panics
    ///
    /// If there are more than [`PIPELINE_MAX`], or earlier ones have not been taken.
    pub fn ask(&mut self, objects: &[ObjectId]) -> Result<()> {
        assert!(objects.len() <= PIPELINE_MAX, "more contents than a pipe takes requests for");
        assert!(self.expected.is_empty(), "contents asked for before were not taken");
        self.sizes.ask(objects.iter())?;
        for &object in objects {
            let size = self.sizes.announced(object)?;
            self.expected.push_back((object, size));
        }
        let small = self.expected.iter().filter(|(_, size)| *size <= self.bytes_max);
        self.contents.ask(small.map(|(object, _)| object))
    }

    /// The next content that was asked for.
    ///
    /// # Panics
    ///
    /// If none is left.
    pub fn take(&mut self) -> Result<Blob> {
        let (object, size) = self.expected.pop_front().expect("a content was asked for");
        if size > self.bytes_max {
            return Ok(Blob::OverLarge);
        }
        self.contents.content(object, size).map(Blob::Content)
    }

    /// Asks for one content and takes it.
    pub fn read(&mut self, object: ObjectId) -> Result<Blob> {
        self.ask(&[object])?;
        self.take()
    }
}

/// One `git cat-file` child that answers request by request.
struct Conversation {
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
    process: Process,
}

impl Conversation {
    fn start(repository: &Path, mode: &str) -> Result<Self> {
        let mut process = Process::start(repository, "cat-file", &[mode], true)?;
        let answers = BufReader::with_capacity(64 * 1024, process.take_stdout());
        Ok(Self { requests: process.take_stdin(), answers, process })
    }

    fn ask<'a>(&mut self, objects: impl Iterator<Item = &'a ObjectId>) -> Result<()> {
        let requests: String = objects.map(|object| format!("{object}\n")).collect();
        self.requests
            .write_all(requests.as_bytes())
            .and_then(|()| self.requests.flush())
            .map_err(|error| self.process.explain(error))
    }

    /// The size that the next answer announces.
    fn announced(&mut self, object: ObjectId) -> Result<u64> {
        match announced(&mut self.answers, object) {
            Ok(Some(size)) => Ok(size),
            Ok(None) => Err(Error::MissingObject { object: object.to_string() }),
            Err(error) => Err(self.process.explain(error)),
        }
    }

    fn content(&mut self, object: ObjectId, size: u64) -> Result<Vec<u8>> {
        let again = self.announced(object)?;
        let content = if again == size {
            content(&mut self.answers, size)
        } else {
            Err(invalid("two sizes for one content"))
        };
        content.map_err(|error| self.process.explain(error))
    }
}

/// Reads `<object> blob <size>`, or `<object> missing`.
fn announced(answers: &mut impl BufRead, object: ObjectId) -> io::Result<Option<u64>> {
    let mut line = String::new();
    if answers.take(LINE_BYTES_MAX).read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let line = line.strip_suffix('\n').ok_or_else(|| invalid("an announcement without end"))?;
    let rest = line.strip_prefix(&object.to_string()).ok_or_else(|| invalid("another object"))?;
    match rest.strip_prefix(" blob ") {
        Some(size) => size.parse().map(Some).map_err(|_| invalid("a size that is no number")),
        None if rest == " missing" => Ok(None),
        None => Err(invalid("an object that is no content")),
    }
}

fn content(answers: &mut impl BufRead, size: u64) -> io::Result<Vec<u8>> {
    let length = usize::try_from(size).map_err(|_| invalid("a content beyond the memory"))?;
    let mut content = vec![0; length];
    answers.read_exact(&mut content)?;
    let mut end = [0];
    answers.read_exact(&mut end)?;
    match end {
        [b'\n'] => Ok(content),
        _ => Err(invalid("a content that does not end where it should")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef01234567";

    fn announcement(line: &str) -> io::Result<Option<u64>> {
        announced(&mut line.as_bytes(), ObjectId::parse(ID.as_bytes()).unwrap())
    }

    #[test]
    fn an_announcement_tells_size_or_absence() {
        assert_eq!(announcement(&format!("{ID} blob 17\n")).unwrap(), Some(17));
        assert_eq!(announcement(&format!("{ID} missing\n")).unwrap(), None);
    }

    #[test]
    fn an_announcement_of_something_else_is_refused() {
        for line in ["", "x", "x\n"] {
            assert!(announcement(line).is_err());
        }
        for rest in [" tree 5\n", " blob -1\n", " blob 5"] {
            assert!(announcement(&format!("{ID}{rest}")).is_err(), "{rest}");
        }
        assert!(
            announced(
                &mut io::BufReader::new(io::repeat(b'x')),
                ObjectId::parse(ID.as_bytes()).unwrap()
            )
            .is_err()
        );
    }

    #[test]
    fn a_content_must_end_where_it_was_announced_to() {
        assert_eq!(content(&mut &b"ab\n\n"[..], 3).unwrap(), b"ab\n");
        assert!(content(&mut &b"abcd\n"[..], 3).is_err());
        assert!(content(&mut &b"ab"[..], 3).is_err());
    }
}

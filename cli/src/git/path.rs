//! A path inside a repository: bytes, as Git keeps them, and the one text form that stands for them.
//!
//! Invariant: the text form is unambiguous. A path that is UTF-8 stands as it is; any other is quoted
//! the way Git quotes paths, and so is one that begins with a quotation mark.

use std::borrow::Cow;
use std::fmt;

/// A path inside a repository.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepoPath(Box<[u8]>);

impl RepoPath {
    /// A path of these bytes.
    pub fn new(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }

    /// The bytes that Git keeps.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The text that stands for the path: itself, or its quoted form.
    pub fn to_text(&self) -> Cow<'_, str> {
        match std::str::from_utf8(&self.0) {
            Ok(path) if !path.starts_with('"') => Cow::Borrowed(path),
            _ => Cow::Owned(self.quoted()),
        }
    }

    fn quoted(&self) -> String {
        let mut quoted = String::from("\"");
        for &byte in &self.0 {
            match byte {
                b'"' | b'\\' => quoted.extend(['\\', char::from(byte)]),
                b'\n' => quoted.push_str("\\n"),
                b'\t' => quoted.push_str("\\t"),
                b'\r' => quoted.push_str("\\r"),
                b' '..=b'~' => quoted.push(char::from(byte)),
                _ => quoted.push_str(&format!("\\{byte:03o}")),
            }
        }
        quoted.push('"');
        quoted
    }
}

impl fmt::Debug for RepoPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.to_text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8]) -> String {
        RepoPath::new(bytes).to_text().into_owned()
    }

    #[test]
    fn a_utf8_path_stands_as_it_is() {
        assert_eq!(text("ä b/\n☃".as_bytes()), "ä b/\n☃");
        assert_eq!(text(br"back\slash"), r"back\slash");
    }

    #[test]
    fn any_other_path_is_quoted_as_git_does() {
        assert_eq!(text(b"caf\xe9\n\"x\"\\.txt"), r#""caf\351\n\"x\"\\.txt""#);
    }

    #[test]
    fn a_path_that_looks_quoted_is_quoted_again() {
        assert_eq!(text(br#""caf\351""#), r#""\"caf\\351\"""#);
    }
}

//! Names of objects and kinds of tree entries, as Git prints them.

use std::fmt;

use serde::{Serialize, Serializer};

/// Longest object id: SHA-256.
const BYTES_MAX: usize = 32;

/// Id of a Git object: 20 bytes (SHA-1) or 32 (SHA-256).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId {
    bytes: [u8; BYTES_MAX],
    length: u8,
}

impl ObjectId {
    /// Reads the full hexadecimal form.
    pub fn parse(hex: &[u8]) -> Option<Self> {
        let length = match hex.len() {
            40 => 20,
            64 => 32,
            _ => return None,
        };
        let mut bytes = [0; BYTES_MAX];
        for (byte, pair) in bytes.iter_mut().zip(hex.chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Some(Self { bytes, length })
    }

    /// The id's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

fn digit(hex: u8) -> Option<u8> {
    match hex {
        b'0'..=b'9' => Some(hex - b'0'),
        b'a'..=b'f' => Some(hex - b'a' + 10),
        _ => None,
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes().iter().take(4).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Serialize for ObjectId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What a tree entry is. Permissions do not matter to the import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A regular file, executable or not.
    File,
    /// A symbolic link; its content is the target's path.
    Symlink,
    /// A commit of another repository.
    Submodule,
}

impl Mode {
    /// Reads the octal form.
    pub fn parse(octal: &[u8]) -> Option<Self> {
        match octal {
            b"120000" => Some(Self::Symlink),
            b"160000" => Some(Self::Submodule),
            _ if octal.len() == 6 && octal.starts_with(b"100") => Some(Self::File),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_prints_as_it_was_read() {
        for hex in ["0123456789abcdef0123456789abcdef01234567", &"5a".repeat(32)] {
            assert_eq!(ObjectId::parse(hex.as_bytes()).unwrap().to_string(), hex);
        }
    }

    #[test]
    fn an_abbreviated_or_foreign_id_is_refused() {
        assert_eq!(ObjectId::parse(b"0123"), None);
        assert_eq!(ObjectId::parse(&[b'g'; 40]), None);
        assert_eq!(ObjectId::parse(&[b'A'; 40]), None);
    }

    #[test]
    fn permissions_do_not_change_the_mode() {
        assert_eq!(Mode::parse(b"100644"), Some(Mode::File));
        assert_eq!(Mode::parse(b"100755"), Some(Mode::File));
        assert_eq!(Mode::parse(b"100664"), Some(Mode::File));
        assert_eq!(Mode::parse(b"040000"), None);
    }
}

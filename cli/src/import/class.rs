//! Which contents are text that can be imported.
//!
//! Invariant: the class of a content depends on its bytes and the limits alone, so every import of a
//! repository leaves out the same files.

use serde::Serialize;

use crate::git::Blob;

/// Largest file that is imported: its content and its path fit one message.
pub const TEXT_BYTES_MAX: u64 = 512 * 1024;

/// Longest path that is imported.
pub const PATH_BYTES_MAX: usize = 4 * 1024;

/// Why a file is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Skip {
    /// It holds a NUL.
    Binary,
    /// Its content is over [`TEXT_BYTES_MAX`], or its path over [`PATH_BYTES_MAX`].
    OverLarge,
    /// It is not UTF-8.
    NotUtf8,
    /// It is a symbolic link.
    Symlink,
    /// It is a commit of another repository.
    Submodule,
}

impl Skip {
    /// All of them, in the order of a report.
    pub const ALL: [Self; 5] =
        [Self::Binary, Self::OverLarge, Self::NotUtf8, Self::Symlink, Self::Submodule];

    /// Its name in a report.
    pub fn label(self) -> &'static str {
        match self {
            Self::Binary => "binary",
            Self::OverLarge => "over-large",
            Self::NotUtf8 => "not UTF-8",
            Self::Symlink => "symlinks",
            Self::Submodule => "submodules",
        }
    }
}

/// The text of a content, or why there is none.
pub fn text(blob: Blob) -> Result<String, Skip> {
    match blob {
        Blob::OverLarge => Err(Skip::OverLarge),
        Blob::Content(content) if content.contains(&0) => Err(Skip::Binary),
        Blob::Content(content) => String::from_utf8(content).map_err(|_| Skip::NotUtf8),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_is_text_if_it_is_utf8_without_nul() {
        assert_eq!(text(Blob::Content(b"".to_vec())), Ok(String::new()));
        assert_eq!(text(Blob::Content("\u{feff}ä\r\n".into())), Ok("\u{feff}ä\r\n".into()));
        assert_eq!(text(Blob::Content(b"a\0b".to_vec())), Err(Skip::Binary));
        assert_eq!(text(Blob::Content(b"caf\xe9".to_vec())), Err(Skip::NotUtf8));
        assert_eq!(text(Blob::OverLarge), Err(Skip::OverLarge));
    }
}

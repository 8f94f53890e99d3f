//! `Path`: the keys from the root of an object down to one field.
//!
//! Invariants: keys are joined by NUL and hold none, so text order is order by keys, and everything below a
//! path follows it directly; a key is not empty and has at most `KEY_BYTES_MAX` bytes; at most
//! `PATH_DEPTH_MAX` keys.

use std::borrow::Borrow;
use std::fmt;

use super::{KEY_BYTES_MAX, ObjectRejection, PATH_DEPTH_MAX};

const SEPARATOR: char = '\0';

/// Keys from the root of an object down to one field: `"title"`, or `["profile", "name"]`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path(Box<str>);

impl Path {
    /// The path of the object itself. It can be read, never written.
    pub fn root() -> Self {
        Self("".into())
    }

    /// The path with these keys.
    pub fn from_keys<K: AsRef<str>>(
        keys: impl IntoIterator<Item = K>,
    ) -> Result<Self, ObjectRejection> {
        let keys: Vec<K> = keys.into_iter().take(PATH_DEPTH_MAX + 1).collect();
        Self::join(&keys)
    }

    pub(super) fn join<K: AsRef<str>>(keys: &[K]) -> Result<Self, ObjectRejection> {
        if keys.len() > PATH_DEPTH_MAX {
            return Err(ObjectRejection::PathTooDeep);
        }
        let bytes: usize = keys.iter().map(|key| key.as_ref().len() + 1).sum();
        let mut joined = String::with_capacity(bytes.saturating_sub(1));
        for (index, key) in keys.iter().enumerate() {
            let key = key.as_ref();
            if key.is_empty() {
                return Err(ObjectRejection::EmptyKey);
            }
            if key.len() > KEY_BYTES_MAX {
                return Err(ObjectRejection::KeyTooLong { bytes: key.len() });
            }
            if key.contains(SEPARATOR) {
                return Err(ObjectRejection::KeyWithNul);
            }
            if index > 0 {
                joined.push(SEPARATOR);
            }
            joined.push_str(key);
        }
        Ok(Self(joined.into()))
    }

    /// The keys, outermost first.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split(SEPARATOR).filter(|key| !key.is_empty())
    }

    /// Whether this is the object itself.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this path lies below `other`, at any depth.
    pub fn is_below(&self, other: &Self) -> bool {
        is_below(&self.0, &other.0)
    }

    /// The paths above this one, outermost first, without the root.
    pub(super) fn above(&self) -> impl Iterator<Item = &str> {
        self.0.match_indices(SEPARATOR).map(|(at, _)| &self.0[..at])
    }

    /// Whether there are paths above this one, beside the root.
    pub(super) fn is_nested(&self) -> bool {
        self.0.contains(SEPARATOR)
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether the joined keys of `path` lie below those of `other`.
pub(super) fn is_below(path: &str, other: &str) -> bool {
    match path.strip_prefix(other) {
        Some(rest) if other.is_empty() => !rest.is_empty(),
        Some(rest) => rest.starts_with(SEPARATOR),
        None => false,
    }
}

/// The first key of `path` below `other`, which lies above it.
pub(super) fn first_key_below<'a>(path: &'a str, other: &str) -> &'a str {
    let rest = &path[other.len()..];
    let rest = rest.strip_prefix(SEPARATOR).unwrap_or(rest);
    rest.split(SEPARATOR).next().unwrap_or(rest)
}

impl Borrow<str> for Path {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.replace(SEPARATOR, "."))
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_string(), f)
    }
}

/// What can be typed where a path is asked for: one key, or a list of keys.
pub trait IntoPath {
    /// The path, or why there is no such path.
    fn into_path(self) -> Result<Path, ObjectRejection>;
}

impl IntoPath for Path {
    fn into_path(self) -> Result<Path, ObjectRejection> {
        Ok(self)
    }
}

impl IntoPath for &Path {
    fn into_path(self) -> Result<Path, ObjectRejection> {
        Ok(self.clone())
    }
}

impl IntoPath for &str {
    fn into_path(self) -> Result<Path, ObjectRejection> {
        Path::join(&[self])
    }
}

impl IntoPath for String {
    fn into_path(self) -> Result<Path, ObjectRejection> {
        Path::join(&[self])
    }
}

impl IntoPath for &String {
    fn into_path(self) -> Result<Path, ObjectRejection> {
        Path::join(&[self])
    }
}

impl<K: AsRef<str>, const N: usize> IntoPath for [K; N] {
    fn into_path(self) -> Result<Path, ObjectRejection> {
        Path::join(&self)
    }
}

impl<K: AsRef<str>> IntoPath for &[K] {
    fn into_path(self) -> Result<Path, ObjectRejection> {
        Path::join(self)
    }
}

impl<K: AsRef<str>> IntoPath for Vec<K> {
    fn into_path(self) -> Result<Path, ObjectRejection> {
        Path::join(&self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(keys: &[&str]) -> Path {
        keys.into_path().unwrap()
    }

    #[test]
    fn everything_below_a_path_follows_it_directly() {
        let mut paths = [
            path(&["a!"]),
            path(&["b"]),
            path(&["a", "z", "y"]),
            path(&["a", "b"]),
            path(&["a"]),
            path(&["a\u{1}"]),
        ];
        paths.sort();
        let shown: Vec<String> = paths.iter().map(Path::to_string).collect();
        assert_eq!(shown, ["a", "a.b", "a.z.y", "a\u{1}", "a!", "b"]);
        assert!(paths[1].is_below(&paths[0]) && paths[2].is_below(&paths[0]));
        assert!(!paths[3].is_below(&paths[0]) && !paths[0].is_below(&paths[0]));
        assert!(paths[0].is_below(&Path::root()) && !Path::root().is_below(&Path::root()));
    }

    #[test]
    fn keys_come_back_as_they_were_given() {
        let deep = path(&["profile", "name", "first"]);
        assert_eq!(deep.keys().collect::<Vec<_>>(), ["profile", "name", "first"]);
        assert_eq!(deep.above().collect::<Vec<_>>(), ["profile", "profile\0name"]);
        assert_eq!(Path::root().keys().count(), 0);
        assert_eq!(first_key_below(deep.as_str(), ""), "profile");
        assert_eq!(first_key_below(deep.as_str(), "profile"), "name");
    }

    #[test]
    fn bounds_of_keys_are_kept() {
        assert_eq!("".into_path(), Err(ObjectRejection::EmptyKey));
        assert_eq!("a\0b".into_path(), Err(ObjectRejection::KeyWithNul));
        assert!("k".repeat(KEY_BYTES_MAX).into_path().is_ok());
        let bytes = KEY_BYTES_MAX + 1;
        assert_eq!("k".repeat(bytes).into_path(), Err(ObjectRejection::KeyTooLong { bytes }));
        assert!(vec!["k"; PATH_DEPTH_MAX].into_path().is_ok());
        let deeper = vec!["k"; PATH_DEPTH_MAX + 1];
        assert_eq!(deeper.into_path(), Err(ObjectRejection::PathTooDeep));
    }
}

//! `ObjectMutation`: what a user asks of an object; `ObjectRejection`: why it cannot be.

use std::fmt;

use systole_proto::limits::BLOCK_BYTES_MAX;

use super::path::{IntoPath, Path};
use super::value::Value;

/// Keys of one path.
pub const PATH_DEPTH_MAX: usize = 16;
/// Bytes of one key.
pub const KEY_BYTES_MAX: usize = 256;
/// Operations of one mutation.
pub const OPERATIONS_MAX: usize = 1024;
/// Bytes of one encoded mutation: a block, less room for the keys and links that travel with it.
pub const MUTATION_BYTES_MAX: usize = BLOCK_BYTES_MAX - (64 << 10);
/// Bytes of one text or of one `Bytes` value: a mutation, less room for the longest path.
pub const VALUE_BYTES_MAX: usize = MUTATION_BYTES_MAX - (8 << 10);

/// Sets and deletes fields, all at once. The operations take effect in the order given; of several on the
/// same path the last one counts.
///
/// ```
/// use systole_models::object::ObjectMutation;
///
/// let mutation = ObjectMutation::set("title", "Groceries")
///     .then_set(["author", "name"], "Ada")
///     .then_delete("draft");
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ObjectMutation {
    operations: Vec<Operation>,
    /// What is wrong with the first path that could not be taken.
    flaw: Option<ObjectRejection>,
}

#[derive(Clone, PartialEq, Eq)]
pub(super) struct Operation {
    pub(super) path: Path,
    /// `None` deletes.
    pub(super) content: Option<Value>,
}

/// The operations of one message. Nearly all messages have one, and it needs no list.
pub(super) enum Operations {
    One(Operation),
    Many(Vec<Operation>),
}

impl Operations {
    pub(super) fn as_slice(&self) -> &[Operation] {
        match self {
            Self::One(operation) => std::slice::from_ref(operation),
            Self::Many(operations) => operations,
        }
    }
}

impl From<Vec<Operation>> for Operations {
    fn from(operations: Vec<Operation>) -> Self {
        match <[Operation; 1]>::try_from(operations) {
            Ok([operation]) => Self::One(operation),
            Err(operations) => Self::Many(operations),
        }
    }
}

impl ObjectMutation {
    /// A mutation without operations, to be filled in a loop.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the field at `path`; what lies below it goes.
    pub fn set(path: impl IntoPath, value: impl Into<Value>) -> Self {
        Self::new().then_set(path, value)
    }

    /// Deletes the field at `path` with everything below it.
    pub fn delete(path: impl IntoPath) -> Self {
        Self::new().then_delete(path)
    }

    /// Then sets the field at `path`.
    pub fn then_set(self, path: impl IntoPath, value: impl Into<Value>) -> Self {
        self.then(path.into_path(), Some(value.into()))
    }

    /// Then deletes the field at `path`.
    pub fn then_delete(self, path: impl IntoPath) -> Self {
        self.then(path.into_path(), None)
    }

    /// Number of operations.
    pub fn len(&self) -> usize {
        self.operations.len()
    }

    /// Whether there is no operation.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    fn then(mut self, path: Result<Path, ObjectRejection>, content: Option<Value>) -> Self {
        match path {
            Ok(path) => self.operations.push(Operation { path, content }),
            Err(flaw) => drop(self.flaw.get_or_insert(flaw)),
        }
        self
    }

    /// The operations, if all of them are within bounds.
    pub(super) fn into_operations(self) -> Result<Operations, ObjectRejection> {
        if let Some(flaw) = self.flaw {
            return Err(flaw);
        }
        check(&self.operations)?;
        Ok(self.operations.into())
    }
}

/// Checks the bounds that a path alone does not keep. Strangers' messages pass the same check.
pub(super) fn check(operations: &[Operation]) -> Result<(), ObjectRejection> {
    if operations.is_empty() {
        return Err(ObjectRejection::NoOperations);
    }
    if operations.len() > OPERATIONS_MAX {
        return Err(ObjectRejection::TooManyOperations { operations: operations.len() });
    }
    for operation in operations {
        if operation.path.is_root() {
            return Err(ObjectRejection::EmptyPath);
        }
        let bytes = operation.content.as_ref().map_or(0, Value::content_bytes);
        if bytes > VALUE_BYTES_MAX {
            return Err(ObjectRejection::ValueTooLarge { bytes });
        }
    }
    Ok(())
}

impl fmt::Debug for ObjectMutation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Operation { path, content }) in self.operations.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            match content {
                Some(value) => write!(f, "{comma}set {path} = {value}")?,
                None => write!(f, "{comma}delete {path}")?,
            }
        }
        match &self.flaw {
            Some(flaw) => write!(f, " (flawed: {flaw})"),
            None if self.operations.is_empty() => f.write_str("nothing"),
            None => Ok(()),
        }
    }
}

/// Why an object refuses a mutation.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ObjectRejection {
    /// A path without keys: the object itself can be neither set nor deleted.
    EmptyPath,
    /// A key without characters.
    EmptyKey,
    /// A key that holds the character NUL.
    KeyWithNul,
    /// A key of more than [`KEY_BYTES_MAX`] bytes.
    KeyTooLong {
        /// Its bytes.
        bytes: usize,
    },
    /// A path of more than [`PATH_DEPTH_MAX`] keys.
    PathTooDeep,
    /// A mutation that would do nothing.
    NoOperations,
    /// A mutation of more than [`OPERATIONS_MAX`] operations.
    TooManyOperations {
        /// How many it has.
        operations: usize,
    },
    /// A value of more than [`VALUE_BYTES_MAX`] bytes.
    ValueTooLarge {
        /// Its bytes.
        bytes: usize,
    },
    /// A mutation that takes more than [`MUTATION_BYTES_MAX`] bytes.
    MutationTooLarge {
        /// Its bytes.
        bytes: usize,
    },
}

impl fmt::Display for ObjectRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyPath => write!(f, "the path has no keys"),
            Self::EmptyKey => write!(f, "a key is empty"),
            Self::KeyWithNul => write!(f, "a key holds the character NUL"),
            Self::KeyTooLong { bytes } => {
                write!(f, "a key takes {bytes} bytes, {KEY_BYTES_MAX} are allowed")
            }
            Self::PathTooDeep => write!(f, "a path has more than {PATH_DEPTH_MAX} keys"),
            Self::NoOperations => write!(f, "the mutation has no operations"),
            Self::TooManyOperations { operations } => {
                write!(f, "the mutation has {operations} operations, {OPERATIONS_MAX} are allowed")
            }
            Self::ValueTooLarge { bytes } => {
                write!(f, "a value takes {bytes} bytes, {VALUE_BYTES_MAX} are allowed")
            }
            Self::MutationTooLarge { bytes } => {
                write!(f, "the mutation takes {bytes} bytes, {MUTATION_BYTES_MAX} are allowed")
            }
        }
    }
}

impl std::error::Error for ObjectRejection {}

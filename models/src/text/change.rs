//! What a user asks of a text and what a subscriber is told.
//!
//! Invariant: ops of one list apply in sequence, each against the text that the ops before it left.

use std::fmt;

/// One edit of a text. Positions and lengths count Unicode code points, unless a [`TextMutation`]
/// says otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextChange {
    /// `text` comes to stand at `at`.
    Insert {
        /// Where its first code point stands afterwards.
        at: usize,
        /// What is inserted.
        text: String,
    },
    /// `len` code points go away from `at` on.
    Delete {
        /// Where the first of them stood.
        at: usize,
        /// How many.
        len: usize,
    },
}

impl TextChange {
    /// Whether the edit does nothing.
    pub(super) const fn is_empty(&self) -> bool {
        match self {
            Self::Insert { text, .. } => text.is_empty(),
            Self::Delete { len, .. } => *len == 0,
        }
    }
}

/// How a mutation counts positions and lengths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    CodePoint,
    Utf16,
}

/// Edits of a text that happen together or not at all.
///
/// ```
/// use systole_models::TextMutation;
///
/// let mutation = TextMutation::delete(0, 5).then_insert(0, "Hello");
/// # drop(mutation);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextMutation {
    pub(super) edits: Vec<TextChange>,
    pub(super) unit: Unit,
}

impl TextMutation {
    /// The edits in `edits`, in sequence.
    pub fn from_ops(edits: impl IntoIterator<Item = TextChange>) -> Self {
        Self { edits: edits.into_iter().collect(), unit: Unit::CodePoint }
    }

    /// Inserts `text` at `at`.
    pub fn insert(at: usize, text: impl Into<String>) -> Self {
        Self::from_ops([]).then_insert(at, text)
    }

    /// Deletes `len` code points from `at` on.
    pub fn delete(at: usize, len: usize) -> Self {
        Self::from_ops([]).then_delete(at, len)
    }

    /// Puts `text` in the place of `len` code points from `at` on.
    pub fn replace(at: usize, len: usize, text: impl Into<String>) -> Self {
        Self::delete(at, len).then_insert(at, text)
    }

    /// Then inserts `text` at `at`.
    pub fn then_insert(mut self, at: usize, text: impl Into<String>) -> Self {
        self.edits.push(TextChange::Insert { at, text: text.into() });
        self
    }

    /// Then deletes `len` code points from `at` on.
    pub fn then_delete(mut self, at: usize, len: usize) -> Self {
        self.edits.push(TextChange::Delete { at, len });
        self
    }

    /// Positions and lengths of all edits count UTF-16 code units, as editors in browsers do.
    pub fn utf16(mut self) -> Self {
        self.unit = Unit::Utf16;
        self
    }
}

/// Why a mutation of a text is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TextRejection {
    /// An edit reaches past the end.
    OutOfBounds {
        /// The position it reaches, in the mutation's unit.
        at: usize,
        /// The text's length at that edit, in the mutation's unit.
        length: usize,
    },
    /// A UTF-16 position lies between the two halves of a surrogate pair.
    SplitsSurrogatePair,
    /// The message, or the text with all that was ever inserted, would exceed its bound.
    TooLarge,
    /// The edits, or the runs of text that they delete, are more than one message holds.
    TooManyOps,
    /// Nothing is inserted or deleted.
    Empty,
    /// The message's origin does not see everything that was applied, so positions would be read
    /// against another text than the user's.
    Stale,
}

impl fmt::Display for TextRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfBounds { at, length } => {
                write!(f, "position {at} lies past the end of a text of {length}")
            }
            Self::SplitsSurrogatePair => f.write_str("position splits a surrogate pair"),
            Self::TooLarge => f.write_str("text is too large"),
            Self::TooManyOps => f.write_str("mutation holds too many edits"),
            Self::Empty => f.write_str("mutation changes nothing"),
            Self::Stale => f.write_str("mutation does not follow everything applied"),
        }
    }
}

impl std::error::Error for TextRejection {}

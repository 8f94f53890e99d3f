//! The models that scenarios write to, behind one way to add a word.

use systole::{Model, Object, ObjectMutation, Text, TextMutation};

use crate::journal::Journal;

/// A model that takes words.
pub trait Words: Model {
    /// The mutation that adds a word.
    fn word(word: &str) -> Self::Mutation;
}

impl Words for Text {
    fn word(word: &str) -> TextMutation {
        TextMutation::insert(0, word)
    }
}

impl Words for Object {
    fn word(word: &str) -> ObjectMutation {
        ObjectMutation::set(word, 1i64)
    }
}

impl Words for Journal {
    fn word(word: &str) -> String {
        word.to_owned()
    }
}

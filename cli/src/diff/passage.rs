//! Two passages that correspond, one of each text, and where they stand.

use std::ops::Range;

/// A change in bytes: this range of the old text becomes that range of the new one.
pub(super) type Change = (Range<usize>, Range<usize>);

/// Two passages that correspond, and where they begin in their texts, in bytes.
#[derive(Clone, Copy)]
pub(super) struct Passage<'a> {
    pub(super) old: &'a str,
    pub(super) new: &'a str,
    old_at: usize,
    new_at: usize,
}

impl<'a> Passage<'a> {
    /// Both texts from beginning to end.
    pub(super) fn whole(old: &'a str, new: &'a str) -> Self {
        Self { old, new, old_at: 0, new_at: 0 }
    }

    /// Without what both begin and end with.
    pub(super) fn trim(self) -> Self {
        let same = self.old.bytes().zip(self.new.bytes()).take_while(|(a, b)| a == b).count();
        // Both sides agree up to here, so this is a boundary in both or in neither.
        let start = floor(self.old, same);
        let (old, new) = (&self.old[start..], &self.new[start..]);
        let same = old.bytes().rev().zip(new.bytes().rev()).take_while(|(a, b)| a == b).count();
        let mut end = same;
        while !old.is_char_boundary(old.len() - end) {
            end -= 1;
        }
        Self {
            old: &old[..old.len() - end],
            new: &new[..new.len() - end],
            old_at: self.old_at + start,
            new_at: self.new_at + start,
        }
    }

    pub(super) fn range(&self) -> Change {
        (self.old_at..self.old_at + self.old.len(), self.new_at..self.new_at + self.new.len())
    }

    pub(super) fn part(&self, old: Range<usize>, new: Range<usize>) -> Self {
        Self {
            old_at: self.old_at + old.start,
            new_at: self.new_at + new.start,
            old: &self.old[old],
            new: &self.new[new],
        }
    }
}

fn floor(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

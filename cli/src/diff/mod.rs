//! The difference between two texts as few, small edits, in Unicode code points.
//!
//! Lines are compared first, then the words of the lines that differ, then the characters of the words
//! that differ. Each step works on what the step before left over, so the work stays close to the size
//! of the change. A long passage is cut into blocks by its own content first, so that what did not
//! change drops out before anything small is compared.
//!
//! Invariants:
//! - [`apply`] of the edits to the old text gives the new one;
//! - edits stand in order: each begins behind the text that the one before inserted;
//! - the edits of one pair of texts cost at most [`EDITS_BYTES_MAX`], if the new text does;
//! - the work has a limit, on any input; beyond it the edits are larger than they had to be, but right.

mod differ;
mod passage;
mod tokens;

use std::fmt;

use differ::Differ;
use passage::{Change, Passage};

/// Unchanged code points between two edits below which the edits become one: naming a place costs
/// about as much as repeating them.
const GAP_MIN: usize = 4;

/// What an edit costs beside its text, at most, if what it deletes was written as one: places and
/// lengths of a deletion and an insertion.
const EDIT_BYTES: usize = 24;

/// Cost of one difference above which it is given up for a single replacement: room in a block.
pub const EDITS_BYTES_MAX: usize = 960 * 1024;

/// At code point `at` of the text as the edits before have left it, `delete` code points go and
/// `insert` comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// Where, in code points.
    pub at: usize,
    /// How many code points go.
    pub delete: usize,
    /// What comes in their place.
    pub insert: String,
}

impl Edit {
    /// What it costs to write down, in bytes, at most.
    pub fn cost_bytes(&self) -> usize {
        EDIT_BYTES + self.insert.len()
    }
}

/// The edits that turn `old` into `new`.
pub fn diff(old: &str, new: &str) -> Vec<Edit> {
    let whole = Passage::whole(old, new);
    let edits = edits(old, new, &Differ::default().changes(whole));
    if edits.iter().map(Edit::cost_bytes).sum::<usize>() <= EDITS_BYTES_MAX {
        return edits;
    }
    self::edits(old, new, &[whole.trim().range()])
}

/// The changes as edits in code points, those that nearly touch joined.
fn edits(old: &str, new: &str, changes: &[Change]) -> Vec<Edit> {
    let mut joined: Vec<Change> = Vec::with_capacity(changes.len());
    for (from, to) in changes.iter().cloned() {
        if let Some(last) = joined.last_mut()
            && old[last.0.end..from.start].chars().nth(GAP_MIN - 1).is_none()
        {
            *last = (last.0.start..from.end, last.1.start..to.end);
        } else {
            joined.push((from, to));
        }
    }
    let (mut at, mut counted) = (0, 0);
    let mut edits = Vec::with_capacity(joined.len());
    for (from, to) in joined {
        at += new[counted..to.start].chars().count();
        counted = to.start;
        edits.push(Edit { at, delete: old[from].chars().count(), insert: new[to].to_owned() });
    }
    edits
}

/// Two lists that do, one after the other, what `edits` do, each about half of it. Nothing if the edits
/// are too small to be halved.
///
/// How long a message becomes depends on who wrote what it deletes, so only the text itself can tell
/// that edits are too many for one.
pub fn halve(mut edits: Vec<Edit>) -> Option<(Vec<Edit>, Vec<Edit>)> {
    if edits.len() > 1 {
        let second = edits.split_off(edits.len() / 2);
        return Some((edits, second));
    }
    let Edit { at, delete, insert } = edits.pop()?;
    let length = insert.chars().count();
    let (first, second) = if delete > 0 && length > 0 {
        (Edit { at, delete, insert: String::new() }, Edit { at, delete: 0, insert })
    } else if delete > 1 {
        let half = |delete| Edit { at, delete, insert: String::new() };
        (half(delete / 2), half(delete - delete / 2))
    } else {
        let (first, second) = split(&insert, length / 2).filter(|(first, _)| !first.is_empty())?;
        let part = |at, insert: &str| Edit { at, delete: 0, insert: insert.to_owned() };
        (part(at, first), part(at + length / 2, second))
    };
    Some((vec![first], vec![second]))
}

/// The text that `edits` make of `old`.
pub fn apply(old: &str, edits: &[Edit]) -> Result<String, Misplaced> {
    let mut new = String::with_capacity(old.len());
    let mut rest = old;
    // How far the new text has been written, in code points.
    let mut written = 0;
    for (index, edit) in edits.iter().enumerate() {
        let kept = edit.at.checked_sub(written).ok_or(Misplaced { index })?;
        let (kept, tail) = split(rest, kept).ok_or(Misplaced { index })?;
        let (_, tail) = split(tail, edit.delete).ok_or(Misplaced { index })?;
        new.push_str(kept);
        new.push_str(&edit.insert);
        written = edit.at + edit.insert.chars().count();
        rest = tail;
    }
    new.push_str(rest);
    Ok(new)
}

/// Splits behind `count` code points.
fn split(text: &str, count: usize) -> Option<(&str, &str)> {
    match text.char_indices().nth(count) {
        Some((at, _)) => Some(text.split_at(at)),
        None if text.chars().count() == count => Some((text, "")),
        None => None,
    }
}

/// An edit that lies outside the text, or before the end of an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Misplaced {
    /// Which edit.
    pub index: usize,
}

impl fmt::Display for Misplaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "edit {} lies outside the text or before an earlier one", self.index)
    }
}

impl std::error::Error for Misplaced {}

#[cfg(test)]
mod tests;

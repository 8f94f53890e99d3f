//! Finding what differs, coarse first.
//!
//! Invariant: what is given up (a passage too long, or work beyond the limit) is replaced whole, never
//! skipped.

use imara_diff::{Algorithm, Diff, InternedInput};

use crate::diff::passage::{Change, Passage};
use crate::diff::tokens::{Walk, blocks, characters, lines, words};

/// Most lines, words or characters of both sides that are compared at once.
const TOKENS_MAX: usize = 64 * 1024;

/// Work on one pair of texts after which nothing more is refined: about a second on any machine.
const STEPS_MAX: usize = 8 * 1024 * 1024;

/// Differences beyond which the library stops looking for the fewest: work grows with the square of
/// the differences up to here, and in proportion to them from here on.
const DIFFERENCES_EXACT_MAX: usize = 256;

/// What passages are compared by.
#[derive(Clone, Copy)]
enum Grain {
    Lines,
    Words,
    Characters,
    Nothing,
}

/// Collects changes, from the beginning of the texts to their end.
pub(super) struct Differ {
    changes: Vec<Change>,
    steps_left: usize,
}

impl Default for Differ {
    fn default() -> Self {
        Self { changes: Vec::new(), steps_left: STEPS_MAX }
    }
}

impl Differ {
    /// Everything that differs, from the beginning to the end.
    pub(super) fn changes(mut self, whole: Passage<'_>) -> Vec<Change> {
        self.refine(Grain::Lines, whole);
        self.changes
    }

    /// Compares a passage by `grain` and finer.
    fn refine(&mut self, grain: Grain, passage: Passage<'_>) {
        let trimmed = passage.trim();
        if trimmed.old.is_empty() || trimmed.new.is_empty() {
            return self.replace(trimmed);
        }
        // Lines and words are compared as they stand: a trimmed one would equal no other.
        match grain {
            Grain::Lines => self.compare(passage, lines, Grain::Words),
            Grain::Words => self.compare(passage, words, Grain::Characters),
            Grain::Characters => self.compare(trimmed, characters, Grain::Nothing),
            Grain::Nothing => self.replace(trimmed),
        }
    }

    /// Compares a passage by tokens, and what differs by the finer grain.
    fn compare<'a, I: Iterator<Item = &'a str>>(
        &mut self,
        passage: Passage<'a>,
        tokens: fn(&'a str) -> I,
        finer: Grain,
    ) {
        if !is_long(passage, tokens) {
            for part in self.differing(passage, tokens) {
                self.refine(finer, part);
            }
            return;
        }
        for block in self.differing(passage, |text| blocks(text, tokens)) {
            match finer {
                _ if !is_long(block, tokens) => {
                    for part in self.differing(block, tokens) {
                        self.refine(finer, part);
                    }
                }
                Grain::Nothing => self.replace(block),
                _ => self.line_by_line(block),
            }
        }
    }

    /// A long passage of which nothing is the same. If it kept its number of lines (other line ends,
    /// another indentation, another name for something), each line is the other's successor.
    fn line_by_line(&mut self, passage: Passage<'_>) {
        if lines(passage.old).count() != lines(passage.new).count() {
            return self.replace(passage);
        }
        let (mut old_at, mut new_at) = (0, 0);
        for (old, new) in lines(passage.old).zip(lines(passage.new)) {
            let (old_end, new_end) = (old_at + old.len(), new_at + new.len());
            let line = passage.part(old_at..old_end, new_at..new_end);
            if is_long(line, words) {
                self.replace(line);
            } else {
                self.refine(Grain::Words, line);
            }
            (old_at, new_at) = (old_end, new_end);
        }
    }

    /// The parts of a passage that differ, in order.
    fn differing<'a, I: Iterator<Item = &'a str>>(
        &mut self,
        passage: Passage<'a>,
        tokens: impl Fn(&'a str) -> I,
    ) -> Vec<Passage<'a>> {
        if self.steps_left == 0 {
            return vec![passage];
        }
        let mut input = InternedInput::default();
        input.update_before(tokens(passage.old));
        input.update_after(tokens(passage.new));
        let diff = Diff::compute(Algorithm::Myers, &input);
        let differences = (diff.count_removals() + diff.count_additions()) as usize;
        let steps = input.before.len()
            + input.after.len()
            + differences * differences.min(DIFFERENCES_EXACT_MAX);
        self.steps_left = self.steps_left.saturating_sub(steps);
        let mut old = Walk::new(tokens(passage.old));
        let mut new = Walk::new(tokens(passage.new));
        diff.hunks()
            .map(|hunk| passage.part(old.range(hunk.before), new.range(hunk.after)))
            .collect()
    }

    fn replace(&mut self, passage: Passage<'_>) {
        let trimmed = passage.trim();
        if !trimmed.old.is_empty() || !trimmed.new.is_empty() {
            self.changes.push(trimmed.range());
        }
    }
}

/// Whether a passage has more than [`TOKENS_MAX`] tokens.
fn is_long<'a, I: Iterator<Item = &'a str>>(
    passage: Passage<'a>,
    tokens: fn(&'a str) -> I,
) -> bool {
    passage.old.len() + passage.new.len() > TOKENS_MAX
        && tokens(passage.old).chain(tokens(passage.new)).nth(TOKENS_MAX).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Punctuation in no order: each character is a word, and most places match something.
    fn noise(seed: u64, length: usize) -> String {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            [';', '.', ','][(state >> 33) as usize % 3]
        };
        (0..length).map(|_| next()).collect()
    }

    #[test]
    fn work_beyond_the_limit_is_given_up_and_still_right() {
        let side = |seed: u64| -> String {
            (0..9).map(|part| noise(seed + part, 28_000) + &format!("\npart {part}\n")).collect()
        };
        let (old, new) = (side(1), side(100));
        let mut differ = Differ::default();
        differ.refine(Grain::Lines, Passage::whole(&old, &new));
        assert_eq!(differ.steps_left, 0);
        let edits = crate::diff::edits(&old, &new, &differ.changes);
        assert_eq!(crate::diff::apply(&old, &edits).unwrap(), new);
    }

    #[test]
    fn a_passage_of_too_many_tokens_is_replaced_whole() {
        let (old, new) = (noise(1, TOKENS_MAX), noise(2, TOKENS_MAX));
        let changes = Differ::default().changes(Passage::whole(&old, &new));
        assert_eq!(changes.len(), 1);
    }

    #[test]
    fn a_small_change_in_a_text_of_too_many_tokens_stays_small() {
        let old: String =
            (0..2 * TOKENS_MAX).map(|line| format!("{}\n", line * 7919 % 1000)).collect();
        let new = old.replacen("123\n", "a word\n", 1) + "end\n";
        let changes = Differ::default().changes(Passage::whole(&old, &new));
        assert_eq!(
            changes.iter().map(|(_, to)| to.len()).sum::<usize>(),
            "a word".len() + "end\n".len()
        );
    }

    #[test]
    fn other_line_ends_in_a_text_of_too_many_tokens_are_one_character_each() {
        let old: String = (0..TOKENS_MAX).map(|line| format!("{line}\n")).collect();
        let new = old.replace('\n', "\r\n");
        let changes = Differ::default().changes(Passage::whole(&old, &new));
        assert_eq!(changes.len(), TOKENS_MAX);
        assert!(changes.iter().all(|(from, to)| from.is_empty() && to.len() == 1));
    }
}

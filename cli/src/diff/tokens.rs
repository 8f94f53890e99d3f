//! Texts cut into what is compared: lines, words, characters, and blocks of them.
//!
//! Invariant: the tokens of a text, one after the other, are the text.

use std::ops::Range;

/// Fewest and most lines or words of a block, and one in how many of them ends it.
const BLOCK_TOKENS_MIN: usize = 32;
const BLOCK_TOKENS_MAX: usize = 128;
const BLOCK_ENDS_ONE_IN: u32 = 32;

/// Lines with their ends.
pub(super) fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive('\n')
}

/// Characters: code points.
pub(super) fn characters(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive(|_| true)
}

/// Runs of tokens that end by what the last one is: the same passage falls into the same blocks
/// wherever it stands.
pub(super) fn blocks<'a, I: Iterator<Item = &'a str>>(
    text: &'a str,
    tokens: fn(&'a str) -> I,
) -> impl Iterator<Item = &'a str> {
    let mut tokens = tokens(text);
    let mut start = 0;
    std::iter::from_fn(move || {
        let mut end = start;
        for (index, token) in tokens.by_ref().take(BLOCK_TOKENS_MAX).enumerate() {
            end += token.len();
            if index + 1 >= BLOCK_TOKENS_MIN && ends_block(token) {
                break;
            }
        }
        let block = &text[start..end];
        start = end;
        (!block.is_empty()).then_some(block)
    })
}

fn ends_block(token: &str) -> bool {
    let mixed = token
        .bytes()
        .fold(0x811c_9dc5_u32, |mixed, byte| (mixed ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    (mixed >> 16) % BLOCK_ENDS_ONE_IN == 0
}

/// Runs of letters, digits and underscores, runs of blanks, and every other character by itself.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let end = match kind(first) {
            Kind::Other => first.len_utf8(),
            run => rest.find(|next| kind(next) != run).unwrap_or(rest.len()),
        };
        let (word, tail) = rest.split_at(end);
        rest = tail;
        Some(word)
    })
}

#[derive(PartialEq, Eq)]
enum Kind {
    Word,
    Blank,
    Other,
}

fn kind(character: char) -> Kind {
    match character {
        ' ' | '\t' => Kind::Blank,
        '_' => Kind::Word,
        _ if character.is_alphanumeric() => Kind::Word,
        _ => Kind::Other,
    }
}

/// Turns ranges of tokens into ranges of bytes, in one pass.
pub(super) struct Walk<I> {
    tokens: I,
    index: u32,
    at: usize,
}

impl<'a, I: Iterator<Item = &'a str>> Walk<I> {
    pub(super) fn new(tokens: I) -> Self {
        Self { tokens, index: 0, at: 0 }
    }

    /// The bytes of these tokens, which follow those asked for before.
    pub(super) fn range(&mut self, tokens: Range<u32>) -> Range<usize> {
        self.advance(tokens.start)..self.advance(tokens.end)
    }

    fn advance(&mut self, index: u32) -> usize {
        let passed = self.tokens.by_ref().take((index - self.index) as usize);
        self.at += passed.map(str::len).sum::<usize>();
        self.index = index;
        self.at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "fn main() {\r\n\tlet größe_2 = 日本;  // ☃☃\n}\n\nlast";

    #[test]
    fn tokens_one_after_the_other_are_the_text() {
        let long = TEXT.repeat(50);
        assert_eq!(lines(&long).collect::<String>(), long);
        assert_eq!(words(&long).collect::<String>(), long);
        assert_eq!(characters(&long).collect::<String>(), long);
        assert_eq!(blocks(&long, words).collect::<String>(), long);
        assert_eq!(blocks(&long, lines).collect::<String>(), long);
    }

    #[test]
    fn words_keep_together_what_is_one() {
        let text = "let größe_2  = 日本;\n";
        let expected = ["let", " ", "größe_2", "  ", "=", " ", "日本", ";", "\n"];
        assert_eq!(words(text).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_passage_falls_into_the_same_blocks_wherever_it_stands() {
        let body: String = (0..4000).map(|line| format!("{}\n", line * 7919 % 4001)).collect();
        let moved = format!("one\nmore\n{body}");
        let before: Vec<_> = blocks(&body, lines).collect();
        let after: Vec<_> = blocks(&moved, lines).collect();
        let same = before.iter().rev().zip(after.iter().rev()).take_while(|(a, b)| a == b).count();
        assert!(same > before.len() * 3 / 4, "{same} of {}", before.len());
        assert!(before.iter().all(|block| lines(block).count() <= BLOCK_TOKENS_MAX));
    }
}

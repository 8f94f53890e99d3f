//! What the child wants and what it was promised, told so that it survives its death.
//!
//! ```text
//! i 17 2 <17.0>,-      wants to write two blocks; the first one holds this word
//! a 17 40 2            was told that they stand from position 40 on
//! i 18 0 !              wants to write what must be refused
//! r 18                 was refused
//! g 300 800            wants to give the blocks 300 to 800 of the second device
//! h 800                was told that they are held
//! p 17                 wants the preference to be 17
//! q 17                 was told that it is
//! m close              is about to close the engine
//! x                    has failed
//! ```
//!
//! Invariant: each line is one write to a file outside of the store, made before what it announces and
//! after what it confirms. The operating system keeps it whatever becomes of the process.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;

use systole_tests::child::say;

/// Where a child writes.
pub(crate) struct Ledger(File);

impl Ledger {
    pub(crate) fn open(path: &Path) -> Self {
        Self(OpenOptions::new().append(true).create(true).open(path).unwrap())
    }

    pub(crate) fn line(&self, line: &str) {
        let line = format!("{line}\n");
        let written = (&self.0).write(line.as_bytes()).unwrap();
        assert_eq!(written, line.len(), "the expectation is written whole");
    }

    /// Says where the child is, to the parent too, who may kill it there.
    pub(crate) fn mark(&self, window: &str) {
        self.line(&format!("m {window}"));
        say(window);
    }
}

/// One write that the child wanted.
#[derive(Debug, Default)]
pub(crate) struct Intent {
    /// What each of its blocks must hold; `None` if that cannot be told.
    pub(crate) words: Vec<Option<String>>,
    pub(crate) told: Told,
}

/// What the child was told of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Told {
    #[default]
    Nothing,
    Refused,
    /// It stands at these positions.
    Written {
        seq: u64,
        blocks: u64,
    },
}

/// What a child said before it died.
#[derive(Debug, Default)]
pub(crate) struct Said {
    /// In the order in which they were asked for.
    pub(crate) intents: BTreeMap<u64, Intent>,
    /// Ends of the ranges of the second device that it gave, and of those that were acknowledged.
    pub(crate) given: Vec<u64>,
    pub(crate) held: u64,
    /// Preferences that it wanted, and the last acknowledged one.
    pub(crate) preferences: Vec<u64>,
    pub(crate) preference: Option<u64>,
    /// Parties that it founded.
    pub(crate) founded: usize,
    /// What it was doing last.
    pub(crate) window: String,
}

impl Said {
    /// What was said after the first `from` bytes; and how many there are.
    pub(crate) fn read(path: &Path, from: usize) -> (Self, usize) {
        let mut said = Self { window: "start".to_owned(), ..Self::default() };
        let Ok(text) = std::fs::read_to_string(path) else { return (said, 0) };
        // A line without an end was cut off by the kill: what it announces was not begun, what it
        // confirms may be there.
        let end = text.rfind('\n').map_or(0, |at| at + 1).max(from);
        for line in text[from..end].lines() {
            let words: Vec<&str> = line.split(' ').collect();
            said.take(&words);
        }
        // The next child's first line begins where this one's last line was cut off.
        OpenOptions::new().write(true).open(path).unwrap().set_len(end as u64).unwrap();
        (said, end)
    }

    fn take(&mut self, words: &[&str]) {
        let number = |at: usize| words[at].parse::<u64>().unwrap();
        match words[0] {
            "i" => {
                let word = |word: &str| (word != "-").then(|| word.to_owned());
                let blocks = words[3].split(',').map(word).take(number(2) as usize);
                let words = blocks.collect::<Vec<_>>();
                let intent = Intent { words, told: Told::Nothing };
                assert!(self.intents.insert(number(1), intent).is_none(), "numbers are new");
            }
            "a" => {
                let told = Told::Written { seq: number(2), blocks: number(3) };
                self.intents.get_mut(&number(1)).unwrap().told = told;
            }
            "r" => self.intents.get_mut(&number(1)).unwrap().told = Told::Refused,
            "g" => self.given.push(number(2)),
            "h" => self.held = self.held.max(number(1)),
            "p" => self.preferences.push(number(1)),
            "q" => self.preference = Some(number(1)),
            "m" => {
                words[1].clone_into(&mut self.window);
                self.founded += usize::from(words[1] == "founded");
            }
            "x" => panic!("the child failed before it was killed; see what it says above"),
            other => panic!("the child says {other:?}"),
        }
    }
}

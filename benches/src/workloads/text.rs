//! W4: keystrokes, one message each: a recording of what somebody typed, or, where there is none, a
//! session that a seed makes up from this repository's own documents.

use systole::{NewItem, Text, TextMutation};
use systole_tests::trace::Trace;

use super::source::{Draft, Source};
use crate::{Failure, Random, Run};

/// The recording, of 259,778 keystrokes.
const RECORDING: &str = "automerge-paper";
/// Keystrokes of one transaction where they are written in bulk.
pub const TRANSACTION: usize = 64;

/// One edit: position, code points deleted there, text inserted there.
pub type Patch = (usize, usize, String);

/// What somebody typed, keystroke by keystroke.
#[derive(Debug)]
pub struct Session {
    /// Where it comes from.
    pub name: String,
    /// The edits of each keystroke.
    pub keystrokes: Vec<Vec<Patch>>,
}

impl Session {
    /// As much of the recording as this run wants.
    pub fn load(run: &Run) -> Self {
        let count = run.count(300_000, 2_000) as usize;
        match Trace::load(RECORDING) {
            Some(trace) => {
                let all = trace.transactions.into_iter().take(count);
                let keystrokes = all.map(|transaction| transaction.patches).collect();
                Self { name: format!("recording {RECORDING}"), keystrokes }
            }
            None => Self::made_up(count.min(100_000)),
        }
    }

    /// Types the repository's documents: a passage at some place, letter by letter, and now and then
    /// deletes what was just written.
    pub fn made_up(count: usize) -> Self {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
        let documents = ["README.md", "ARCHITECTURE.md", "CHANGELOG.md"]
            .map(|name| std::fs::read_to_string(format!("{folder}/{name}")).unwrap_or_default());
        let letters: Vec<char> = documents.concat().chars().collect();
        let mut random = Random::new(4);
        let (mut length, mut at, mut keystrokes) = (0, 0, Vec::with_capacity(count));
        for letter in letters.iter().cycle().take(count) {
            if random.one_in(100) {
                at = random.below(length + 1);
            }
            if at > 0 && random.one_in(12) {
                at -= 1;
                length -= 1;
                keystrokes.push(vec![(at, 1, String::new())]);
            } else {
                keystrokes.push(vec![(at, 0, letter.to_string())]);
                at += 1;
                length += 1;
            }
        }
        Self { name: "made up from this repository's documents".to_owned(), keystrokes }
    }

    /// The message of one keystroke.
    pub fn mutation(patches: &[Patch]) -> TextMutation {
        let mut mutation = TextMutation::from_ops([]);
        for (at, deleted, inserted) in patches {
            if *deleted > 0 {
                mutation = mutation.then_delete(*at, *deleted);
            }
            if !inserted.is_empty() {
                mutation = mutation.then_insert(*at, inserted.as_str());
            }
        }
        mutation
    }

    /// The party of one text that was typed like this.
    pub async fn source(&self, run: &Run) -> Result<Source, Failure> {
        let mut draft = Draft::new(run).await?;
        let item = draft.party.create(NewItem::<Text>::new()).await?;
        draft.begun().await?;
        for some in self.keystrokes.chunks(TRANSACTION) {
            item.mutate_all(some.iter().map(|patches| Self::mutation(patches))).await?;
        }
        // The one that creates the text counts as well.
        let messages = 1 + self.keystrokes.len() as u64;
        draft.finish::<Text>(vec![item.id()], messages).await
    }
}

//! A hand: one author's stream of mutations to the items of a party, and what must come of them.
//!
//! Invariant: what a hand writes nobody else overwrites, so what it noted is what every replica shows
//! at the end: fields of its own in an object, a text that only it edits, its own sum in a ledger.

use std::sync::atomic::Ordering::Relaxed;

use systole::{Durability, ErrorKind, Object, ObjectMutation, Party, Text, TextMutation, Value};

use super::devices::HOME;
use super::latency::{Kind, Latencies};
use super::ledger::{Entry, Ledger};
use super::story::{Shape, Story};
use crate::{Failure, Random};

/// Hands of a party: all but the last write at home.
pub(super) const HANDS: usize = 4;

/// Fields of a hand in each object.
const FIELDS: usize = 4;
/// A text that has become so long is cut.
const TEXT_CHARS_MAX: usize = 400;
const TEXT_CHARS_CUT: usize = 60;

/// What must be in an item.
#[derive(Clone, Debug)]
enum Note {
    /// How often each field was set; 0 where it was not.
    Object([u32; FIELDS]),
    /// The whole text, where this hand is the one that edits it.
    Text(Option<String>),
    Ledger {
        entries: u64,
        sum: u64,
    },
}

/// One author.
#[derive(Debug)]
pub(super) struct Hand {
    number: usize,
    random: Random,
    notes: Vec<Note>,
}

impl Hand {
    pub(super) fn new(number: usize, seed: u64, shapes: &[Shape]) -> Self {
        let notes = shapes.iter().enumerate().map(|(at, shape)| match shape {
            Shape::Object => Note::Object([0; FIELDS]),
            Shape::Text => Note::Text((editor(at) == number).then(String::new)),
            Shape::Ledger => Note::Ledger { entries: 0, sum: 0 },
        });
        Self { number, random: Random::new(seed), notes: notes.collect() }
    }

    /// The hand's place among the others.
    pub(super) fn number(&self) -> usize {
        self.number
    }

    /// The device that this hand writes at.
    pub(super) fn device(&self) -> usize {
        device(self.number)
    }

    /// Writes one transaction of at most `messages_max` messages; how many they were.
    pub(super) async fn write(
        &mut self,
        party: &Party,
        story: &Story,
        messages_max: u64,
        latencies: &Latencies,
    ) -> Result<u64, Failure> {
        let messages = 1 + self.random.below(messages_max.clamp(1, 16) as usize) as u64;
        let synced = self.random.below(4) == 0;
        let durability = if synced { Durability::Synced } else { Durability::Buffered };
        let mut transaction = party.transaction().durability(durability);
        let mut entered = Vec::new();
        while (transaction.len() as u64) < messages {
            let at = self.random.below(self.notes.len());
            let id = story.items[at].0;
            let random = &mut self.random;
            transaction = match &mut self.notes[at] {
                Note::Object(fields) => {
                    let mutation = mutate_object(self.number, at, fields, random);
                    transaction.mutate(&party.item::<Object>(id)?, mutation)
                }
                // Another hand's.
                Note::Text(None) => continue,
                Note::Text(Some(text)) => {
                    let mutation = mutate_text(text, random);
                    transaction.mutate(&party.item::<Text>(id)?, mutation)
                }
                Note::Ledger { entries, sum } => {
                    let entry = match random.below(32) {
                        0 => Entry::IGNORED,
                        _ => Entry { hand: self.number as u8, value: random.number() },
                    };
                    if entry != Entry::IGNORED {
                        *entries += 1;
                        *sum = sum.wrapping_add(entry.value);
                        entered.push(at);
                    }
                    transaction.mutate(&party.item::<Ledger>(id)?, entry)
                }
            };
        }
        let kind = if synced { Kind::Synced } else { Kind::Buffered };
        let (receipt, _) = latencies.time(kind, transaction.commit()).await?;
        if receipt.messages != messages {
            return Err(format!("{messages} messages became {}", receipt.messages).into());
        }
        if self.device() == HOME {
            for at in entered {
                story.acknowledged[at].fetch_add(1, Relaxed);
            }
        }
        // Every now and then one that the model refuses: nothing of it must be seen later.
        if self.random.below(256) == 0 {
            self.refused(party, story).await?;
        }
        Ok(messages)
    }

    /// Compares an item with what was noted.
    pub(super) async fn check(
        &self,
        party: &Party,
        story: &Story,
        at: usize,
    ) -> Result<(), Failure> {
        let id = story.items[at].0;
        let number = self.number;
        let wrong = match &self.notes[at] {
            Note::Object(fields) => {
                let fields = *fields;
                let look = move |object: &Object| wrong_field(object, number, at, &fields);
                party.item::<Object>(id)?.view(look).await?
            }
            Note::Text(None) => None,
            Note::Text(Some(expected)) => {
                let text = party.item::<Text>(id)?.view(|text| text.to_string()).await?;
                (text != *expected).then(|| format!("{text:?} stands where {expected:?} was left"))
            }
            Note::Ledger { entries, sum } => {
                let expected = (*entries, *sum);
                let hand = self.number as u8;
                let found = party.item::<Ledger>(id)?.view(move |ledger| ledger.of(hand)).await?;
                (found != expected).then(|| format!("{found:?} is in the ledger, not {expected:?}"))
            }
        };
        match wrong {
            None => Ok(()),
            Some(wrong) => Err(format!("item {at} of hand {number}: {wrong}").into()),
        }
    }

    /// A transaction whose last operation is refused, after one that is not.
    async fn refused(&mut self, party: &Party, story: &Story) -> Result<(), Failure> {
        let text = (0..self.notes.len()).find(|at| matches!(self.notes[*at], Note::Text(Some(_))));
        let object = (0..self.notes.len()).find(|at| matches!(self.notes[*at], Note::Object(_)));
        let (Some(text), Some(object)) = (text, object) else { return Ok(()) };
        let field = format!("{}-0", self.number);
        let transaction = party
            .transaction()
            .mutate(
                &party.item::<Object>(story.items[object].0)?,
                ObjectMutation::set(field, "never to be seen"),
            )
            .mutate(
                &party.item::<Text>(story.items[text].0)?,
                TextMutation::delete(TEXT_CHARS_MAX, TEXT_CHARS_MAX),
            );
        match transaction.commit().await {
            Err(error) if error.kind() == ErrorKind::Rejected => Ok(()),
            other => Err(format!("a mutation out of bounds is not refused: {other:?}").into()),
        }
    }
}

/// The device that a hand writes at.
fn device(hand: usize) -> usize {
    usize::from(hand == HANDS - 1)
}

/// The hand that edits the text at this place.
fn editor(at: usize) -> usize {
    // Kinds take turns by three.
    at / Shape::KINDS % HANDS
}

/// What stands in a field that was set `times` times.
fn value(hand: usize, at: usize, field: usize, times: u32) -> String {
    format!("{:064}", ((hand * 1_000 + at) * FIELDS + field) as u64 * 1_000_000 + u64::from(times))
}

fn mutate_object(
    hand: usize,
    at: usize,
    fields: &mut [u32; FIELDS],
    random: &mut Random,
) -> ObjectMutation {
    let field = random.below(FIELDS);
    fields[field] += 1;
    let mutation =
        ObjectMutation::set(format!("{hand}-{field}"), value(hand, at, field, fields[field]));
    // What all write to at once cannot be foreseen, but is the same everywhere.
    match random.below(8) {
        0 => mutation.then_set("shared", random.number() as i64),
        _ => mutation,
    }
}

fn mutate_text(text: &mut String, random: &mut Random) -> TextMutation {
    // Letters of one byte: places in the text and in the string are the same.
    if text.len() >= TEXT_CHARS_MAX {
        let at = random.below(text.len() - TEXT_CHARS_CUT);
        text.replace_range(at..at + TEXT_CHARS_CUT, "");
        return TextMutation::delete(at, TEXT_CHARS_CUT);
    }
    let at = random.below(text.len() + 1);
    let length = 1 + random.below(12);
    let word: String = (0..length).map(|_| char::from(b'a' + random.below(26) as u8)).collect();
    text.insert_str(at, &word);
    TextMutation::insert(at, word)
}

fn wrong_field(object: &Object, hand: usize, at: usize, fields: &[u32; FIELDS]) -> Option<String> {
    fields.iter().enumerate().find_map(|(field, times)| {
        let expected = (*times > 0).then(|| Value::from(value(hand, at, field, *times)));
        let found = object.get(format!("{hand}-{field}"));
        (found != expected.as_ref())
            .then(|| format!("field {field} is {found:?}, not {expected:?}"))
    })
}

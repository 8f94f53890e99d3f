//! `Text` under the crate's public suite for models.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use systole_models::testing::ModelCheck;
use systole_models::{Text, TextMutation};

/// What a user does, in thousandths of the text's length.
#[derive(Clone, Debug)]
enum Choice {
    Insert(usize, String),
    Delete(usize, usize),
    Replace(usize, usize, String),
    /// Past the end, which is refused.
    OutOfBounds,
}

fn choices() -> impl Strategy<Value = Choice> {
    let text = "[a-cé中🦀\n]{1,4}";
    prop_oneof![
        4 => (0..=1000usize, text).prop_map(|(at, text)| Choice::Insert(at, text)),
        3 => (0..1000usize, 1..4usize).prop_map(|(at, len)| Choice::Delete(at, len)),
        1 => (0..1000usize, 0..4usize, text).prop_map(|(a, l, t)| Choice::Replace(a, l, t)),
        1 => Just(Choice::OutOfBounds),
    ]
}

fn resolve(text: &Text, choice: &Choice) -> Option<TextMutation> {
    let length = text.len();
    let place = |at: usize, len: usize| {
        let at = at * length / 1000;
        (at, len.min(length - at))
    };
    Some(match choice {
        Choice::Insert(at, inserted) => TextMutation::insert(at * length / 1000, inserted),
        Choice::Delete(at, len) => {
            let (at, len) = place(*at, *len);
            TextMutation::delete(at, len)
        }
        Choice::Replace(at, len, inserted) => {
            let (at, len) = place(*at, *len);
            TextMutation::replace(at, len, inserted)
        }
        Choice::OutOfBounds => TextMutation::insert(0, "x").then_delete(length, 2),
    })
}

#[test]
fn text_keeps_the_laws_of_models_in_random_histories() {
    let check = ModelCheck::with_choices(choices(), resolve, |text: &Text| {
        (text.to_string(), text.len(), text.len_utf16())
    });
    check.histories(3_000).replicas(4).steps_max(30).run().unwrap();
}

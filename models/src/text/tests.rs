//! What only the inside can show: a library that panics, tables that lie, files that name names.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use systole_proto::{FeedKey, Stamp, Timeframe};

use super::adapter::DocumentOp;
use super::*;
use crate::past::CausalPast;

fn origin(seq: u64) -> Origin {
    let feed = FeedKey::from_bytes(&[1; 32]).unwrap();
    let past = CausalPast::from_iter([(feed, seq)]);
    Origin { feed, seq, lamport: seq + 1, stamp: Stamp::default(), effective_at: None, past }
}

fn typed(count: u64) -> Text {
    let mut text = Text::empty();
    for seq in 0..count {
        let mutation = TextMutation::insert(seq as usize, "x");
        text.mutate(mutation, &origin(seq), &mut Outcome::default()).unwrap();
    }
    text
}

#[test]
fn a_panic_of_the_library_leaves_a_text_that_can_be_dropped() {
    let mut text = typed(3);
    let checkpoint = text.checkpoint();
    assert!(catch_unwind(AssertUnwindSafe(|| text.document.panic_inside())).is_err());
    // Every further use panics, and none of them aborts.
    assert!(catch_unwind(AssertUnwindSafe(|| text.to_string())).is_err());
    assert!(catch_unwind(AssertUnwindSafe(|| text.checkpoint())).is_err());
    let mutation = TextMutation::insert(0, "y");
    let mutated = catch_unwind(AssertUnwindSafe(|| {
        text.mutate(mutation, &origin(3), &mut Outcome::default())
    }));
    assert!(mutated.is_err());
    drop(text);
    assert_eq!(Text::restore(&checkpoint).unwrap().to_string(), "xxx");
}

#[test]
fn a_panic_while_a_batch_is_applied_unwinds_to_the_caller() {
    let mut text = typed(3);
    // The library is told of a dependency that does not exist.
    let insert = DocumentOp::Insert { at: 0, text: "y".to_owned() };
    text.document.queue(9, 0, &[(8, 7)], [insert].into_iter());
    let applied = catch_unwind(AssertUnwindSafe(|| text.apply(&[], &mut Outcome::default())));
    assert!(applied.is_err());
    drop(text);
}

#[test]
fn tables_that_do_not_fit_the_snapshot_are_refused() {
    let (three, four) = (typed(3), typed(4));
    let snapshot = three.document.snapshot();
    let mixed = checkpoint::encode(&four.history, 4, 0, &snapshot);
    assert!(Text::restore(&mixed).is_err());
    let right = checkpoint::encode(&three.history, 3, 0, &snapshot);
    assert_eq!(Text::restore(&right).unwrap().to_string(), "xxx");
}

#[test]
fn compacting_between_concurrent_edits_changes_nothing() {
    let feeds = [FeedKey::from_bytes(&[1; 32]).unwrap(), FeedKey::from_bytes(&[2; 32]).unwrap()];
    let mut writers = [Text::empty(), Text::empty()];
    let mut reader = Text::empty();
    for round in 0..20u64 {
        let mut written = Vec::new();
        for (writer, feed) in writers.iter_mut().zip(feeds) {
            // Each writer has seen all rounds before, and of this one only its own.
            let mut past = Timeframe::from_iter(feeds.map(|feed| (feed, 3 * round)));
            for step in 0..3 {
                let seq = 3 * round + step;
                past.set(feed, seq);
                let origin = Origin { feed, past: past.clone().into(), ..origin(seq) };
                let middle = writer.len() / 2;
                let mutation = match step {
                    2 => TextMutation::delete(0, 1),
                    _ => TextMutation::insert(middle, "ab"),
                };
                let payload = writer.mutate(mutation, &origin, &mut Outcome::default()).unwrap();
                written.push(Message { origin, payload });
            }
        }
        for text in writers.iter_mut().chain([&mut reader]) {
            let mut outcome = Outcome::default();
            text.apply(&written, &mut outcome);
            assert!(outcome.refused.is_empty());
        }
        reader.document.compact();
        assert!(reader.document.is_at(&reader.version()));
        assert_eq!(writers[0].to_string(), reader.to_string());
        assert_eq!(writers[1].to_string(), reader.to_string());
    }
    assert!(reader.repeats > 0, "the writers deleted the same text");
}

#[test]
fn one_file_names_the_library() {
    // Spelt in two parts, so that this file does not name it either.
    let name = ["lo", "ro"].concat();
    let mut named = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if std::fs::read_to_string(&path).unwrap().to_lowercase().contains(&name) {
                named.push(path.file_name().unwrap().to_owned());
            }
        }
    }
    assert_eq!(named, ["adapter.rs"]);
}

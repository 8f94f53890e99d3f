//! What a text does for its user: units, bounds, atomic mutations, messages, checkpoints.
#![allow(clippy::unwrap_used)]

mod text_support;

use systole_models::{Message, Model, Outcome, Text, TextChange, TextMutation, TextRejection};
use systole_proto::Timeframe;
use text_support::{Replica, feed, message, origin};

/// A replica with `content`, written by feed 0.
fn with(content: &str) -> (Replica, Message) {
    let mut replica = Replica::default();
    let first = replica.write(feed(0), 0, TextMutation::insert(0, content)).unwrap();
    (replica, first)
}

/// Makes `mutation` on a text of `content`, and gives the text.
fn edited(content: &str, mutation: TextMutation) -> Result<String, TextRejection> {
    let (mut replica, first) = with(content);
    let before = replica.text.digest();
    let result = replica.write(feed(0), 0, mutation);
    if result.is_err() {
        assert_eq!(replica.view(), content, "a refused mutation changes nothing");
        assert_eq!(replica.text.digest(), before);
        let after = replica.write(feed(0), 0, TextMutation::insert(0, "!")).unwrap();
        let mut reader = Replica::default();
        assert!(reader.apply(&[first.clone(), after]).is_empty());
        assert_eq!(reader.view(), format!("!{content}"));
    }
    result.map(|second| {
        let mut reader = Replica::default();
        assert!(reader.apply(&[first, second]).is_empty());
        assert_eq!(reader.view(), replica.view());
        replica.view()
    })
}

#[test]
fn edits_of_one_mutation_apply_in_sequence() {
    let mutation = TextMutation::insert(5, " world").then_delete(0, 1).then_insert(0, "J");
    assert_eq!(edited("Hello", mutation).unwrap(), "Jello world");
    assert_eq!(edited("Hello", TextMutation::replace(1, 3, "ipp")).unwrap(), "Hippo");
    let backspaces = TextMutation::delete(4, 1).then_delete(3, 1).then_delete(2, 1);
    assert_eq!(edited("Hello", backspaces).unwrap(), "He");
    let own = TextMutation::insert(2, "abc").then_delete(1, 3);
    assert_eq!(edited("Hello", own).unwrap(), "Hcllo");
    let changes = vec![
        TextChange::Delete { at: 0, len: 5 },
        TextChange::Insert { at: 0, text: "Bye".to_owned() },
    ];
    assert_eq!(edited("Hello", TextMutation::from_ops(changes)).unwrap(), "Bye");
}

#[test]
fn positions_count_code_points() {
    // A flag of two code points, a family joined from three, an e with a combining accent.
    let content = "🇩🇪👨‍👩‍👧e\u{301}!";
    let length = content.chars().count();
    assert_eq!(with(content).0.text.len(), length);
    let deleted = edited(content, TextMutation::delete(0, 2)).unwrap();
    assert_eq!(deleted, "👨‍👩‍👧e\u{301}!");
    let split = edited(content, TextMutation::insert(1, "|")).unwrap();
    assert_eq!(split, "\u{1f1e9}|\u{1f1ea}👨‍👩‍👧e\u{301}!");
    let accent = edited(content, TextMutation::delete(length - 2, 1)).unwrap();
    assert_eq!(accent, "🇩🇪👨‍👩‍👧e!");
}

#[test]
fn positions_count_utf16_units_if_the_user_says_so() {
    let crab = "a🦀b🦀c";
    assert_eq!(with(crab).0.text.len_utf16(), 7);
    assert_eq!(edited(crab, TextMutation::insert(3, "|").utf16()).unwrap(), "a🦀|b🦀c");
    assert_eq!(edited(crab, TextMutation::delete(1, 2).utf16()).unwrap(), "ab🦀c");
    assert_eq!(edited(crab, TextMutation::replace(1, 5, "é").utf16()).unwrap(), "aéc");
    // The second edit counts in the text that the first one left.
    let two = TextMutation::insert(0, "🦀").then_insert(2, "x").then_delete(7, 2).utf16();
    assert_eq!(edited(crab, two).unwrap(), "🦀xa🦀bc");
}

#[test]
fn a_surrogate_pair_is_not_split() {
    let refused = |mutation: TextMutation| {
        assert_eq!(edited("a🦀b", mutation.utf16()), Err(TextRejection::SplitsSurrogatePair));
    };
    refused(TextMutation::insert(2, "x"));
    refused(TextMutation::delete(0, 2));
    refused(TextMutation::delete(2, 1));
    // Only seen when the edits before were made.
    refused(TextMutation::insert(0, "🦀").then_insert(1, "x"));
}

#[test]
fn an_edit_past_the_end_is_refused_as_a_whole() {
    let bounds = |at, length| Err(TextRejection::OutOfBounds { at, length });
    assert_eq!(edited("abc", TextMutation::insert(4, "x")), bounds(4, 3));
    assert_eq!(edited("abc", TextMutation::delete(2, 2)), bounds(4, 3));
    assert_eq!(edited("abc", TextMutation::delete(1, usize::MAX)), bounds(usize::MAX, 3));
    assert_eq!(edited("abc", TextMutation::insert(3, "x").then_delete(4, 1)), bounds(5, 4));
    assert_eq!(edited("a🦀", TextMutation::insert(4, "x").utf16()), bounds(4, 3));
    let second = TextMutation::insert(0, "🦀").then_delete(5, 1).utf16();
    assert_eq!(edited("a🦀", second), bounds(6, 5));
}

#[test]
fn a_mutation_that_does_nothing_is_refused() {
    assert_eq!(edited("abc", TextMutation::from_ops([])), Err(TextRejection::Empty));
    assert_eq!(edited("abc", TextMutation::replace(9, 0, "")), Err(TextRejection::Empty));
}

#[test]
fn a_message_keeps_to_its_bounds() {
    use systole_models::text::{TEXT_BYTES_MAX, TEXT_OPS_MAX};
    let fits = "x".repeat(TEXT_BYTES_MAX - 8);
    assert_eq!(edited("abc", TextMutation::insert(0, &fits)).unwrap().len(), fits.len() + 3);
    let over = "x".repeat(TEXT_BYTES_MAX + 1);
    assert_eq!(edited("abc", TextMutation::insert(0, over)), Err(TextRejection::TooLarge));
    // Fits as text, not with its position before it.
    let over = "x".repeat(TEXT_BYTES_MAX);
    assert_eq!(edited("abc", TextMutation::insert(0, over)), Err(TextRejection::TooLarge));
    let many = (0..=TEXT_OPS_MAX).map(|_| TextChange::Insert { at: 0, text: "x".to_owned() });
    assert_eq!(edited("abc", TextMutation::from_ops(many)), Err(TextRejection::TooManyOps));
}

#[test]
fn deleting_more_runs_than_a_message_holds_is_refused_and_changes_nothing() {
    use systole_models::text::TEXT_OPS_MAX;
    // Two feeds in turn: no two neighbours can be deleted by one op.
    let mut replica = Replica::default();
    let half = TEXT_OPS_MAX / 2 + 1;
    replica.write(feed(0), 0, TextMutation::insert(0, "a".repeat(half))).unwrap();
    let edits = (0..half).map(|at| TextChange::Insert { at: 2 * at, text: "b".to_owned() });
    replica.write(feed(1), 0, TextMutation::from_ops(edits)).unwrap();
    let before = replica.view();
    let everything = TextMutation::delete(0, before.len());
    assert_eq!(replica.write(feed(0), 0, everything).unwrap_err(), TextRejection::TooManyOps);
    assert_eq!(replica.view(), before);
    replica.write(feed(0), 0, TextMutation::delete(0, before.len() / 2)).unwrap();
    replica.write(feed(1), 0, TextMutation::delete(0, replica.text.len())).unwrap();
    assert_eq!(replica.reopened().view(), "");
}

#[test]
fn a_slice_is_cut_by_code_points() {
    let text = with("a🦀bc").0.text;
    assert_eq!(text.slice(1..3).unwrap(), "🦀b");
    assert_eq!(text.slice(4..4).unwrap(), "");
    assert_eq!(text.slice(2..5), None);
    let (start, end) = (3, 2);
    assert_eq!(text.slice(start..end), None);
}

#[test]
fn concurrent_deletes_of_one_character_delete_it_once() {
    let (mut one, first) = with("abc");
    let mut two = Replica::default();
    two.apply(std::slice::from_ref(&first));
    let here = one.write(feed(1), 0, TextMutation::delete(1, 1)).unwrap();
    let there = two.write(feed(2), 0, TextMutation::delete(1, 2)).unwrap();
    one.apply(std::slice::from_ref(&there));
    two.apply(std::slice::from_ref(&here));
    assert_eq!((one.view(), two.view()), ("a".to_owned(), "a".to_owned()));

    // An author who saw both writes at the very end; a reader that knows more must find out where
    // that was.
    let beside = two.write(feed(2), 0, TextMutation::insert(0, "more ")).unwrap();
    let end = one.write(feed(1), 0, TextMutation::insert(1, "!")).unwrap();
    let past = |bytes: &[u8]| message((end.origin).clone(), bytes.to_vec());
    // Position 2, one past the end of what that author saw.
    let forged = past(&[2 << 2 | 1, b'?']);
    for (last, refused, expected) in [(&end, vec![], "more a!"), (&forged, vec![0], "more a")] {
        let mut reader = Replica::default();
        let known = [first.clone(), here.clone(), there.clone(), beside.clone()];
        assert!(reader.apply(&known).is_empty());
        assert_eq!(reader.apply(std::slice::from_ref(last)), refused);
        assert_eq!(reader.view(), expected);
    }
}

#[test]
fn a_message_applied_twice_changes_nothing() {
    let (mut replica, first) = with("abc");
    let mut outcome = Outcome::default();
    replica.text.apply(&[first.clone(), first], &mut outcome);
    assert!(outcome.changes.is_empty() && outcome.refused.is_empty());
    assert_eq!(replica.view(), "abc");
}

#[test]
fn a_mutation_that_does_not_see_everything_is_refused() {
    let (mut replica, _) = with("abc");
    let blind = origin(feed(1), 0, Timeframe::new());
    let mutation = TextMutation::insert(3, "x");
    let result = replica.text.mutate(mutation, &blind, &mut Outcome::default());
    assert_eq!(result, Err(TextRejection::Stale));
    assert_eq!(replica.view(), "abc");
}

#[test]
fn a_keystroke_takes_few_bytes() {
    let (mut replica, first) = with(&"x".repeat(100_000));
    assert_eq!(first.payload.len(), 100_001);
    let typed = replica.write(feed(0), 0, TextMutation::insert(90_000, "y")).unwrap();
    assert_eq!(typed.payload.len(), 4);
    let erased = replica.write(feed(0), 0, TextMutation::delete(90_000, 1)).unwrap();
    assert_eq!(erased.payload.len(), 5);
    let foreign = replica.write(feed(1), 0, TextMutation::delete(90_000, 1)).unwrap();
    assert!(foreign.payload.len() <= 8, "{} bytes", foreign.payload.len());
}

#[test]
fn changes_tell_what_happened_in_code_points() {
    let (_, first) = with("a🦀b");
    let mut text = Text::empty();
    let mut outcome = Outcome::default();
    text.apply(&[first], &mut outcome);
    assert_eq!(outcome.changes, [TextChange::Insert { at: 0, text: "a🦀b".to_owned() }]);
    let mut outcome = Outcome::default();
    let next = origin(feed(0), 1, Timeframe::from_iter([(feed(0), 1)]));
    text.mutate(TextMutation::replace(1, 1, "é"), &next, &mut outcome).unwrap();
    let mut replayed = Replica { followed: "a🦀b".chars().collect(), ..Replica::default() };
    replayed.follow(&outcome.changes);
    assert_eq!(replayed.followed.iter().collect::<String>(), "aéb");
}

#[test]
fn a_long_text_is_read_and_edited_after_a_restore() {
    let content = "ab🦀".repeat(100_000);
    let (mut writer, first) = with(&content);
    let second = writer.write(feed(1), 0, TextMutation::delete(150_000, 3)).unwrap();
    let read = writer.reopened();
    assert_eq!(read.text.slice(2..4), writer.text.slice(2..4));
    assert_eq!(read.view(), writer.view());
    let mut written = writer.reopened();
    let third = written.write(feed(2), 0, TextMutation::insert(200_001, "é").utf16()).unwrap();
    let mut applied = writer.reopened();
    assert!(applied.apply(&[first, second, third]).is_empty());
    assert_eq!(applied.view(), written.view());
    assert_eq!(applied.reopened().reopened().view(), written.view());
}

#[test]
fn a_thousand_authors_write_in_turn() {
    let mut writer = Replica::default();
    let messages: Vec<Message> = (0..1000)
        .map(|author| {
            let at = writer.text.len() / 2;
            writer.write(feed(author), 0, TextMutation::replace(at, author % 2, "ab")).unwrap()
        })
        .collect();
    for size in [7, 1000] {
        let mut reader = Replica::default();
        for batch in messages.chunks(size) {
            assert!(reader.apply(batch).is_empty());
        }
        assert_eq!(reader.view(), writer.view());
        assert_eq!(reader.reopened().text.digest(), writer.text.digest());
    }
    // Every author saw all before: half a million pairs.
    assert!(writer.text.memory_bytes() < 10 << 20);
    assert!(writer.text.checkpoint().len() < 4 << 20);
}

//! Edits turn the old text into the new one, whatever the two are.

use proptest::prelude::*;

use super::*;

fn edit(at: usize, delete: usize, insert: &str) -> Edit {
    Edit { at, delete, insert: insert.to_owned() }
}

#[test]
fn equal_texts_have_no_edits() {
    assert_eq!(diff("", ""), []);
    assert_eq!(diff("one\ntwo", "one\ntwo"), []);
}

#[test]
fn a_changed_word_in_a_long_text_is_one_small_edit() {
    let old: String = (0..1000).map(|line| format!("line {line} says something\n")).collect();
    let new = old.replace("line 500 says", "line 500 shouts");
    let at = old.find("500 says").unwrap() + 5;
    assert_eq!(diff(&old, &new), [edit(at, 2, "hout")]);
}

#[test]
fn places_count_code_points_in_the_text_so_far() {
    let old = "ä☃ one\nmiddle ☃☃☃\nlast 👍🏽 line\n";
    let new = "ä☃ once\nmiddle ☃☃☃\nlast line\n";
    assert_eq!(diff(old, new), [edit(5, 0, "c"), edit(24, 3, "")]);
}

#[test]
fn a_code_point_is_never_cut() {
    // Both begin with the same byte, and both end with the same byte.
    assert_eq!(diff("é", "è"), [edit(0, 1, "è")]);
    assert_eq!(diff("\u{e9}", "\u{129}"), [edit(0, 1, "\u{129}")]);
}

#[test]
fn line_ends_and_a_missing_last_one_are_kept_apart() {
    assert_eq!(diff("one\r\nlast", "one\nlast\n"), [edit(3, 1, ""), edit(8, 0, "\n")]);
}

#[test]
fn edits_that_nearly_touch_are_one() {
    assert_eq!(diff("a = f(x, y);\n", "a = g(x, z);\n"), [edit(4, 1, "g"), edit(9, 1, "z")]);
    assert_eq!(diff("f(x);\n", "g(y);\n"), [edit(0, 3, "g(y")]);
}

#[test]
fn many_edits_that_would_not_fit_a_block_become_one_replacement() {
    let old = "abcd;\n".repeat(80_000);
    let new = old.replace(';', ",");
    assert!(80_000 * edit(0, 1, ",").cost_bytes() > EDITS_BYTES_MAX);
    let edits = diff(&old, &new);
    assert_eq!(edits.len(), 1);
    assert_eq!(apply(&old, &edits).unwrap(), new);
}

#[test]
fn the_smallest_edits_cannot_be_halved() {
    assert_eq!(halve(vec![]), None);
    assert_eq!(halve(vec![edit(7, 1, "")]), None);
    assert_eq!(halve(vec![edit(7, 0, "☃")]), None);
    assert_eq!(halve(vec![edit(7, 1, "☃")]), Some((vec![edit(7, 1, "")], vec![edit(7, 0, "☃")])));
}

#[test]
fn an_edit_outside_the_text_is_refused() {
    assert_eq!(apply("abc", &[edit(4, 0, "x")]), Err(Misplaced { index: 0 }));
    assert_eq!(apply("abc", &[edit(2, 2, "")]), Err(Misplaced { index: 0 }));
    assert_eq!(apply("abc", &[edit(1, 0, "xy"), edit(2, 1, "")]), Err(Misplaced { index: 1 }));
    assert_eq!(apply("abc", &[edit(3, 0, "d"), edit(4, 0, "e")]).unwrap(), "abcde");
}

/// Lines of few kinds, so that passages repeat and move; one line in five is long or strange.
fn text() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        4 => "[ab{}]{0,3}\n",
        1 => "[a-c é☃👍\u{301}\r\t;.]{0,40}\n?",
    ];
    prop::collection::vec(line, 0..40).prop_map(|lines| lines.concat())
}

/// A text and a later state of it: some passages cut, copied or replaced.
fn history() -> impl Strategy<Value = (String, String)> {
    let change = (any::<prop::sample::Index>(), 0..6_usize, text());
    (text(), prop::collection::vec(change, 0..5)).prop_map(|(old, changes)| {
        let mut new: Vec<char> = old.chars().collect();
        for (index, delete, insert) in changes {
            let at = index.index(new.len() + 1);
            let end = (at + delete).min(new.len());
            new.splice(at..end, insert.chars().take(delete * 9));
        }
        (old, new.into_iter().collect())
    })
}

/// Applies edits after halving them `depth` times, as far as that goes.
fn apply_halved(text: &str, edits: Vec<Edit>, depth: usize) -> String {
    match halve(edits.clone()) {
        Some((first, second)) if depth > 0 => {
            let text = apply_halved(text, first, depth - 1);
            apply_halved(&text, second, depth - 1)
        }
        _ => apply(text, &edits).unwrap(),
    }
}

proptest! {
    #[test]
    fn halves_do_what_the_whole_does((old, new) in history(), depth in 0..12_usize) {
        prop_assert_eq!(apply_halved(&old, diff(&old, &new), depth), new);
    }

    #[test]
    fn edits_turn_the_old_text_into_the_new(old in text(), new in text()) {
        prop_assert_eq!(apply(&old, &diff(&old, &new)).unwrap(), new);
    }

    #[test]
    fn edits_between_states_of_a_text_are_right_and_never_nearly_touch((old, new) in history()) {
        let edits = diff(&old, &new);
        prop_assert_eq!(apply(&old, &edits).unwrap(), new.as_str());
        for pair in edits.windows(2) {
            let end = pair[0].at + pair[0].insert.chars().count();
            prop_assert!(pair[1].at >= end + GAP_MIN);
        }
    }
}

//! The plan of an import, step by step.

use super::*;
use crate::import::report::NAMES_MAX;

fn object(content: u8) -> ObjectId {
    ObjectId::parse(format!("{content:02x}").repeat(20).as_bytes()).unwrap()
}

fn path(name: &str) -> RepoPath {
    RepoPath::new(name.as_bytes())
}

fn put_mode(name: &str, mode: Mode, content: u8) -> Change {
    Change::Put { entry: Entry { path: path(name), mode, object: object(content) }, from: None }
}

fn put(name: &str, content: u8) -> Change {
    put_mode(name, Mode::File, content)
}

fn moved(from: &str, name: &str, content: u8) -> Change {
    let entry = Entry { path: path(name), mode: Mode::File, object: object(content) };
    Change::Put { entry, from: Some(path(from)) }
}

fn gone(name: &str) -> Change {
    Change::Delete { path: path(name) }
}

/// Contents of 0x80 and above are binary.
fn look(pending: &Pending) -> Verdict {
    pending.decided().unwrap_or_else(|| match pending.object().unwrap() {
        object if object.as_bytes()[0] >= 0x80 => Verdict::Skip(Skip::Binary),
        object => Verdict::Text(object),
    })
}

fn commit(plan: &mut Plan, changes: Vec<Change>) -> Vec<Action> {
    let pending = plan.take(changes);
    pending
        .into_iter()
        .map(|pending| {
            let verdict = look(&pending);
            plan.settle(pending, verdict)
        })
        .collect()
}

fn change(file: u32, restored: bool, renamed: bool, from: Option<u8>) -> Action {
    Action::Change { file: FileId(file), restored, renamed, from: from.map(object) }
}

#[test]
fn a_file_is_created_edited_and_deleted() {
    let mut plan = Plan::default();
    assert_eq!(commit(&mut plan, vec![put("a", 1)]), [Action::Create(FileId(0))]);
    assert_eq!(commit(&mut plan, vec![put("a", 2)]), [change(0, false, false, Some(1))]);
    assert_eq!(commit(&mut plan, vec![gone("a")]), [Action::Delete(FileId(0))]);
    assert_eq!(commit(&mut plan, vec![put("a", 2)]), [Action::Create(FileId(1))]);
}

#[test]
fn a_rename_keeps_the_file_with_or_without_an_edit() {
    let mut plan = Plan::default();
    commit(&mut plan, vec![put("a", 1)]);
    assert_eq!(commit(&mut plan, vec![moved("a", "b", 1)]), [change(0, false, true, None)]);
    assert_eq!(commit(&mut plan, vec![moved("b", "c", 2)]), [change(0, false, true, Some(1))]);
    assert_eq!(commit(&mut plan, vec![put("c", 3)]), [change(0, false, false, Some(2))]);
}

#[test]
fn a_path_can_be_left_and_taken_in_one_commit_in_any_order() {
    let mut plan = Plan::default();
    commit(&mut plan, vec![put("a", 1), put("b", 2)]);
    let swapped = commit(&mut plan, vec![moved("b", "a", 2), moved("a", "b", 1)]);
    assert_eq!(swapped, [change(1, false, true, None), change(0, false, true, None)]);
    let replaced = commit(&mut plan, vec![moved("b", "c", 1), put("b", 9)]);
    assert_eq!(replaced, [change(0, false, true, None), Action::Create(FileId(2))]);
}

#[test]
fn a_change_of_permissions_alone_is_nothing_and_reads_nothing() {
    let mut plan = Plan::default();
    commit(&mut plan, vec![put("a", 1)]);
    let pending = plan.take(vec![put("a", 1)]).remove(0);
    assert_eq!(pending.decided(), Some(Verdict::Text(object(1))));
    assert_eq!(plan.settle(pending, Verdict::Text(object(1))), Action::Nothing);
}

#[test]
fn a_file_that_is_binary_for_a_while_comes_back_as_the_same_item() {
    let mut plan = Plan::default();
    commit(&mut plan, vec![put("a", 1)]);
    assert_eq!(commit(&mut plan, vec![put("a", 0x80)]), [Action::Delete(FileId(0))]);
    assert_eq!(commit(&mut plan, vec![put("a", 0x81)]), [Action::Nothing]);
    assert_eq!(commit(&mut plan, vec![moved("a", "b", 0x81)]), [Action::Nothing]);
    assert_eq!(commit(&mut plan, vec![put("b", 2)]), [change(0, true, true, Some(1))]);
    assert_eq!(commit(&mut plan, vec![put("b", 3)]), [change(0, false, false, Some(2))]);
}

#[test]
fn a_file_that_comes_back_unchanged_is_only_restored() {
    let mut plan = Plan::default();
    commit(&mut plan, vec![put("a", 1)]);
    commit(&mut plan, vec![put("a", 0x80)]);
    assert_eq!(commit(&mut plan, vec![put("a", 1)]), [change(0, true, false, None)]);
}

#[test]
fn a_file_that_goes_while_it_is_binary_is_not_deleted_twice() {
    let mut plan = Plan::default();
    commit(&mut plan, vec![put("a", 1), put("b", 0x80)]);
    commit(&mut plan, vec![put("a", 0x80)]);
    let actions = commit(&mut plan, vec![gone("a"), gone("b"), gone("never there")]);
    assert_eq!(actions, [Action::Nothing; 3]);
}

#[test]
fn links_submodules_and_endless_paths_are_left_out_unread() {
    let mut plan = Plan::default();
    let long = "d/".repeat(PATH_BYTES_MAX / 2) + "f";
    let changes = vec![
        put_mode("link", Mode::Symlink, 1),
        put_mode("sub", Mode::Submodule, 2),
        put(&long, 3),
    ];
    let pending = plan.take(changes);
    let decided: Vec<_> = pending.iter().map(Pending::decided).collect();
    let expected = [Skip::Symlink, Skip::Submodule, Skip::OverLarge];
    assert_eq!(decided, expected.map(|reason| Some(Verdict::Skip(reason))));
}

#[test]
fn a_file_that_becomes_a_link_is_deleted_and_comes_back() {
    let mut plan = Plan::default();
    commit(&mut plan, vec![put("a", 1)]);
    let actions = commit(&mut plan, vec![put_mode("a", Mode::Symlink, 7)]);
    assert_eq!(actions, [Action::Delete(FileId(0))]);
    assert_eq!(commit(&mut plan, vec![put("a", 1)]), [change(0, true, false, None)]);
}

#[test]
fn what_is_left_out_is_counted_once_per_file_and_named_up_to_a_limit() {
    let mut plan = Plan::default();
    let many = NAMES_MAX + 5;
    commit(&mut plan, (0..many).map(|file| put(&format!("f{file:02}"), 0x80)).collect());
    commit(&mut plan, vec![put("f00", 0x90), moved("f01", "g", 0x80), gone("f02"), put("f03", 1)]);
    let skipped = plan.into_skipped();
    assert_eq!(skipped.binary.files, many as u64);
    assert_eq!(skipped.binary.at_head, many as u64 - 2);
    assert_eq!(skipped.binary.names.len(), NAMES_MAX);
    assert_eq!(skipped.binary.names[..2], ["f00", "f01"]);
    assert_eq!(skipped.symlink.files, 0);
}

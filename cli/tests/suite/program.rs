//! The program as a shell runs it: exit status, streams, surroundings.

use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::builder::Builder;

fn systole() -> Command {
    Command::new(env!("CARGO_BIN_EXE_systole"))
}

fn import(repository: &Path, into: &Path) -> Command {
    let mut command = systole();
    command.args(["import", "git"]).arg(repository).arg("--into").arg(into);
    command
}

fn ended(mut command: Command) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = command.output().unwrap();
    (status.code(), String::from_utf8(stderr).unwrap())
}

#[test]
fn wrong_arguments_and_wrong_directories_end_with_2() {
    let folder = TempDir::new().unwrap();
    let mut wrong = systole();
    wrong.arg("imprt");
    let (code, told) = ended(wrong);
    assert_eq!(code, Some(2));
    assert!(told.contains("import"), "{told}");
    let (code, told) = ended(import(folder.path(), &folder.path().join("into")));
    assert_eq!(code, Some(2));
    assert!(told.contains("not a Git repository"), "{told}");
    assert!(told.contains("what to do"), "{told}");
    assert!(!folder.path().join("into").exists());
}

#[test]
fn a_machine_without_git_is_told_so() {
    let folder = TempDir::new().unwrap();
    let mut command = import(folder.path(), &folder.path().join("into"));
    command.env("PATH", folder.path());
    let (code, told) = ended(command);
    assert_eq!(code, Some(3));
    assert!(told.contains("git program cannot be started"), "{told}");
}

#[test]
fn the_repository_of_a_surrounding_hook_is_not_taken_for_the_one_asked_for() {
    let mut builder = Builder::new();
    builder.commit("Ann").put("a", "one\n");
    let surrounding = builder.build();
    let folder = TempDir::new().unwrap();
    let mut command = import(folder.path(), &folder.path().join("into"));
    command.env("GIT_DIR", surrounding.path());
    let (code, told) = ended(command);
    assert_eq!(code, Some(2), "{told}");
}

#[test]
fn a_repository_that_git_does_not_trust_says_how_to_trust_it() {
    let mut builder = Builder::new();
    builder.commit("Ann").put("a", "one\n");
    let built = builder.build();
    let folder = TempDir::new().unwrap();
    let mut command = import(built.path(), &folder.path().join("into"));
    command.env("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1");
    command.env("GIT_CONFIG_GLOBAL", "/dev/null");
    let (code, told) = ended(command);
    assert_eq!(code, Some(2), "{told}");
    assert!(told.contains("safe.directory"), "{told}");
}

#[test]
fn errors_are_json_where_answers_are() {
    let folder = TempDir::new().unwrap();
    let mut command = import(folder.path(), &folder.path().join("into"));
    command.arg("--json");
    let (_, told) = ended(command);
    let error: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert!(error.pointer("/advice").unwrap().is_string());
}

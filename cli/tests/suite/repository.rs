//! Which directories are repositories, and what is said about those that are not.

use std::fs;

use systole_cli::git::{Blob, PIPELINE_MAX, Repository};
use systole_cli::{Error, Exit};
use tempfile::TempDir;

use crate::builder::{Builder, git};

#[test]
fn a_path_that_is_nothing_or_a_file_is_told_apart() {
    let folder = TempDir::new().unwrap();
    let nowhere = folder.path().join("nowhere");
    assert!(matches!(Repository::open(&nowhere), Err(Error::NoSuchDirectory { .. })));
    fs::write(&nowhere, "a file").unwrap();
    assert!(matches!(Repository::open(&nowhere), Err(Error::NotARepository { .. })));
}

#[test]
fn a_folder_without_repository_is_refused() {
    let folder = TempDir::new().unwrap();
    let error = Repository::open(folder.path()).unwrap_err();
    assert!(matches!(error, Error::NotARepository { .. }), "{error}");
    assert_eq!(error.exit(), Exit::Usage);
    assert!(error.advice().is_some());
}

#[test]
fn a_folder_inside_a_repository_names_the_repository() {
    let mut builder = Builder::new();
    builder.commit("Ann").put("deep/down/file", "x");
    let checkout = builder.build().checkout();
    let error = Repository::open(&checkout.path().join("deep/down")).unwrap_err();
    let Error::InsideRepository { top, .. } = &error else { panic!("{error}") };
    assert_eq!(top, &fs::canonicalize(checkout.path()).unwrap());
    assert!(error.advice().unwrap().contains(top.to_str().unwrap()));
}

#[test]
fn a_repository_without_commits_is_refused() {
    let folder = TempDir::new().unwrap();
    git(folder.path(), &["init", "--quiet"]);
    let error = Repository::open(folder.path()).unwrap_err();
    assert!(matches!(error, Error::EmptyRepository { .. }), "{error}");
    git(folder.path(), &["symbolic-ref", "HEAD", "refs/heads/elsewhere"]);
    let error = Repository::open(folder.path()).unwrap_err();
    assert!(matches!(error, Error::EmptyRepository { .. }), "{error}");
}

#[test]
fn a_repository_whose_head_is_damaged_tells_gits_reason() {
    let mut builder = Builder::new();
    builder.commit("Ann").put("a", "x");
    let built = builder.build();
    fs::write(built.path().join("refs/heads/main"), "ab".repeat(20) + "\n").unwrap();
    let error = Repository::open(built.path()).and_then(|repository| repository.count_commits());
    assert!(matches!(error, Err(Error::GitFailed { .. } | Error::EmptyRepository { .. })));
}

#[test]
fn contents_come_in_the_order_asked_for_and_large_ones_unread() {
    let mut builder = Builder::new();
    builder.commit("Ann").put("a", "small").put("b", "x".repeat(100)).put("c", "");
    let built = builder.build();
    let object = |name: &str| {
        let id = built.git(&["rev-parse", &format!("HEAD:{name}")]);
        systole_cli::git::ObjectId::parse(id.as_bytes()).unwrap()
    };
    let (a, b, c) = (object("a"), object("b"), object("c"));
    let mut blobs = built.open().blobs(99).unwrap();
    let small = Blob::Content(b"small".to_vec());
    blobs.ask(&[b, a, c, a, b]).unwrap();
    let taken: Vec<_> = (0..5).map(|_| blobs.take().unwrap()).collect();
    let empty = Blob::Content(Vec::new());
    assert_eq!(taken, [Blob::OverLarge, small.clone(), empty, small.clone(), Blob::OverLarge]);
    blobs.ask(&vec![a; PIPELINE_MAX]).unwrap();
    assert!((0..PIPELINE_MAX).all(|_| blobs.take().unwrap() == small));
}

#[test]
fn a_tree_is_asked_for_as_a_content_in_vain() {
    let mut builder = Builder::new();
    builder.commit("Ann").put("d/a", "x");
    let built = builder.build();
    let id = built.git(&["rev-parse", "HEAD:d"]);
    let tree = systole_cli::git::ObjectId::parse(id.as_bytes()).unwrap();
    let error = built.open().blobs(99).unwrap().read(tree).unwrap_err();
    assert!(matches!(error, Error::GitOutput { .. }), "{error}");
}

//! Stores that the program makes of repositories, shows and verifies: what a user sees.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use systole::Engine;
use systole_store::{Batch, Durability, Options, Store};
use tempfile::TempDir;

use crate::builder::{Builder, Built, runtime};

/// A store that was imported from a repository.
pub(crate) struct Imported {
    folder: TempDir,
    pub(crate) report: Value,
}

impl Imported {
    pub(crate) fn from(built: &Built) -> Self {
        let folder = TempDir::new().unwrap();
        let into = folder.path().join("store");
        let words = ["import", "git", built.path().to_str().unwrap(), "--into"];
        let report = json(&[&words[..], &[into.to_str().unwrap()]].concat());
        Self { folder, report }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    pub(crate) fn json(&self, words: &[&str]) -> Value {
        json(&[words, &[self.path().to_str().unwrap()]].concat())
    }

    fn run(&self, words: &[&str]) -> (Option<i32>, String, String) {
        run(&[words, &[self.path().to_str().unwrap()]].concat())
    }

    /// The item with this path.
    fn item(&self, path: &str) -> Value {
        let items = self.json(&["items", "--deleted"]);
        let mut items = items["items"].as_array().unwrap().iter();
        items.find(|item| item["title"] == path).unwrap().clone()
    }
}

pub(crate) fn run(words: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_systole"));
    let Output { status, stdout, stderr } = command.args(words).arg("--quiet").output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

pub(crate) fn json(words: &[&str]) -> Value {
    let (code, out, told) = run(&[words, &["--json"]].concat());
    assert_eq!(code, Some(0), "{out}{told}");
    serde_json::from_str(&out).unwrap()
}

/// Three authors, a merge, a rename, a deletion, a file that is binary for a while, odd names.
pub(crate) fn eventful() -> Built {
    let body: String = (0..40).map(|line| format!("line {line}\n")).collect();
    let mut builder = Builder::new();
    builder.commit("Ann").put("src/lib.rs", &body).put("empty", "").put("goes", "away\n");
    builder.commit_on("side", "Bob").from("main").put("größe/日本.txt", "ä → 日本 \u{1f600}\n");
    builder.commit("Ann").put("src/lib.rs", body.replace("line 7\n", "line seven\n"));
    builder.commit("Cid").merge("side").put("größe/日本.txt", "ä → 日本 \u{1f600}\n");
    builder.commit("Bob").rename("src/lib.rs", "src/main.rs").delete("goes");
    builder.commit("Ann").put("größe/日本.txt", b"\0binary").put(b"caf\xe9", "not a UTF-8 name\n");
    builder
        .commit("Cid")
        .put("größe/日本.txt", "ä → 中 \u{1f600}\u{1f601}\n")
        .put("latin", b"\xe9");
    builder.commit("Bob").put("src/main.rs", body.replace("line 3\n", "")).put("empty", "full\n");
    builder.build()
}

#[test]
fn a_history_becomes_a_store_that_shows_what_git_has() {
    let built = eventful();
    let imported = Imported::from(&built);
    let report = &imported.report;
    assert_eq!(report["check"]["different"], 0);
    assert_eq!(report["check"]["same"], 4, "lib.rs, empty, the Japanese one, the coffee");
    assert_eq!(report["authors"], 3);
    assert_eq!(report["store"]["feeds"], 4, "one of each author, one of the device");
    let status = imported.json(&["status"]);
    assert_eq!(status["parties"][0]["state"], "active");
    assert_eq!(status["parties"][0]["items"], 5, "the files, and what they lie under");
    assert_eq!(status["parties"][0]["deleted_items"], 1);
    assert_eq!(status["parties"][0]["blocks"], report["store"]["blocks"]);
    let item = imported.item("src/main.rs");
    assert_eq!((&item["messages"], &item["feeds"]), (&4.into(), &2.into()));
    let prefix = &item["item"].as_str().unwrap()[..12];
    let shown = imported.json(&["show", prefix]);
    let git = built.git(&["show", "HEAD:src/main.rs"]);
    assert_eq!(shown["content"].as_str().unwrap().trim_end(), git);
    assert_eq!(shown["blocks_read"], 4, "an item is loaded from its own messages");
    assert_eq!(imported.item("goes")["deleted"], true);
}

#[test]
fn every_author_has_a_feed_of_their_own_under_their_name() {
    let imported = Imported::from(&eventful());
    let feeds = imported.json(&["feeds"]);
    let feeds = feeds["feeds"].as_array().unwrap();
    let mut authors: Vec<&str> = feeds.iter().filter_map(|feed| feed["author"].as_str()).collect();
    authors.sort_unstable();
    let expected = ["Ann <ann@example.org>", "Bob <bob@example.org>", "Cid <cid@example.org>"];
    assert_eq!(authors, expected);
    assert!(feeds.iter().all(|feed| feed["own"] == true && feed["owner"].is_string()));
    assert!(feeds.iter().all(|feed| feed["blocks"] == feed["processed"]));
    assert!(feeds.iter().all(|feed| feed["root"].as_str().unwrap().len() == 52));
}

#[test]
fn a_commit_of_many_files_and_bytes_is_written_in_parts() {
    let mut builder = Builder::new();
    builder.commit("Ann");
    for file in 0..1500 {
        builder.put(format!("small/{file}"), format!("{file}\n"));
    }
    for file in 0..5 {
        builder.put(format!("large/{file}"), format!("{file}\n").repeat(150_000));
    }
    builder.commit("Bob");
    for file in 0..1500 {
        builder.put(format!("small/{file}"), format!("{file}, edited\n"));
    }
    let imported = Imported::from(&builder.build());
    assert_eq!(imported.report["check"]["same"], 1505);
    assert_eq!(imported.report["edited"], 1500);
}

#[test]
fn a_directory_without_a_store_is_refused_and_left_as_it_was() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().to_str().unwrap();
    for words in [&["status"][..], &["feeds"], &["items"], &["show", "a"], &["verify"]] {
        let (code, _, told) = run(&[words, &[path]].concat());
        assert_eq!(code, Some(2), "{told}");
        assert!(told.contains("holds no Systole data"), "{told}");
        assert!(told.contains("what to do"), "{told}");
    }
    assert_eq!(fs::read_dir(path).unwrap().count(), 0);
}

#[test]
fn a_store_that_is_open_elsewhere_is_busy() {
    let imported = Imported::from(&eventful());
    let runtime = runtime();
    let engine = runtime.block_on(Engine::builder(imported.path()).open()).unwrap();
    for command in ["status", "verify"] {
        let (code, _, told) = imported.run(&[command]);
        assert_eq!(code, Some(2), "{told}");
        assert!(told.contains("open in another process"), "{told}");
        assert!(told.contains(imported.path().to_str().unwrap()), "{told}");
        assert!(told.contains("close the application"), "{told}");
    }
    runtime.block_on(engine.close()).unwrap();
    imported.json(&["status"]);
}

#[test]
fn an_id_that_names_no_item_or_several_is_told_apart() {
    let imported = Imported::from(&eventful());
    let (code, _, told) = imported.run(&["show", "1"]);
    assert_eq!(code, Some(2), "no id has a digit 1: {told}");
    assert!(told.contains("no item's id begins with 1"), "{told}");
    let (code, _, told) = imported.run(&["show", ""]);
    assert_eq!(code, Some(2), "{told}");
    assert!(told.contains("give more of the id"), "{told}");
}

#[test]
fn a_sound_store_is_verified_and_stays_as_it_was() {
    let imported = Imported::from(&eventful());
    let before = imported.json(&["feeds"]);
    let verified = imported.json(&["verify"]);
    assert_eq!(verified["damage_total"], 0);
    assert_eq!(verified["blocks"], imported.report["store"]["blocks"]);
    assert_eq!(verified["items"], 6);
    assert_eq!(imported.json(&["feeds"]), before);
}

#[test]
fn an_altered_block_is_named() {
    let imported = Imported::from(&eventful());
    let store = Store::open_existing(&imported.path(), &Options::default()).unwrap();
    let party = store.meta().parties().unwrap().remove(0);
    let feed = store.meta().feeds_of(party.no).unwrap().pop().unwrap();
    let mut block = store.feeds().block(feed.no, 2).unwrap().unwrap().to_vec();
    *block.last_mut().unwrap() ^= 1;
    let mut batch = Batch::new();
    store.feeds().put_block(&mut batch, feed.no, 2, &block);
    store.commit(batch, Durability::Synced).unwrap();
    drop(store);
    let (code, out, _) = imported.run(&["verify"]);
    assert_eq!(code, Some(1), "{out}");
    assert!(out.contains(&format!("block 2 of feed {}", feed.key)), "{out}");
    assert!(out.contains("what to do: "), "{out}");
    let (code, out, _) = imported.run(&["verify", "--json"]);
    assert_eq!(code, Some(1));
    let verified: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(verified["damage"][0]["kind"], "block");
    assert_eq!(verified["damage"][0]["first_block"], 2);
}

#[test]
fn a_byte_that_is_flipped_in_the_table_of_blocks_is_found() {
    let imported = Imported::from(&eventful());
    let tables = files_of(&imported.path().join("database"), "sst");
    // The largest one holds the blocks.
    let table = tables.iter().max_by_key(|table| fs::metadata(table).unwrap().len()).unwrap();
    let sound = fs::read(table).unwrap();
    let mut flipped = sound.clone();
    flipped[100] ^= 0x10;
    fs::write(table, &flipped).unwrap();
    let (code, out, told) = imported.run(&["verify"]);
    assert_eq!(code, Some(1), "{}: {out}{told}", table.display());
    assert!(out.contains("DAMAGED"), "{out}");
    fs::write(table, &sound).unwrap();
    assert_eq!(imported.json(&["verify"])["damage_total"], 0);
}

pub(crate) fn files_of(folder: &Path, kind: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.extension().is_some_and(|found| found == kind)).collect()
}

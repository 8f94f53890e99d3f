//! What the commands do with a store's answers.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Parser;
use systole_cli::arguments::Arguments;
use systole_cli::backend::Backend;
use systole_cli::command::{print_error, run};
use systole_cli::import::memory::Memory;
use systole_cli::progress::Progress;
use systole_cli::view::{
    Backup, Damage, Feed, Feeds, Form, Held, Item, Items, Party, Restored, Shown, Status, Usage,
    Verification, Wait, Writer,
};
use systole_cli::{Error, Exit, Result};
use tempfile::TempDir;

use crate::builder::{Builder, runtime};

/// A store that answers the same whatever directory it is asked about.
struct Canned {
    damage: Vec<Damage>,
}

impl Backend for Canned {
    type Sink = Memory;

    async fn create(&self, directory: &Path, name: &str) -> Result<Memory> {
        fs::write(directory.join("name"), name).unwrap();
        Ok(Memory::default())
    }

    async fn status(&self, directory: &Path) -> Result<Status> {
        let waiting = vec![Wait { feed: "feedb".into(), have: 3, want: 1_200 }];
        Ok(Status {
            directory: directory.to_owned(),
            disk_bytes: 3 * 1024 * 1024,
            usage: Usage {
                files: 2,
                file_bytes: 2 << 20,
                log_bytes: 1 << 20,
                pending_compaction_bytes: 512,
                ..Usage::default()
            },
            parties: vec![Party {
                party: "partya".into(),
                state: "active".into(),
                held: Some(Held {
                    feeds: 2,
                    members: 1,
                    blocks: 12_345,
                    items: 7,
                    deleted_items: 1,
                    waiting,
                    ..Held::default()
                }),
            }],
        })
    }

    async fn feeds(&self, _: &Path) -> Result<Feeds> {
        let feed = Feed {
            feed: "feeda".into(),
            party: "partya".into(),
            owner: Some("key".into()),
            own: true,
            author: Some("ann".into()),
            blocks: 12_000,
            root: Some("root".into()),
            processed: 11_999,
        };
        Ok(Feeds { feeds: vec![feed] })
    }

    async fn items(&self, _: &Path, deleted: bool) -> Result<Items> {
        let item = Item {
            item: "itema".into(),
            party: "partya".into(),
            model: "text".into(),
            version: 1,
            title: Some("src/\u{1b}lib.rs".into()),
            messages: 9,
            feeds: 2,
            deleted: false,
        };
        let mut items = vec![item.clone()];
        items.extend(deleted.then_some(Item { item: "itemb".into(), deleted: true, ..item }));
        Ok(Items { items })
    }

    async fn show(&self, _: &Path, item: &str) -> Result<Shown> {
        let writer = Writer { feed: "feeda".into(), author: Some("ann".into()), messages: 9 };
        Ok(Shown {
            item: item.into(),
            model: "text".into(),
            version: 1,
            metadata: Some("{\"path\": \"a\"}".into()),
            writers: vec![writer],
            content: Some("one\n\tt\u{1b}wo\n".into()),
            seconds: 0.002,
            blocks_read: 9,
            blocks: 12_000,
            ..Shown::default()
        })
    }

    async fn verify(&self, directory: &Path, _: &mut Progress) -> Result<Verification> {
        Ok(Verification {
            directory: directory.to_owned(),
            feeds: 1,
            blocks: 12_000,
            bytes: 2048,
            heads: 12,
            items: 7,
            messages: 11_999,
            checkpoints: 3,
            skipped: 0,
            damage: self.damage.clone(),
            damage_total: self.damage.len() as u64,
            seconds: 0.5,
        })
    }

    async fn backup(&self, directory: &Path, to: &Path) -> Result<Backup> {
        Ok(Backup {
            directory: directory.to_owned(),
            backup: to.to_owned(),
            disk_bytes: 2048,
            holds_key: true,
            seconds: 0.5,
        })
    }

    async fn restore(&self, backup: &Path, to: &Path, progress: &mut Progress) -> Result<Restored> {
        let verification = self.verify(backup, progress).await?;
        Ok(Restored { directory: to.to_owned(), parties: 1, verification })
    }
}

/// Runs a command line; `@` stands for an existing directory.
fn answer(line: &str, damage: Vec<Damage>) -> (Result<Exit>, String) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().to_str().unwrap();
    let words = line.split(' ').map(|word| word.replace('@', path));
    let arguments = Arguments::try_parse_from(words).unwrap();
    let mut out = Vec::new();
    let exit = runtime().block_on(run(&arguments, &Canned { damage }, &mut out));
    (exit, String::from_utf8(out).unwrap().replace(path, "@"))
}

fn told(line: &str) -> String {
    let (exit, told) = answer(line, Vec::new());
    assert_eq!(exit.unwrap(), Exit::Success);
    told
}

#[test]
fn status_shows_parties_and_what_they_wait_for() {
    let expected = "\
@: 1 party, 3.0 MiB on disk
2 files of 2.0 MiB, 1.0 MiB of logs, 512 B to be compacted

PARTY   STATE   MEMBERS  FEEDS  BLOCKS  ITEMS  DELETED  QUARANTINED
partya  active        1      2  12,345      7        1            0

party partya
  waits for feed feedb: has 3 blocks, needs 1,200
";
    assert_eq!(told("systole status @"), expected);
}

#[test]
fn feeds_and_items_are_tables_without_control_characters() {
    let expected = "\
FEED   PARTY   BLOCKS  PROCESSED  OWNER              AUTHOR
feeda  partya  12,000     11,999  key (this device)  ann
";
    assert_eq!(told("systole feeds @"), expected);
    let expected = "\
ITEM   MODEL    MESSAGES  FEEDS  TITLE
itema  text v1         9      2  src/\\u{1b}lib.rs
itemb  text v1         9      2  deleted: src/\\u{1b}lib.rs
";
    assert_eq!(told("systole items @ --deleted"), expected);
}

#[test]
fn an_item_is_shown_with_its_writers_and_lines() {
    let expected = "\
item itema: text v1
  {\"path\": \"a\"}
  9 messages of feed feeda, ann
  loaded in 2.0 ms from 9 blocks of 12,000 and its checkpoint, if any

one
\tt\\u{1b}wo
";
    assert_eq!(told("systole show itema @"), expected);
}

#[test]
fn every_answer_is_one_json_document_if_asked_for() {
    for (line, pointer, expected) in [
        ("systole --json status @", "/parties/0/waiting/0/want", 1200),
        ("systole status @ --json", "/parties/0/deleted_items", 1),
        ("systole status @ --json", "/usage/files", 2),
        ("systole feeds @ --json", "/feeds/0/processed", 11_999),
        ("systole items @ --json", "/items/0/messages", 9),
        ("systole show itema @ --json", "/writers/0/messages", 9),
        ("systole verify @ --json", "/blocks", 12_000),
        ("systole backup @ to --json", "/disk_bytes", 2048),
        ("systole restore @ to --json", "/verification/blocks", 12_000),
    ] {
        let document: serde_json::Value = serde_json::from_str(&told(line)).unwrap();
        assert_eq!(document.pointer(pointer).unwrap(), expected, "{line}");
    }
}

#[test]
fn damage_is_told_with_its_place_and_ends_with_its_own_status() {
    let checked = "\
verified 12,000 blocks of 1 feed (2.0 KiB) under 12 signed heads in 0.50 s
  made again from them: 7 items with 11,999 messages; 3 checkpoints compared
";
    let sound = format!("{checked}everything is what its authors signed\n");
    assert_eq!(told("systole verify @"), sound);
    let damaged = |seq, advice: &str| Damage {
        problem: format!("block {seq} of feed feeda: it is not what its author signed"),
        advice: advice.into(),
        ..Damage::default()
    };
    let damage = vec![damaged(17, "fetch"), damaged(19, "fetch"), damaged(23, "restore")];
    let (exit, told) = answer("systole verify @", damage);
    assert_eq!(exit.unwrap(), Exit::Damage);
    let expected = "\
DAMAGED: 3 problems found in @
  block 17 of feed feeda: it is not what its author signed
  block 19 of feed feeda: it is not what its author signed
    what to do: fetch
  block 23 of feed feeda: it is not what its author signed
    what to do: restore
";
    assert_eq!(told, format!("{expected}{checked}"));
}

#[test]
fn backup_and_restore_tell_what_was_copied_and_what_becomes_of_it() {
    let expected = "\
@ is backed up in to
  2.0 KiB in 0.50 s; all of it was read once, and no checksum differs
  it holds the device's key: keep it as secret as the store
";
    assert_eq!(told("systole backup @ to"), expected);
    let restored = told("systole restore @ to");
    assert!(restored.starts_with("@ is restored in to: 1 party\nverified 12,000 blocks"));
    assert!(restored.contains("a fresh feed of its own"), "{restored}");
    let damage = Damage { problem: "block 17".into(), ..Damage::default() };
    let (exit, told) = answer("systole restore @ to", vec![damage]);
    assert_eq!(exit.unwrap(), Exit::Damage);
    assert!(told.starts_with("NOT RESTORED: @ is damaged, and to is left as it was\nDAMAGED"));
    assert!(!told.contains("fresh feed"), "{told}");
}

#[test]
fn a_store_that_is_not_there_is_a_usage_error() {
    for words in [
        "status @/nowhere",
        "feeds @/nowhere",
        "items @/nowhere",
        "show item @/nowhere",
        "verify @/nowhere",
        "backup @/nowhere to",
        "restore @/nowhere to",
    ] {
        let (outcome, _) = answer(&format!("systole {words}"), Vec::new());
        assert_eq!(outcome.unwrap_err().exit(), Exit::Usage);
    }
}

#[test]
fn an_import_goes_into_a_fresh_directory_and_is_named_after_its_repository() {
    let mut builder = Builder::new();
    builder.commit("Ann").put("a", "one\n");
    let built = builder.build();
    let folder = TempDir::new().unwrap();
    let named = folder.path().join("project.git");
    fs::rename(built.path(), &named).unwrap();
    let into = folder.path().join("some/where");
    let line = ["systole", "import", "git", named.to_str().unwrap(), "--into"];
    let import = |into: &Path| {
        let words = line.iter().copied().chain([into.to_str().unwrap(), "--quiet", "--json"]);
        let arguments = Arguments::try_parse_from(words).unwrap();
        let mut out = Vec::new();
        let backend = Canned { damage: Vec::new() };
        let exit = runtime().block_on(run(&arguments, &backend, &mut out))?;
        Ok::<_, Error>((exit, serde_json::from_slice::<serde_json::Value>(&out).unwrap()))
    };
    let (exit, report) = import(&into).unwrap();
    assert_eq!(exit, Exit::Success);
    assert_eq!(report.pointer("/commits").unwrap(), 1);
    assert_eq!(report.pointer("/check/same").unwrap(), 1);
    assert_eq!(report.pointer("/skipped/binary/files").unwrap(), 0);
    assert_eq!(fs::read_to_string(into.join("name")).unwrap(), "project");
    let again = import(&into).unwrap_err();
    assert!(matches!(again, Error::NotEmpty { .. }), "{again}");
    assert_eq!(again.exit(), Exit::Usage);
}

#[test]
fn an_error_tells_what_why_and_what_to_do() {
    let error = Error::Corrupt {
        directory: PathBuf::from("data"),
        source: "block 17 of feed feeda is missing".into(),
    };
    let error = Error::Unfinished { directory: PathBuf::from("data"), source: Box::new(error) };
    let mut text = Vec::new();
    print_error(&mut text, Form::Text, &error).unwrap();
    let text = String::from_utf8(text).unwrap();
    assert!(text.contains("because: the data in data is damaged"), "{text}");
    assert!(text.contains("because: block 17 of feed feeda is missing"), "{text}");
    assert!(text.contains("what to do: "), "{text}");
    assert_eq!(error.exit(), Exit::Damage);
    let mut json = Vec::new();
    print_error(&mut json, Form::Json, &error).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert!(json.pointer("/causes/0").is_some());
}

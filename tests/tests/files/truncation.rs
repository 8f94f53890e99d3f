//! The log cut off at every byte, as a power failure may leave it.
//!
//! Invariants that are checked:
//! - at every offset the store holds exactly what the commits before it made, nothing of later ones, and
//!   nothing of half a commit;
//! - around every commit an engine opens, shows what was acknowledged by then, and its state is the one
//!   that its blocks say.
//!
//! Planted, and caught around a commit: positions written in a batch of their own before what they claim.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use systole::{
    CheckpointPolicy, Durability, Engine, EngineBuilder, ItemId, NewItem, Object, ObjectMutation,
    Party, PartyKey, Text, TextMutation, VaultKey, Verifier,
};
use systole_store::{Options, Rocks, Store};
use systole_tests::{Journal, oracle};
use tempfile::TempDir;

use crate::recorder::{Recorder, Step, content, log};

/// How many offsets are tried at the same time.
const THREADS: usize = 2;

/// A store whose last commits stand in its log.
struct Recorded {
    directory: TempDir,
    party: PartyKey,
    steps: Vec<Step>,
    /// What was acknowledged: a word in an item, and how long the log was then.
    words: Vec<(u64, ItemId, String)>,
}

#[test]
fn a_log_that_is_cut_anywhere_leaves_whole_commits_and_all_before_the_cut() {
    let start = Instant::now();
    let recorded = record();
    let last = recorded.steps.last().unwrap().log_bytes;
    assert!((4 << 10..=8 << 10).contains(&last), "the log has a few KiB: {last}");
    thread::scope(|scope| {
        for first in 0..THREADS {
            let recorded = &recorded;
            scope.spawn(move || {
                for cut in (0..=last).skip(first).step_by(THREADS) {
                    check_content(recorded, cut);
                }
            });
        }
    });
    println!("{} offsets, {} commits: {:?}", last + 1, recorded.steps.len(), start.elapsed());

    let mut cuts: Vec<u64> = recorded.steps.iter().map(|step| step.log_bytes).collect();
    cuts.dedup();
    cuts = cuts.iter().flat_map(|at| [at.saturating_sub(1), *at, at + 1]).collect();
    cuts.retain(|cut| *cut <= last);
    thread::scope(|scope| {
        for first in 0..THREADS {
            let (recorded, cuts) = (&recorded, &cuts);
            scope.spawn(move || {
                for cut in cuts.iter().skip(first).step_by(THREADS) {
                    check_engine(recorded, *cut);
                }
            });
        }
    });
    println!("{} offsets with an engine: {:?}", cuts.len(), start.elapsed());
}

fn check_content(recorded: &Recorded, cut: u64) {
    let copy = recorded.cut(cut);
    let kept = recorded.steps.iter().rfind(|step| step.log_bytes <= cut);
    // Before the first commit there is the store as it was opened.
    let expected = &kept.unwrap_or(&recorded.steps[0]).content;
    let database = copy.path().join("database");
    let disk = Rocks::open(&database, &Options::default());
    let disk = Arc::new(disk.unwrap_or_else(|error| panic!("cut at {cut}: {error}")));
    Store::with_backend(disk.clone()).unwrap_or_else(|error| panic!("cut at {cut}: {error}"));
    assert!(
        content(&*disk) == **expected,
        "cut at {cut}: what is held is of no commit, or another"
    );
}

fn check_engine(recorded: &Recorded, cut: u64) {
    let what = format!("cut at {cut}");
    let copy = recorded.cut(cut);
    let verifier = Verifier::open(copy.path()).unwrap_or_else(|error| panic!("{what}: {error}"));
    oracle::assert_sound(verifier, &what);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let engine = settings(Engine::builder(copy.path())).existing().open().await;
        let engine = engine.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert!(engine.was_copied(), "{what}: it is a copy");
        let party = engine.party(recorded.party).await.unwrap();
        oracle::check_replica(&party, &what).await;
        for (_, item, word) in recorded.words.iter().filter(|(log, ..)| *log <= cut) {
            let info = party.info(*item).unwrap_or_else(|error| panic!("{what}: {error}"));
            let seen = oracle::value(&party, &info).await.unwrap();
            assert!(seen.contains(word), "{what}: {word} is not in {seen:?}");
        }
        engine.close().await.unwrap();
    });
    let verifier = Verifier::open(copy.path()).unwrap_or_else(|error| panic!("{what}: {error}"));
    oracle::assert_sound(verifier, &what);
}

/// Two sessions: what the first one wrote lies in tables, what the second one wrote in the log.
fn record() -> Recorded {
    let directory = directory();
    let database = directory.path().join("database");
    drop(Store::open(directory.path(), &Options::default()).unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (party, text, object, journal) = runtime.block_on(async {
        let engine = settings(Engine::on_backend(Arc::new(
            Rocks::open(&database, &Options::default()).unwrap(),
        )));
        let engine = engine.open().await.unwrap();
        let party = engine.create_party().await.unwrap();
        let text = party.create(NewItem::<Text>::new()).await.unwrap().id();
        let object = party.create(NewItem::<Object>::new()).await.unwrap().id();
        let journal = party.create(NewItem::<Journal>::new()).await.unwrap().id();
        engine.close().await.unwrap();
        (party.key(), text, object, journal)
    });
    let recorder = Arc::new(Recorder::open(&database));
    let words = runtime.block_on(async {
        let engine = settings(Engine::on_backend(recorder.clone())).open().await.unwrap();
        let party = engine.party(party).await.unwrap();
        let words = write(&party, &recorder, text, object, journal).await;
        engine.set_preference("kept", Some(b"too")).await.unwrap();
        engine.close().await.unwrap();
        words
    });
    Recorded { directory, party, steps: recorder.steps(), words }
}

/// A handful of commits of every kind.
async fn write(
    party: &Party,
    recorder: &Recorder,
    text: ItemId,
    object: ItemId,
    journal: ItemId,
) -> Vec<(u64, ItemId, String)> {
    let (note, map) = (party.item::<Text>(text).unwrap(), party.item::<Object>(object).unwrap());
    let lines = party.item::<Journal>(journal).unwrap();
    let mut words = Vec::new();
    let mut acknowledged = |item: ItemId, word: &str| {
        let log = recorder.steps().last().unwrap().log_bytes;
        words.push((log, item, word.to_owned()));
    };
    for (n, durability) in [Durability::Buffered, Durability::Synced].into_iter().enumerate() {
        let word = |what: &str| format!("<{what}.{n}>");
        let start = || party.transaction().durability(durability);
        let long = TextMutation::insert(0, word("text") + &"long ".repeat(60));
        start().mutate(&note, long).commit().await.unwrap();
        acknowledged(text, &word("text"));
        let both = start().mutate(&map, ObjectMutation::set(word("both"), 1i64));
        both.mutate(&lines, word("both")).delete(&note).restore(&note).commit().await.unwrap();
        acknowledged(object, &word("both"));
        acknowledged(journal, &word("both"));
        let made = NewItem::<Text>::new().with(TextMutation::insert(0, word("new"))).under(&note);
        let (_, made) = start().create(made).commit().await.unwrap();
        acknowledged(made[0], &word("new"));
    }
    words
}

impl Recorded {
    /// A copy whose log ends at `cut`.
    fn cut(&self, cut: u64) -> TempDir {
        let copy = directory();
        let (from, to) = (self.directory.path(), copy.path());
        fs::copy(from.join("FORMAT"), to.join("FORMAT")).unwrap();
        fs::create_dir(to.join("database")).unwrap();
        let log = log(&from.join("database"));
        for entry in fs::read_dir(from.join("database")).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            let target = to.join("database").join(name);
            match name {
                // A lock is per file, whatever its name.
                "LOCK" => {}
                _ if name.starts_with("LOG") => {}
                _ if path == log => {
                    let bytes = fs::read(&path).unwrap();
                    fs::write(target, &bytes[..cut as usize]).unwrap();
                }
                // The database replaces its other files, it never changes them.
                _ => fs::hard_link(&path, target).unwrap(),
            }
        }
        copy
    }
}

fn settings(engine: EngineBuilder) -> EngineBuilder {
    let checkpoints = CheckpointPolicy { messages_max: 3, ..CheckpointPolicy::default() };
    engine.register::<Journal>().vault_key(VaultKey::from_key([7; 32])).checkpoints(checkpoints)
}

/// In memory where there is such a file system: what is read back is the same, and it is read often.
fn directory() -> TempDir {
    let memory = PathBuf::from("/dev/shm");
    let usual = std::env::temp_dir();
    let parent: &Path = if memory.is_dir() { &memory } else { &usual };
    tempfile::Builder::new().prefix("systole-files-").tempdir_in(parent).unwrap()
}

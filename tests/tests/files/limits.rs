//! Writes that are really cut short: a process whose files may not grow beyond a limit. The system writes
//! a part, then refuses; that happens within logs, tables, and what the database notes of itself.
//!
//! Invariants that are checked for every limit:
//! - the failure is told as one of the store, and nothing is written after it;
//! - once there is room, everything that was acknowledged is there, the store is sound, and it works.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use systole::{Engine, EngineBuilder, Error, ErrorKind, Item, ItemQuery, NewItem, Party, Verifier};
use systole_tests::child::{Process, say, variable};
use systole_tests::{Journal, Random, oracle};

/// A child that says nothing for so long hangs.
const SILENCE: Duration = Duration::from_secs(30);

/// A round of the sweep.
struct Round {
    /// What a file may hold, in blocks of 512 bytes.
    blocks: u64,
    /// Bytes of the longest line.
    line_bytes: usize,
    /// Bytes that the child writes at most, and after how many it compacts.
    bytes: usize,
    compacted_every: usize,
}

#[derive(Debug, Default)]
struct Tally {
    rounds: u64,
    not_reached: u64,
    acknowledged: u64,
    /// What failed, and how that was told.
    failures: BTreeMap<String, u64>,
}

/// The database writes some kilobytes when it opens, and a log of any length afterwards.
#[test]
fn opening_and_logs_that_are_cut_short_lose_nothing() {
    let opening = (1..=8).chain((9..=78).step_by(10));
    sweep(opening.chain((79..=1_000).step_by(19)).map(|blocks| Round {
        blocks,
        line_bytes: 40 + (blocks as usize * 37) % 3_000,
        bytes: 1 << 20,
        compacted_every: usize::MAX,
    }));
}

/// Logs begin anew with each compaction; tables that are merged grow.
#[test]
fn tables_that_are_cut_short_lose_nothing() {
    sweep((0..8).map(|n| Round {
        blocks: 1_100 + 450 * n,
        line_bytes: 40_000,
        bytes: 8 << 20,
        compacted_every: 300 << 10,
    }));
}

fn sweep(rounds: impl Iterator<Item = Round>) {
    let start = Instant::now();
    let mut tally = Tally::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for round in rounds {
        run(&runtime, &round, &mut tally);
    }
    println!("{:?}: {tally:#?}", start.elapsed());
    assert!(tally.not_reached * 4 < tally.rounds, "limits are met: {tally:?}");
    assert!(tally.acknowledged > tally.rounds, "much is acknowledged: {tally:?}");
}

fn run(runtime: &tokio::runtime::Runtime, round: &Round, tally: &mut Tally) {
    let what = format!("limit {} x 512", round.blocks);
    let directory = tempfile::Builder::new().prefix("systole-files-").tempdir().unwrap();
    runtime.block_on(async {
        let engine = settings(directory.path()).open().await.unwrap();
        let party = engine.create_party().await.unwrap();
        party.create(NewItem::<Journal>::new().with("<0>".to_owned())).await.unwrap();
        engine.close().await.unwrap();
    });
    let (path, words) = (directory.path().display().to_string(), round.words());
    let variables = [("SYSTOLE_FILES_LIMITED", path), ("SYSTOLE_FILES_ROUND", words)];
    let child = Process::start_limited("limits::the_limited", &variables, round.blocks);
    let (said, status) = child.output(SILENCE);
    assert!(status.success(), "{what}: {status:?} {said:?}");
    let mut acknowledged = vec!["<0>".to_owned()];
    let mut failed = false;
    for line in &said {
        let (kind, rest) = line.split_once(' ').unwrap_or((line, ""));
        match kind {
            "a" => acknowledged.push(rest.to_owned()),
            "failed" => {
                failed = true;
                *tally.failures.entry(rest.to_owned()).or_default() += 1;
                assert!(rest.contains("Corrupt"), "{what}: {rest}");
            }
            "late" => panic!("{what}: it writes on after it failed: {said:?}"),
            "done" => {}
            other => panic!("{what}: the child says {other:?}"),
        }
    }
    tally.rounds += 1;
    tally.not_reached += u64::from(!failed);
    tally.acknowledged += acknowledged.len() as u64;
    runtime.block_on(check(directory.path(), &acknowledged, &what));
    let verifier = Verifier::open(directory.path());
    oracle::assert_sound(verifier.unwrap_or_else(|error| panic!("{what}: {error}")), &what);
}

async fn check(path: &Path, acknowledged: &[String], what: &str) {
    let engine = settings(path).existing().open().await;
    let engine = engine.unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(!engine.was_copied(), "{what}: taken for a copy");
    let (party, journal) = journal(&engine).await;
    oracle::check_replica(&party, what).await;
    let lines = journal.view(Journal::lines).await.unwrap();
    let words: Vec<&str> = lines.iter().map(|line| line.split_once('>').unwrap().0).collect();
    for (word, expected) in words.iter().zip(acknowledged) {
        assert_eq!(format!("{word}>"), *expected, "{what}: lines in another order, or lost");
    }
    let more = words.len().checked_sub(acknowledged.len());
    assert!(more.is_some_and(|more| more <= 1), "{what}: {} {}", words.len(), acknowledged.len());
    journal.mutate("<again>".to_owned()).await.unwrap();
    engine.close().await.unwrap();
}

fn settings(path: &Path) -> EngineBuilder {
    Engine::builder(path).register::<Journal>().store_bytes(1 << 20, 1 << 20)
}

async fn journal(engine: &Engine) -> (Party, Item<Journal>) {
    let party = engine.party(engine.parties().await.unwrap()[0].0).await.unwrap();
    let id = party.items(&ItemQuery::default()).unwrap()[0].id;
    let journal = party.item::<Journal>(id).unwrap();
    (party, journal)
}

impl Round {
    fn words(&self) -> String {
        let Self { blocks, line_bytes, bytes, compacted_every } = self;
        format!("{blocks} {line_bytes} {bytes} {compacted_every}")
    }

    fn read(words: &str) -> Self {
        let numbers: Vec<u64> = words.split(' ').map(|word| word.parse().unwrap()).collect();
        let [blocks, line_bytes, bytes, compacted_every] = numbers[..] else { panic!("{words}") };
        let (line_bytes, bytes) = (line_bytes as usize, bytes as usize);
        Self { blocks, line_bytes, bytes, compacted_every: compacted_every as usize }
    }
}

#[tokio::test]
#[ignore = "the process whose files are limited; the other tests start it"]
async fn the_limited() {
    let Some(path) = variable("SYSTOLE_FILES_LIMITED") else { return };
    let round = Round::read(&variable("SYSTOLE_FILES_ROUND").unwrap());
    let engine = match settings(Path::new(&path)).existing().open().await {
        Ok(engine) => engine,
        Err(error) => return failed("open", &error),
    };
    let (_, journal) = journal(&engine).await;
    let mut random = Random::new(round.blocks);
    let (mut written, mut compacted) = (0, 0);
    for n in 1.. {
        let mut line = format!("<{n}>");
        let length = line.len() + random.below(round.line_bytes);
        while line.len() < length {
            line.push_str(&format!("{:x}", random.number()));
        }
        written += line.len();
        if let Err(error) = journal.mutate(line).await {
            failed("write", &error);
            refuses_to_write(&engine, &journal, &error).await;
            break;
        }
        say(&format!("a <{n}>"));
        if written - compacted > round.compacted_every {
            compacted = written;
            if let Err(error) = engine.compact().await {
                failed("compact", &error);
            }
        }
        if written > round.bytes {
            break;
        }
    }
    if let Err(error) = engine.close().await {
        failed("close", &error);
    }
    say("done");
}

/// After a failed write nothing is written, and the refusal says why.
async fn refuses_to_write(engine: &Engine, journal: &Item<Journal>, first: &Error) {
    let refused = [
        journal.mutate("<late>".to_owned()).await.err(),
        engine.set_preference("late", Some(b"x")).await.err(),
    ];
    for refused in refused {
        let Some(refused) = refused else { return say("late") };
        let closed = refused.kind() == ErrorKind::Closed;
        assert!(closed || refused.kind() == first.kind(), "{refused}: {first}");
    }
}

/// Says what failed, how that is sorted, and at which kind of file.
fn failed(what: &str, error: &Error) {
    let text = error.to_string();
    let file = ["MANIFEST", "OPTIONS", ".log", ".sst", ".blob", "PLACE", "FORMAT", "too large"];
    let file = file.into_iter().find(|file| text.contains(file)).unwrap_or("elsewhere");
    say(&format!("failed {what} {:?} at {file}", error.kind()));
}

//! Stores that nobody touched.

use std::sync::Arc;

use systole::{Engine, ErrorKind, Verifier};
use systole_store::{Backend, Memory};

use crate::fixture;
use crate::raw::{dump, kind, of_kind, verify};

#[tokio::test]
async fn an_untouched_store_in_memory_is_sound_and_all_of_it_was_checked() {
    let memory = fixture::in_memory(fixture::UNTIL_HEAD).await;
    let records = dump(&*memory);
    let report = verify(memory);
    assert_eq!(report.damage, []);
    assert!(report.is_sound());
    let count = |kind| of_kind(&records, kind).count() as u64;
    assert_eq!(report.parties, 1);
    assert_eq!(report.feeds, 3);
    assert_eq!(report.blocks, count(kind::BLOCK));
    assert_eq!(report.heads, count(kind::HEAD) + count(kind::LATEST_HEAD));
    assert_eq!(report.checkpoints, count(kind::CHECKPOINT));
    assert_eq!((report.items, report.skipped, report.unregistered), (4, 0, 0));
    assert!(report.messages > 350 && report.credentials >= 4, "{report:?}");
    // The fixture holds what the tests of damage need.
    assert!(count(kind::HEAD) >= 1 && report.checkpoints >= 3, "{report:?}");
    assert_eq!(count(kind::QUARANTINE), 2);
}

#[tokio::test]
async fn an_untouched_store_on_disk_is_sound_after_it_was_closed_and_reopened() {
    let guard = tempfile::tempdir().unwrap();
    let path = guard.path().join("store");
    let party = fixture::fill(Engine::builder(&path), 0).await;
    assert_eq!(Verifier::open(&path).unwrap().run(&mut |_| {}).unwrap().damage, []);
    // Another session: what was in memory before is loaded and written on.
    let engine = Engine::builder(&path).checkpoints(fixture::policy()).open().await.unwrap();
    let open = engine.party(party).await.unwrap();
    let item = open.create(systole::NewItem::<systole::Object>::new()).await.unwrap();
    item.mutate(systole::ObjectMutation::set(["k"], 1)).await.unwrap();
    engine.close().await.unwrap();
    let report = Verifier::open(&path).unwrap().run(&mut |_| {}).unwrap();
    assert_eq!(report.damage, []);
    assert_eq!(report.items, 5);
}

#[tokio::test]
async fn an_engine_that_is_open_keeps_a_verification_out_and_says_so() {
    let guard = tempfile::tempdir().unwrap();
    let path = guard.path().join("store");
    let engine = Engine::builder(&path).open().await.unwrap();
    let error = Verifier::open(&path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("is open elsewhere"), "{error}");
    engine.close().await.unwrap();
    assert!(Verifier::open(&path).is_ok());
}

#[test]
fn a_wrong_directory_is_refused_and_stays_as_it_is() {
    let guard = tempfile::tempdir().unwrap();
    let absent = guard.path().join("absent");
    let error = Verifier::open(&absent).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("no store at"), "{error}");
    assert!(!absent.exists());
    std::fs::write(guard.path().join("holiday.jpg"), "x").unwrap();
    let error = Verifier::open(guard.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("is not a store (it holds holiday.jpg)"), "{error}");
    assert_eq!(std::fs::read_dir(guard.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn progress_rises_to_its_end_in_every_stage() {
    let memory = fixture::in_memory(0).await;
    let store = systole_store::Store::with_backend(memory).unwrap();
    let mut stages: Vec<(&str, u64, u64)> = Vec::new();
    let tell = &mut |progress: systole::Progress| match stages.last_mut() {
        Some(last) if last.0 == progress.what => {
            assert!(progress.done >= last.1 && progress.total == last.2);
            last.1 = progress.done;
        }
        _ => stages.push((progress.what, progress.done, progress.total)),
    };
    Verifier::on_store(store).run(tell).unwrap();
    assert_eq!(stages.len(), 3);
    assert!(stages.iter().all(|(_, done, total)| done == total && *total > 0), "{stages:?}");
}

#[test]
fn an_empty_store_is_sound() {
    let memory: Arc<dyn Backend> = Arc::new(Memory::new());
    let report = verify(memory);
    assert!(report.is_sound());
    assert_eq!(report, systole::Report::default());
}

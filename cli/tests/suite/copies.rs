//! Backups of stores and stores of backups, as a user makes them.
//!
//! Planted and caught: a restore that is finished whatever was found.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

use systole::{Engine, NewItem, Text, TextMutation};
use systole_store::{Options, Store};

use crate::stores::{Imported, eventful, files_of, json, run};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn beside(path: &Path, name: &str) -> PathBuf {
    path.with_file_name(name)
}

/// Sizes of all files below a directory, by name.
fn listing(path: &Path) -> Vec<(PathBuf, u64)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(listing(&path)),
            false => found.push((path.clone(), fs::metadata(path).unwrap().len())),
        }
    }
    found.sort();
    found
}

#[test]
fn a_store_that_is_backed_up_and_restored_holds_the_same() {
    let imported = Imported::from(&eventful());
    let (backup, restored) =
        (beside(&imported.path(), "backup"), beside(&imported.path(), "restored"));
    let before = listing(&imported.path());
    let answer = json(&["backup", text(&imported.path()), text(&backup)]);
    assert_eq!(answer["holds_key"], true);
    assert!(answer["disk_bytes"].as_u64().unwrap() > 0);
    assert_eq!(listing(&imported.path()), before, "the store is only read");
    let kept = listing(&backup);
    let answer = json(&["restore", text(&backup), text(&restored)]);
    assert_eq!(answer["parties"], 1);
    assert_eq!(answer["verification"]["blocks"], imported.report["store"]["blocks"]);
    assert_eq!(listing(&backup), kept, "the backup is only read");
    assert!(Store::open(&restored, &Options::default()).unwrap().is_copy());
    assert_eq!(json(&["items", text(&restored)]), imported.json(&["items"]));
    assert_eq!(json(&["verify", text(&restored)])["damage_total"], 0);
    let (_, told, _) = run(&["restore", text(&backup), text(&beside(&backup, "again"))]);
    assert!(told.contains("a fresh feed of its own"), "{told}");
}

#[test]
fn a_store_that_an_application_writes_to_is_backed_up() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("store");
    let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    // The engine's tasks must go on while this thread waits for the program.
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let engine = runtime.block_on(Engine::builder(&path).open()).unwrap();
    let (stopped, acknowledging) = (stop.clone(), acknowledged.clone());
    let writing = engine.clone();
    let (ready, is_ready) = std::sync::mpsc::channel();
    let writer = runtime.spawn(async move {
        let party = writing.create_party().await.unwrap();
        let item = party.create(NewItem::<Text>::new()).await.unwrap();
        ready.send(item.id()).unwrap();
        while !stopped.load(SeqCst) {
            item.mutate(TextMutation::insert(0, "x")).await.unwrap();
            acknowledging.fetch_add(1, SeqCst);
        }
    });
    let item = is_ready.recv().unwrap().to_string();
    for n in 0..3 {
        let before = acknowledged.load(SeqCst);
        let backup = folder.path().join(format!("backup {n}"));
        json(&["backup", text(&path), text(&backup)]);
        assert_eq!(json(&["verify", text(&backup)])["damage_total"], 0);
        let shown = json(&["show", &item, text(&backup)]);
        assert!(shown["content"].as_str().unwrap().len() as u64 >= before);
    }
    let inside = folder.path().join("inside");
    let before = acknowledged.load(SeqCst);
    runtime.block_on(engine.backup(&inside)).unwrap();
    stop.store(true, SeqCst);
    runtime.block_on(writer).unwrap();
    runtime.block_on(engine.close()).unwrap();
    assert_eq!(json(&["verify", text(&inside)])["damage_total"], 0);
    let shown = json(&["show", &item, text(&inside)]);
    assert!(shown["content"].as_str().unwrap().len() as u64 >= before);
}

#[test]
fn neither_backup_nor_restore_writes_over_anything() {
    let imported = Imported::from(&eventful());
    let there = beside(&imported.path(), "there");
    fs::create_dir(&there).unwrap();
    fs::write(there.join("notes"), "mine").unwrap();
    for command in ["backup", "restore"] {
        let (code, _, told) = run(&[command, text(&imported.path()), text(&there)]);
        assert_eq!(code, Some(2), "{told}");
        assert!(told.contains("there is something already"), "{told}");
        assert!(told.contains("what to do"), "{told}");
    }
    assert_eq!(fs::read_dir(&there).unwrap().count(), 1);
    let (code, _, told) = run(&["backup", text(&there), text(&beside(&there, "to"))]);
    assert_eq!(code, Some(2), "{told}");
    assert!(told.contains("holds no Systole data"), "{told}");
}

#[test]
fn a_damaged_backup_is_refused_with_what_is_damaged() {
    let imported = Imported::from(&eventful());
    let (backup, to) = (beside(&imported.path(), "backup"), beside(&imported.path(), "to"));
    json(&["backup", text(&imported.path()), text(&backup)]);
    let tables = files_of(&backup.join("database"), "sst");
    let table = tables.iter().max_by_key(|table| fs::metadata(table).unwrap().len()).unwrap();
    let mut bytes = fs::read(table).unwrap();
    bytes[100] ^= 0x10;
    fs::write(table, bytes).unwrap();
    let (code, out, told) = run(&["restore", text(&backup), text(&to)]);
    assert_eq!(code, Some(1), "{out}{told}");
    assert!(out.contains("NOT RESTORED") && out.contains("DAMAGED"), "{out}");
    assert!(!to.exists());
    fs::remove_file(backup.join("database/CURRENT")).unwrap();
    let (code, out, told) = run(&["restore", text(&backup), text(&to)]);
    assert_eq!(code, Some(2), "{out}{told}");
    assert!(!to.exists());
}

//! A backend on disk that remembers, for every commit, how long the log was after it and what the store
//! held.
//!
//! Invariant: what it remembers comes from the batches alone, never from what the disk says.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use systole_store::{Backend, Batch, Error, Family, Operation, Rocks, Usage, Visit};

/// All keys and values of a store, family by family.
pub(crate) type Content = Vec<(Family, Vec<u8>, Vec<u8>)>;

/// A key in its family.
type Key = (Family, Vec<u8>);

/// What the store held when the log was this long.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) log_bytes: u64,
    pub(crate) content: Arc<Content>,
}

pub(crate) struct Recorder {
    disk: Rocks,
    database: PathBuf,
    held: Mutex<BTreeMap<Key, Vec<u8>>>,
    steps: Mutex<Vec<Step>>,
}

impl Recorder {
    /// On the database at this path, which is there.
    pub(crate) fn open(database: &Path) -> Self {
        let disk = Rocks::open(database, &Default::default()).unwrap();
        let all = content(&disk).into_iter();
        let held = all.map(|(family, key, value)| ((family, key), value)).collect();
        let recorder = Self {
            disk,
            database: database.to_owned(),
            held: Mutex::new(held),
            steps: Mutex::default(),
        };
        recorder.record();
        recorder
    }

    /// The steps so far; the first one is the store as it was opened.
    pub(crate) fn steps(&self) -> Vec<Step> {
        self.steps.lock().unwrap().clone()
    }

    fn apply(&self, batch: &Batch) {
        let mut held = self.held.lock().unwrap();
        for operation in batch.operations() {
            match operation {
                Operation::Put { family, key, value } => {
                    held.insert((family, key.to_vec()), value.to_vec());
                }
                Operation::Delete { family, key } => drop(held.remove(&(family, key.to_vec()))),
                Operation::DeleteRange { family, from, to } => held.retain(|(other, key), _| {
                    *other != family || key.as_slice() < from || key.as_slice() >= to
                }),
            }
        }
    }

    fn record(&self) {
        let log_bytes = std::fs::metadata(log(&self.database)).unwrap().len();
        let held = self.held.lock().unwrap();
        let all = held.iter().map(|((family, key), value)| (*family, key.clone(), value.clone()));
        let content = Arc::new(all.collect());
        self.steps.lock().unwrap().push(Step { log_bytes, content });
    }
}

/// The log that is written to.
pub(crate) fn log(database: &Path) -> PathBuf {
    let files = std::fs::read_dir(database).unwrap().map(|entry| entry.unwrap().path());
    let logs = files.filter(|path| path.extension().is_some_and(|kind| kind == "log"));
    logs.max().expect("a database has a log")
}

/// All that a backend holds.
pub(crate) fn content(backend: &dyn Backend) -> Content {
    let mut content = Content::new();
    for family in Family::ALL {
        let mut visit = |key: &[u8], value: &[u8]| {
            content.push((family, key.to_vec(), value.to_vec()));
            ControlFlow::Continue(())
        };
        // No kind byte is 0xff.
        backend.scan(family, &[], &[u8::MAX], &mut visit).unwrap();
    }
    content
}

impl Backend for Recorder {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Bytes>, Error> {
        self.disk.get(family, key)
    }

    fn multi_get(&self, family: Family, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, Error> {
        self.disk.multi_get(family, keys)
    }

    fn scan(&self, family: Family, from: &[u8], to: &[u8], visit: Visit<'_>) -> Result<(), Error> {
        self.disk.scan(family, from, to, visit)
    }

    fn scan_back(
        &self,
        family: Family,
        from: &[u8],
        to: &[u8],
        visit: Visit<'_>,
    ) -> Result<(), Error> {
        self.disk.scan_back(family, from, to, visit)
    }

    fn write(&self, batch: &Batch) -> Result<(), Error> {
        self.disk.write(batch)?;
        self.apply(batch);
        self.record();
        Ok(())
    }

    fn sync(&self) -> Result<(), Error> {
        self.disk.sync()
    }

    fn disk_bytes(&self) -> Result<u64, Error> {
        self.disk.disk_bytes()
    }

    fn usage(&self) -> Result<Usage, Error> {
        self.disk.usage()
    }
}

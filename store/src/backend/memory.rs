//! The store in memory: for tests, simulations, and data that need not outlive the process.
//!
//! Invariants:
//! - the undo list holds exactly what turns the live image back into the synced one;
//! - a scan holds its own reference to a family's map, so a writer copies the map instead of changing
//!   what is being read.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::backend::{Backend, Visit};
use crate::batch::{Batch, Operation};
use crate::error::Error;
use crate::family::Family;

type Map = BTreeMap<Vec<u8>, Bytes>;

/// A [`Backend`] that lives in memory and can lose its power. What a sync would make durable is kept
/// twice until then, so whoever writes much syncs now and then.
#[derive(Default)]
pub struct Memory {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    families: [Arc<Map>; Family::ALL.len()],
    /// Per batch that is written and not synced: what its operations replaced, oldest first.
    unsynced: Vec<Vec<Undo>>,
}

struct Undo {
    family: Family,
    key: Vec<u8>,
    before: Option<Bytes>,
}

impl Memory {
    /// An empty backend.
    pub fn new() -> Self {
        Self::default()
    }

    /// Loses the power: everything that was not synced is gone.
    pub fn crash(&self) {
        self.crash_keeping(0);
    }

    /// Loses the power after the first `batches` unsynced batches happened to reach the disk.
    pub fn crash_keeping(&self, batches: usize) {
        let mut state = self.state();
        while state.unsynced.len() > batches {
            let undos = state.unsynced.pop().expect("the loop's condition says it is not empty");
            for undo in undos.into_iter().rev() {
                let map = Arc::make_mut(&mut state.families[undo.family.index()]);
                match undo.before {
                    Some(value) => map.insert(undo.key, value),
                    None => map.remove(&undo.key),
                };
            }
        }
        state.unsynced.clear();
    }

    /// Another disk with the same content, which is synced there: what a copy of the files, or of the
    /// whole machine, would hold.
    pub fn image(&self) -> Self {
        let families = self.state().families.clone();
        Self { state: Mutex::new(State { families, unsynced: Vec::new() }) }
    }

    /// Number of batches that a crash would lose.
    pub fn unsynced_batches(&self) -> usize {
        self.state().unsynced.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing here panics between two changes that belong together.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn family(&self, family: Family) -> Arc<Map> {
        Arc::clone(&self.state().families[family.index()])
    }
}

impl State {
    fn replace(&mut self, undos: &mut Vec<Undo>, family: Family, key: &[u8], value: Option<Bytes>) {
        let map = Arc::make_mut(&mut self.families[family.index()]);
        let before = match value {
            Some(value) => map.insert(key.to_vec(), value),
            None => map.remove(key),
        };
        undos.push(Undo { family, key: key.to_vec(), before });
    }
}

impl Backend for Memory {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Bytes>, Error> {
        Ok(self.state().families[family.index()].get(key).cloned())
    }

    fn multi_get(&self, family: Family, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, Error> {
        let map = self.family(family);
        Ok(keys.iter().map(|key| map.get(*key).cloned()).collect())
    }

    fn scan(&self, family: Family, from: &[u8], to: &[u8], visit: Visit<'_>) -> Result<(), Error> {
        let map = self.family(family);
        walk(range(&map, from, to), visit);
        Ok(())
    }

    fn scan_back(
        &self,
        family: Family,
        from: &[u8],
        to: &[u8],
        visit: Visit<'_>,
    ) -> Result<(), Error> {
        let map = self.family(family);
        walk(range(&map, from, to).rev(), visit);
        Ok(())
    }

    fn write(&self, batch: &Batch) -> Result<(), Error> {
        let mut state = self.state();
        let mut undos = Vec::with_capacity(batch.len());
        for operation in batch.operations() {
            match operation {
                Operation::Put { family, key, value } => {
                    let value = Bytes::copy_from_slice(value);
                    state.replace(&mut undos, family, key, Some(value));
                }
                Operation::Delete { family, key } => state.replace(&mut undos, family, key, None),
                Operation::DeleteRange { family, from, to } => {
                    let map = &state.families[family.index()];
                    let keys: Vec<_> = range(map, from, to).map(|(key, _)| key.clone()).collect();
                    for key in keys {
                        state.replace(&mut undos, family, &key, None);
                    }
                }
            }
        }
        state.unsynced.push(undos);
        Ok(())
    }

    fn sync(&self) -> Result<(), Error> {
        self.state().unsynced.clear();
        Ok(())
    }

    fn disk_bytes(&self) -> Result<u64, Error> {
        let state = self.state();
        let maps = state.families.iter();
        let bytes = maps.flat_map(|map| map.iter()).map(|(key, value)| key.len() + value.len());
        Ok(bytes.sum::<usize>() as u64)
    }
}

fn range<'a>(
    map: &'a Map,
    from: &[u8],
    to: &[u8],
) -> impl DoubleEndedIterator<Item = (&'a Vec<u8>, &'a Bytes)> {
    // A BTreeMap panics on a reversed range; here it is empty.
    let bounds = (Bound::Included(from), Bound::Excluded(to.max(from)));
    map.range::<[u8], _>(bounds)
}

fn walk<'a>(entries: impl Iterator<Item = (&'a Vec<u8>, &'a Bytes)>, visit: Visit<'_>) {
    for (key, value) in entries {
        if visit(key, value) == ControlFlow::Break(()) {
            return;
        }
    }
}

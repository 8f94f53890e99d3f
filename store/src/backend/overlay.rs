//! A backend over another one: what is written stays in memory, the one below is only read.
//!
//! Invariants:
//! - the backend below is never written to;
//! - for readers the two are one: a key that was written or deleted here hides the one below.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::backend::{Backend, Visit};
use crate::batch::{Batch, Operation};
use crate::error::Error;
use crate::family::Family;
use crate::usage::Usage;

/// Keys with their values; none for a key that was deleted.
type Map = BTreeMap<Vec<u8>, Option<Bytes>>;

/// One key's new value; none if it is deleted.
type Change = (Family, Vec<u8>, Option<Bytes>);

/// A [`Backend`] that reads through to another one and keeps in memory what is written to it.
pub struct Overlay {
    below: Arc<dyn Backend>,
    families: Mutex<[Arc<Map>; Family::ALL.len()]>,
}

impl Overlay {
    /// An overlay that shows `below` as it is.
    pub fn new(below: Arc<dyn Backend>) -> Self {
        Self { below, families: Mutex::default() }
    }

    fn families(&self) -> MutexGuard<'_, [Arc<Map>; Family::ALL.len()]> {
        // Nothing that holds it panics between two changes that belong together.
        self.families.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn family(&self, family: Family) -> Arc<Map> {
        Arc::clone(&self.families()[family.index()])
    }

    /// What a batch does to one key after the other; a range becomes its keys.
    fn changes(
        &self,
        families: &[Arc<Map>; Family::ALL.len()],
        batch: &Batch,
    ) -> Result<Vec<Change>, Error> {
        let mut changes = Vec::with_capacity(batch.len());
        for operation in batch.operations() {
            match operation {
                Operation::Put { family, key, value } => {
                    changes.push((family, key.to_vec(), Some(Bytes::copy_from_slice(value))));
                }
                Operation::Delete { family, key } => changes.push((family, key.to_vec(), None)),
                Operation::DeleteRange { family, from, to } => {
                    let covers = |key: &[u8]| from <= key && key < to;
                    let put_before = changes
                        .iter()
                        .filter(|(in_family, key, _)| *in_family == family && covers(key));
                    let mut keys: Vec<Vec<u8>> =
                        put_before.map(|(_, key, _)| key.clone()).collect();
                    let here = range(&families[family.index()], from, to);
                    keys.extend(here.map(|(key, _)| key.clone()));
                    self.below.scan(family, from, to, &mut |key, _| {
                        keys.push(key.to_vec());
                        ControlFlow::Continue(())
                    })?;
                    changes.extend(keys.into_iter().map(|key| (family, key, None)));
                }
            }
        }
        Ok(changes)
    }
}

impl Backend for Overlay {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Bytes>, Error> {
        let here = self.families()[family.index()].get(key).cloned();
        here.map_or_else(|| self.below.get(family, key), Ok)
    }

    fn multi_get(&self, family: Family, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, Error> {
        let map = self.family(family);
        let mut values = self.below.multi_get(family, keys)?;
        if !map.is_empty() {
            for (key, value) in keys.iter().zip(&mut values) {
                if let Some(here) = map.get(*key) {
                    value.clone_from(here);
                }
            }
        }
        Ok(values)
    }

    fn scan(&self, family: Family, from: &[u8], to: &[u8], visit: Visit<'_>) -> Result<(), Error> {
        let map = self.family(family);
        if map.is_empty() {
            return self.below.scan(family, from, to, visit);
        }
        let below = |visit: Visit<'_>| self.below.scan(family, from, to, visit);
        merge(range(&map, from, to), below, |here, below| here < below, visit)
    }

    fn scan_back(
        &self,
        family: Family,
        from: &[u8],
        to: &[u8],
        visit: Visit<'_>,
    ) -> Result<(), Error> {
        let map = self.family(family);
        if map.is_empty() {
            return self.below.scan_back(family, from, to, visit);
        }
        let below = |visit: Visit<'_>| self.below.scan_back(family, from, to, visit);
        merge(range(&map, from, to).rev(), below, |here, below| here > below, visit)
    }

    fn write(&self, batch: &Batch) -> Result<(), Error> {
        let mut families = self.families();
        for (family, key, value) in self.changes(&families, batch)? {
            Arc::make_mut(&mut families[family.index()]).insert(key, value);
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), Error> {
        Ok(())
    }

    fn disk_bytes(&self) -> Result<u64, Error> {
        let bytes = |(key, value): (&Vec<u8>, &Option<Bytes>)| {
            key.len() + value.as_ref().map_or(0, Bytes::len)
        };
        let here: usize = self.families().iter().flat_map(|map| map.iter()).map(bytes).sum();
        Ok(self.below.disk_bytes()? + here as u64)
    }

    fn usage(&self) -> Result<Usage, Error> {
        Ok(Usage { disk_bytes: self.disk_bytes()?, ..self.below.usage()? })
    }
}

fn range<'a>(
    map: &'a Map,
    from: &[u8],
    to: &[u8],
) -> impl DoubleEndedIterator<Item = (&'a Vec<u8>, &'a Option<Bytes>)> {
    // A BTreeMap panics on a reversed range; here it is empty.
    let bounds = (Bound::Included(from), Bound::Excluded(to.max(from)));
    map.range::<[u8], _>(bounds)
}

/// Visits both sides in one order; `first` says whether a key of this side comes before one below.
fn merge<'a>(
    here: impl Iterator<Item = (&'a Vec<u8>, &'a Option<Bytes>)>,
    below: impl FnOnce(Visit<'_>) -> Result<(), Error>,
    first: impl Fn(&[u8], &[u8]) -> bool,
    visit: Visit<'_>,
) -> Result<(), Error> {
    let mut here = here.peekable();
    let mut ended = false;
    below(&mut |key, value| {
        let mut hidden = false;
        while let Some((own, change)) = here.next_if(|(own, _)| !first(key, own)) {
            hidden = own == key;
            if let Some(value) = change {
                ended = visit(own, value).is_break();
            }
            if ended {
                return ControlFlow::Break(());
            }
        }
        ended = !hidden && visit(key, value).is_break();
        if ended { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    if !ended {
        for (key, change) in here {
            if change.as_ref().is_some_and(|value| visit(key, value).is_break()) {
                break;
            }
        }
    }
    Ok(())
}

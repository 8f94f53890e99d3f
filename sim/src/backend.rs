//! The disk of a simulated device: a map in memory that loses its power on demand.
//!
//! Invariants:
//! - the undo list holds exactly what turns the live image back into the synced one;
//! - once the power is lost every call fails until it is back;
//! - an image is taken of what is durable, and stays as it is whatever is written later.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use systole_store::{Backend, Batch, Error, Family, Operation, Visit};

type Map = BTreeMap<Vec<u8>, Bytes>;
type Families = [Arc<Map>; Family::ALL.len()];

/// First byte of a feed's position in [`Family::Meta`]: what the planted bug writes too early.
const POSITION: u8 = 0x17;

/// When the power goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PowerCut {
    /// At this write or sync from here; 1 is the next.
    pub(crate) call: u64,
    /// Whether that call still takes effect.
    pub(crate) after: bool,
}

/// What a disk holds at one moment.
#[derive(Clone)]
pub(crate) struct Image(Families);

/// The disk of one device.
pub(crate) struct Disk {
    state: Mutex<State>,
    /// A planted bug: positions are written before what led to them.
    splits_positions: bool,
}

#[derive(Default)]
struct State {
    families: Families,
    /// Per write that is not synced: what it replaced, oldest first.
    unsynced: Vec<Vec<Undo>>,
    cut: Option<PowerCut>,
    dark: bool,
}

struct Undo {
    family: Family,
    key: Vec<u8>,
    before: Option<Bytes>,
}

impl Disk {
    pub(crate) fn new(splits_positions: bool) -> Self {
        Self { state: Mutex::default(), splits_positions }
    }

    /// A disk that holds what `image` shows.
    pub(crate) fn holding(image: &Image, splits_positions: bool) -> Self {
        let state = State { families: image.0.clone(), ..State::default() };
        Self { state: Mutex::new(state), splits_positions }
    }

    /// Plans a power cut, or takes the plan back.
    pub(crate) fn plan_cut(&self, cut: Option<PowerCut>) {
        self.state().cut = cut;
    }

    /// Whether the power is gone.
    pub(crate) fn is_dark(&self) -> bool {
        self.state().dark
    }

    /// Writes that a power cut would lose.
    pub(crate) fn unsynced(&self) -> usize {
        self.state().unsynced.len()
    }

    /// Cuts the power if it is still there and brings it back: of what was not synced, the first `kept`
    /// writes happen to have reached the disk. How many were lost.
    pub(crate) fn cycle_power(&self, kept: usize) -> usize {
        let mut state = self.state();
        let lost = state.unsynced.len().saturating_sub(kept);
        while state.unsynced.len() > kept {
            let undos = state.unsynced.pop().unwrap_or_default();
            for undo in undos.into_iter().rev() {
                let map = Arc::make_mut(&mut state.families[undo.family.index()]);
                match undo.before {
                    Some(value) => map.insert(undo.key, value),
                    None => map.remove(&undo.key),
                };
            }
        }
        state.unsynced.clear();
        state.dark = false;
        state.cut = None;
        lost
    }

    /// A consistent copy. Taking it makes what it holds durable here too, as a checkpoint of a real
    /// database does.
    pub(crate) fn image(&self) -> Image {
        let mut state = self.state();
        state.unsynced.clear();
        Image(state.families.clone())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing here panics between two changes that belong together.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn family(&self, family: Family) -> Result<Arc<Map>, Error> {
        let state = self.state();
        if state.dark {
            Err(power_lost("read"))
        } else {
            Ok(state.families[family.index()].clone())
        }
    }
}

impl State {
    /// Counts one write or sync: whether it takes effect, and whether it is answered.
    fn count(&mut self) -> (bool, bool) {
        if self.dark {
            return (false, false);
        }
        let Some(cut) = &mut self.cut else { return (true, true) };
        cut.call = cut.call.saturating_sub(1);
        if cut.call > 0 {
            return (true, true);
        }
        let after = cut.after;
        (self.cut, self.dark) = (None, true);
        (after, false)
    }

    fn replace(&mut self, undos: &mut Vec<Undo>, family: Family, key: &[u8], value: Option<Bytes>) {
        let map = Arc::make_mut(&mut self.families[family.index()]);
        let before = match value {
            Some(value) => map.insert(key.to_vec(), value),
            None => map.remove(key),
        };
        undos.push(Undo { family, key: key.to_vec(), before });
    }

    fn write(
        &mut self,
        batch: &Batch,
        chosen: impl Fn(&Operation<'_>) -> bool,
    ) -> Result<(), Error> {
        let (effect, answered) = self.count();
        if effect {
            let mut undos = Vec::with_capacity(batch.len());
            for operation in batch.operations().filter(|operation| chosen(operation)) {
                match operation {
                    Operation::Put { family, key, value } => {
                        self.replace(&mut undos, family, key, Some(Bytes::copy_from_slice(value)));
                    }
                    Operation::Delete { family, key } => {
                        self.replace(&mut undos, family, key, None);
                    }
                    Operation::DeleteRange { family, from, to } => {
                        let map = self.families[family.index()].clone();
                        for (key, _) in within(&map, from, to) {
                            self.replace(&mut undos, family, key, None);
                        }
                    }
                }
            }
            self.unsynced.push(undos);
        }
        if answered { Ok(()) } else { Err(power_lost("write")) }
    }
}

impl Backend for Disk {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Bytes>, Error> {
        let state = self.state();
        if state.dark {
            return Err(power_lost("read"));
        }
        Ok(state.families[family.index()].get(key).cloned())
    }

    fn multi_get(&self, family: Family, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, Error> {
        let map = self.family(family)?;
        Ok(keys.iter().map(|key| map.get(*key).cloned()).collect())
    }

    fn scan(&self, family: Family, from: &[u8], to: &[u8], visit: Visit<'_>) -> Result<(), Error> {
        walk(within(&*self.family(family)?, from, to), visit);
        Ok(())
    }

    fn scan_back(
        &self,
        family: Family,
        from: &[u8],
        to: &[u8],
        visit: Visit<'_>,
    ) -> Result<(), Error> {
        walk(within(&*self.family(family)?, from, to).rev(), visit);
        Ok(())
    }

    fn write(&self, batch: &Batch) -> Result<(), Error> {
        let mut state = self.state();
        if self.splits_positions && batch.operations().any(|operation| is_position(&operation)) {
            state.write(batch, is_position)?;
            return state.write(batch, |operation| !is_position(operation));
        }
        state.write(batch, |_| true)
    }

    fn sync(&self) -> Result<(), Error> {
        let mut state = self.state();
        let (effect, answered) = state.count();
        if effect {
            state.unsynced.clear();
        }
        if answered { Ok(()) } else { Err(power_lost("sync")) }
    }

    fn disk_bytes(&self) -> Result<u64, Error> {
        let state = self.state();
        let maps = state.families.iter().flat_map(|map| map.iter());
        Ok(maps.map(|(key, value)| key.len() + value.len()).sum::<usize>() as u64)
    }
}

fn is_position(operation: &Operation<'_>) -> bool {
    matches!(operation, Operation::Put { family: Family::Meta, key, .. } if key[0] == POSITION)
}

fn power_lost(action: &'static str) -> Error {
    Error::Backend { action, reason: "the power is gone".to_owned() }
}

fn within<'a>(
    map: &'a Map,
    from: &[u8],
    to: &[u8],
) -> impl DoubleEndedIterator<Item = (&'a Vec<u8>, &'a Bytes)> {
    // A BTreeMap panics on a reversed range; here it is empty.
    map.range::<[u8], _>((Bound::Included(from), Bound::Excluded(to.max(from))))
}

fn walk<'a>(entries: impl Iterator<Item = (&'a Vec<u8>, &'a Bytes)>, visit: Visit<'_>) {
    for (key, value) in entries {
        if visit(key, value) == ControlFlow::Break(()) {
            return;
        }
    }
}

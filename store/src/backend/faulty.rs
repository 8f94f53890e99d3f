//! A backend that fails on demand: for tests of what happens when the disk does.
//!
//! It counts calls by class and fails the ones it was told to: one call, or all from one on, as a disk
//! does that is full or gone.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::backend::{Backend, Caching, KeyRange, Visit, VisitRanges};
use crate::batch::Batch;
use crate::error::Error;
use crate::family::Family;
use crate::usage::Usage;

/// Classes of calls, counted apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    /// Get, multi-get and scans.
    Read,
    /// Writes of a batch.
    Write,
    /// Syncs.
    Sync,
}

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing happens but an error.
    Error,
    /// A write takes effect, and still reports an error: the answer was lost. On other calls, an error.
    AppliedThenError,
    /// Nothing happens, because the disk is full.
    DiskFull,
    /// A panic, as a bug in a storage engine would raise.
    Panic,
}

/// A [`Backend`] around another that fails chosen calls.
pub struct Faulty {
    inner: Arc<dyn Backend>,
    plan: Mutex<Plan>,
}

#[derive(Default)]
struct Plan {
    calls: BTreeMap<Call, u64>,
    faults: BTreeMap<(Call, u64), Fault>,
    /// From which call on all of a class fail.
    lasting: BTreeMap<Call, (u64, Fault)>,
    /// Calls that were failed.
    injected: BTreeMap<Call, u64>,
}

impl Plan {
    fn count(&mut self, call: Call) -> u64 {
        let count = self.calls.entry(call).or_default();
        *count += 1;
        *count
    }

    /// The number of the `nth` call from here.
    fn place(&self, call: Call, nth: u64) -> u64 {
        assert!(nth > 0, "calls are counted from 1");
        self.calls.get(&call).copied().unwrap_or(0) + nth
    }
}

impl Faulty {
    /// Passes every call on to `inner` until told otherwise.
    pub fn new(inner: Arc<dyn Backend>) -> Self {
        Self { inner, plan: Mutex::default() }
    }

    /// Fails the `nth` call of a class from here; 1 is the next.
    pub fn fail(&self, call: Call, nth: u64, fault: Fault) {
        let mut plan = self.plan();
        let at = plan.place(call, nth);
        plan.faults.insert((call, at), fault);
    }

    /// Fails every call of a class from the `nth` on, until [`Self::heal`]; 1 is the next.
    pub fn fail_from(&self, call: Call, nth: u64, fault: Fault) {
        let mut plan = self.plan();
        let at = plan.place(call, nth);
        plan.lasting.insert(call, (at, fault));
    }

    /// Fails every call from here on: nothing that still runs reaches the backend below any more.
    pub fn cut(&self) {
        for call in [Call::Read, Call::Write, Call::Sync] {
            self.fail_from(call, 1, Fault::Error);
        }
    }

    /// Forgets every fault that was planned.
    pub fn heal(&self) {
        let mut plan = self.plan();
        plan.faults.clear();
        plan.lasting.clear();
    }

    /// Calls of a class that were failed so far.
    pub fn injected(&self, call: Call) -> u64 {
        self.plan().injected.get(&call).copied().unwrap_or(0)
    }

    /// Calls of a class so far, failed ones included.
    pub fn calls(&self, call: Call) -> u64 {
        self.plan().calls.get(&call).copied().unwrap_or(0)
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        // Nothing here panics between two changes that belong together.
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call; the fault planned for it, if any.
    fn count(&self, call: Call) -> Option<Fault> {
        let mut plan = self.plan();
        let at = plan.count(call);
        let lasting = plan.lasting.get(&call).filter(|(from, _)| *from <= at);
        let lasting = lasting.map(|(_, fault)| *fault);
        let fault = plan.faults.remove(&(call, at)).or(lasting)?;
        *plan.injected.entry(call).or_default() += 1;
        Some(fault)
    }

    fn read(&self) -> Result<(), Error> {
        self.count(Call::Read).map_or(Ok(()), |fault| Err(injected(fault, "read")))
    }
}

impl Backend for Faulty {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Bytes>, Error> {
        self.read()?;
        self.inner.get(family, key)
    }

    fn multi_get(&self, family: Family, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, Error> {
        self.read()?;
        self.inner.multi_get(family, keys)
    }

    fn scan(&self, family: Family, from: &[u8], to: &[u8], visit: Visit<'_>) -> Result<(), Error> {
        self.read()?;
        self.inner.scan(family, from, to, visit)
    }

    fn scan_back(
        &self,
        family: Family,
        from: &[u8],
        to: &[u8],
        visit: Visit<'_>,
    ) -> Result<(), Error> {
        self.read()?;
        self.inner.scan_back(family, from, to, visit)
    }

    fn scan_ranges(
        &self,
        family: Family,
        ranges: &[KeyRange<'_>],
        caching: Caching,
        visit: VisitRanges<'_>,
    ) -> Result<(), Error> {
        self.read()?;
        self.inner.scan_ranges(family, ranges, caching, visit)
    }

    fn write(&self, batch: &Batch) -> Result<(), Error> {
        match self.count(Call::Write) {
            None => self.inner.write(batch),
            Some(Fault::AppliedThenError) => {
                self.inner.write(batch)?;
                Err(injected(Fault::AppliedThenError, "write a batch"))
            }
            Some(fault) => Err(injected(fault, "write a batch")),
        }
    }

    fn sync(&self) -> Result<(), Error> {
        match self.count(Call::Sync) {
            None => self.inner.sync(),
            Some(fault) => Err(injected(fault, "sync the log")),
        }
    }

    fn flush(&self) -> Result<(), Error> {
        self.inner.flush()
    }

    fn disk_bytes(&self) -> Result<u64, Error> {
        self.inner.disk_bytes()
    }

    fn checkpoint(&self, to: &Path) -> Result<(), Error> {
        self.inner.checkpoint(to)
    }

    fn usage(&self) -> Result<Usage, Error> {
        self.inner.usage()
    }

    fn reclaim(&self, family: Family, from: &[u8], to: &[u8]) -> Result<(), Error> {
        self.inner.reclaim(family, from, to)
    }

    fn compact(&self) -> Result<(), Error> {
        self.inner.compact()
    }
}

fn injected(fault: Fault, action: &'static str) -> Error {
    match fault {
        Fault::DiskFull => Error::DiskFull { reason: "injected".to_owned() },
        Fault::Panic => panic!("injected panic"),
        Fault::Error | Fault::AppliedThenError => {
            Error::Backend { action, reason: "injected fault".to_owned() }
        }
    }
}

//! The backend contract: every backend keeps it, and the suite notices one that does not.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use systole_store::{
    Backend, Batch, Error, Family, Faulty, Memory, Operation, Overlay, Rocks, Visit, testing,
};

use crate::support::{options, scratch};

#[test]
fn memory_keeps_the_contract() {
    testing::check_backend(|| Arc::new(Memory::new()));
}

#[test]
fn rocksdb_keeps_the_contract() {
    let (_guard, path) = scratch();
    std::fs::create_dir(&path).unwrap();
    let count = AtomicUsize::new(0);
    testing::check_backend(|| {
        let database = path.join(count.fetch_add(1, Ordering::Relaxed).to_string());
        Arc::new(Rocks::open(&database, &options()).unwrap())
    });
}

#[test]
fn a_faulty_backend_without_faults_keeps_the_contract() {
    testing::check_backend(|| Arc::new(Faulty::new(Arc::new(Memory::new()))));
}

#[test]
fn an_overlay_keeps_the_contract() {
    testing::check_backend(|| Arc::new(Overlay::new(Arc::new(Memory::new()))));
}

#[test]
fn an_overlay_shows_both_sides_as_one_and_leaves_the_lower_alone() {
    let below = Arc::new(Memory::new());
    let family = Family::Item;
    let put = |backend: &dyn Backend, key: &[u8], value: &[u8]| {
        let mut batch = Batch::new();
        testing::put(&mut batch, family, key, value);
        backend.write(&batch).unwrap();
    };
    for key in [b"b", b"d", b"f", b"h"] {
        put(&*below, key, b"below");
    }
    let overlay = Overlay::new(below.clone());
    for key in [b"a", b"d", b"e", b"i"] {
        put(&overlay, key, b"here");
    }
    let mut batch = Batch::new();
    testing::delete_range(&mut batch, family, b"e", b"g");
    overlay.write(&batch).unwrap();

    let scanned = |back: bool| {
        let mut seen = Vec::new();
        let visit = &mut |key: &[u8], value: &[u8]| {
            seen.push((key[0], value[0]));
            std::ops::ControlFlow::Continue(())
        };
        let (from, to) = (b"a".as_slice(), b"z".as_slice());
        if back {
            overlay.scan_back(family, from, to, visit).unwrap();
        } else {
            overlay.scan(family, from, to, visit).unwrap();
        }
        seen
    };
    let mut expected = vec![(b'a', b'h'), (b'b', b'b'), (b'd', b'h'), (b'h', b'b'), (b'i', b'h')];
    assert_eq!(scanned(false), expected);
    expected.reverse();
    assert_eq!(scanned(true), expected);
    let values = overlay.multi_get(family, &[b"b", b"d", b"f"]).unwrap();
    assert_eq!(values, [Some(Bytes::from("below")), Some(Bytes::from("here")), None]);
    assert_eq!(overlay.get(family, b"f").unwrap(), None);
    assert_eq!(below.get(family, b"f").unwrap(), Some(Bytes::from("below")));
}

#[test]
fn the_suite_notices_a_batch_that_is_applied_piece_by_piece() {
    let message = broken(|inner| Broken { defect: Defect::PieceByPiece, inner });
    assert!(message.contains("half a batch"), "{message}");
}

#[test]
fn the_suite_notices_a_last_key_beyond_the_end() {
    let message = broken(|inner| Broken { defect: Defect::LastIncludesEnd, inner });
    assert!(message.contains("the end is excluded"), "{message}");
}

#[test]
fn the_suite_notices_a_range_deletion_that_spares_nothing() {
    let message = broken(|inner| Broken { defect: Defect::RangesLast, inner });
    assert!(message.contains("after") || message.contains("left"), "{message}");
}

#[test]
fn the_suite_notices_a_scan_that_follows_writes() {
    let message = broken(|inner| Broken { defect: Defect::ScanFollowsWrites, inner });
    assert!(message.contains("does not show") || message.contains("left"), "{message}");
}

/// What the suite says to a backend with a defect.
fn broken(make: impl Fn(Memory) -> Broken) -> String {
    let checked = catch_unwind(AssertUnwindSafe(|| {
        testing::check_backend(|| Arc::new(make(Memory::new())));
    }));
    let panic = checked.expect_err("the suite refuses the backend");
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap()
}

#[derive(Clone, Copy, PartialEq)]
enum Defect {
    PieceByPiece,
    LastIncludesEnd,
    RangesLast,
    ScanFollowsWrites,
}

struct Broken {
    defect: Defect,
    inner: Memory,
}

impl Backend for Broken {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Bytes>, Error> {
        self.inner.get(family, key)
    }

    fn multi_get(&self, family: Family, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, Error> {
        self.inner.multi_get(family, keys)
    }

    fn scan(&self, family: Family, from: &[u8], to: &[u8], visit: Visit<'_>) -> Result<(), Error> {
        if self.defect != Defect::ScanFollowsWrites {
            return self.inner.scan(family, from, to, visit);
        }
        let mut from = from.to_vec();
        loop {
            let mut next = None;
            self.inner.scan(family, &from, to, &mut |key, value| {
                next = Some((key.to_vec(), value.to_vec()));
                std::ops::ControlFlow::Break(())
            })?;
            let Some((key, value)) = next else { return Ok(()) };
            if visit(&key, &value).is_break() {
                return Ok(());
            }
            from = [key.as_slice(), &[0]].concat();
        }
    }

    fn scan_back(
        &self,
        family: Family,
        from: &[u8],
        to: &[u8],
        visit: Visit<'_>,
    ) -> Result<(), Error> {
        self.inner.scan_back(family, from, to, visit)
    }

    fn last_in(
        &self,
        family: Family,
        from: &[u8],
        to: &[u8],
    ) -> Result<Option<(Vec<u8>, Bytes)>, Error> {
        if self.defect == Defect::LastIncludesEnd {
            return self.inner.last_in(family, from, &[to, &[0]].concat());
        }
        self.inner.last_in(family, from, to)
    }

    fn write(&self, batch: &Batch) -> Result<(), Error> {
        match self.defect {
            Defect::PieceByPiece => {
                for operation in batch.operations() {
                    self.inner.write(&copy([operation].into_iter()))?;
                    // Long enough for a reader to look in between.
                    thread::sleep(Duration::from_micros(20));
                }
                Ok(())
            }
            Defect::RangesLast => {
                let is_range =
                    |operation: &Operation<'_>| matches!(operation, Operation::DeleteRange { .. });
                let others = batch.operations().filter(|operation| !is_range(operation));
                let ranges = batch.operations().filter(is_range);
                self.inner.write(&copy(others.chain(ranges)))
            }
            _ => self.inner.write(batch),
        }
    }

    fn sync(&self) -> Result<(), Error> {
        self.inner.sync()
    }

    fn disk_bytes(&self) -> Result<u64, Error> {
        self.inner.disk_bytes()
    }
}

fn copy<'a>(operations: impl Iterator<Item = Operation<'a>>) -> Batch {
    let mut batch = Batch::new();
    for operation in operations {
        match operation {
            Operation::Put { family, key, value } => testing::put(&mut batch, family, key, value),
            Operation::Delete { family, key } => testing::delete(&mut batch, family, key),
            Operation::DeleteRange { family, from, to } => {
                testing::delete_range(&mut batch, family, from, to);
            }
        }
    }
    batch
}

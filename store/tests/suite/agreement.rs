//! RocksDB and memory agree on whatever is written and read.

use std::ops::ControlFlow;

use proptest::prelude::*;
use systole_store::{Backend, Batch, Family, Memory, Rocks, testing};

use crate::support::{options, scratch};

/// Few short keys, so that operations meet.
fn key() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop_oneof![Just(0), Just(1), Just(0x7f), Just(0x80), Just(0xff)], 1..4)
}

fn family() -> impl Strategy<Value = Family> {
    prop_oneof![Just(Family::Meta), Just(Family::Log), Just(Family::Checkpoint)]
}

#[derive(Clone, Debug)]
enum Step {
    Put(Family, Vec<u8>, Vec<u8>),
    Delete(Family, Vec<u8>),
    DeleteRange(Family, Vec<u8>, Vec<u8>),
    /// Ends the batch.
    Write,
    /// Moves everything from memory to table files.
    Compact,
    Read(Family, Vec<u8>, Vec<u8>),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        16 => (family(), key(), prop::collection::vec(any::<u8>(), 0..8))
            .prop_map(|(family, key, value)| Step::Put(family, key, value)),
        6 => (family(), key()).prop_map(|(family, key)| Step::Delete(family, key)),
        2 => (family(), key(), key()).prop_map(|(family, a, b)| Step::DeleteRange(family, a, b)),
        8 => Just(Step::Write),
        1 => Just(Step::Compact),
        8 => (family(), key(), key()).prop_map(|(family, a, b)| Step::Read(family, a, b)),
    ]
}

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// Everything that can be asked about a range.
fn read(
    backend: &dyn Backend,
    family: Family,
    from: &[u8],
    to: &[u8],
) -> impl PartialEq + std::fmt::Debug {
    let mut up: Pairs = Vec::new();
    let mut down: Pairs = Vec::new();
    let push = |pairs: &mut Pairs, key: &[u8], value: &[u8]| {
        pairs.push((key.to_vec(), value.to_vec()));
        ControlFlow::Continue(())
    };
    backend.scan(family, from, to, &mut |key, value| push(&mut up, key, value)).unwrap();
    backend.scan_back(family, from, to, &mut |key, value| push(&mut down, key, value)).unwrap();
    let last = backend.last_in(family, from, to).unwrap();
    let get = backend.get(family, from).unwrap();
    let several = backend.multi_get(family, &[to, from, to]).unwrap();
    (up, down, last, get, several)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn rocksdb_and_memory_agree(steps in prop::collection::vec(step(), 1..80)) {
        let (_guard, path) = scratch();
        let rocks = Rocks::open(&path, &options()).unwrap();
        let memory = Memory::new();
        let mut batch = Batch::new();
        for step in steps {
            match step {
                Step::Put(family, key, value) => testing::put(&mut batch, family, &key, &value),
                Step::Delete(family, key) => testing::delete(&mut batch, family, &key),
                Step::DeleteRange(family, from, to) => {
                    testing::delete_range(&mut batch, family, &from, &to);
                }
                Step::Write => {
                    let batch = std::mem::take(&mut batch);
                    rocks.write(&batch).unwrap();
                    memory.write(&batch).unwrap();
                }
                Step::Compact => rocks.compact().unwrap(),
                Step::Read(family, from, to) => prop_assert_eq!(
                    read(&rocks, family, &from, &to),
                    read(&memory, family, &from, &to)
                ),
            }
        }
        for family in Family::ALL {
            prop_assert_eq!(
                read(&rocks, family, &[], &[0xff; 4]),
                read(&memory, family, &[], &[0xff; 4])
            );
        }
    }
}

//! Damaged values are errors that name their place, never a panic and never a huge allocation.

use proptest::prelude::*;
use systole_store::{Error, Family, FeedNo, Store, VaultKey, testing};

use crate::format::{PLACE, load_records, read_everything, sample_records};
use crate::support::{commit, item_key};

/// Reads everything from the sample with one value replaced.
fn read_damaged(at: usize, value: Vec<u8>) -> String {
    let mut records = sample_records();
    let at = at % records.len();
    records[at].2 = value;
    match Store::with_backend_at(load_records(&records), PLACE) {
        Ok(store) => {
            // A key that is not stretched: guessing at the header costs nothing.
            let unlocked = store.keys().unlock(&VaultKey::from_key([5; 32]));
            let secret = unlocked.and_then(|vault| vault.secret(&[3; 32]).map(drop));
            format!("{secret:?}\n{}", read_everything(&store))
        }
        Err(error) => format!("{error:?}"),
    }
}

#[test]
fn a_value_cut_short_is_an_error() {
    for (at, (family, key, value)) in sample_records().into_iter().enumerate() {
        // The bytes of a block, a preference and a state are the caller's.
        if [0x01, 0x1a].contains(&key[0]) {
            continue;
        }
        // A presence entry has no content beside its version byte.
        let is_presence = [0x16, 0x22, 0x23].contains(&key[0]);
        for length in 0..value.len() {
            let read = read_damaged(at, value[..length].to_vec());
            let is_state = key[0] == 0x38 && length >= 2;
            let noticed = read.contains("Corrupt");
            assert!(noticed || is_presence || is_state, "{} {key:?} {length}", family.name());
        }
    }
}

#[test]
fn an_unknown_version_byte_is_an_error() {
    for (at, (family, key, mut value)) in sample_records().into_iter().enumerate() {
        if key[0] == 0x01 || [0x16, 0x22, 0x23].contains(&key[0]) {
            continue;
        }
        value[0] = 0x7f;
        let read = read_damaged(at, value);
        assert!(read.contains("Corrupt"), "{} {key:?}: {read}", family.name());
    }
}

#[test]
fn a_count_that_the_value_cannot_hold_reserves_nothing() {
    let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
    let store = Store::memory();
    let step = [&[0x05][..], &1u32.to_be_bytes(), &7u64.to_be_bytes()].concat();
    let chunk =
        [&[0x30][..], &1u32.to_be_bytes(), &7u64.to_be_bytes(), &1u64.to_be_bytes()].concat();
    commit(&store, |batch| {
        let value = [&[1, 1, 0, 0][..], &huge].concat();
        testing::put(batch, Family::Feed, &step, &value);
        testing::put(batch, Family::Log, &chunk, &[&[1][..], &huge].concat());
    });
    let corrupt = store.feeds().step_at_or_before(FeedNo(1), 7).unwrap_err();
    assert!(corrupt.to_string().contains("count exceeds the value"), "{corrupt}");
    let corrupt = store
        .items()
        .scan_log(item_key(1, 7), 0, &mut |_| std::ops::ControlFlow::Continue(()))
        .unwrap_err();
    assert!(corrupt.to_string().contains("item log: feed 1 seq 7 from ordinal 1"), "{corrupt}");
}

#[test]
fn an_error_says_family_key_and_reason() {
    let store = Store::memory();
    commit(&store, |batch| {
        let key = [&[0x17][..], &9u32.to_be_bytes()].concat();
        testing::put(batch, Family::Meta, &key, &[1, 1, 2]);
    });
    match store.meta().position(FeedNo(9)).unwrap_err() {
        Error::Corrupt { family, key, reason } => {
            assert_eq!((family, key.as_str()), ("default", "position: feed 9"));
            assert_eq!(reason, "more is processed than is stored");
        }
        other => panic!("{other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn no_damage_panics(
        at in any::<usize>(),
        start in any::<usize>(),
        bytes in prop::collection::vec(any::<u8>(), 0..12),
        keep_rest in any::<bool>(),
    ) {
        let records = sample_records();
        let value = &records[at % records.len()].2;
        let start = start % (value.len() + 1);
        let mut damaged = value[..start].to_vec();
        damaged.extend(&bytes);
        if keep_rest {
            damaged.extend(value.iter().skip(start + bytes.len()));
        }
        // The vault's header may ask for a real stretching of a passphrase; the key given is not one.
        read_damaged(at, damaged);
    }
}

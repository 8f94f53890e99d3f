//! Timeframes against the obvious model: a map from feed to length.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use systole_proto::limits::TIMEFRAME_FEEDS_MAX;
use systole_proto::{DecodeError, FeedKey, Timeframe};

fn key(byte: u8) -> FeedKey {
    FeedKey([byte; 32])
}

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 2_000,
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..ProptestConfig::default()
    }
}

fn entries() -> impl Strategy<Value = BTreeMap<FeedKey, u64>> {
    let length = prop_oneof![1..5u64, Just(u64::MAX), any::<u64>().prop_map(|length| length | 1)];
    proptest::collection::btree_map((0..12u8).prop_map(key), length, 0..8)
}

fn timeframe(entries: &BTreeMap<FeedKey, u64>) -> Timeframe {
    entries.iter().map(|(feed, length)| (*feed, *length)).collect()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn merge_is_the_least_timeframe_that_covers_both(a in entries(), b in entries()) {
        let mut joined = a.clone();
        for (feed, length) in &b {
            let entry = joined.entry(*feed).or_default();
            *entry = (*entry).max(*length);
        }
        let mut merged = timeframe(&a);
        let changed = merged.merge(&timeframe(&b));
        prop_assert_eq!(&merged, &timeframe(&joined));
        prop_assert_eq!(changed, merged != timeframe(&a));
        prop_assert!(merged.covers(&timeframe(&a)) && merged.covers(&timeframe(&b)));
        prop_assert!(!merged.merge(&timeframe(&b)));
        let mut other_way = timeframe(&b);
        other_way.merge(&timeframe(&a));
        prop_assert_eq!(other_way, merged);
    }

    #[test]
    fn gaps_are_the_feeds_where_the_other_knows_more(a in entries(), b in entries()) {
        let expected: Vec<_> = b
            .iter()
            .map(|(feed, want)| (*feed, a.get(feed).copied().unwrap_or(0), *want))
            .filter(|(_, have, want)| have < want)
            .collect();
        let (a, b) = (timeframe(&a), timeframe(&b));
        prop_assert_eq!(a.gaps(&b).collect::<Vec<_>>(), expected.clone());
        prop_assert_eq!(a.covers(&b), expected.is_empty());
    }

    #[test]
    fn bytes_read_back_and_every_timeframe_has_one_form(a in entries()) {
        let a = timeframe(&a);
        let bytes = a.encode();
        prop_assert_eq!(Timeframe::decode(&bytes), Ok(a));
        for end in 0..bytes.len() {
            prop_assert!(Timeframe::decode(&bytes[..end]).is_err());
        }
    }

    #[test]
    fn a_delta_leads_from_its_base_to_the_join(a in entries(), b in entries()) {
        let (a, b) = (timeframe(&a), timeframe(&b));
        let delta = b.delta_since(&a);
        let mut reached = a.clone();
        reached.apply_delta(&delta).unwrap();
        let mut joined = a.clone();
        joined.merge(&b);
        prop_assert_eq!(reached, joined);
        for end in 0..delta.len() {
            let mut untouched = a.clone();
            prop_assert!(untouched.apply_delta(&delta[..end]).is_err());
            prop_assert_eq!(&untouched, &a);
        }
    }

    #[test]
    fn accepted_bytes_are_the_timeframes_own(
        a in entries(),
        edits in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = timeframe(&a).encode();
        for (at, value) in edits {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Ok(read) = Timeframe::decode(&bytes) {
            prop_assert_eq!(read.encode(), bytes);
        }
    }
}

#[test]
fn length_zero_and_absence_are_the_same() {
    let mut timeframe = Timeframe::new();
    timeframe.set(key(1), 0);
    assert!(!timeframe.advance_to(key(1), 0));
    assert!(timeframe.is_empty());
    timeframe.set(key(1), 5);
    assert_eq!((timeframe.length(&key(1)), timeframe.len()), (5, 1));
    assert!(timeframe.contains(&key(1), 4) && !timeframe.contains(&key(1), 5));
    timeframe.set(key(1), 2);
    assert_eq!(timeframe.length(&key(1)), 2);
    timeframe.set(key(1), 0);
    assert_eq!(timeframe, Timeframe::new());
}

#[test]
fn advancing_never_goes_back() {
    let mut timeframe = Timeframe::new();
    assert!(timeframe.advance_to(key(1), 5));
    assert!(!timeframe.advance_to(key(1), 5));
    assert!(!timeframe.advance_to(key(1), 4));
    assert!(timeframe.advance_to(key(1), 6));
    assert_eq!(timeframe.iter().collect::<Vec<_>>(), [(key(1), 6)]);
}

fn raw(count: u64, entries: &[(u8, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![1, count as u8];
    for (feed, length) in entries {
        bytes.extend_from_slice(&[*feed; 32]);
        bytes.extend_from_slice(length);
    }
    bytes
}

#[test]
fn disorder_repetition_and_padding_are_refused() {
    let unsorted = DecodeError::Unsorted { what: "feeds of a timeframe" };
    assert!(Timeframe::decode(&raw(2, &[(1, &[1]), (2, &[1])])).is_ok());
    assert_eq!(Timeframe::decode(&raw(2, &[(2, &[1]), (1, &[1])])), Err(unsorted.clone()));
    assert_eq!(Timeframe::decode(&raw(2, &[(1, &[1]), (1, &[2])])), Err(unsorted));
    let zero = DecodeError::OutOfRange { what: "length in a timeframe", found: 0 };
    assert_eq!(Timeframe::decode(&raw(1, &[(1, &[0])])), Err(zero));
    let malformed = [
        raw(1, &[(1, &[0x81, 0])]),
        raw(1, &[(1, &[1, 1])]),
        raw(1, &[(1, &[0xff; 10])]),
        raw(1, &[(1, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2])]),
        raw(2, &[(1, &[1])]),
    ];
    for bytes in malformed {
        assert!(matches!(Timeframe::decode(&bytes), Err(DecodeError::Malformed { .. })));
    }
    let version = DecodeError::Version { found: 2, supported: 1 };
    assert_eq!(Timeframe::decode(&[2, 0]), Err(version));
    assert_eq!(Timeframe::decode(&[]), Err(DecodeError::Empty { what: "timeframe" }));
}

#[test]
fn more_feeds_than_allowed_are_refused() {
    let many = |count: usize| -> Timeframe {
        let feed = |at: usize| {
            let mut key = [0; 32];
            key[..8].copy_from_slice(&(at as u64).to_be_bytes());
            (FeedKey(key), 1)
        };
        (0..count).map(feed).collect()
    };
    let full = many(TIMEFRAME_FEEDS_MAX);
    assert_eq!(Timeframe::decode(&full.encode()), Ok(full.clone()));
    let over = many(TIMEFRAME_FEEDS_MAX + 1);
    let error = DecodeError::TooMany {
        what: "feeds of a timeframe",
        count: TIMEFRAME_FEEDS_MAX + 1,
        count_max: TIMEFRAME_FEEDS_MAX,
    };
    assert_eq!(Timeframe::decode(&over.encode()), Err(error.clone()));
    let mut grown = full.clone();
    assert_eq!(grown.apply_delta(&over.delta_since(&full)), Err(error));
    assert_eq!(grown, full);
}

#[test]
fn a_delta_for_another_base_is_refused_where_it_shows() {
    let base: Timeframe = [(key(1), 1), (key(2), 1)].into_iter().collect();
    let ahead: Timeframe = [(key(1), 1), (key(2), 9), (key(3), 1)].into_iter().collect();
    let delta = ahead.delta_since(&base);
    assert!(Timeframe::new().apply_delta(&delta).is_err());
    let mut other: Timeframe = [(key(1), 1), (key(3), 1)].into_iter().collect();
    let repeated = DecodeError::Repeated { what: "feed of a timeframe" };
    assert_eq!(other.apply_delta(&delta), Err(repeated));
    let mut full: Timeframe = [(key(1), 1), (key(2), u64::MAX)].into_iter().collect();
    assert!(full.apply_delta(&delta).is_err());
}

#[test]
fn a_delta_costs_two_bytes_per_feed_that_rose_a_little() {
    let base: Timeframe = (0..200).map(|at| (key(at), 1_000_000)).collect();
    let mut ahead = base.clone();
    ahead.advance_to(key(17), 1_000_003);
    ahead.advance_to(key(90), 1_000_001);
    assert_eq!(ahead.delta_since(&base).len(), 1 + 1 + 2 * 2 + 1);
}

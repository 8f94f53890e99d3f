//! What scans see, and in which order.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::{fill, keys, keys_back, put, value, write};
use crate::backend::{Backend, Caching};
use crate::batch::Batch;
use crate::family::Family;

pub(super) fn scans_are_ordered_and_half_open(backend: &Arc<dyn Backend>) {
    fill(backend, Family::Item, &[b"b", b"\xff", b"a", b"\x00", b"ab", b"c"]);
    fill(backend, Family::Log, &[b"ac"]);
    assert_eq!(keys(backend, Family::Item, b"a", b"c"), [b"a".as_slice(), b"ab", b"b"]);
    assert_eq!(keys_back(backend, Family::Item, b"a", b"c"), [b"b".as_slice(), b"ab", b"a"]);
    let all: [&[u8]; 6] = [b"\x00", b"a", b"ab", b"b", b"c", b"\xff"];
    assert_eq!(keys(backend, Family::Item, b"", b"\xff\xff"), all, "bytes are unsigned");
    for (from, to) in [("a", "a"), ("b", "a"), ("d", "e")] {
        let (from, to) = (from.as_bytes(), to.as_bytes());
        assert!(keys(backend, Family::Item, from, to).is_empty());
        assert!(keys_back(backend, Family::Item, from, to).is_empty());
    }
}

pub(super) fn scans_stop_when_told(backend: &Arc<dyn Backend>) {
    fill(backend, Family::Item, &[b"a", b"b", b"c"]);
    let mut seen = Vec::new();
    let mut stop_at_b = |key: &[u8], _: &[u8]| {
        seen.push(key.to_vec());
        if key == b"b" { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    backend.scan(Family::Item, b"a", b"z", &mut stop_at_b).expect("a sound backend scans");
    backend.scan_back(Family::Item, b"a", b"z", &mut stop_at_b).expect("a sound backend scans");
    assert_eq!(seen, [b"a", b"b", b"c", b"b"]);
}

pub(super) fn ranges_are_scanned_one_by_one(backend: &Arc<dyn Backend>) {
    fill(backend, Family::Log, &[b"a", b"b", b"ba", b"c", b"d", b"e", b"g"]);
    for caching in [Caching::Keep, Caching::Pass] {
        let scan = |ranges: &[(&str, &str)], stop_at: &[u8]| {
            let ranges: Vec<_> = ranges.iter().map(|(a, b)| (a.as_bytes(), b.as_bytes())).collect();
            let mut seen = Vec::new();
            let scanned =
                backend.scan_ranges(Family::Log, &ranges, caching, &mut |at, key, value| {
                    assert_eq!(key, value, "the value belongs to the key");
                    seen.push(format!("{at}{}", String::from_utf8_lossy(key)));
                    if key == stop_at { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                });
            scanned.expect("a sound backend scans");
            seen
        };
        assert!(scan(&[], b"").is_empty());
        let touching = [("b", "c"), ("c", "d"), ("e", "f")];
        assert_eq!(scan(&touching, b""), ["0b", "0ba", "1c", "2e"]);
        assert_eq!(scan(&touching, b"b"), ["0b", "1c", "2e"], "a break ends its range alone");
        let empty = [("aa", "ab"), ("c", "c"), ("d", "e"), ("f", "g"), ("g", "h"), ("i", "j")];
        assert_eq!(scan(&empty, b"d"), ["2d", "4g"]);
    }
}

pub(super) fn the_last_key_is_the_greatest_below_the_end(backend: &Arc<dyn Backend>) {
    fill(backend, Family::Feed, &[b"a", b"b", b"c"]);
    let last = |from: &[u8], to: &[u8]| {
        let found = backend.last_in(Family::Feed, from, to).expect("a sound backend reads");
        found.map(|(key, value)| {
            assert_eq!(key, value, "the value belongs to the key");
            key
        })
    };
    assert_eq!(last(b"a", b"c"), Some(b"b".to_vec()), "the end is excluded");
    assert_eq!(last(b"a", b"c\x00"), Some(b"c".to_vec()));
    assert_eq!(last(b"a", b"z"), Some(b"c".to_vec()));
    assert_eq!(last(b"b", b"b\x00"), Some(b"b".to_vec()), "the start is included");
    assert_eq!(last(b"b\x00", b"c"), None, "a key before the start does not count");
    assert_eq!(last(b"d", b"z"), None);
    assert_eq!(last(b"z", b"a"), None);
}

pub(super) fn a_scan_sees_one_moment(backend: &Arc<dyn Backend>) {
    fill(backend, Family::Item, &[b"a", b"b", b"c"]);
    let mut seen = Vec::new();
    let scanned = backend.scan(Family::Item, b"a", b"z", &mut |key, found| {
        if seen.is_empty() {
            let mut batch = Batch::new();
            put(&mut batch, Family::Item, b"b", b"changed");
            put(&mut batch, Family::Item, b"d", b"added");
            super::delete(&mut batch, Family::Item, b"c");
            write(backend, &batch);
        }
        assert_eq!(key, found, "a change during the scan does not show");
        seen.push(key.to_vec());
        ControlFlow::Continue(())
    });
    scanned.expect("a sound backend scans");
    assert_eq!(seen, [b"a", b"b", b"c"]);
    assert_eq!(value(backend, Family::Item, b"b"), Some(b"changed".to_vec()));
    assert_eq!(keys(backend, Family::Item, b"a", b"z"), [b"a", b"b", b"d"]);
}

pub(super) fn a_visitor_may_use_the_backend(backend: &Arc<dyn Backend>) {
    fill(backend, Family::Item, &[b"a", b"b"]);
    let mut pairs = Vec::new();
    let scanned = backend.scan(Family::Item, b"a", b"z", &mut |outer, _| {
        for inner in keys(backend, Family::Item, b"a", b"z") {
            assert!(value(backend, Family::Item, &inner).is_some());
            pairs.push([outer.to_vec(), inner].concat());
        }
        ControlFlow::Continue(())
    });
    scanned.expect("a sound backend scans");
    assert_eq!(pairs, [b"aa", b"ab", b"ba", b"bb"]);
}

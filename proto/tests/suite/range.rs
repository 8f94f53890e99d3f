//! A range proves its blocks, wherever in the feed it starts.

use bytes::Bytes;
use systole_proto::limits::{RANGE_BLOCKS_MAX, RANGE_BYTES_MAX};
use systole_proto::{DecodeError, Hash, Range, VerifyError};

use crate::support::{blocks, feed, head_over, peaks_over};

fn range(start: usize, end: usize) -> Range {
    let blocks = blocks(end as u64);
    Range {
        feed: feed(1),
        start: start as u64,
        head: head_over(1, &blocks),
        peaks: peaks_over(&blocks[..start]).hashes().to_vec(),
        blocks: blocks[start..].to_vec(),
    }
}

#[test]
fn a_range_proves_itself_from_every_start() {
    for end in 1..20 {
        for start in 0..end {
            let range = range(start, end);
            let read = Range::decode(range.encode()).unwrap();
            assert_eq!(read, range);
            let (head, peaks) = read.verify().unwrap();
            assert_eq!(head.length, end as u64);
            assert_eq!(peaks, peaks_over(&blocks(end as u64)));
        }
    }
}

#[test]
fn an_altered_block_or_peak_is_noticed() {
    let good = range(5, 9);
    for at in 0..good.blocks.len() {
        let mut bad = good.clone();
        bad.blocks[at] = Bytes::from_static(b"other");
        assert_eq!(bad.verify().unwrap_err(), VerifyError::BadProof);
    }
    for at in 0..good.peaks.len() {
        let mut bad = good.clone();
        bad.peaks[at].0[0] ^= 1;
        assert_eq!(bad.verify().unwrap_err(), VerifyError::BadProof);
    }
    let mut swapped = good.clone();
    swapped.blocks.swap(0, 1);
    assert_eq!(swapped.verify().unwrap_err(), VerifyError::BadProof);
    let mut unsigned = good;
    unsigned.head.signature.0[3] ^= 1;
    assert_eq!(unsigned.verify().unwrap_err(), VerifyError::BadSignature);
}

#[test]
fn a_range_without_peaks_continues_the_readers_own_tree() {
    let range = Range { peaks: Vec::new(), ..range(6, 9) };
    let read = Range::decode(range.encode()).unwrap();
    let needed = VerifyError::Unproven { reached: 0, needed: 6 };
    assert_eq!(read.verify().unwrap_err(), needed);
    let known = |length| peaks_over(&blocks(length));
    assert_eq!(read.verify_onto(known(6)).unwrap().1, known(9));
    let behind = VerifyError::Unproven { reached: 5, needed: 6 };
    assert_eq!(read.verify_onto(known(5)).unwrap_err(), behind);
    let mut others = blocks(6);
    others[2] = Bytes::from_static(b"fork");
    assert_eq!(read.verify_onto(peaks_over(&others)).unwrap_err(), VerifyError::BadProof);
}

#[test]
fn a_piece_of_a_longer_run_is_read_but_proves_nothing_alone() {
    let mut piece = range(0, 9);
    piece.blocks.truncate(4);
    let read = Range::decode(piece.encode()).unwrap();
    let needed = VerifyError::Unproven { reached: 4, needed: 9 };
    assert_eq!(read.verify().unwrap_err(), needed);
}

#[test]
fn parts_that_do_not_fit_together_are_refused() {
    let contradiction = |what| Err(DecodeError::Contradiction { what });
    let check = |range: Range| Range::decode(range.encode());
    let foreign = check(Range { feed: feed(2), ..range(0, 3) });
    assert_eq!(foreign, contradiction("feeds of a range and its head"));
    let behind = check(Range { start: 1, peaks: Vec::new(), ..range(0, 3) });
    assert_eq!(behind, contradiction("end of a range and its head"));
    let peaks = check(Range { peaks: vec![Hash([0; 32]); 3], ..range(3, 5) });
    assert_eq!(peaks, Err(DecodeError::WrongSize { what: "peaks", found: 3, expected: 2 }));
    let empty = check(Range { blocks: Vec::new(), ..range(3, 5) });
    assert_eq!(empty, Err(DecodeError::Missing { what: "blocks" }));
    let far = check(Range { start: u64::MAX, ..range(3, 5) });
    assert!(matches!(far, Err(DecodeError::OutOfRange { .. })));
}

#[test]
fn as_many_blocks_as_allowed_and_no_more() {
    let many = |count| {
        let blocks = vec![Bytes::from_static(b"b"); count];
        let head = head_over(1, &blocks);
        Range { feed: feed(1), start: 0, blocks, head, peaks: Vec::new() }
    };
    let full = many(RANGE_BLOCKS_MAX);
    assert_eq!(Range::decode(full.encode()), Ok(full));
    let (count, count_max) = (RANGE_BLOCKS_MAX + 1, RANGE_BLOCKS_MAX);
    let error = DecodeError::TooMany { what: "blocks", count, count_max };
    assert_eq!(Range::decode(many(count).encode()), Err(error.clone()));
    assert_eq!(many(count).validate(), Err(error));
}

#[test]
fn a_range_or_a_block_of_more_bytes_than_allowed_is_refused() {
    let sized = |count, bytes| {
        let blocks = vec![Bytes::from(vec![0; bytes]); count];
        let head = head_over(1, &blocks);
        Range::decode(Range { feed: feed(1), start: 0, blocks, head, peaks: Vec::new() }.encode())
    };
    assert!(sized(15, 1 << 20).is_ok());
    let long = sized(16, 1 << 20).unwrap_err();
    assert!(matches!(long, DecodeError::TooLong { what: "range", bytes_max: RANGE_BYTES_MAX, .. }));
    let (bytes, bytes_max) = ((1 << 20) + 1, 1 << 20);
    assert_eq!(sized(1, bytes), Err(DecodeError::TooLong { what: "blocks", bytes, bytes_max }));
}

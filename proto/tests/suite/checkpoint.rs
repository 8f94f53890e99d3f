//! A checkpoint is whole or refused.

use bytes::Bytes;
use systole_proto::{DecodeError, ItemCheckpoint};

use crate::support::feed;

pub(crate) fn checkpoint() -> ItemCheckpoint {
    ItemCheckpoint {
        model: "example.counter".to_owned(),
        version: 2,
        algorithm: 1,
        ordinal: 1_000_000,
        timeframe: [(feed(1), 12), (feed(2), 300)].into_iter().collect(),
        firsts: [(feed(1), 3), (feed(2), 1)].into_iter().collect(),
        raw: true,
        state: Bytes::from_static(b"state"),
        metadata: Bytes::from_static(b"metadata"),
    }
}

#[test]
fn a_checkpoint_reads_back() {
    assert_eq!(ItemCheckpoint::decode(checkpoint().encode()), Ok(checkpoint()));
    let empty = ItemCheckpoint::default();
    assert_eq!(ItemCheckpoint::decode(empty.encode()), Ok(empty));
}

#[test]
fn every_altered_or_missing_bit_is_noticed() {
    let bytes = checkpoint().encode();
    for bit in 0..bytes.len() * 8 {
        let mut altered = bytes.to_vec();
        altered[bit / 8] ^= 1 << (bit % 8);
        assert!(ItemCheckpoint::decode(altered.into()).is_err(), "bit {bit}");
    }
    for end in 0..bytes.len() {
        assert!(ItemCheckpoint::decode(bytes.slice(..end)).is_err(), "cut at {end}");
    }
    let longer = [&bytes[..], &[0]].concat();
    assert_eq!(
        ItemCheckpoint::decode(longer.into()),
        Err(DecodeError::Checksum { what: "checkpoint" })
    );
}

#[test]
fn state_and_metadata_are_slices_of_the_checkpoints_bytes() {
    let checkpoint = ItemCheckpoint { state: Bytes::from(vec![1; 5000]), ..checkpoint() };
    let bytes = checkpoint.encode();
    let read = ItemCheckpoint::decode(bytes.clone()).unwrap();
    assert!(bytes.as_ptr_range().contains(&read.state.as_ptr()));
    assert!(bytes.as_ptr_range().contains(&read.metadata.as_ptr()));
}

#[test]
fn a_checkpoint_of_another_version_is_named() {
    let mut bytes = checkpoint().encode().to_vec();
    bytes[0] = 2;
    let error = DecodeError::Version { found: 2, supported: 1 };
    assert_eq!(ItemCheckpoint::decode(bytes.into()), Err(error));
}

//! What a block may hold, and that what it holds reads back.

use bytes::Bytes;
use systole_proto::limits::{
    ALIASES_MAX, BLOCK_BYTES_MAX, CREDENTIAL_BYTES_MAX, FEED_LENGTH_MAX, KEYS_MAX, LINKS_MAX,
    MODEL_TYPE_BYTES_MAX,
};
use systole_proto::{
    Block, Body, DecodeError, FeedKey, Genesis, Hash, ItemRef, Link, Move, Mutation, Stamp,
    Tombstone,
};

use crate::support::{full_block, small_block};

fn round_trip(block: &Block) -> Result<Block, DecodeError> {
    Block::decode(block.encode())
}

fn link(feed: u32, length: u64) -> Link {
    Link { feed, length, root: Hash([9; 32]) }
}

fn linking(links: Vec<Link>) -> Block {
    Block { links, ..Block::default() }
}

fn saying(body: Body) -> Block {
    Block { body, ..Block::default() }
}

#[test]
fn every_kind_of_body_reads_back() {
    let item = ItemRef { feed: 3, seq: 1 << 40 };
    let bodies = [
        Body::Empty,
        Body::Credential(Bytes::from_static(b"credential")),
        Body::Genesis(Genesis { model: "m".to_owned(), ..Genesis::default() }),
        Body::Mutation(Mutation { item, label: Mutation::METADATA, payload: Bytes::new() }),
        Body::Move(Move { item, parent: None }),
        Body::Move(Move { item, parent: Some(ItemRef { feed: 0, seq: 0 }) }),
        Body::Tombstone(Tombstone { item, restore: false }),
        Body::Tombstone(Tombstone { item, restore: true }),
    ];
    for body in bodies {
        let block = saying(body);
        assert_eq!(round_trip(&block), Ok(block));
    }
    assert_eq!(round_trip(&full_block()), Ok(full_block()));
}

#[test]
fn a_keystroke_costs_little_more_than_its_payload() {
    assert_eq!(small_block().encode().len(), 13);
}

#[test]
fn payloads_are_slices_of_the_blocks_bytes() {
    let payload = Bytes::from(vec![7; 1000]);
    let item = ItemRef { feed: 0, seq: 0 };
    let bytes = saying(Body::Mutation(Mutation { item, label: 0, payload })).encode();
    let Body::Mutation(read) = Block::decode(bytes.clone()).unwrap().body else { panic!() };
    assert!(bytes.as_ptr_range().contains(&read.payload.as_ptr()));
}

#[test]
fn another_version_is_named() {
    let mut bytes = small_block().encode().to_vec();
    bytes[0] = 2;
    let error = DecodeError::Version { found: 2, supported: 1 };
    assert_eq!(Block::decode(bytes.into()), Err(error));
    assert_eq!(Block::decode(Bytes::new()), Err(DecodeError::Empty { what: "block" }));
}

#[test]
fn a_link_to_the_own_feed_is_refused() {
    assert_eq!(round_trip(&linking(vec![link(1, 1), link(0, 1)])), Err(DecodeError::SelfLink));
}

#[test]
fn a_link_of_length_zero_is_refused() {
    let error = DecodeError::EmptyLink { alias: 2 };
    assert_eq!(round_trip(&linking(vec![link(1, 1), link(2, 0)])), Err(error));
}

#[test]
fn two_links_to_one_feed_are_refused() {
    let error = DecodeError::DuplicateLink { alias: 4 };
    assert_eq!(round_trip(&linking(vec![link(4, 1), link(1, 1), link(4, 2)])), Err(error));
}

#[test]
fn links_beyond_aliases_and_lengths_are_refused() {
    let outside = |what, found| Err(DecodeError::OutOfRange { what, found });
    assert!(round_trip(&linking(vec![link(ALIASES_MAX, FEED_LENGTH_MAX)])).is_ok());
    let far = round_trip(&linking(vec![link(ALIASES_MAX + 1, 1)]));
    assert_eq!(far, outside("feed alias", u64::from(ALIASES_MAX) + 1));
    let long = round_trip(&linking(vec![link(1, FEED_LENGTH_MAX + 1)]));
    assert_eq!(long, outside("length of a link", FEED_LENGTH_MAX + 1));
}

#[test]
fn a_key_named_twice_is_refused() {
    let block = Block { keys: vec![FeedKey([1; 32]), FeedKey([1; 32])], ..Block::default() };
    assert_eq!(round_trip(&block), Err(DecodeError::Repeated { what: "feed key" }));
}

#[test]
fn as_many_keys_and_links_as_allowed_and_no_more() {
    let key = |at: usize| {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&at.to_be_bytes());
        FeedKey(key)
    };
    let with = |keys: usize, links: usize| Block {
        keys: (0..keys).map(key).collect(),
        links: (1..=links as u32).map(|alias| link(alias, 1)).collect(),
        ..Block::default()
    };
    let full = with(KEYS_MAX, LINKS_MAX);
    assert_eq!(round_trip(&full), Ok(full));
    let (count, count_max) = (KEYS_MAX + 1, KEYS_MAX);
    let error = DecodeError::TooMany { what: "feed keys", count, count_max };
    assert_eq!(round_trip(&with(KEYS_MAX + 1, 0)), Err(error.clone()));
    assert_eq!(with(KEYS_MAX + 1, 0).validate(), Err(error));
    let (count, count_max) = (LINKS_MAX + 1, LINKS_MAX);
    let error = DecodeError::TooMany { what: "links", count, count_max };
    assert_eq!(round_trip(&with(0, LINKS_MAX + 1)), Err(error.clone()));
    assert_eq!(with(0, LINKS_MAX + 1).validate(), Err(error));
}

#[test]
fn a_block_of_more_bytes_than_allowed_is_refused() {
    let item = ItemRef { feed: 0, seq: 0 };
    let sized = |bytes| {
        let payload = Bytes::from(vec![0; bytes]);
        saying(Body::Mutation(Mutation { item, label: 0, payload }))
    };
    let overhead = sized(BLOCK_BYTES_MAX).encode().len() - BLOCK_BYTES_MAX;
    let full = sized(BLOCK_BYTES_MAX - overhead);
    assert_eq!(full.encode().len(), BLOCK_BYTES_MAX);
    assert_eq!(round_trip(&full), Ok(full));
    let (bytes, bytes_max) = (BLOCK_BYTES_MAX + 1, BLOCK_BYTES_MAX);
    let error = DecodeError::TooLong { what: "block", bytes, bytes_max };
    assert_eq!(round_trip(&sized(BLOCK_BYTES_MAX - overhead + 1)), Err(error));
}

#[test]
fn a_genesis_names_its_model_within_bounds() {
    let named = |model: String| saying(Body::Genesis(Genesis { model, ..Genesis::default() }));
    assert!(round_trip(&named("m".repeat(MODEL_TYPE_BYTES_MAX))).is_ok());
    let missing = DecodeError::Missing { what: "model type" };
    assert_eq!(round_trip(&named(String::new())), Err(missing));
    let (bytes, bytes_max) = (MODEL_TYPE_BYTES_MAX + 1, MODEL_TYPE_BYTES_MAX);
    let error = DecodeError::TooLong { what: "model type", bytes, bytes_max };
    assert_eq!(round_trip(&named("m".repeat(bytes))), Err(error));
}

#[test]
fn a_credential_within_a_block_is_bounded_too() {
    let sized = |bytes| saying(Body::Credential(Bytes::from(vec![0; bytes])));
    assert!(round_trip(&sized(CREDENTIAL_BYTES_MAX)).is_ok());
    let (bytes, bytes_max) = (CREDENTIAL_BYTES_MAX + 1, CREDENTIAL_BYTES_MAX);
    let error = DecodeError::TooLong { what: "credential", bytes, bytes_max };
    assert_eq!(round_trip(&sized(bytes)), Err(error));
}

#[test]
fn an_item_outside_every_feed_is_refused() {
    let at = |feed, seq| {
        let item = ItemRef { feed, seq };
        round_trip(&saying(Body::Tombstone(Tombstone { item, restore: false })))
    };
    assert!(at(ALIASES_MAX, FEED_LENGTH_MAX - 1).is_ok());
    assert!(matches!(at(ALIASES_MAX + 1, 0), Err(DecodeError::OutOfRange { .. })));
    assert!(matches!(at(0, FEED_LENGTH_MAX), Err(DecodeError::OutOfRange { .. })));
}

#[test]
fn a_mutation_without_an_item_is_refused() {
    // Field 10 holding only a label.
    let bytes = Bytes::from_static(&[1, 10 << 3 | 2, 2, 2 << 3, 1]);
    assert_eq!(Block::decode(bytes), Err(DecodeError::Missing { what: "item" }));
}

#[test]
fn two_bodies_are_refused() {
    let mut bytes = small_block().encode().to_vec();
    let again = bytes[1..].to_vec();
    bytes.extend(again.iter().skip_while(|&&byte| byte != 10 << 3 | 2));
    assert_eq!(Block::decode(bytes.into()), Err(DecodeError::Repeated { what: "body" }));
    let mixed = Bytes::from_static(&[1, 8 << 3 | 2, 0, 12 << 3 | 2, 0]);
    assert_eq!(Block::decode(mixed), Err(DecodeError::Repeated { what: "body" }));
}

#[test]
fn a_field_of_a_later_version_is_skipped() {
    let mut bytes = full_block().encode().to_vec();
    // Field 100, three bytes.
    bytes.extend([0xa2, 0x06, 3, 1, 2, 3]);
    assert_eq!(Block::decode(bytes.into()), Ok(full_block()));
}

#[test]
fn a_body_of_a_later_version_is_told_from_no_body() {
    let mut bytes = Block { keys: vec![FeedKey([1; 32])], ..Block::default() }.encode().to_vec();
    // Field 31, length-delimited.
    bytes.extend([0xfa, 0x01, 1, 0]);
    let block = Block::decode(bytes.into()).unwrap();
    assert_eq!(block.body, Body::Unknown(31));
    assert_eq!(block.keys, [FeedKey([1; 32])]);
}

#[test]
fn a_logical_stamp_has_sixteen_bits() {
    let block = Block { stamp_logical: 65_535, stamp_millis_delta: -3, ..Block::default() };
    let read = round_trip(&block).unwrap();
    let stamp = read.stamp_after(Stamp { millis: 10, logical: 1 });
    assert_eq!(stamp, Stamp { millis: 7, logical: 65_535 });
    let block = Block { stamp_logical: 65_536, ..Block::default() };
    let error = DecodeError::OutOfRange { what: "logical stamp", found: 65_536 };
    assert_eq!(round_trip(&block), Err(error));
}

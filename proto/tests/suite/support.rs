//! What several subjects need: hex, fixed keys, fixed blocks.

use bytes::Bytes;
use systole_proto::{
    Block, Body, Ed25519Signer, FeedKey, Genesis, Hash, Head, ItemRef, Link, Mutation, Peaks,
    SignedHead, Signer, merkle,
};

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| c.to_digit(16).unwrap() as u8)
        .collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// The key that `seed` stands for.
pub(crate) fn signer(seed: u8) -> Ed25519Signer {
    Ed25519Signer::from_seed(&[seed; 32])
}

pub(crate) fn feed(seed: u8) -> FeedKey {
    FeedKey(signer(seed).public_key())
}

/// A block with every field in use.
pub(crate) fn full_block() -> Block {
    Block {
        keys: vec![feed(2), feed(3)],
        links: vec![
            Link { feed: 1, length: 300, root: Hash([0x11; 32]) },
            Link { feed: 2, length: 1, root: Hash([0x22; 32]) },
        ],
        stamp_millis_delta: 1_700_000_000_000,
        stamp_logical: 7,
        effective_at: Some(-1),
        body: Body::Genesis(Genesis {
            model: "example.counter".to_owned(),
            version: 2,
            algorithm: 3,
            parent: Some(ItemRef { feed: 1, seq: 5 }),
            init: Bytes::from_static(b"init"),
            metadata: Bytes::from_static(b"metadata"),
            schema: Bytes::from_static(b"schema"),
        }),
    }
}

/// A block as one keystroke would make it.
pub(crate) fn small_block() -> Block {
    Block {
        stamp_millis_delta: 120,
        body: Body::Mutation(Mutation {
            item: ItemRef { feed: 0, seq: 9 },
            label: Mutation::MODEL,
            payload: Bytes::from_static(b"x"),
        }),
        ..Block::default()
    }
}

/// `count` different blocks.
pub(crate) fn blocks(count: u64) -> Vec<Bytes> {
    let block = |seq| Block { stamp_millis_delta: seq as i64, ..small_block() }.encode();
    (0..count).map(block).collect()
}

pub(crate) fn peaks_over(blocks: &[Bytes]) -> Peaks {
    let mut peaks = Peaks::new();
    blocks.iter().for_each(|block| peaks.append(merkle::leaf_hash(block), |_, _, _| {}));
    peaks
}

/// The head that the owner of seed `seed` signs over `blocks`.
pub(crate) fn head_over(seed: u8, blocks: &[Bytes]) -> SignedHead {
    let peaks = peaks_over(blocks);
    let head = Head { feed: feed(seed), length: peaks.length(), root: peaks.root() };
    SignedHead::sign(&head, &signer(seed)).unwrap()
}

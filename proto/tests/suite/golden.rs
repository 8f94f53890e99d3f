//! Bytes on disk and on the wire stay what they are: what is recorded in `tests/golden` is written
//! again bit for bit, and reads back. A file that has to change means a new format version.

use std::path::PathBuf;

use bytes::Bytes;
use systole_proto::{
    Block, Body, Claim, Credential, FeedKey, Hash, ItemCheckpoint, ItemId, ItemRef, Move, PartyKey,
    PublicKey, Range, SignedHead, Signer, Timeframe, Tombstone, merkle,
};

use crate::checkpoint::checkpoint;
use crate::support::{
    blocks, feed, full_block, head_over, hex, peaks_over, signer, small_block, unhex,
};

/// Compares with the record `name`, and gives its bytes.
fn recorded(name: &str, bytes: &[u8]) -> Bytes {
    let path =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}.hex"));
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let digits: Vec<char> = hex(bytes).chars().collect();
    let lines: Vec<String> = digits.chunks(96).map(|line| line.iter().collect()).collect();
    let record = unhex(&text);
    assert!(record == bytes, "{} should hold\n{}", path.display(), lines.join("\n"));
    record.into()
}

#[test]
fn blocks_are_as_recorded() {
    let item = ItemRef { feed: 1, seq: 300 };
    let with = |body| Block { stamp_millis_delta: -5, body, ..Block::default() };
    let cases = [
        ("block-genesis", full_block()),
        ("block-mutation", small_block()),
        ("block-move", with(Body::Move(Move { item, parent: Some(ItemRef { feed: 0, seq: 1 }) }))),
        ("block-tombstone", with(Body::Tombstone(Tombstone { item, restore: true }))),
        ("block-credential", with(Body::Credential(Bytes::from_static(b"credential")))),
        ("block-empty", Block::default()),
    ];
    for (name, block) in cases {
        assert_eq!(Block::decode(recorded(name, &block.encode())), Ok(block), "{name}");
    }
}

#[test]
fn signed_heads_are_as_recorded() {
    for (name, length) in [("head", 5), ("head-empty", 0)] {
        let head = head_over(1, &blocks(length));
        let read = SignedHead::from_bytes(recorded(name, &head.to_bytes())).unwrap();
        assert_eq!(read, head);
        assert_eq!(read.verify().unwrap().length, length);
    }
}

#[test]
fn credentials_are_as_recorded() {
    let (party, key) = (PartyKey(signer(1).public_key()), PublicKey(signer(2).public_key()));
    let cases = [
        ("credential-party-genesis", Claim::PartyGenesis { party, key, feed: feed(3) }),
        ("credential-key-admission", Claim::KeyAdmission { party, key }),
        ("credential-feed-admission", Claim::FeedAdmission { party, feed: feed(3), key }),
    ];
    for (name, claim) in cases {
        let mut credential = Credential::new(&claim);
        credential.sign(&signer(1)).unwrap();
        credential.sign(&signer(2)).unwrap();
        let read = Credential::decode(recorded(name, &credential.encode())).unwrap();
        assert_eq!(read, credential);
        assert_eq!(read.claim(), Ok(claim));
        assert_eq!(read.verified_signers(), Ok(vec![PublicKey(party.0), key]));
    }
}

#[test]
fn ranges_are_as_recorded() {
    let blocks = blocks(9);
    let range = Range {
        feed: feed(1),
        start: 7,
        head: head_over(1, &blocks),
        peaks: peaks_over(&blocks[..7]).hashes().to_vec(),
        blocks: blocks[7..].to_vec(),
    };
    let read = Range::decode(recorded("range", &range.encode())).unwrap();
    assert_eq!(read, range);
    assert_eq!(read.verify().unwrap().1.length(), 9);
}

#[test]
fn checkpoints_are_as_recorded() {
    let bytes = recorded("checkpoint", &checkpoint().encode());
    assert_eq!(ItemCheckpoint::decode(bytes), Ok(checkpoint()));
}

#[test]
fn timeframes_are_as_recorded() {
    let base: Timeframe = [(feed(1), 12), (feed(2), 300)].into_iter().collect();
    assert_eq!(Timeframe::decode(&recorded("timeframe", &base.encode())), Ok(base.clone()));
    let mut ahead = base.clone();
    ahead.set(feed(2), 301);
    ahead.set(feed(3), 1 << 40);
    let mut reached = base.clone();
    reached.apply_delta(&recorded("timeframe-delta", &ahead.delta_since(&base))).unwrap();
    assert_eq!(reached, ahead);
}

#[test]
fn hashes_and_ids_are_as_recorded() {
    recorded("root-of-nine", peaks_over(&blocks(9)).root().as_bytes());
    recorded("root-of-none", merkle::empty_root().as_bytes());
    recorded("leaf", merkle::leaf_hash(b"block").as_bytes());
    recorded("node", merkle::node_hash(&Hash([1; 32]), &Hash([2; 32])).as_bytes());
    recorded("item-id", ItemId::of(&FeedKey([7; 32]), 0x0102_0304_0506).as_bytes());
}

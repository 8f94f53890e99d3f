//! Bytes from a stranger: no decoder panics, none reserves more memory than it says, and what one
//! accepts is sound. An allocator that counts per thread watches every call.
#![allow(
    unsafe_code,
    reason = "an allocator cannot be written without it; it only counts and forwards"
)]
#![allow(clippy::unwrap_used, reason = "a test that fails should stop")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::FileFailurePersistence;
use systole_proto::limits::{BLOCK_BYTES_MAX, KEYS_MAX, LINKS_MAX, RANGE_BLOCKS_MAX};
use systole_proto::{
    Block, Body, Claim, Credential, DecodeError, Ed25519Signer, FeedKey, Genesis, Hash, Head,
    ItemCheckpoint, ItemRef, Link, Mutation, PartyKey, Peaks, PublicKey, Range, SignedHead, Signer,
    Timeframe, merkle,
};

struct Counting;

thread_local! {
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    // The counters may be gone while a thread ends.
    let _ = LIVE.try_with(|live| {
        live.set(live.get() + bytes);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(live.get())));
    });
}

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller keeps `alloc`'s contract, which is the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: as above; `at` came from `alloc`.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What `call` gives, and the most memory it held at once beyond what was held before.
fn measured<T>(call: impl FnOnce() -> T) -> (T, usize) {
    let before = LIVE.get();
    PEAK.set(before);
    let result = call();
    (result, (PEAK.get() - before) as usize)
}

/// Checks what the crate promises: at most 64 bytes held per byte given (and 4 KiB for error texts
/// and first capacities), and never more than `bound` beyond the bytes given.
fn decode<T>(
    bytes: &Bytes,
    bound: usize,
    decoder: impl FnOnce(Bytes) -> Result<T, DecodeError>,
) -> Option<T> {
    let given = bytes.clone();
    let (result, held) = measured(|| decoder(given));
    let per_byte = 64 * bytes.len() + (4 << 10);
    let bound = bytes.len() + bound;
    assert!(held <= per_byte.min(bound), "{held} bytes held for {} given", bytes.len());
    result.ok()
}

const BLOCK_BOUND: usize = 256 << 10;
const RANGE_BOUND: usize = 512 << 10;
const SMALL_BOUND: usize = 8 << 10;

fn feed_to_every_decoder(bytes: &Bytes) {
    if let Some(block) = decode(bytes, BLOCK_BOUND, Block::decode) {
        assert_eq!(block.validate(), Ok(()));
        if !matches!(block.body, Body::Unknown(_)) {
            assert_eq!(Block::decode(block.encode()), Ok(block));
        }
    }
    if let Some(head) = decode(bytes, SMALL_BOUND, SignedHead::from_bytes) {
        check_head(&head);
    }
    let bare = SignedHead { bytes: bytes.clone(), signature: systole_proto::Signature([0; 64]) };
    check_head(&bare);
    if let Some(credential) = decode(bytes, SMALL_BOUND, Credential::decode) {
        let _ = (credential.claim(), credential.verified_signers());
    }
    let _ = Credential { claim_bytes: bytes.clone(), signatures: Vec::new() }.claim();
    if let Some(range) = decode(bytes, RANGE_BOUND, Range::decode) {
        let _ = range.verify();
    }
    // A timeframe takes 40 bytes of memory for 33 and more on the wire.
    let timeframe = |bytes: Bytes| Timeframe::decode(&bytes);
    if let Some(read) = decode(bytes, bytes.len() + SMALL_BOUND, timeframe) {
        assert_eq!(read.encode(), bytes[..]);
    }
    let mut base = Timeframe::new();
    (1..4).for_each(|seed| base.set(FeedKey([seed; 32]), 100));
    let _ = decode(bytes, bytes.len() + SMALL_BOUND, |bytes| base.clone().apply_delta(&bytes));
    let _ = decode(bytes, bytes.len() + SMALL_BOUND, ItemCheckpoint::decode);
    let sealed = Bytes::from([bytes, &blake3::hash(bytes).as_bytes()[..]].concat());
    let bound = bytes.len() + SMALL_BOUND;
    if let Some(read) = decode(&sealed, bound, ItemCheckpoint::decode) {
        assert_eq!(ItemCheckpoint::decode(read.encode()), Ok(read));
    }
}

fn check_head(head: &SignedHead) {
    if head.verify().is_ok() {
        assert_eq!(head.decode_unverified().unwrap().feed, feed(1), "nobody else signed");
    }
}

fn feed(seed: u8) -> FeedKey {
    FeedKey(Ed25519Signer::from_seed(&[seed; 32]).public_key())
}

/// One valid frame of every kind.
fn frames() -> Vec<Bytes> {
    let signer = Ed25519Signer::from_seed(&[1; 32]);
    let item = ItemRef { feed: 1, seq: 5 };
    let genesis = Block {
        keys: vec![feed(2), feed(3)],
        links: vec![Link { feed: 1, length: 3, root: Hash([1; 32]) }],
        body: Body::Genesis(Genesis {
            model: "example.counter".to_owned(),
            parent: Some(item),
            ..Genesis::default()
        }),
        ..Block::default()
    };
    let payload = Bytes::from_static(b"payload");
    let mutation = Body::Mutation(Mutation { item, label: 1, payload });
    let blocks = vec![genesis.encode(), Block { body: mutation, ..Block::default() }.encode()];
    let mut peaks = Peaks::new();
    blocks.iter().for_each(|block| peaks.append(merkle::leaf_hash(block), |_, _, _| {}));
    let head = Head { feed: feed(1), length: 2, root: peaks.root() };
    let head = SignedHead::sign(&head, &signer).unwrap();
    let (party, key) = (PartyKey(signer.public_key()), PublicKey(feed(2).0));
    let mut credential = Credential::new(&Claim::FeedAdmission { party, feed: feed(3), key });
    credential.sign(&signer).unwrap();
    let timeframe: Timeframe = [(feed(1), 3), (feed(2), 1 << 20)].into_iter().collect();
    let checkpoint = ItemCheckpoint {
        model: "example.counter".to_owned(),
        timeframe: timeframe.clone(),
        state: Bytes::from_static(b"state"),
        ..ItemCheckpoint::default()
    };
    let checkpoint = checkpoint.encode();
    // Without its checksum: the decoders are also given every input with the right one.
    let unsealed = checkpoint.slice(..checkpoint.len() - 32);
    let delta = timeframe.delta_since(&Timeframe::new());
    let range = Range {
        feed: feed(1),
        start: 1,
        blocks: blocks[1..].to_vec(),
        head: head.clone(),
        peaks: vec![merkle::leaf_hash(&blocks[0])],
    };
    let mut frames = vec![head.to_bytes(), head.bytes, credential.encode(), credential.claim_bytes];
    frames.extend([range.encode(), unsealed, timeframe.encode().into(), delta.into()]);
    frames.extend(blocks);
    frames
}

/// One change to a frame.
#[derive(Clone, Debug)]
enum Edit {
    Set(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, u8),
    Repeat(Index, Index),
    Cut(Index),
}

impl Edit {
    fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        match self {
            Self::Set(at, value) => {
                let at = at.index(bytes.len());
                bytes[at] = *value;
            }
            Self::Insert(at, more) => {
                let at = at.index(bytes.len());
                bytes.splice(at..at, more.iter().copied());
            }
            Self::Remove(at, count) => {
                let at = at.index(bytes.len());
                let end = bytes.len().min(at + usize::from(*count));
                bytes.drain(at..end);
            }
            Self::Repeat(from, to) => {
                let (from, to) = (from.index(bytes.len()), to.index(bytes.len()));
                bytes.extend_from_within(from.min(to)..from.max(to));
            }
            Self::Cut(at) => bytes.truncate(at.index(bytes.len())),
        }
    }
}

fn edit() -> impl Strategy<Value = Edit> {
    let value = prop_oneof![any::<u8>(), Just(0u8), Just(1u8), Just(0x7f), Just(0x80), Just(0xff)];
    let insert = vec(any::<u8>(), 1..12);
    prop_oneof![
        6 => (any::<Index>(), value).prop_map(|(at, value)| Edit::Set(at, value)),
        2 => (any::<Index>(), insert).prop_map(|(at, more)| Edit::Insert(at, more)),
        2 => (any::<Index>(), 1..12u8).prop_map(|(at, count)| Edit::Remove(at, count)),
        2 => (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Edit::Repeat(from, to)),
        1 => any::<Index>().prop_map(Edit::Cut),
    ]
}

/// Well-formed protobuf fields in no sensible order, now and then nested.
fn fields() -> impl Strategy<Value = Vec<u8>> {
    let number = prop_oneof![any::<u64>(), 0..5u64, Just(1 << 48)];
    let leaf = prop_oneof![
        number.prop_map(|value| (0, varint(value))),
        prop_oneof![vec(any::<u8>(), 0..40), vec(any::<u8>(), 32), vec(any::<u8>(), 64)]
            .prop_map(|bytes| (2, bytes)),
        vec(any::<u8>(), 8).prop_map(|bytes| (1, bytes)),
        vec(any::<u8>(), 4).prop_map(|bytes| (5, bytes)),
    ];
    let list = |field| vec((1..16u64, field), 0..8).prop_map(|fields| write(&fields));
    let leaf = leaf.boxed();
    let nested = list(leaf.clone()).prop_map(|bytes| (2, bytes));
    list(prop_oneof![3 => leaf, 2 => nested.boxed()].boxed())
}

fn write(fields: &[(u64, (u64, Vec<u8>))]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (number, (kind, payload)) in fields {
        bytes.extend(varint(number << 3 | kind));
        if *kind == 2 {
            bytes.extend(varint(payload.len() as u64));
        }
        bytes.extend(payload);
    }
    bytes
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 20_000,
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn random_bytes_are_refused_or_sound(mut bytes in vec(any::<u8>(), 0..300), keep in 0..8u8) {
        if let (Some(first), true) = (bytes.first_mut(), keep > 0) {
            *first = 1;
        }
        feed_to_every_decoder(&bytes.into());
    }

    #[test]
    fn random_fields_are_refused_or_sound(fields in fields()) {
        feed_to_every_decoder(&[&[1], &fields[..]].concat().into());
    }

    #[test]
    fn altered_frames_are_refused_or_sound(which: Index, edits in vec(edit(), 1..6)) {
        thread_local!(static FRAMES: Vec<Bytes> = frames());
        let mut bytes = FRAMES.with(|frames| which.get(frames).to_vec());
        edits.iter().for_each(|edit| edit.apply(&mut bytes));
        feed_to_every_decoder(&bytes.into());
    }
}

#[test]
fn valid_frames_are_accepted_by_their_decoders() {
    let frames = frames();
    let accepted = |index: usize| {
        let bytes = || frames[index].clone();
        (
            Block::decode(bytes()).is_ok(),
            Range::decode(bytes()).is_ok_and(|range| range.verify().is_ok()),
        )
    };
    assert_eq!(accepted(4), (false, true));
    assert_eq!(accepted(8), (true, false));
    assert_eq!(accepted(9), (true, false));
    frames.iter().for_each(feed_to_every_decoder);
}

/// `count` fields `number` without content: what costs a sender least.
fn empty_fields(number: u8, count: usize) -> Bytes {
    let mut bytes = vec![1];
    bytes.extend(std::iter::repeat_n([number << 3 | 2, 0], count).flatten());
    bytes.into()
}

#[test]
fn a_flood_of_empty_elements_is_refused_without_reserving_for_it() {
    let cheap = |bytes: Bytes, decoder: fn(Bytes) -> DecodeError, what: &str| {
        let (error, held) = measured(|| decoder(bytes));
        assert!(matches!(error, DecodeError::TooMany { what: found, .. } if found == what));
        assert!(held <= 1 << 10, "{held} bytes held for {what}");
    };
    let half = BLOCK_BYTES_MAX / 2 - 1;
    cheap(empty_fields(1, half), |bytes| Block::decode(bytes).unwrap_err(), "feed keys");
    cheap(empty_fields(2, half), |bytes| Block::decode(bytes).unwrap_err(), "links");
    cheap(empty_fields(3, 8 << 20 >> 1), |bytes| Range::decode(bytes).unwrap_err(), "blocks");
    cheap(empty_fields(5, 8 << 20 >> 1), |bytes| Range::decode(bytes).unwrap_err(), "peaks");
    cheap(empty_fields(2, 1_000), |bytes| Credential::decode(bytes).unwrap_err(), "signatures");
}

#[test]
fn the_most_elements_allowed_stay_within_the_promised_memory() {
    assert!(decode(&empty_fields(1, KEYS_MAX), BLOCK_BOUND, Block::decode).is_none());
    assert!(decode(&empty_fields(2, LINKS_MAX), BLOCK_BOUND, Block::decode).is_none());
    assert!(decode(&empty_fields(3, RANGE_BLOCKS_MAX), RANGE_BOUND, Range::decode).is_none());
    let key = |at: usize| FeedKey(*blake3::hash(&at.to_be_bytes()).as_bytes());
    let full = Block {
        keys: (0..KEYS_MAX).map(key).collect(),
        links: (1..=LINKS_MAX as u32)
            .map(|feed| Link { feed, length: 1, root: Hash([0; 32]) })
            .collect(),
        ..Block::default()
    };
    assert_eq!(decode(&full.encode(), BLOCK_BOUND, Block::decode), Some(full));
}

#[test]
fn a_timeframe_that_lies_about_its_count_reserves_nothing_for_it() {
    let mut bytes = vec![1];
    bytes.extend(varint(65_536));
    let (result, held) = measured(|| Timeframe::decode(&bytes));
    assert!(result.is_err() && held <= 1 << 10, "{held} bytes held");
}

#[test]
fn deep_nesting_is_refused() {
    // Groups within groups, at the top and inside a known field.
    let groups = vec![15 << 3 | 3; 100_000];
    assert!(Block::decode([&[1], &groups[..]].concat().into()).is_err());
    let inside = write(&[(10, (2, groups))]);
    assert!(Block::decode([&[1], &inside[..]].concat().into()).is_err());
}

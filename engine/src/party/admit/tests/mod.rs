//! Tests of admission, and the small cast that they share.
//!
//! Parties, keys and feeds are numbered; the seed of a key is its number, so every run is the same.

mod holes;
mod order;
mod parking;
mod past;

use bytes::Bytes;
use systole_proto::{
    Claim, Credential, Ed25519Signer, FeedKey, PartyKey, PublicKey, Signature, Signer,
};

use super::{AdmittedKind, Membership, Position, Rejection, Verdict, WaitsFor};

/// The party's key.
const PARTY: u8 = 1;
/// Another party's key.
const FOREIGN: u8 = 2;
/// The founder's key and feed.
const FOUNDER: u8 = 10;
const FOUNDER_FEED: u8 = 110;
/// Further keys and feeds; none is a member unless a test makes it one.
const ANNA: u8 = 11;
const ANNA_FEED: u8 = 111;
const BORIS: u8 = 12;
const BORIS_FEED: u8 = 112;
const ALIEN: u8 = 13;
const ALIEN_FEED: u8 = 113;

fn signer(number: u8) -> Ed25519Signer {
    Ed25519Signer::from_seed(&[number; 32])
}

fn key(number: u8) -> PublicKey {
    PublicKey(signer(number).public_key())
}

fn feed(number: u8) -> FeedKey {
    FeedKey(signer(number).public_key())
}

fn party(number: u8) -> PartyKey {
    PartyKey(signer(number).public_key())
}

fn at(number: u8, seq: u64) -> Position {
    Position { feed: feed(number), seq }
}

fn credential(claim: &Claim, signers: &[u8]) -> Credential {
    let mut credential = Credential::new(claim);
    for number in signers {
        credential.sign(&signer(*number)).unwrap();
    }
    credential
}

fn genesis_of(party_: u8, key_: u8, feed_: u8, signers: &[u8]) -> Bytes {
    let claim = Claim::PartyGenesis { party: party(party_), key: key(key_), feed: feed(feed_) };
    credential(&claim, signers).encode()
}

fn genesis() -> Bytes {
    genesis_of(PARTY, FOUNDER, FOUNDER_FEED, &[PARTY, FOUNDER, FOUNDER_FEED])
}

fn key_claim(number: u8) -> Claim {
    Claim::KeyAdmission { party: party(PARTY), key: key(number) }
}

fn feed_claim(number: u8, owner: u8) -> Claim {
    Claim::FeedAdmission { party: party(PARTY), feed: feed(number), key: key(owner) }
}

fn key_admission(number: u8, signers: &[u8]) -> Bytes {
    credential(&key_claim(number), signers).encode()
}

fn feed_admission(number: u8, owner: u8, signers: &[u8]) -> Bytes {
    credential(&feed_claim(number, owner), signers).encode()
}

/// A party that has its genesis.
fn founded() -> Membership {
    let mut membership = Membership::new(party(PARTY));
    accept(&mut membership, at(FOUNDER_FEED, 0), &genesis());
    membership
}

/// A founded party with Anna and her feed; her admissions are the founder's blocks 1 and 2.
fn with_anna() -> Membership {
    let mut membership = founded();
    accept(&mut membership, at(FOUNDER_FEED, 1), &key_admission(ANNA, &[ANNA, FOUNDER]));
    let of_feed = feed_admission(ANNA_FEED, ANNA, &[ANNA_FEED, ANNA]);
    accept(&mut membership, at(FOUNDER_FEED, 2), &of_feed);
    membership
}

fn accept(membership: &mut Membership, at: Position, bytes: &Bytes) -> Vec<AdmittedKind> {
    match membership.admit(at, bytes) {
        Verdict::Accepted(admitted) => admitted.into_iter().map(|one| one.kind).collect(),
        other => panic!("not accepted: {other:?}"),
    }
}

/// Offers a credential that must be rejected and must leave no trace.
fn reject(membership: &mut Membership, at: Position, bytes: &Bytes) -> Rejection {
    let before = membership.clone();
    let verdict = membership.admit(at, bytes);
    assert_eq!(*membership, before, "a rejected credential leaves no trace");
    match verdict {
        Verdict::Rejected(rejection) => rejection,
        other => panic!("not rejected: {other:?}"),
    }
}

fn park(membership: &mut Membership, at: Position, bytes: &Bytes) -> WaitsFor {
    match membership.admit(at, bytes) {
        Verdict::Parked { waits_for } => waits_for,
        other => panic!("not parked: {other:?}"),
    }
}

/// The credential with one bit of one signature turned.
fn with_broken_signature(bytes: &Bytes, index: usize) -> Bytes {
    let mut credential = Credential::decode(bytes.clone()).unwrap();
    let (_, Signature(signature)) = &mut credential.signatures[index];
    signature[7] ^= 1;
    credential.encode()
}

/// Small deterministic randomness (SplitMix64): a seed replays a test exactly.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % sides as u64) as usize
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.roll(last + 1));
        }
    }
}

/// Credentials of every kind at positions of their own: valid, early, alien, forged, foreign, copied.
/// Exactly one of them is the party's genesis.
fn random_history(dice: &mut Dice, count: usize) -> Vec<(Position, Bytes)> {
    const KEYS: [u8; 5] = [FOUNDER, ANNA, BORIS, ALIEN, 14];
    const FEEDS: [u8; 5] = [FOUNDER_FEED, ANNA_FEED, BORIS_FEED, ALIEN_FEED, 114];
    let mut lengths = [1, 0, 0, 0, 0];
    let mut history = vec![(at(FOUNDER_FEED, 0), genesis())];
    while history.len() < count {
        let subject = KEYS[1 + dice.roll(4)];
        let other = KEYS[dice.roll(5)];
        let feed_ = FEEDS[1 + dice.roll(4)];
        let bytes = match dice.roll(12) {
            0..=3 => key_admission(subject, &[subject, other]),
            4 => key_admission(subject, &[subject, other, KEYS[dice.roll(5)]]),
            5..=7 => feed_admission(feed_, other, &[feed_, other]),
            8 => {
                let copied = dice.roll(history.len());
                history[copied].1.clone()
            }
            9 => with_broken_signature(&key_admission(subject, &[subject, FOUNDER]), dice.roll(2)),
            10 => {
                let claim = Claim::KeyAdmission { party: party(FOREIGN), key: key(subject) };
                credential(&claim, &[subject, FOUNDER]).encode()
            }
            _ => feed_admission(feed_, other, &[other, FOUNDER]),
        };
        let carrier = dice.roll(5);
        history.push((at(FEEDS[carrier], lengths[carrier]), bytes));
        lengths[carrier] += 1;
    }
    history
}

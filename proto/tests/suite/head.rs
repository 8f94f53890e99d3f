//! A signed head proves itself, and nothing altered does.

use bytes::Bytes;
use systole_proto::limits::FEED_LENGTH_MAX;
use systole_proto::{
    DecodeError, FeedKey, HEAD_CONTEXT, Hash, Head, SignedHead, Signer, Verifier, VerifyError,
    merkle, sign,
};

use crate::support::{blocks, feed, head_over, signer};

/// Signs any bytes as a head, as a forger with a feed of their own can.
fn forged(bytes: Vec<u8>) -> SignedHead {
    let signature = sign(&signer(1), HEAD_CONTEXT, &bytes).unwrap();
    SignedHead { bytes: bytes.into(), signature }
}

#[test]
fn a_signed_head_verifies_and_survives_its_frame() {
    let signed = head_over(1, &blocks(3));
    let head = signed.verify().unwrap();
    assert_eq!((head.feed, head.length), (feed(1), 3));
    assert_eq!(signed.decode_unverified(), Ok(head));
    assert_eq!(SignedHead::from_bytes(signed.to_bytes()), Ok(signed));
}

#[test]
fn every_altered_bit_is_noticed() {
    let signed = head_over(1, &blocks(3));
    for bit in 0..signed.bytes.len() * 8 {
        let mut bytes = signed.bytes.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let altered = SignedHead { bytes: bytes.into(), ..signed.clone() };
        assert!(altered.verify().is_err(), "bit {bit}");
    }
}

#[test]
fn a_head_is_signed_by_its_own_feed_only() {
    let head = head_over(1, &blocks(1)).verify().unwrap();
    assert!(SignedHead::sign(&head, &signer(2)).is_err());
    let ben = Head { feed: feed(2), ..head };
    let bytes = SignedHead::sign(&ben, &signer(2)).unwrap().bytes;
    assert_eq!(forged(bytes.to_vec()).verify(), Err(VerifyError::BadSignature));
}

#[test]
fn a_kept_verifier_accepts_its_own_feed_only() {
    let ann = Verifier::new(&signer(1).public_key()).unwrap();
    let signed = head_over(1, &blocks(2));
    assert_eq!(signed.verify_with(&ann), signed.verify());
    assert_eq!(head_over(2, &blocks(2)).verify_with(&ann), Err(VerifyError::WrongFeed));
    let signature = head_over(1, &blocks(1)).signature;
    let mixed = SignedHead { signature, ..signed };
    assert_eq!(mixed.verify_with(&ann), Err(VerifyError::BadSignature));
}

#[test]
fn a_feed_named_by_a_weak_key_is_refused() {
    let mut key = [0; 32];
    key[0] = 1;
    let mut bytes = head_over(1, &blocks(1)).bytes.to_vec();
    let at = bytes.windows(32).position(|window| window == feed(1).0).unwrap();
    bytes[at..at + 32].copy_from_slice(&key);
    assert_eq!(forged(bytes).decode_unverified().unwrap().feed, FeedKey(key));
    let mut bytes = head_over(1, &blocks(1)).bytes.to_vec();
    bytes[at..at + 32].copy_from_slice(&key);
    assert_eq!(forged(bytes).verify(), Err(VerifyError::WeakKey));
}

#[test]
fn length_zero_and_the_empty_root_belong_together() {
    let check = |length, root| {
        let head = Head { feed: feed(1), length, root };
        SignedHead::sign(&head, &signer(1)).unwrap().verify()
    };
    let empty = merkle::empty_root();
    assert!(check(0, empty).is_ok());
    let what = "length and root of a head";
    let error = VerifyError::Decode(DecodeError::Contradiction { what });
    assert_eq!(check(0, Hash([1; 32])), Err(error.clone()));
    assert_eq!(check(1, empty), Err(error));
    let found = FEED_LENGTH_MAX + 1;
    let error = VerifyError::Decode(DecodeError::OutOfRange { what: "length of a feed", found });
    assert_eq!(check(found, Hash([1; 32])), Err(error));
}

#[test]
fn a_field_of_a_later_version_stays_under_the_signature() {
    let mut bytes = head_over(1, &blocks(2)).bytes.to_vec();
    // Field 15, a number.
    bytes.extend([15 << 3, 42]);
    let signed = forged(bytes.clone());
    assert_eq!(signed.verify().unwrap().length, 2);
    let read = SignedHead::from_bytes(signed.to_bytes()).unwrap();
    assert_eq!(read.bytes, bytes);
    assert_eq!(read.verify().unwrap().length, 2);
}

#[test]
fn heads_of_another_version_are_named() {
    let signed = head_over(1, &blocks(1));
    let error = DecodeError::Version { found: 9, supported: 1 };
    let mut bytes = signed.bytes.to_vec();
    bytes[0] = 9;
    assert_eq!(forged(bytes.clone()).decode_unverified(), Err(error.clone()));
    assert_eq!(SignedHead::from_bytes(forged(bytes).to_bytes()), Err(error.clone()));
    let mut frame = signed.to_bytes().to_vec();
    frame[0] = 9;
    assert_eq!(SignedHead::from_bytes(frame.into()), Err(error));
    let missing = Bytes::from_static(&[1]);
    assert!(SignedHead::from_bytes(missing).is_err());
}

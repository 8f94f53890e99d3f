//! Tests of requests: round trip, tampering, and that a membership takes what comes out.

use bytes::Bytes;
use systole_proto::{Claim, Credential, Ed25519Signer, FeedKey, PartyKey, PublicKey, Signer};

use super::super::admit::{AdmittedKind, Membership, Position, Verdict};
use super::*;

struct Cast {
    party: Ed25519Signer,
    founder: Ed25519Signer,
    founder_feed: Ed25519Signer,
    device: Ed25519Signer,
    feed: Ed25519Signer,
}

fn cast() -> Cast {
    let signer = |number| Ed25519Signer::from_seed(&[number; 32]);
    Cast {
        party: signer(1),
        founder: signer(2),
        founder_feed: signer(3),
        device: signer(4),
        feed: signer(5),
    }
}

impl Cast {
    fn party(&self) -> PartyKey {
        PartyKey(self.party.public_key())
    }

    fn request(&self) -> AdmissionRequest {
        AdmissionRequest::new(self.party(), &self.device, &self.feed).unwrap()
    }

    fn founded(&self) -> Membership {
        let mut membership = Membership::new(self.party());
        let genesis = genesis_credentials(&self.party, &self.founder, &self.founder_feed).unwrap();
        let verdict = membership.admit(self.at(0), &genesis);
        assert!(matches!(verdict, Verdict::Accepted(_)), "{verdict:?}");
        membership
    }

    fn at(&self, seq: u64) -> Position {
        Position { feed: FeedKey(self.founder_feed.public_key()), seq }
    }
}

#[test]
fn a_countersigned_request_admits_the_device_and_its_feed() {
    let cast = cast();
    let mut membership = cast.founded();
    let sent = cast.request().encode();
    let request = AdmissionRequest::decode(&sent).unwrap();
    assert_eq!(request, cast.request());
    let (device, feed) = (request.device(), request.feed());
    let [key_admission, feed_admission] = request.countersign(&cast.founder).unwrap();
    for (seq, bytes, expected) in [
        (1, key_admission, AdmittedKind::Key(device)),
        (2, feed_admission, AdmittedKind::Feed(feed)),
    ] {
        let Verdict::Accepted(admitted) = membership.admit(cast.at(seq), &bytes) else {
            panic!("a countersigned credential counts");
        };
        assert_eq!(admitted[0].kind, expected);
    }
}

#[test]
fn a_request_alone_admits_nobody() {
    let cast = cast();
    let mut membership = cast.founded();
    let before = membership.clone();
    let request = cast.request();
    let verdict = membership.admit(cast.at(1), &request.key_admission.encode());
    assert!(matches!(verdict, Verdict::Rejected(_)), "{verdict:?}");
    assert_eq!(membership, before);
}

#[test]
fn no_flipped_byte_passes() {
    let cast = cast();
    let bytes = cast.request().encode();
    for index in 0..bytes.len() {
        let mut tampered = bytes.to_vec();
        tampered[index] ^= 0x04;
        let outcome =
            AdmissionRequest::decode(&tampered.into()).and_then(|request| request.verify());
        assert!(outcome.is_err(), "byte {index}");
    }
}

#[test]
fn a_request_cut_short_or_drawn_out_is_refused() {
    let bytes = cast().request().encode();
    for length in 0..bytes.len() {
        assert!(AdmissionRequest::decode(&bytes.slice(..length)).is_err(), "length {length}");
    }
    let longer: Bytes = [&bytes[..], b"\0"].concat().into();
    assert!(AdmissionRequest::decode(&longer).is_err());
    let endless = Bytes::from(vec![VERSION; AdmissionRequest::BYTES_MAX + 1]);
    let refused = AdmissionRequest::decode(&endless);
    assert!(matches!(refused, Err(RequestError::Decode(DecodeError::TooLong { .. }))));
}

#[test]
fn an_unknown_version_is_named() {
    let mut bytes = cast().request().encode().to_vec();
    bytes[0] = 9;
    assert_eq!(
        AdmissionRequest::decode(&bytes.into()),
        Err(RequestError::Decode(DecodeError::Version { found: 9, supported: VERSION }))
    );
}

#[test]
fn credentials_that_do_not_belong_together_are_refused() {
    let cast = cast();
    let mine = cast.request();
    let other_party = AdmissionRequest::new(PartyKey([7; 32]), &cast.device, &cast.feed).unwrap();
    let other_device = AdmissionRequest::new(cast.party(), &cast.founder, &cast.feed).unwrap();
    for other in [other_party, other_device] {
        let mixed = AdmissionRequest::from_credentials(
            mine.key_admission.clone(),
            other.feed_admission.clone(),
        );
        assert_eq!(mixed, Err(RequestError::Inconsistent));
    }
    let swapped = AdmissionRequest::from_credentials(mine.feed_admission, mine.key_admission);
    assert_eq!(swapped, Err(RequestError::Inconsistent));
}

#[test]
fn a_member_signs_nothing_unproven() {
    let cast = cast();
    let key = PublicKey(cast.device.public_key());
    let feed = FeedKey(cast.feed.public_key());
    let key_claim = Claim::KeyAdmission { party: cast.party(), key };
    let feed_claim = Claim::FeedAdmission { party: cast.party(), feed, key };
    let unsigned = AdmissionRequest::from_credentials(
        signed(&key_claim, &[&cast.device]).unwrap(),
        signed(&feed_claim, &[&cast.device]).unwrap(),
    );
    let refused = unsigned.unwrap().countersign(&cast.founder);
    assert_eq!(refused, Err(RequestError::WrongSigners));

    let mut extra: Credential = cast.request().key_admission;
    extra.sign(&cast.feed).unwrap();
    let request = AdmissionRequest::from_credentials(extra, cast.request().feed_admission);
    assert_eq!(request.unwrap().verify(), Err(RequestError::WrongSigners));
}

#[test]
fn a_request_is_not_granted_by_its_own_keys() {
    let cast = cast();
    for own in [&cast.device, &cast.feed, &cast.party] {
        assert_eq!(cast.request().countersign(own), Err(RequestError::OwnAuthority));
    }
}

#[test]
fn one_key_cannot_have_two_parts() {
    let cast = cast();
    let refused = AdmissionRequest::new(cast.party(), &cast.device, &cast.device);
    assert_eq!(refused, Err(RequestError::Inconsistent));
    let refused = genesis_credentials(&cast.party, &cast.founder, &cast.founder);
    assert_eq!(refused, Err(RequestError::Inconsistent));
}

//! Credentials: claims read back, and one bad signature spoils all.

use bytes::Bytes;
use systole_proto::limits::SIGNATURES_MAX;
use systole_proto::{
    CREDENTIAL_CONTEXT, Claim, Credential, DecodeError, HEAD_CONTEXT, PartyKey, PublicKey, Signer,
    VerifyError, sign,
};

use crate::support::{feed, signer};

fn key(seed: u8) -> PublicKey {
    PublicKey(signer(seed).public_key())
}

fn claims() -> [Claim; 3] {
    let party = PartyKey(signer(1).public_key());
    [
        Claim::PartyGenesis { party, key: key(2), feed: feed(3) },
        Claim::KeyAdmission { party, key: key(4) },
        Claim::FeedAdmission { party, feed: feed(5), key: key(4) },
    ]
}

#[test]
fn claims_and_signers_read_back_in_order() {
    for claim in claims() {
        let mut credential = Credential::new(&claim);
        credential.sign(&signer(7)).unwrap();
        credential.sign(&signer(6)).unwrap();
        let read = Credential::decode(credential.encode()).unwrap();
        assert_eq!(read, credential);
        assert_eq!(read.claim(), Ok(claim));
        assert_eq!(read.claim().unwrap().party(), PartyKey(signer(1).public_key()));
        assert_eq!(read.verified_signers(), Ok(vec![key(7), key(6)]));
    }
}

#[test]
fn one_bad_signature_spoils_the_credential() {
    let mut credential = Credential::new(&claims()[0]);
    credential.sign(&signer(1)).unwrap();
    credential.sign(&signer(2)).unwrap();
    credential.signatures[1].1.0[0] ^= 1;
    assert_eq!(credential.verified_signers(), Err(VerifyError::BadSignature));
}

#[test]
fn an_unsigned_credential_has_no_signers() {
    let credential = Credential::new(&claims()[0]);
    let read = Credential::decode(credential.encode()).unwrap();
    assert_eq!(read.verified_signers(), Err(VerifyError::Unsigned));
}

#[test]
fn a_signature_does_not_move_to_another_claim_or_purpose() {
    let [genesis, admission, _] = claims();
    let mut signed = Credential::new(&genesis);
    signed.sign(&signer(1)).unwrap();
    let moved = Credential { signatures: signed.signatures, ..Credential::new(&admission) };
    assert_eq!(moved.verified_signers(), Err(VerifyError::BadSignature));
    let mut other = Credential::new(&admission);
    let signature = sign(&signer(1), HEAD_CONTEXT, &other.claim_bytes).unwrap();
    other.signatures.push((key(1), signature));
    assert_eq!(other.verified_signers(), Err(VerifyError::BadSignature));
}

#[test]
fn signing_twice_adds_nothing_and_the_ninth_signer_is_refused() {
    let mut credential = Credential::new(&claims()[1]);
    for seed in 0..SIGNATURES_MAX as u8 {
        credential.sign(&signer(seed)).unwrap();
        credential.sign(&signer(seed)).unwrap();
    }
    assert_eq!(credential.signatures.len(), SIGNATURES_MAX);
    assert!(credential.sign(&signer(100)).is_err());
    let read = Credential::decode(credential.encode()).unwrap();
    assert_eq!(read.verified_signers().unwrap().len(), SIGNATURES_MAX);
    let signature = sign(&signer(100), CREDENTIAL_CONTEXT, &credential.claim_bytes).unwrap();
    credential.signatures.push((key(100), signature));
    let (count, count_max) = (SIGNATURES_MAX + 1, SIGNATURES_MAX);
    let error = DecodeError::TooMany { what: "signatures", count, count_max };
    assert_eq!(Credential::decode(credential.encode()), Err(error));
}

#[test]
fn a_signer_listed_twice_is_refused() {
    let mut credential = Credential::new(&claims()[1]);
    credential.sign(&signer(1)).unwrap();
    credential.signatures.push(credential.signatures[0]);
    let error = DecodeError::Repeated { what: "signer of a credential" };
    assert_eq!(Credential::decode(credential.encode()), Err(error));
}

#[test]
fn a_claim_of_a_later_version_is_named_and_keeps_its_signers() {
    // Field 4, a later kind of claim.
    let claim_bytes = Bytes::from_static(&[1, 4 << 3 | 2, 1, 0]);
    let mut credential = Credential { claim_bytes, signatures: Vec::new() };
    credential.sign(&signer(1)).unwrap();
    let read = Credential::decode(credential.encode()).unwrap();
    assert_eq!(read.claim(), Err(DecodeError::Unknown { what: "claim" }));
    assert_eq!(read.verified_signers(), Ok(vec![key(1)]));
    let two = Bytes::from_static(&[1, 1 << 3 | 2, 0, 2 << 3 | 2, 0]);
    let credential = Credential { claim_bytes: two, signatures: Vec::new() };
    assert_eq!(credential.claim(), Err(DecodeError::Repeated { what: "claim" }));
}

#[test]
fn a_credential_without_a_claim_is_refused() {
    let error = DecodeError::Missing { what: "claim" };
    assert_eq!(Credential::decode(Bytes::from_static(&[1])), Err(error));
}

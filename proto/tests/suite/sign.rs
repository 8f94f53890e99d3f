//! Every replica accepts the same signatures, and a secret stays one.

use systole_proto::{
    CREDENTIAL_CONTEXT, DecodeError, Ed25519Signer, HEAD_CONTEXT, Signature, Signer, Verifier,
    VerifyError, sign, verify,
};

use crate::support::{hex, signer, unhex};

#[test]
fn edge_cases_are_decided_as_recorded() {
    let mut seen = 0;
    for line in include_str!("../golden/ed25519.txt").lines().filter(|line| !line.starts_with('#'))
    {
        let [verdict, key, message, signature, name] =
            line.split(' ').collect::<Vec<_>>().try_into().unwrap();
        let expected = match verdict {
            "accept" => Ok(()),
            "signature" => Err(VerifyError::BadSignature),
            "weak" => Err(VerifyError::WeakKey),
            "key" => Err(VerifyError::InvalidKey),
            other => panic!("unknown verdict {other}"),
        };
        let key: [u8; 32] = unhex(key).try_into().unwrap();
        let signature = Signature::from_bytes(&unhex(signature)).unwrap();
        let message = unhex(message);
        assert_eq!(verify(&key, b"", &message, &signature), expected, "{name}");
        // Where the context ends and the message begins makes no difference to the bytes signed.
        assert_eq!(verify(&key, &message, b"", &signature), expected, "{name}");
        seen += 1;
    }
    assert_eq!(seen, 49);
}

#[test]
fn a_signature_counts_for_its_key_context_and_message_only() {
    let (ann, ben) = (signer(1), signer(2));
    let signature = sign(&ann, HEAD_CONTEXT, b"message").unwrap();
    let check = |key: &Ed25519Signer, context: &[u8], message: &[u8], signature: &Signature| {
        verify(&key.public_key(), context, message, signature)
    };
    assert_eq!(check(&ann, HEAD_CONTEXT, b"message", &signature), Ok(()));
    let refused = Err(VerifyError::BadSignature);
    assert_eq!(check(&ben, HEAD_CONTEXT, b"message", &signature), refused);
    assert_eq!(check(&ann, CREDENTIAL_CONTEXT, b"message", &signature), refused);
    assert_eq!(check(&ann, HEAD_CONTEXT, b"massage", &signature), refused);
    for bit in 0..Signature::BYTES * 8 {
        let mut altered = signature;
        altered.0[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(check(&ann, HEAD_CONTEXT, b"message", &altered), refused);
    }
}

#[test]
fn no_context_begins_another_one() {
    for (one, other) in [(HEAD_CONTEXT, CREDENTIAL_CONTEXT), (CREDENTIAL_CONTEXT, HEAD_CONTEXT)] {
        assert!(!one.starts_with(other));
        assert_eq!(one.iter().position(|&byte| byte == 0), Some(one.len() - 1));
    }
}

#[test]
fn a_seed_gives_the_same_key_and_the_same_signatures() {
    let first = Ed25519Signer::generate().unwrap();
    let second = Ed25519Signer::from_seed(&first.seed());
    assert_eq!(first.public_key(), second.public_key());
    assert_eq!(sign(&first, b"c", b"m").unwrap(), sign(&second, b"c", b"m").unwrap());
    assert_ne!(first.public_key(), Ed25519Signer::generate().unwrap().public_key());
    assert!(Verifier::new(&first.public_key()).is_ok());
}

#[test]
fn debug_output_does_not_show_the_secret() {
    let seed: [u8; 32] = std::array::from_fn(|at| 0xa0 + at as u8);
    let signer = Ed25519Signer::from_seed(&seed);
    let printed = format!("{signer:?} {signer:#?}").to_lowercase();
    let decimal = format!("{seed:?}");
    assert!(!printed.contains(&hex(&seed)[..8]));
    assert!(!printed.contains(&decimal[1..12]));
    let text = systole_proto::PublicKey(seed).to_string();
    assert!(!printed.contains(&text[..8]));
    assert!(printed.contains(&systole_proto::PublicKey(signer.public_key()).short()));
}

#[test]
fn bytes_of_another_size_are_no_signature() {
    let error = DecodeError::WrongSize { what: "signature", found: 63, expected: 64 };
    assert_eq!(Signature::from_bytes(&[0; 63]), Err(error));
}

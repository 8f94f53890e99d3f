//! ed25519 alone, on what the engine signs: a head.

use std::time::Instant;

use systole_proto::merkle::leaf_hash;
use systole_proto::{Ed25519Signer, FeedKey, Head, SignedHead, Signer as _};

use crate::measure::Measured;
use crate::{Failure, check, per_second};

/// Heads of a feed that grows, signed.
fn heads(count: u64) -> Result<(Ed25519Signer, Vec<Head>), Failure> {
    let signer = Ed25519Signer::from_seed(&[7; 32]);
    let feed = FeedKey(signer.public_key());
    let head = |length: u64| Head { feed, length, root: leaf_hash(&length.to_be_bytes()) };
    Ok((signer, (1..=count).map(head).collect()))
}

/// Heads signed a second.
pub fn sign(count: u64) -> Measured {
    let (signer, heads) = heads(count)?;
    let started = Instant::now();
    for head in &heads {
        std::hint::black_box(SignedHead::sign(head, &signer)?);
    }
    Ok(per_second(count, started.elapsed()))
}

/// Heads verified a second, strictly, with a key that is unpacked once.
pub fn verify(count: u64) -> Measured {
    let (signer, heads) = heads(count)?;
    let signed = heads.iter().map(|head| SignedHead::sign(head, &signer));
    let signed = signed.collect::<Result<Vec<_>, _>>()?;
    let verifier = systole_proto::Verifier::new(&signer.public_key())?;
    let started = Instant::now();
    for (signed, head) in signed.iter().zip(&heads) {
        let verified = signed.verify_with(&verifier)?;
        check(verified == *head, || "another head was signed".to_owned())?;
    }
    Ok(per_second(count, started.elapsed()))
}

//! A feed that breaks the rules: admitted by its device, signed by its key, and with a block that no
//! reader can decode.

use bytes::Bytes;
use systole::{Ed25519Signer, FeedKey, PartyKey, PublicKey, Range, Signer};
use systole_proto::merkle::leaf_hash;
use systole_proto::{Block, Body, Claim, Credential, Head, Peaks, SignedHead};

use crate::Failure;

/// Blocks of the feed that are set aside.
pub(super) const QUARANTINED: u64 = 1;

/// All of the feed. Its device must be a member already.
pub(super) fn rogue_feed(party: PartyKey, device: &Ed25519Signer) -> Result<Range, Failure> {
    let signer = Ed25519Signer::generate()?;
    let feed = FeedKey(signer.public_key());
    let key = PublicKey(device.public_key());
    let mut credential = Credential::new(&Claim::FeedAdmission { party, feed, key });
    credential.sign(&signer)?;
    credential.sign(device)?;
    let admission = Block { body: Body::Credential(credential.encode()), ..Block::default() };
    let blocks = vec![admission.encode(), Bytes::from_static(b"no block at all")];
    let mut tree = Peaks::default();
    for block in &blocks {
        tree.append(leaf_hash(block), |_, _, _| {});
    }
    let head = Head { feed, length: blocks.len() as u64, root: tree.root() };
    let head = SignedHead::sign(&head, &signer)?;
    Ok(Range { feed, start: 0, blocks, head, peaks: Vec::new() })
}

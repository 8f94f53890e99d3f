//! Heads: what a feed's owner signs, once per append batch.
//!
//! The feed's name is the key that signs, so a signed head needs nothing else to be checked.

use bytes::Bytes;

use crate::error::{DecodeError, VerifyError};
use crate::frame::{self, Rule};
use crate::ids::{FeedKey, Hash};
use crate::limits::{FEED_LENGTH_MAX, HEAD_BYTES_MAX, SIGNED_HEAD_BYTES_MAX};
use crate::merkle::empty_root;
use crate::sign::{HEAD_CONTEXT, SignError, Signature, Signer, Verifier, sign};
use crate::wire;

const RULES: &[Rule] = &[
    Rule::once(1, "feed key", FeedKey::BYTES),
    Rule::once(2, "length of a feed", 0),
    Rule::once(3, "root", Hash::BYTES),
];
const SIGNED_RULES: &[Rule] =
    &[Rule::once(1, "head", HEAD_BYTES_MAX), Rule::once(2, "signature", Signature::BYTES)];

/// The state of a feed: `length` blocks with this root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The feed, and the key that signs.
    pub feed: FeedKey,
    /// Blocks of the feed.
    pub length: u64,
    /// Root of the tree over them.
    pub root: Hash,
}

/// A head as it was signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedHead {
    /// Version byte and head: the exact bytes under the signature.
    pub bytes: Bytes,
    /// The feed key's signature of them.
    pub signature: Signature,
}

impl Head {
    fn encode(&self) -> Bytes {
        let message = wire::Head {
            feed: Bytes::copy_from_slice(self.feed.as_bytes()),
            length: self.length,
            root: Bytes::copy_from_slice(self.root.as_bytes()),
        };
        frame::seal(&message).into()
    }

    fn decode(bytes: &Bytes) -> Result<Self, DecodeError> {
        let message: wire::Head = frame::open(bytes, "head", HEAD_BYTES_MAX, RULES)?;
        let head = Self {
            feed: FeedKey::from_bytes(&message.feed)?,
            length: message.length,
            root: Hash::from_bytes(&message.root)?,
        };
        if head.length > FEED_LENGTH_MAX {
            return Err(DecodeError::OutOfRange { what: "length of a feed", found: head.length });
        }
        if (head.length == 0) != (head.root == empty_root()) {
            return Err(DecodeError::Contradiction { what: "length and root of a head" });
        }
        Ok(head)
    }
}

impl SignedHead {
    /// Signs `head` with the key of its feed.
    pub fn sign(head: &Head, signer: &dyn Signer) -> Result<Self, SignError> {
        if signer.public_key() != head.feed.0 {
            return Err(SignError::new("the key is not the feed's"));
        }
        let bytes = head.encode();
        let signature = sign(signer, HEAD_CONTEXT, &bytes)?;
        Ok(Self { bytes, signature })
    }

    /// The head, if its feed's key signed it.
    pub fn verify(&self) -> Result<Head, VerifyError> {
        let head = self.decode_unverified()?;
        Verifier::new(head.feed.as_bytes())?.verify(HEAD_CONTEXT, &self.bytes, &self.signature)?;
        Ok(head)
    }

    /// The head, if it belongs to the feed whose key `verifier` holds and that key signed it.
    pub fn verify_with(&self, verifier: &Verifier) -> Result<Head, VerifyError> {
        let head = self.decode_unverified()?;
        if head.feed.0 != verifier.public_key() {
            return Err(VerifyError::WrongFeed);
        }
        verifier.verify(HEAD_CONTEXT, &self.bytes, &self.signature)?;
        Ok(head)
    }

    /// The head, whoever wrote it: for bytes that were verified before they were stored.
    pub fn decode_unverified(&self) -> Result<Head, DecodeError> {
        Head::decode(&self.bytes)
    }

    /// The signed head as a frame of its own.
    pub fn to_bytes(&self) -> Bytes {
        frame::seal(&self.to_wire()).into()
    }

    /// The signed head in a frame. The head itself is looked at only when asked for.
    pub fn from_bytes(bytes: Bytes) -> Result<Self, DecodeError> {
        let limit = SIGNED_HEAD_BYTES_MAX;
        Self::from_wire(frame::open(&bytes, "signed head", limit, SIGNED_RULES)?)
    }

    pub(crate) fn to_wire(&self) -> wire::SignedHead {
        let signature = Bytes::copy_from_slice(self.signature.as_bytes());
        wire::SignedHead { head: self.bytes.clone(), signature }
    }

    pub(crate) fn from_wire(wire: wire::SignedHead) -> Result<Self, DecodeError> {
        let signature = Signature::from_bytes(&wire.signature)?;
        frame::unframe(&wire.head, "head", HEAD_BYTES_MAX)?;
        Ok(Self { bytes: wire.head, signature })
    }
}

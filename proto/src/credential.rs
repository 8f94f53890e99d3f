//! Credentials: signed claims about who belongs to a party.
//!
//! Here it is only checked that the signatures are good. Whose signatures a claim needs is decided
//! where members are admitted.

use bytes::Bytes;

use crate::error::{DecodeError, VerifyError};
use crate::frame::{self, Rule};
use crate::ids::{FeedKey, PartyKey, PublicKey};
use crate::limits::{CREDENTIAL_BYTES_MAX, SIGNATURES_MAX};
use crate::sign::{CREDENTIAL_CONTEXT, SignError, Signature, Signer, sign, verify};
use crate::wire;

/// A key, a signature, and room for a later version's fields.
const SIGNATURE_BYTES_MAX: usize = 256;
const RULES: &[Rule] = &[
    Rule::once(1, "claim", CREDENTIAL_BYTES_MAX),
    Rule::list(2, "signatures", SIGNATURES_MAX, SIGNATURE_BYTES_MAX),
];
const CLAIM_RULES: &[Rule] =
    &[Rule { fields: 1..=31, what: "claim", count_max: 1, bytes_max: CREDENTIAL_BYTES_MAX }];

/// A statement about membership.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The party exists, with its first member and that member's feed.
    PartyGenesis {
        /// The party.
        party: PartyKey,
        /// The first member's key.
        key: PublicKey,
        /// The first member's feed.
        feed: FeedKey,
    },
    /// `key` is a member.
    KeyAdmission {
        /// The party.
        party: PartyKey,
        /// The member's key.
        key: PublicKey,
    },
    /// `feed` is a feed of member `key`.
    FeedAdmission {
        /// The party.
        party: PartyKey,
        /// The feed.
        feed: FeedKey,
        /// The member who owns it.
        key: PublicKey,
    },
}

/// A claim with the signatures under it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Version byte and claim: the exact bytes under the signatures.
    pub claim_bytes: Bytes,
    /// Who signed, each key once.
    pub signatures: Vec<(PublicKey, Signature)>,
}

impl Claim {
    /// The party that the claim is about.
    pub const fn party(&self) -> PartyKey {
        match self {
            Self::PartyGenesis { party, .. }
            | Self::KeyAdmission { party, .. }
            | Self::FeedAdmission { party, .. } => *party,
        }
    }

    fn encode(&self) -> Bytes {
        use wire::claim::Claim as Wire;
        let copy = |bytes: &[u8]| Bytes::copy_from_slice(bytes);
        let claim = match self {
            Self::PartyGenesis { party, key, feed } => Wire::PartyGenesis(wire::PartyGenesis {
                party: copy(party.as_bytes()),
                key: copy(key.as_bytes()),
                feed: copy(feed.as_bytes()),
            }),
            Self::KeyAdmission { party, key } => Wire::KeyAdmission(wire::KeyAdmission {
                party: copy(party.as_bytes()),
                key: copy(key.as_bytes()),
            }),
            Self::FeedAdmission { party, feed, key } => Wire::FeedAdmission(wire::FeedAdmission {
                party: copy(party.as_bytes()),
                feed: copy(feed.as_bytes()),
                key: copy(key.as_bytes()),
            }),
        };
        frame::seal(&wire::Claim { claim: Some(claim) }).into()
    }

    fn decode(bytes: &Bytes) -> Result<Self, DecodeError> {
        use wire::claim::Claim as Wire;
        let message: wire::Claim = frame::open(bytes, "claim", CREDENTIAL_BYTES_MAX, CLAIM_RULES)?;
        Ok(match message.claim.ok_or(DecodeError::Unknown { what: "claim" })? {
            Wire::PartyGenesis(claim) => Self::PartyGenesis {
                party: PartyKey::from_bytes(&claim.party)?,
                key: PublicKey::from_bytes(&claim.key)?,
                feed: FeedKey::from_bytes(&claim.feed)?,
            },
            Wire::KeyAdmission(claim) => Self::KeyAdmission {
                party: PartyKey::from_bytes(&claim.party)?,
                key: PublicKey::from_bytes(&claim.key)?,
            },
            Wire::FeedAdmission(claim) => Self::FeedAdmission {
                party: PartyKey::from_bytes(&claim.party)?,
                feed: FeedKey::from_bytes(&claim.feed)?,
                key: PublicKey::from_bytes(&claim.key)?,
            },
        })
    }
}

impl Credential {
    /// The claim without any signature yet.
    pub fn new(claim: &Claim) -> Self {
        Self { claim_bytes: claim.encode(), signatures: Vec::new() }
    }

    /// Adds `signer`'s signature; a key that has signed already does not sign twice.
    pub fn sign(&mut self, signer: &dyn Signer) -> Result<(), SignError> {
        let key = PublicKey(signer.public_key());
        if self.signatures.iter().any(|(signed, _)| *signed == key) {
            return Ok(());
        }
        if self.signatures.len() == SIGNATURES_MAX {
            return Err(SignError::new(format!("{SIGNATURES_MAX} signatures are allowed")));
        }
        let signature = sign(signer, CREDENTIAL_CONTEXT, &self.claim_bytes)?;
        self.signatures.push((key, signature));
        Ok(())
    }

    /// The claim, whoever signed it.
    pub fn claim(&self) -> Result<Claim, DecodeError> {
        Claim::decode(&self.claim_bytes)
    }

    /// The keys that signed, in their order. One bad signature spoils the credential, and so does
    /// having none: then every replica sees the same signers.
    pub fn verified_signers(&self) -> Result<Vec<PublicKey>, VerifyError> {
        if self.signatures.is_empty() {
            return Err(VerifyError::Unsigned);
        }
        let check = |(key, signature): &(PublicKey, Signature)| {
            verify(key.as_bytes(), CREDENTIAL_CONTEXT, &self.claim_bytes, signature)?;
            Ok(*key)
        };
        self.signatures.iter().map(check).collect()
    }

    /// The credential's bytes.
    pub fn encode(&self) -> Bytes {
        let signature = |(key, signature): &(PublicKey, Signature)| wire::KeySignature {
            key: Bytes::copy_from_slice(key.as_bytes()),
            signature: Bytes::copy_from_slice(signature.as_bytes()),
        };
        let message = wire::Credential {
            claim: self.claim_bytes.clone(),
            signatures: self.signatures.iter().map(signature).collect(),
        };
        frame::seal(&message).into()
    }

    /// The credential in `bytes`. Neither the claim nor the signatures are checked yet.
    pub fn decode(bytes: Bytes) -> Result<Self, DecodeError> {
        let message: wire::Credential =
            frame::open(&bytes, "credential", CREDENTIAL_BYTES_MAX, RULES)?;
        if message.claim.is_empty() {
            return Err(DecodeError::Missing { what: "claim" });
        }
        let mut signatures = Vec::<(PublicKey, Signature)>::with_capacity(message.signatures.len());
        for wire in message.signatures {
            let key = PublicKey::from_bytes(&wire.key)?;
            if signatures.iter().any(|(signed, _)| *signed == key) {
                return Err(DecodeError::Repeated { what: "signer of a credential" });
            }
            signatures.push((key, Signature::from_bytes(&wire.signature)?));
        }
        Ok(Self { claim_bytes: message.claim, signatures })
    }
}

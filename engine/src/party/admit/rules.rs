//! What a credential must be, whatever the party's state: a pure function of its bytes and its place.
//!
//! Invariant: every key that a claim names has signed the claim (the party's key in the genesis only),
//! so nobody is admitted without consent, nobody claims a feed without its key, and a credential of
//! one party means nothing in another.
//!
//! More signatures than a claim needs are allowed, because anybody can add one to a credential that
//! is not theirs. All of them must be good. For a key admission each further signer is somebody who
//! may turn out to be a member; for the others they mean nothing. No signer becomes anything by it.

use std::fmt;

use bytes::Bytes;
use systole_proto::{Claim, Credential, DecodeError, FeedKey, PartyKey, PublicKey, VerifyError};

use super::Position;

/// Whether signatures are checked or were checked before they came into our own store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signatures {
    Check,
    Trust,
}

/// What a sound credential of this party says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Statement {
    Genesis {
        key: PublicKey,
        feed: FeedKey,
    },
    Key {
        key: PublicKey,
        /// Who else signed, in rising order; never empty, without the key itself and the party's.
        admitters: Vec<PublicKey>,
    },
    Feed {
        feed: FeedKey,
        owner: PublicKey,
    },
}

/// Why a credential will never count.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub(crate) enum Rejection {
    /// It cannot be read.
    Malformed(DecodeError),
    /// It is about another party.
    WrongParty {
        /// The party it names.
        named: PartyKey,
    },
    /// It gives one key two parts: each of party, member and feed has a key of its own.
    KeyReused,
    /// A key that it names has not signed it.
    Unsigned {
        /// The key.
        by: PublicKey,
    },
    /// Nobody but the admitted key itself has signed the admission.
    SelfAdmission,
    /// A signature is bad, or a signer's key is.
    Signature(VerifyError),
    /// A genesis that does not stand at the start of the feed it names.
    MisplacedGenesis,
    /// The party has another genesis.
    SecondGenesis,
    /// Another credential was found at the same position.
    PositionTaken,
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(_) => write!(f, "credential cannot be read"),
            Self::WrongParty { named } => write!(f, "credential is for party {}", named.short()),
            Self::KeyReused => write!(f, "credential gives one key two parts"),
            Self::Unsigned { by } => write!(f, "key {} has not signed the claim", by.short()),
            Self::SelfAdmission => write!(f, "nobody else has signed the admission of the key"),
            Self::Signature(_) => write!(f, "credential has a bad signature"),
            Self::MisplacedGenesis => write!(f, "genesis does not start the feed it names"),
            Self::SecondGenesis => write!(f, "party has another genesis"),
            Self::PositionTaken => write!(f, "another credential stands at the same position"),
        }
    }
}

impl std::error::Error for Rejection {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Malformed(error) => Some(error),
            Self::Signature(error) => Some(error),
            _ => None,
        }
    }
}

/// Reads and checks the credential that stands at `at`. Signatures come last: they cost most.
pub(super) fn examine(
    party: &PartyKey,
    at: &Position,
    bytes: &Bytes,
    signatures: Signatures,
) -> Result<Statement, Rejection> {
    let credential = Credential::decode(bytes.clone()).map_err(Rejection::Malformed)?;
    let claim = credential.claim().map_err(Rejection::Malformed)?;
    let named = claim.party();
    if named != *party {
        return Err(Rejection::WrongParty { named });
    }
    let signers: Vec<PublicKey> = credential.signatures.iter().map(|(key, _)| *key).collect();
    let statement = state(&claim, at, &signers)?;
    if signatures == Signatures::Check {
        credential.verified_signers().map_err(Rejection::Signature)?;
    }
    Ok(statement)
}

fn state(claim: &Claim, at: &Position, signers: &[PublicKey]) -> Result<Statement, Rejection> {
    match *claim {
        Claim::PartyGenesis { party, key, feed } => {
            let parts = [PublicKey(party.0), key, PublicKey(feed.0)];
            all_distinct(&parts)?;
            all_signed(&parts, signers)?;
            if at.feed != feed || at.seq != 0 {
                return Err(Rejection::MisplacedGenesis);
            }
            Ok(Statement::Genesis { key, feed })
        }
        Claim::KeyAdmission { party, key } => {
            let party = PublicKey(party.0);
            all_distinct(&[party, key])?;
            all_signed(&[key], signers)?;
            let others = signers.iter().filter(|signer| **signer != key && **signer != party);
            let mut admitters: Vec<PublicKey> = others.copied().collect();
            admitters.sort_unstable();
            if admitters.is_empty() {
                return Err(Rejection::SelfAdmission);
            }
            Ok(Statement::Key { key, admitters })
        }
        Claim::FeedAdmission { party, feed, key } => {
            let feed_key = PublicKey(feed.0);
            all_distinct(&[PublicKey(party.0), feed_key, key])?;
            all_signed(&[feed_key, key], signers)?;
            Ok(Statement::Feed { feed, owner: key })
        }
    }
}

fn all_distinct(parts: &[PublicKey]) -> Result<(), Rejection> {
    let repeated = parts.iter().enumerate().any(|(index, part)| parts[..index].contains(part));
    if repeated { Err(Rejection::KeyReused) } else { Ok(()) }
}

fn all_signed(parts: &[PublicKey], signers: &[PublicKey]) -> Result<(), Rejection> {
    match parts.iter().find(|part| !signers.contains(part)) {
        Some(by) => Err(Rejection::Unsigned { by: *by }),
        None => Ok(()),
    }
}

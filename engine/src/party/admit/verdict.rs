//! What [`Membership::admit`](super::Membership::admit) answers.

use bytes::Bytes;
use systole_proto::{FeedKey, PublicKey};

use super::{Position, Rejection, WaitsFor};

/// What became of a credential.
///
/// Whoever keeps the membership keeps position and bytes of everything that is `Accepted` or `Parked`
/// and gives them to [`Membership::restore`](super::Membership::restore), in any order; the other
/// verdicts changed nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Verdict {
    /// It counts. First itself, then every parked credential that it released.
    Accepted(Vec<Admitted>),
    /// It says what is known already; nothing changed.
    Known,
    /// It is genuine but does not count yet. It is kept and will be accepted with what it waits for.
    Parked {
        /// What it waits for.
        waits_for: WaitsFor,
    },
    /// It would be parked, but its feed holds
    /// [`PARKED_PER_FEED_MAX`](super::parked::PARKED_PER_FEED_MAX) places already. This is no decision about
    /// the credential: nothing changed, nothing is remembered. The feed must stop here, its blocks stay in the store, and the credential is offered again after the next
    /// `Accepted`. Only a feed that keeps writing what does not count in its own past is ever held,
    /// and whatever one replica got past, every other replica with the same blocks gets past too.
    Held {
        /// What it would wait for.
        waits_for: WaitsFor,
    },
    /// It will never count; nothing changed.
    Rejected(Rejection),
}

/// A credential that has come to count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Admitted {
    /// Where it stands.
    pub(crate) at: Position,
    /// The encoded credential.
    pub(crate) bytes: Bytes,
    /// What it admits.
    pub(crate) kind: AdmittedKind,
}

/// What a credential admits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AdmittedKind {
    /// The party begins, with its first member and its first feed.
    Genesis {
        /// The first member.
        key: PublicKey,
        /// The first feed; it belongs to that member.
        feed: FeedKey,
    },
    /// A new member.
    Key(PublicKey),
    /// A new feed.
    Feed(FeedKey),
    /// A key or a feed that is admitted already, by another authority or in another feed: for blocks
    /// that know only this admission it is the one that counts.
    Repeat,
}

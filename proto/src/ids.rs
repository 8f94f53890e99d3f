//! Ids: fixed bytes with one text each, cheap to copy and to compare.
//!
//! An id is only a name. That a key is a good key is checked where it signs ([`crate::verify`]).

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use crate::base32;
use crate::error::{DecodeError, ParseIdError};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $bytes:literal, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $name(pub [u8; $bytes]);

        impl $name {
            /// Bytes of this id.
            pub const BYTES: usize = $bytes;

            /// The id that `bytes` hold, copied, so that it does not keep its frame alive.
            pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
                bytes.try_into().map(Self).map_err(|_| DecodeError::WrongSize {
                    what: $what,
                    found: bytes.len(),
                    expected: $bytes,
                })
            }

            /// The bytes of the id.
            pub const fn as_bytes(&self) -> &[u8; $bytes] {
                &self.0
            }

            /// The first eight characters: enough for people, never for a decision.
            pub fn short(&self) -> String {
                let mut text = self.to_string();
                text.truncate(8);
                text
            }

            /// Whether the id's text starts with `prefix`, in either case.
            pub fn matches_prefix(&self, prefix: &str) -> bool {
                let mut buffer = [0; base32::text_length($bytes)];
                let text = base32::encode(&self.0, &mut buffer).as_bytes();
                text.get(..prefix.len())
                    .is_some_and(|head| head.eq_ignore_ascii_case(prefix.as_bytes()))
            }
        }

        /// By their bytes. The first eight nearly always tell, and are compared without a call: ids are
        /// compared several times for every message.
        impl Ord for $name {
            #[inline]
            fn cmp(&self, other: &Self) -> Ordering {
                let (Some((head, rest)), Some((other_head, other_rest))) =
                    (self.0.split_first_chunk(), other.0.split_first_chunk())
                else {
                    unreachable!("an id has more than eight bytes")
                };
                let heads = u64::from_be_bytes(*head).cmp(&u64::from_be_bytes(*other_head));
                heads.then_with(|| rest.cmp(other_rest))
            }
        }

        impl PartialOrd for $name {
            #[inline]
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut buffer = [0; base32::text_length($bytes)];
                f.pad(base32::encode(&self.0, &mut buffer))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.short())
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let mut bytes = [0; $bytes];
                base32::decode(text, &mut bytes)?;
                Ok(Self(bytes))
            }
        }

        impl From<[u8; $bytes]> for $name {
            fn from(bytes: [u8; $bytes]) -> Self {
                Self(bytes)
            }
        }

        impl AsRef<[u8]> for $name {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }
    };
}

id!(
    /// Names a feed: the ed25519 public key that signs its heads.
    FeedKey, 32, "feed key"
);
id!(
    /// Names a party: the ed25519 public key that signed its genesis.
    PartyKey, 32, "party key"
);
id!(
    /// An ed25519 public key of an identity or a device.
    PublicKey, 32, "public key"
);
id!(
    /// A BLAKE3 hash: a leaf, a node or a root of a feed's tree.
    Hash, 32, "hash"
);
id!(
    /// Names an item. Derived from the position of its genesis, so nobody can choose it.
    ItemId, 20, "item id"
);

impl ItemId {
    /// The id of the item whose genesis is block `seq` of `feed`.
    pub fn of(feed: &FeedKey, seq: u64) -> Self {
        let hash = blake3::Hasher::new_derive_key("systole item id v1")
            .update(feed.as_bytes())
            .update(&seq.to_be_bytes())
            .finalize();
        let mut bytes = [0; Self::BYTES];
        bytes.copy_from_slice(&hash.as_bytes()[..Self::BYTES]);
        Self(bytes)
    }
}

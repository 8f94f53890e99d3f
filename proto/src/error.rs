//! Why bytes cannot be read, and why something that can be read is not believed.
//!
//! Every variant says what a caller can report or decide on; none carries a library's error type.

use std::fmt;

/// Bytes that are not what they should be. The data is at fault, never the reader.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// Nothing where at least a version byte must stand.
    Empty {
        /// What was read.
        what: &'static str,
    },
    /// Written by a version of the format that this reader does not know.
    Version {
        /// The version byte found.
        found: u8,
        /// The version this reader knows.
        supported: u8,
    },
    /// More bytes than the format allows.
    TooLong {
        /// What was read.
        what: &'static str,
        /// Bytes found.
        bytes: usize,
        /// Bytes allowed.
        bytes_max: usize,
    },
    /// More elements than the format allows.
    TooMany {
        /// Which elements.
        what: &'static str,
        /// Elements found, as far as they were counted.
        count: usize,
        /// Elements allowed.
        count_max: usize,
    },
    /// A field of fixed size, or a list whose size follows from another field, has another size.
    WrongSize {
        /// Which field.
        what: &'static str,
        /// The size it has.
        found: usize,
        /// The size it must have.
        expected: usize,
    },
    /// A number outside what its field allows.
    OutOfRange {
        /// Which field.
        what: &'static str,
        /// The number found.
        found: u64,
    },
    /// A field that must be present is not.
    Missing {
        /// Which field.
        what: &'static str,
    },
    /// A kind that only a later version knows.
    Unknown {
        /// Which kind.
        what: &'static str,
    },
    /// Something that may stand once stands twice.
    Repeated {
        /// Which thing.
        what: &'static str,
    },
    /// Elements that must rise do not.
    Unsorted {
        /// Which elements.
        what: &'static str,
    },
    /// Two links of a block name the same feed.
    DuplicateLink {
        /// The alias that both name.
        alias: u32,
    },
    /// A link names the feed that its block belongs to.
    SelfLink,
    /// A link of length 0 claims knowledge of nothing.
    EmptyLink {
        /// The alias it names.
        alias: u32,
    },
    /// The checksum at the end does not match what stands before it.
    Checksum {
        /// What was read.
        what: &'static str,
    },
    /// Two fields contradict each other.
    Contradiction {
        /// Which fields.
        what: &'static str,
    },
    /// The bytes do not follow the encoding's rules.
    Malformed {
        /// What was read.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty { what } => write!(f, "{what} is empty"),
            Self::Version { found, supported } => {
                write!(f, "format version {found} is unknown, this reader knows {supported}")
            }
            Self::TooLong { what, bytes, bytes_max } => {
                write!(f, "{what} has {bytes} bytes, {bytes_max} are allowed")
            }
            Self::TooMany { what, count, count_max } => {
                write!(f, "{count} {what}, {count_max} are allowed")
            }
            Self::WrongSize { what, found, expected } => {
                write!(f, "{what} has size {found} instead of {expected}")
            }
            Self::OutOfRange { what, found } => write!(f, "{what} cannot be {found}"),
            Self::Missing { what } => write!(f, "{what} is missing"),
            Self::Unknown { what } => {
                write!(f, "{what} is of a kind that this reader does not know")
            }
            Self::Repeated { what } => write!(f, "{what} stands twice"),
            Self::Unsorted { what } => write!(f, "{what} are not in rising order"),
            Self::DuplicateLink { alias } => write!(f, "two links name feed alias {alias}"),
            Self::SelfLink => write!(f, "a link names its own feed"),
            Self::EmptyLink { alias } => write!(f, "link to feed alias {alias} has length 0"),
            Self::Checksum { what } => write!(f, "checksum of {what} does not match"),
            Self::Contradiction { what } => write!(f, "{what} contradict each other"),
            Self::Malformed { what, reason } => write!(f, "{what} is malformed: {reason}"),
        }
    }
}

impl std::error::Error for DecodeError {}

/// Something readable that is not proven to be what it claims.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum VerifyError {
    /// What was signed cannot be read.
    Decode(DecodeError),
    /// The key is no point of the curve, or not in its one canonical encoding.
    InvalidKey,
    /// The key is of small order: anybody can sign for it.
    WeakKey,
    /// The signature is not this key's signature of this message.
    BadSignature,
    /// There is no signature at all.
    Unsigned,
    /// The key is right for another feed.
    WrongFeed,
    /// A proof does not lead to the root it should lead to.
    BadProof,
    /// The position lies outside the tree.
    OutsideTree {
        /// The position asked for.
        seq: u64,
        /// Leaves of the tree.
        length: u64,
    },
    /// The data ends before, or starts after, the position that would prove it.
    Unproven {
        /// The position that the data does reach.
        reached: u64,
        /// The position it must reach.
        needed: u64,
    },
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decode(_) => write!(f, "signed data cannot be read"),
            Self::InvalidKey => write!(f, "key is not a valid ed25519 key"),
            Self::WeakKey => write!(f, "key is of small order"),
            Self::BadSignature => write!(f, "signature does not match"),
            Self::Unsigned => write!(f, "no signature"),
            Self::WrongFeed => write!(f, "signed head belongs to another feed"),
            Self::BadProof => write!(f, "proof does not lead to the signed root"),
            Self::OutsideTree { seq, length } => {
                write!(f, "position {seq} lies outside a tree of {length} leaves")
            }
            Self::Unproven { reached, needed } => {
                write!(f, "blocks reach position {reached}, the proof needs {needed}")
            }
        }
    }
}

impl std::error::Error for VerifyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Decode(error) => Some(error),
            _ => None,
        }
    }
}

impl From<DecodeError> for VerifyError {
    fn from(error: DecodeError) -> Self {
        Self::Decode(error)
    }
}

/// Text that names no id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParseIdError {
    /// The text is longer or shorter than the id's.
    Length {
        /// Characters found.
        found: usize,
        /// Characters needed.
        expected: usize,
    },
    /// A character outside `a`–`z` and `2`–`7`.
    Character(char),
    /// The last character carries bits that no id has, so the text is not the id's own.
    TrailingBits,
}

impl fmt::Display for ParseIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { found, expected } => {
                write!(f, "id has {found} characters instead of {expected}")
            }
            Self::Character(character) => write!(f, "{character:?} is no base32 character"),
            Self::TrailingBits => write!(f, "last character of the id is not canonical"),
        }
    }
}

impl std::error::Error for ParseIdError {}

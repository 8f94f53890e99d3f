//! `Block`: one entry of a feed.
//!
//! A block's identity is its exact bytes: whoever stores, hashes or forwards it uses the bytes it
//! came in, never [`Block::encode`] of what was decoded. Keys and links are copied out of those
//! bytes; payloads are slices of them, and keep them alive.
//!
//! Decoding reserves at most 256 KiB beyond the bytes it was given.

use bytes::Bytes;

use crate::error::DecodeError;
use crate::frame::{self, Rule};
use crate::ids::{FeedKey, Hash};
use crate::item::{Genesis, Move, Mutation, Tombstone};
use crate::limits::{
    ALIASES_MAX, BLOCK_BYTES_MAX, CREDENTIAL_BYTES_MAX, FEED_LENGTH_MAX, KEYS_MAX, LINKS_MAX,
};
use crate::stamp::Stamp;
use crate::wire;

const WHAT: &str = "block";
/// Numbers that bodies have, those of later versions included.
const BODIES: std::ops::RangeInclusive<u32> = 8..=31;
/// Keys beyond their size and links beyond this one are malformed; later fields of a link have
/// room.
const LINK_BYTES_MAX: usize = 256;

const RULES: &[Rule] = &[
    Rule::list(1, "feed keys", KEYS_MAX, FeedKey::BYTES),
    Rule::list(2, "links", LINKS_MAX, LINK_BYTES_MAX),
    Rule::once(3, "stamp", 0),
    Rule::once(4, "stamp", 0),
    Rule::once(5, "effective time", 0),
    Rule { fields: BODIES, what: "body", count_max: 1, bytes_max: BLOCK_BYTES_MAX },
];

/// One entry of a feed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Block {
    /// Feeds named for the first time; they get the feed's next aliases in this order.
    pub keys: Vec<FeedKey>,
    /// The frontier of the author's causal past in other feeds.
    pub links: Vec<Link>,
    /// Milliseconds from the previous block's stamp to this one's.
    pub stamp_millis_delta: i64,
    /// Order within the millisecond; at most 65535.
    pub stamp_logical: u32,
    /// Time the user gave for a backdated fact, in milliseconds since the Unix epoch.
    pub effective_at: Option<i64>,
    /// What the block says.
    pub body: Body,
}

/// Knowledge of the first `length` blocks of another feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Link {
    /// Alias of that feed; never 0.
    pub feed: u32,
    /// Blocks known; never 0.
    pub length: u64,
    /// Root of the tree over them.
    pub root: Hash,
}

/// What a block says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Body {
    /// Nothing: the block only links.
    #[default]
    Empty,
    /// A credential's exact bytes.
    Credential(Bytes),
    /// An item begins.
    Genesis(Genesis),
    /// An item changes.
    Mutation(Mutation),
    /// An item moves.
    Move(Move),
    /// An item goes, or comes back.
    Tombstone(Tombstone),
    /// A kind of body, by its field number, that only a later version knows. Can be read, not
    /// written.
    Unknown(u32),
}

impl Block {
    /// The block's bytes. Whether they are within [`BLOCK_BYTES_MAX`], and the block passes
    /// [`Block::validate`], is for the writer to check: otherwise nobody can read them.
    ///
    /// # Panics
    /// If the body is [`Body::Unknown`]: such a block exists only as the bytes it came in.
    pub fn encode(&self) -> Bytes {
        let link = |link: &Link| wire::Link {
            feed: link.feed,
            length: link.length,
            root: Bytes::copy_from_slice(link.root.as_bytes()),
        };
        let message = wire::Block {
            keys: self.keys.iter().map(|key| Bytes::copy_from_slice(key.as_bytes())).collect(),
            links: self.links.iter().map(link).collect(),
            stamp_millis_delta: self.stamp_millis_delta,
            stamp_logical: self.stamp_logical,
            effective_at: self.effective_at,
            body: self.body.to_wire(),
        };
        frame::seal(&message).into()
    }

    /// The block in `bytes`, if every rule holds that can be checked without knowing its feed.
    pub fn decode(bytes: Bytes) -> Result<Self, DecodeError> {
        let message: wire::Block = frame::open(&bytes, WHAT, BLOCK_BYTES_MAX, RULES)?;
        let link = |link: wire::Link| {
            let root = Hash::from_bytes(&link.root)?;
            Ok(Link { feed: link.feed, length: link.length, root })
        };
        let body = match message.body {
            Some(body) => Body::from_wire(body)?,
            None => frame::find(&bytes[1..], WHAT, BODIES)?.map_or(Body::Empty, Body::Unknown),
        };
        let keys = message.keys.iter().map(|key| FeedKey::from_bytes(key));
        let block = Self {
            keys: keys.collect::<Result<_, DecodeError>>()?,
            links: message.links.into_iter().map(link).collect::<Result<_, DecodeError>>()?,
            stamp_millis_delta: message.stamp_millis_delta,
            stamp_logical: message.stamp_logical,
            effective_at: message.effective_at,
            body,
        };
        block.validate()?;
        Ok(block)
    }

    /// Checks the rules that a block must keep whatever feed it is in: bounds; no key twice; no
    /// link to the own feed, of length 0, or to the same feed as another one.
    pub fn validate(&self) -> Result<(), DecodeError> {
        check_count("feed keys", self.keys.len(), KEYS_MAX)?;
        check_count("links", self.links.len(), LINKS_MAX)?;
        if has_twice(self.keys.iter().copied()).is_some() {
            return Err(DecodeError::Repeated { what: "feed key" });
        }
        for link in &self.links {
            link.validate()?;
        }
        if let Some(alias) = has_twice(self.links.iter().map(|link| link.feed)) {
            return Err(DecodeError::DuplicateLink { alias });
        }
        if self.stamp_logical > u16::MAX.into() {
            let found = self.stamp_logical.into();
            return Err(DecodeError::OutOfRange { what: "logical stamp", found });
        }
        self.body.validate()
    }

    /// The stamp of this block, given its predecessor's in the feed.
    pub fn stamp_after(&self, previous: Stamp) -> Stamp {
        let logical = u16::try_from(self.stamp_logical).unwrap_or(u16::MAX);
        previous.after(self.stamp_millis_delta, logical)
    }
}

impl Link {
    fn validate(&self) -> Result<(), DecodeError> {
        if self.feed == 0 {
            return Err(DecodeError::SelfLink);
        }
        if self.feed > ALIASES_MAX {
            return Err(DecodeError::OutOfRange { what: "feed alias", found: self.feed.into() });
        }
        if self.length == 0 {
            return Err(DecodeError::EmptyLink { alias: self.feed });
        }
        if self.length > FEED_LENGTH_MAX {
            return Err(DecodeError::OutOfRange { what: "length of a link", found: self.length });
        }
        Ok(())
    }
}

impl Body {
    fn validate(&self) -> Result<(), DecodeError> {
        match self {
            Self::Empty | Self::Unknown(_) => Ok(()),
            Self::Credential(bytes) if bytes.len() > CREDENTIAL_BYTES_MAX => {
                let (bytes, bytes_max) = (bytes.len(), CREDENTIAL_BYTES_MAX);
                Err(DecodeError::TooLong { what: "credential", bytes, bytes_max })
            }
            Self::Credential(_) => Ok(()),
            Self::Genesis(genesis) => genesis.validate(),
            Self::Mutation(mutation) => mutation.item.validate(),
            Self::Move(Move { item, parent }) => {
                item.validate()?;
                parent.as_ref().map_or(Ok(()), |parent| parent.validate())
            }
            Self::Tombstone(tombstone) => tombstone.item.validate(),
        }
    }

    fn to_wire(&self) -> Option<wire::block::Body> {
        use wire::block::Body as Wire;
        Some(match self {
            Self::Empty => return None,
            Self::Credential(bytes) => Wire::Credential(bytes.clone()),
            Self::Genesis(genesis) => Wire::Genesis(genesis.to_wire()),
            Self::Mutation(mutation) => Wire::Mutation(mutation.to_wire()),
            Self::Move(moving) => Wire::Move(moving.to_wire()),
            Self::Tombstone(tombstone) => Wire::Tombstone(tombstone.to_wire()),
            Self::Unknown(kind) => panic!("a body of unknown kind {kind} cannot be written"),
        })
    }

    fn from_wire(wire: wire::block::Body) -> Result<Self, DecodeError> {
        use wire::block::Body as Wire;
        Ok(match wire {
            Wire::Credential(bytes) => Self::Credential(bytes),
            Wire::Genesis(genesis) => Self::Genesis(Genesis::from_wire(genesis)),
            Wire::Mutation(mutation) => Self::Mutation(Mutation::from_wire(mutation)?),
            Wire::Move(moving) => Self::Move(Move::from_wire(moving)?),
            Wire::Tombstone(tombstone) => Self::Tombstone(Tombstone::from_wire(tombstone)?),
        })
    }
}

fn check_count(what: &'static str, count: usize, count_max: usize) -> Result<(), DecodeError> {
    if count > count_max {
        return Err(DecodeError::TooMany { what, count, count_max });
    }
    Ok(())
}

/// An element that stands twice. Most blocks have none or one and allocate nothing here.
fn has_twice<T: Ord + Copy>(elements: impl ExactSizeIterator<Item = T>) -> Option<T> {
    if elements.len() < 2 {
        return None;
    }
    let mut sorted: Vec<T> = elements.collect();
    sorted.sort_unstable();
    sorted.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
}

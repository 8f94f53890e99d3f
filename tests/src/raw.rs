//! Feeds that are written and signed by hand, so that a scenario says exactly which blocks there are,
//! honest or not.

use bytes::Bytes;
use systole::{AdmissionRequest, Ed25519Signer, FeedKey, PartyKey, PublicKey, Range, Signer};
use systole_proto::merkle::leaf_hash;
use systole_proto::{
    Block, Body, Claim, Credential, Genesis, Hash, Head, ItemRef, Link, Mutation, Peaks, SignedHead,
};

use crate::journal::Journal;
use systole::Model as _;

/// A feed and the device that owns it.
#[derive(Debug)]
pub struct RawFeed {
    seed: u64,
    signer: Ed25519Signer,
    device: Ed25519Signer,
    /// The blocks' bytes.
    pub blocks: Vec<Bytes>,
    /// The feeds that this one named so far, alias 1 first.
    aliases: Vec<FeedKey>,
}

impl RawFeed {
    /// The feed whose keys follow from `seed`, without blocks.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            signer: signer(seed, "feed"),
            device: signer(seed, "device"),
            blocks: Vec::new(),
            aliases: Vec::new(),
        }
    }

    /// The same feed as far as block `length`: what is written to it from there forks it.
    pub fn fork(&self, length: usize) -> Self {
        let mut fork = Self::new(self.seed);
        fork.blocks = self.blocks[..length].to_vec();
        fork.aliases.clone_from(&self.aliases);
        fork
    }

    /// The feed's name.
    pub fn key(&self) -> FeedKey {
        FeedKey(self.signer.public_key())
    }

    /// The device's name as a member.
    pub fn device_key(&self) -> PublicKey {
        PublicKey(self.device.public_key())
    }

    /// The device's wish to be let into a party that an engine founded.
    pub fn admission_request(&self, party: PartyKey) -> AdmissionRequest {
        AdmissionRequest::new(party, &self.device, &self.signer).expect("keys in memory sign")
    }

    /// Blocks so far.
    pub fn length(&self) -> u64 {
        self.blocks.len() as u64
    }

    /// Writes a block that links to nothing; its position.
    pub fn write(&mut self, body: Body) -> u64 {
        self.write_linked(body, &[])
    }

    /// Writes a block whose author has seen `links`: feeds, and how many of their blocks.
    pub fn write_linked(&mut self, body: Body, links: &[(&Self, u64)]) -> u64 {
        let mut keys = Vec::new();
        let links = links
            .iter()
            .map(|(feed, length)| {
                let known = self.aliases.iter().position(|key| *key == feed.key());
                let index = known.unwrap_or_else(|| {
                    self.aliases.push(feed.key());
                    keys.push(feed.key());
                    self.aliases.len() - 1
                });
                Link { feed: index as u32 + 1, length: *length, root: feed.root_at(*length) }
            })
            .collect();
        self.push(Block { keys, links, body, ..Block::default() }.encode())
    }

    /// Writes any bytes as a block.
    pub fn push(&mut self, bytes: impl Into<Bytes>) -> u64 {
        self.blocks.push(bytes.into());
        self.length() - 1
    }

    /// Creates a [`Journal`] with a first line; its position.
    pub fn create_journal(&mut self, line: &'static str, links: &[(&Self, u64)]) -> u64 {
        let genesis = Genesis {
            model: Journal::TYPE.to_owned(),
            version: Journal::VERSION,
            init: Bytes::from_static(line.as_bytes()),
            ..Genesis::default()
        };
        self.write_linked(Body::Genesis(genesis), links)
    }

    /// The body that adds a line to the journal at position `seq` of `feed`, which must have been
    /// linked to before if it is another one.
    pub fn line(&self, feed: &Self, seq: u64, line: impl Into<Bytes>) -> Body {
        let alias = match feed.key() == self.key() {
            true => 0,
            false => {
                let named = self.aliases.iter().position(|key| *key == feed.key());
                named.expect("the feed was linked to before") as u32 + 1
            }
        };
        let item = ItemRef { feed: alias, seq };
        Body::Mutation(Mutation { item, label: Mutation::MODEL, payload: line.into() })
    }

    /// Root over the first `length` blocks.
    pub fn root_at(&self, length: u64) -> Hash {
        self.peaks_at(length).root()
    }

    fn peaks_at(&self, length: u64) -> Peaks {
        let mut peaks = Peaks::default();
        for block in &self.blocks[..length as usize] {
            peaks.append(leaf_hash(block), |_, _, _| {});
        }
        peaks
    }

    /// The signed head at `length`.
    pub fn head(&self, length: u64) -> SignedHead {
        let head = Head { feed: self.key(), length, root: self.root_at(length) };
        SignedHead::sign(&head, &self.signer).expect("a key in memory signs")
    }

    /// Blocks `from..to` with the head at `to`.
    pub fn range(&self, from: u64, to: u64) -> Range {
        Range {
            feed: self.key(),
            start: from,
            blocks: self.blocks[from as usize..to as usize].to_vec(),
            head: self.head(to),
            peaks: self.peaks_at(from).hashes().to_vec(),
        }
    }

    /// All blocks.
    pub fn all(&self) -> Range {
        self.range(0, self.length())
    }
}

/// A party whose credentials are made by hand.
#[derive(Debug)]
pub struct RawParty {
    signer: Ed25519Signer,
}

impl RawParty {
    /// The party whose key follows from `seed`.
    pub fn new(seed: u64) -> Self {
        Self { signer: signer(seed, "party") }
    }

    /// The party's name.
    pub fn key(&self) -> PartyKey {
        PartyKey(self.signer.public_key())
    }

    /// The genesis that makes `founder` the first member; it belongs at position 0 of its feed.
    pub fn genesis(&self, founder: &RawFeed) -> Body {
        let claim = Claim::PartyGenesis {
            party: self.key(),
            key: founder.device_key(),
            feed: founder.key(),
        };
        credential(&claim, &[&self.signer, &founder.device, &founder.signer])
    }

    /// `member` admits the device that owns `joining`.
    pub fn admit_key(&self, member: &RawFeed, joining: &RawFeed) -> Body {
        let claim = Claim::KeyAdmission { party: self.key(), key: joining.device_key() };
        credential(&claim, &[&joining.device, &member.device])
    }

    /// The device that owns `joining` admits its feed.
    pub fn admit_feed(&self, joining: &RawFeed) -> Body {
        let (feed, key) = (joining.key(), joining.device_key());
        let claim = Claim::FeedAdmission { party: self.key(), feed, key };
        credential(&claim, &[&joining.signer, &joining.device])
    }
}

fn credential(claim: &Claim, signers: &[&Ed25519Signer]) -> Body {
    let mut credential = Credential::new(claim);
    for signer in signers {
        credential.sign(*signer).expect("a key in memory signs");
    }
    Body::Credential(credential.encode())
}

/// A key that follows from `seed` and what it is for.
fn signer(seed: u64, purpose: &str) -> Ed25519Signer {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_be_bytes());
    bytes[8..8 + purpose.len()].copy_from_slice(purpose.as_bytes());
    Ed25519Signer::from_seed(&bytes)
}

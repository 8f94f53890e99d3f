//! Authors that break the rules: feeds written by hand, block by block.
//!
//! Invariant: what a hostile block has really seen is known when it is written, by the rules of the
//! format alone: one that cannot be read, or names what it must not, has seen what its feed had before.

use std::collections::BTreeMap;
use std::rc::Rc;

use bytes::Bytes;
use systole::{
    AdmissionRequest, Ed25519Signer, FeedKey, ItemId, PartyKey, PublicKey, Range, Signer,
};
use systole_proto::{
    Block, Body, Claim, Credential, Genesis, Head, ItemRef, Link, Move, Mutation, Peaks,
    SignedHead, Tombstone, merkle,
};

use crate::oracle::causality::{Past, Records};
use crate::oracle::fork::Archive;
use crate::random::Random;

/// A feed written by hand, and the key of the device it speaks for.
pub(crate) struct RawFeed {
    signer: Ed25519Signer,
    pub(crate) device: Ed25519Signer,
    pub(crate) blocks: Vec<Bytes>,
    aliases: Vec<FeedKey>,
    past: Past,
    /// Nothing it writes after this is ever processed.
    pub(crate) stuck: bool,
}

/// An item that somebody created.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Made {
    pub(crate) id: ItemId,
    pub(crate) feed: FeedKey,
    pub(crate) seq: u64,
}

/// What a hostile author sees of the world.
pub(crate) struct Sight<'a> {
    pub(crate) archive: &'a Archive,
    pub(crate) items: &'a [Made],
    pub(crate) party: PartyKey,
    /// Name of a model that devices know.
    pub(crate) model: (&'static str, u32),
}

/// A block that was written, for whoever keeps the records.
pub(crate) struct Misdeed {
    /// In plain words.
    pub(crate) what: String,
    pub(crate) past: Past,
    pub(crate) messages: Vec<(ItemId, u32)>,
}

impl RawFeed {
    pub(crate) fn new(random: &mut Random) -> Self {
        let signer = Ed25519Signer::from_seed(&random.bytes());
        let device = Ed25519Signer::from_seed(&random.bytes());
        let past = Rc::new(BTreeMap::new());
        Self { signer, device, blocks: Vec::new(), aliases: Vec::new(), past, stuck: false }
    }

    pub(crate) fn key(&self) -> FeedKey {
        FeedKey(self.signer.public_key())
    }

    pub(crate) fn length(&self) -> u64 {
        self.blocks.len() as u64
    }

    pub(crate) fn signer(&self) -> &Ed25519Signer {
        &self.signer
    }

    pub(crate) fn request(&self, party: PartyKey) -> Option<AdmissionRequest> {
        AdmissionRequest::new(party, &self.device, &self.signer).ok()
    }

    /// The same feed without its last `lost` blocks: another history begins there.
    pub(crate) fn fork(&self, lost: usize) -> Self {
        let kept = self.blocks.len().saturating_sub(lost);
        Self {
            signer: Ed25519Signer::from_seed(&self.signer.seed()),
            device: Ed25519Signer::from_seed(&self.device.seed()),
            blocks: self.blocks[..kept].to_vec(),
            aliases: self.aliases.clone(),
            past: self.past.clone(),
            stuck: self.stuck,
        }
    }

    /// Blocks `from..to` under a head at `to`.
    pub(crate) fn range(&self, from: u64, to: u64) -> Option<Range> {
        let (mut peaks, mut before) = (Peaks::default(), Vec::new());
        for (seq, block) in self.blocks[..to as usize].iter().enumerate() {
            if seq as u64 == from {
                before = peaks.hashes().to_vec();
            }
            peaks.append(merkle::leaf_hash(block), |_, _, _| {});
        }
        let head = Head { feed: self.key(), length: to, root: peaks.root() };
        let head = SignedHead::sign(&head, &self.signer).ok()?;
        let blocks = self.blocks[from as usize..to as usize].to_vec();
        Some(Range { feed: self.key(), start: from, blocks, head, peaks: before })
    }

    /// Introduces itself: its own admission, which waits for its owner's.
    pub(crate) fn introduce(&mut self, party: PartyKey) -> Option<()> {
        let key = PublicKey(self.device.public_key());
        let claim = Claim::FeedAdmission { party, feed: self.key(), key };
        let body = credential(&claim, &[&self.signer, &self.device])?;
        self.blocks.push(Block { body, ..Block::default() }.encode());
        Some(())
    }

    /// Writes one block that keeps or breaks a rule of its choice. `after` is a feed whose blocks it
    /// wants in its past.
    pub(crate) fn misbehave(
        &mut self,
        random: &mut Random,
        sight: &Sight<'_>,
        after: Option<FeedKey>,
    ) -> Option<Misdeed> {
        let (aliases, past) = (self.aliases.clone(), self.past.clone());
        let written = self.attempt(random, sight, after);
        if written.is_none() {
            (self.aliases, self.past) = (aliases, past);
        }
        written
    }

    fn attempt(
        &mut self,
        random: &mut Random,
        sight: &Sight<'_>,
        after: Option<FeedKey>,
    ) -> Option<Misdeed> {
        let before = self.past.clone();
        let mut block = Block::default();
        let (mut messages, mut stuck) = (Vec::new(), false);
        let shown: Vec<Made> = sight
            .items
            .iter()
            .filter(|item| item.feed == self.key() || item.seq < sight.archive.length(&item.feed))
            .copied()
            .collect();
        let target = random.any(&shown).copied();
        let other = random.any(&shown).copied();
        let what = match random.below(20) {
            0 => {
                let bytes = (0..1 + random.below(40)).map(|_| random.number() as u8);
                self.blocks.push(bytes.collect());
                return Some(Misdeed {
                    what: "bytes that are no block".into(),
                    past: before,
                    messages,
                });
            }
            1 => {
                let mut bytes = block.encode().to_vec();
                bytes.extend_from_slice(&[0xa0, 0x01, 0x01]);
                self.blocks.push(bytes.into());
                return Some(Misdeed {
                    what: "a body of an unknown kind".into(),
                    past: before,
                    messages,
                });
            }
            2 => {
                let item = ItemRef { feed: 60_000, seq: 0 };
                block.body = mutation(item, Mutation::MODEL, random);
                "a mutation by an alias that names nothing".to_owned()
            }
            3 if random.one_in(3) => {
                let (feed, length) =
                    sight.archive.feeds().find(|(feed, _)| **feed != self.key())?;
                self.link(&mut block, feed, length + 1_000, sight, None)?;
                stuck = true;
                "a link to what does not exist yet".to_owned()
            }
            4 if random.one_in(3) => {
                let (feed, length) =
                    sight.archive.feeds().find(|(feed, _)| **feed != self.key())?;
                self.link(&mut block, feed, length, sight, Some(random.bytes()))?;
                stuck = true;
                "a link to another history".to_owned()
            }
            5 => {
                let target = target.filter(|item| item.feed != self.key())?;
                if self.past.get(&target.feed).is_some_and(|length| target.seq < *length) {
                    return None;
                }
                // Should what it links to have seen the item, the message counts after all.
                messages.push((target.id, Mutation::MODEL));
                let alias = self.alias(&mut block, &target.feed);
                block.body = mutation(ItemRef { feed: alias, seq: target.seq }, 0, random);
                "a mutation of an item that it has not seen".to_owned()
            }
            6 => {
                let item = self.see(&mut block, &target?, sight)?;
                block.body = mutation(item, 7, random);
                "a mutation with a label that means nothing".to_owned()
            }
            7 => {
                let item = self.see(&mut block, &target?, sight)?;
                block.stamp_millis_delta = i64::MAX / 2;
                block.body = mutation(item, Mutation::MODEL, random);
                messages.push((target?.id, Mutation::MODEL));
                "random bytes for a model, with a stamp far in the future".to_owned()
            }
            8 => {
                let party = sight.party;
                let stranger = Ed25519Signer::from_seed(&random.bytes());
                let unknown = Ed25519Signer::from_seed(&random.bytes());
                let key = PublicKey(stranger.public_key());
                let claim = Claim::KeyAdmission { party, key };
                block.body = credential(&claim, &[&stranger, &unknown])?;
                "an admission by a key that nobody knows".to_owned()
            }
            9 => {
                let claim =
                    Claim::KeyAdmission { party: sight.party, key: PublicKey(random.bytes()) };
                let mut forged = Credential::new(&claim);
                forged.sign(&self.device).ok()?;
                let (key, mut signature) = forged.signatures.pop()?;
                signature.0[7] ^= 1;
                forged.signatures.push((key, signature));
                block.body = Body::Credential(forged.encode());
                "a forged admission".to_owned()
            }
            10 => {
                block.keys = (0..40).map(|_| FeedKey(random.bytes())).collect();
                block.keys.push(block.keys[0]);
                self.blocks.push(block.encode());
                return Some(Misdeed {
                    what: "a name table with a name twice".into(),
                    past: before,
                    messages,
                });
            }
            11 => {
                let keys: Vec<_> = (0..12).map(|_| FeedKey(random.bytes())).collect();
                self.aliases.extend(&keys);
                block.keys = keys;
                "names of feeds that do not exist".to_owned()
            }
            12 => {
                let item = self.see(&mut block, &target?, sight)?;
                block.body = Body::Move(Move { item, parent: Some(item) });
                "a move of an item below itself".to_owned()
            }
            13 => {
                let item = self.see(&mut block, &target?, sight)?;
                let parent = self.see(&mut block, &other?, sight)?;
                block.body = Body::Move(Move { item, parent: Some(parent) });
                "a move".to_owned()
            }
            14 => {
                let item = self.see(&mut block, &target?, sight)?;
                block.body = Body::Tombstone(Tombstone { item, restore: random.one_in(2) });
                "a tombstone".to_owned()
            }
            15 => {
                let seq = self.length();
                let (model, version) = match random.below(2) {
                    0 => ("nobody.knows".to_owned(), 3),
                    _ => (sight.model.0.to_owned(), sight.model.1),
                };
                let init = Bytes::from(vec![random.number() as u8; random.below(20)]);
                block.body = Body::Genesis(Genesis { model, version, init, ..Genesis::default() });
                messages.push((ItemId::of(&self.key(), seq), Mutation::MODEL));
                "an item of its own".to_owned()
            }
            _ => {
                let target = target?;
                let item = self.see(&mut block, &target, sight)?;
                let copied = copied_payload(random, sight);
                let label = if random.one_in(4) { Mutation::METADATA } else { Mutation::MODEL };
                block.body = match copied {
                    Some(payload) => Body::Mutation(Mutation { item, label, payload }),
                    None => mutation(item, label, random),
                };
                messages.push((target.id, label));
                "a payload from elsewhere".to_owned()
            }
        };
        self.stuck |= stuck;
        if let Some(after) = after.filter(|_| !stuck) {
            let length = sight.archive.length(&after);
            let linked =
                block.links.iter().any(|link| self.aliases[link.feed as usize - 1] == after);
            if !linked && length > self.past.get(&after).copied().unwrap_or(0) {
                self.link(&mut block, &after, length, sight, None)?;
            }
        }
        self.blocks.push(block.encode());
        Some(Misdeed { what, past: self.past.clone(), messages })
    }

    /// Links to all that was shown of the feed that holds `item`, and names the item.
    fn see(&mut self, block: &mut Block, item: &Made, sight: &Sight<'_>) -> Option<ItemRef> {
        if item.feed == self.key() {
            return Some(ItemRef { feed: 0, seq: item.seq });
        }
        let length = sight.archive.length(&item.feed);
        let linked =
            block.links.iter().any(|link| self.aliases[link.feed as usize - 1] == item.feed);
        if !linked && self.past.get(&item.feed).is_none_or(|known| *known < length) {
            self.link(block, &item.feed, length, sight, None)?;
        }
        Some(ItemRef { feed: self.alias(block, &item.feed), seq: item.seq })
    }

    fn link(
        &mut self,
        block: &mut Block,
        feed: &FeedKey,
        length: u64,
        sight: &Sight<'_>,
        root: Option<[u8; 32]>,
    ) -> Option<()> {
        let known = sight.archive.root(feed, length.min(sight.archive.length(feed)))?;
        let root = root.map_or(known, systole_proto::Hash);
        let alias = self.alias(block, feed);
        block.links.push(Link { feed: alias, length, root });
        let past = Rc::make_mut(&mut self.past);
        let entry = past.entry(*feed).or_default();
        *entry = length.max(*entry);
        Some(())
    }

    fn alias(&mut self, block: &mut Block, feed: &FeedKey) -> u32 {
        let at = self.aliases.iter().position(|known| known == feed).unwrap_or_else(|| {
            self.aliases.push(*feed);
            block.keys.push(*feed);
            self.aliases.len() - 1
        });
        at as u32 + 1
    }

    /// Adds to its past what the feeds it linked to had seen.
    pub(crate) fn close_past(&mut self, records: &Records) -> Past {
        let own = self.key();
        let past = Rc::make_mut(&mut self.past);
        for (feed, length) in past.clone() {
            let Some(seen) = length.checked_sub(1).and_then(|seq| records.get(&feed, seq)) else {
                continue;
            };
            for (feed, length) in seen.past.iter().filter(|(feed, _)| **feed != own) {
                let entry = past.entry(*feed).or_default();
                *entry = (*length).max(*entry);
            }
        }
        self.past.clone()
    }
}

fn mutation(item: ItemRef, label: u32, random: &mut Random) -> Body {
    let payload: Vec<u8> = (0..random.below(24)).map(|_| random.number() as u8).collect();
    Body::Mutation(Mutation { item, label, payload: payload.into() })
}

/// The payload of somebody's mutation.
fn copied_payload(random: &mut Random, sight: &Sight<'_>) -> Option<Bytes> {
    let feeds: Vec<_> = sight.archive.feeds().collect();
    let (feed, length) = random.any(&feeds)?;
    let seq = random.below(*length as usize) as u64;
    match Block::decode(sight.archive.block(feed, seq)?.clone()).ok()?.body {
        Body::Mutation(mutation) => Some(mutation.payload),
        _ => None,
    }
}

/// The credential of `claim` under the signatures of `signers`.
pub(crate) fn credential(claim: &Claim, signers: &[&Ed25519Signer]) -> Option<Body> {
    let mut credential = Credential::new(claim);
    for signer in signers {
        credential.sign(*signer).ok()?;
    }
    Some(Body::Credential(credential.encode()))
}

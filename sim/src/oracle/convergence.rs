//! The same blocks give the same everything: items and their states, parents and tombstones, members,
//! refusals, and the list of messages of each item.

use std::collections::BTreeMap;

use systole::{FeedKey, ItemId, ItemInfo, PublicKey, Quarantined};

use super::causality::Records;
use super::{Oracle, Violation};
use crate::story::Names;

/// A message in an item's log: feed, position, label, Lamport number.
pub(crate) type Entry = (FeedKey, u64, u32, u64);

/// What a device shows its users. The first field says from which blocks: feed, how many, the last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Summary {
    device: String,
    processed: Vec<(FeedKey, u64, [u8; 32])>,
    /// Each with the digest of its state, if its model has not failed.
    pub(crate) items: Vec<(ItemInfo, Option<Vec<u8>>)>,
    members: Vec<PublicKey>,
    refused: Vec<(FeedKey, u64, String)>,
}

impl Summary {
    pub(crate) fn new(
        device: String,
        mut processed: Vec<(FeedKey, u64, [u8; 32])>,
        items: Vec<(ItemInfo, Option<Vec<u8>>)>,
        mut members: Vec<PublicKey>,
        refused: Vec<Quarantined>,
    ) -> Self {
        processed.sort_unstable();
        members.sort_unstable();
        let refused = refused.into_iter().map(|block| (block.feed, block.seq, block.code));
        let mut refused: Vec<_> = refused.collect();
        refused.sort_unstable();
        Self { device, processed, items, members, refused }
    }

    pub(crate) fn hash(&self) -> [u8; 32] {
        let mut hash = blake3::Hasher::new();
        for (item, digest) in &self.items {
            hash.update(item.id.as_bytes());
            hash.update(item.parent.as_ref().map_or(&[][..], |parent| parent.as_bytes()));
            hash.update(&[u8::from(item.deleted), u8::from(digest.is_some())]);
            hash.update(digest.as_deref().unwrap_or_default());
        }
        *hash.finalize().as_bytes()
    }

    /// What two devices that processed the same do not agree on.
    fn difference(&self, other: &Self, names: &Names) -> Option<String> {
        if self.members != other.members {
            return Some(format!("{} members or {}", self.members.len(), other.members.len()));
        }
        let lacks =
            |list: &[(FeedKey, u64, String)], block: &(FeedKey, u64, String)| !list.contains(block);
        let refused = self.refused.iter().filter(|block| lacks(&other.refused, block));
        let only =
            other.refused.iter().filter(|block| lacks(&self.refused, block)).chain(refused).next();
        if let Some((feed, seq, code)) = only {
            return Some(format!("{} is set aside ({code}) or not", names.position(feed, *seq)));
        }
        if self.items.len() != other.items.len() {
            return Some(format!("{} items or {}", self.items.len(), other.items.len()));
        }
        for ((item, digest), (twin, twin_digest)) in self.items.iter().zip(&other.items) {
            let name = names.item(&item.id);
            if item != twin {
                let shown = |item: &ItemInfo| {
                    let parent =
                        item.parent.map_or("the top".to_owned(), |parent| names.item(&parent));
                    format!("below {parent}, deleted: {}", item.deleted)
                };
                return Some(format!("{name}: {}, or {}", shown(item), shown(twin)));
            }
            if let (Some(digest), Some(twin_digest)) = (digest, twin_digest)
                && digest != twin_digest
            {
                return Some(format!("the state of {name}"));
            }
        }
        None
    }
}

/// Devices that processed the same blocks show the same.
pub(crate) fn all_equal(summaries: &[Summary], names: &Names) -> Result<(), Violation> {
    for (at, one) in summaries.iter().enumerate() {
        for other in summaries[..at].iter().filter(|other| other.processed == one.processed) {
            if let Some(what) = other.difference(one, names) {
                let detail = format!("{} and {} do not agree on {what}", other.device, one.device);
                return Err(Violation::new(Oracle::Convergence, detail));
            }
        }
    }
    Ok(())
}

/// What the log of each item must list of honest authors, sorted.
pub(crate) fn expected_logs(
    records: &Records,
    is_honest: impl Fn(&FeedKey) -> bool,
) -> BTreeMap<ItemId, Vec<Entry>> {
    let mut logs: BTreeMap<ItemId, Vec<Entry>> = BTreeMap::new();
    for (feed, records) in records.iter().filter(|(feed, _)| is_honest(feed)) {
        for (seq, record) in (0..).zip(records) {
            for (item, label) in &record.messages {
                let lamport = record.lamport.unwrap_or_default();
                logs.entry(*item).or_default().push((*feed, seq, *label, lamport));
            }
        }
    }
    logs.values_mut().for_each(|log| log.sort_unstable());
    logs
}

/// The first entry that only one of two sorted logs has, and what to say of the first log.
pub(crate) fn difference(log: &[Entry], expected: &[Entry]) -> Option<(Entry, &'static str)> {
    let twice = log.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| (pair[0], "lists twice"));
    let lacks = expected.iter().find(|entry| log.binary_search(entry).is_err());
    let lacks = lacks.map(|entry| (*entry, "does not list"));
    let extra = log.iter().find(|entry| expected.binary_search(entry).is_err());
    twice.or(lacks).or(extra.map(|entry| (*entry, "lists, and nobody wrote,")))
}

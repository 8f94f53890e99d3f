//! What the tests of this folder share: authors, blocks, and a replica of one feed.

use bytes::Bytes;
use systole_proto::{Ed25519Signer, FeedKey, Range, SignedHead, Signer, VerifyError};
use systole_store::{Batch, Durability, FeedNo, FeedStore, Store};

use super::append::Append;
use super::{
    HeldFeed, PreparedRange, RangeVerdict, ReadLimit, append_local, load, read, seal_local,
};

pub(super) const FEED: FeedNo = FeedNo(7);

pub(super) fn signer() -> Ed25519Signer {
    Ed25519Signer::from_seed(&[1; 32])
}

pub(super) fn key_of(signer: &dyn Signer) -> FeedKey {
    FeedKey(signer.public_key())
}

/// `count` blocks of `bytes` bytes, all different, and different for every label.
pub(super) fn blocks(label: u8, count: usize, bytes: usize) -> Vec<Bytes> {
    let block = |n: usize| {
        let mut block = vec![0; bytes.max(10)];
        (block[0], block[1]) = (1, label);
        block[2..10].copy_from_slice(&(n as u64).to_be_bytes());
        Bytes::from(block)
    };
    (0..count).map(block).collect()
}

/// A store that holds one feed of [`signer`], and the feed's tail.
pub(super) struct Replica {
    pub(super) store: Store,
    pub(super) held: HeldFeed,
}

/// A [`RangeVerdict`] without what it borrows.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Accepted { from: u64, count: usize },
    Duplicate,
    Gap { held: u64, start: u64 },
    Inconsistent,
    Equivocation { ours: SignedHead, theirs: SignedHead },
}

impl Replica {
    pub(super) fn new() -> Self {
        Self { store: Store::memory(), held: HeldFeed::default() }
    }

    /// A replica whose author wrote `blocks` at once.
    pub(super) fn of(blocks: &[Bytes]) -> Self {
        let mut replica = Self::new();
        replica.write(blocks);
        replica
    }

    pub(super) fn feeds(&self) -> FeedStore<'_> {
        self.store.feeds()
    }

    pub(super) fn write(&mut self, blocks: &[Bytes]) {
        let (signer, mut batch) = (signer(), Batch::new());
        let feed = (FEED, key_of(&signer));
        let tail = &self.held.tail;
        let appended = append_local(self.feeds(), &mut batch, feed, tail, blocks, &signer);
        let tail = appended.unwrap();
        let head = seal_local(self.feeds(), &mut batch, feed, &tail, &signer).unwrap();
        self.store.commit(batch, Durability::Buffered).unwrap();
        self.held = HeldFeed { tail, head: Some(head) };
    }

    pub(super) fn read(&self, from: u64, limit: ReadLimit) -> Option<Range> {
        read(self.feeds(), FEED, key_of(&signer()), from, limit).unwrap()
    }

    /// Everything behind `from`, whatever the number of blocks.
    pub(super) fn range(&self, from: u64) -> Range {
        let range = self.read(from, ReadLimit::default()).unwrap();
        assert_eq!(range.end(), self.held.tail.length(), "the test's feed fits one range");
        range
    }

    pub(super) fn offer(&mut self, range: Range) -> Result<Verdict, VerifyError> {
        let range = PreparedRange::new(range)?;
        let HeldFeed { tail, head } = &self.held;
        let peaks_at = |length| self.feeds().peaks_at(FEED, length);
        Ok(match range.check(tail, head.as_ref(), peaks_at).unwrap() {
            RangeVerdict::Accepted(append) => self.accept(append),
            RangeVerdict::Duplicate => Verdict::Duplicate,
            RangeVerdict::Gap { held, start } => Verdict::Gap { held, start },
            RangeVerdict::Inconsistent => Verdict::Inconsistent,
            RangeVerdict::Equivocation { ours, theirs } => Verdict::Equivocation { ours, theirs },
        })
    }

    /// The lengths at which heads are kept.
    pub(super) fn kept_lengths(&self) -> Vec<u64> {
        let lengths = 1..=self.held.tail.length();
        lengths.filter(|&at| self.feeds().head_at(FEED, at).unwrap().is_some()).collect()
    }

    /// What opening the store again would find.
    pub(super) fn loaded(&self) -> HeldFeed {
        load(self.feeds(), FEED).unwrap()
    }

    fn accept(&mut self, append: Append<'_>) -> Verdict {
        let verdict = Verdict::Accepted { from: append.start, count: append.blocks.len() };
        let mut batch = Batch::new();
        append.write(self.feeds(), &mut batch, FEED);
        self.store.commit(batch, Durability::Buffered).unwrap();
        let head = Some(append.head().clone());
        self.held = HeldFeed { tail: append.into_tail(), head };
        verdict
    }
}

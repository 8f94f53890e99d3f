//! Keys and values as they are stored, for tests that alter them one by one.

use std::ops::ControlFlow;
use std::sync::Arc;

use systole::{Report, Verifier};
use systole_store::{Backend, Batch, Family, Overlay, Store, testing};

/// One stored record.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Record {
    pub(crate) family: Family,
    pub(crate) key: Vec<u8>,
    pub(crate) value: Vec<u8>,
}

/// First bytes of keys: what a record is (`store/src/keys.rs`).
pub(crate) mod kind {
    pub(crate) const BLOCK: u8 = 0x01;
    pub(crate) const NODE: u8 = 0x02;
    pub(crate) const HEAD: u8 = 0x03;
    pub(crate) const LATEST_HEAD: u8 = 0x04;
    pub(crate) const STEP: u8 = 0x05;
    pub(crate) const ALIAS: u8 = 0x06;
    pub(crate) const EQUIVOCATION: u8 = 0x07;
    pub(crate) const FORMAT: u8 = 0x10;
    pub(crate) const COUNTER: u8 = 0x11;
    pub(crate) const PARTY_BY_NO: u8 = 0x12;
    pub(crate) const PARTY_BY_KEY: u8 = 0x13;
    pub(crate) const FEED_BY_NO: u8 = 0x14;
    pub(crate) const FEED_BY_KEY: u8 = 0x15;
    pub(crate) const FEED_OF_PARTY: u8 = 0x16;
    pub(crate) const POSITION: u8 = 0x17;
    pub(crate) const CREDENTIAL: u8 = 0x18;
    pub(crate) const QUARANTINE: u8 = 0x19;
    pub(crate) const PREFERENCE: u8 = 0x1a;
    pub(crate) const ITEM: u8 = 0x20;
    pub(crate) const ITEM_BY_ID: u8 = 0x21;
    pub(crate) const ITEM_BY_MODEL: u8 = 0x22;
    pub(crate) const ITEM_BY_PARENT: u8 = 0x23;
    pub(crate) const LOG: u8 = 0x30;
    pub(crate) const CHECKPOINT: u8 = 0x38;
    pub(crate) const VAULT_HEADER: u8 = 0x40;
    pub(crate) const SECRET: u8 = 0x41;
}

impl Record {
    pub(crate) fn kind(&self) -> u8 {
        self.key[0]
    }

    /// The four bytes of the feed that the key names first, and the number at its end.
    pub(crate) fn feed_and_last(&self) -> (u32, u64) {
        let feed = u32::from_be_bytes(self.key[1..5].try_into().unwrap());
        let last = self.key.last_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
        (feed, last)
    }
}

/// Everything that a backend holds.
pub(crate) fn dump(backend: &dyn Backend) -> Vec<Record> {
    let mut records = Vec::new();
    for family in Family::ALL {
        let scanned = backend.scan(family, &[], &[0xff], &mut |key, value| {
            records.push(Record { family, key: key.to_vec(), value: value.to_vec() });
            ControlFlow::Continue(())
        });
        scanned.unwrap();
    }
    records
}

/// Records of one kind.
pub(crate) fn of_kind(records: &[Record], kind: u8) -> impl Iterator<Item = &Record> {
    records.iter().filter(move |record| record.kind() == kind)
}

/// What a verification says of a backend.
pub(crate) fn verify(backend: Arc<dyn Backend>) -> Report {
    let store = Store::with_backend(backend).unwrap();
    Verifier::on_store(store).run(&mut |_| {}).unwrap()
}

/// What it says after some records were given other values, or none.
pub(crate) fn verify_with(
    below: &Arc<dyn Backend>,
    changes: &[(&Record, Option<&[u8]>)],
) -> Report {
    let overlay = Overlay::new(below.clone());
    let mut batch = Batch::new();
    for (Record { family, key, .. }, value) in changes {
        match value {
            Some(value) => testing::put(&mut batch, *family, key, value),
            None => testing::delete(&mut batch, *family, key),
        }
    }
    overlay.write(&batch).unwrap();
    verify(Arc::new(overlay))
}

/// Numbers without a pattern, the same in every run.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// `value` with one bit of a byte flipped, and which byte.
    pub(crate) fn flip_bit(&mut self, value: &[u8]) -> (Vec<u8>, usize) {
        let (at, mut flipped) = (self.below(value.len()), value.to_vec());
        flipped[at] ^= 1 << self.below(8);
        (flipped, at)
    }

    /// `value` with one byte changed in any way.
    pub(crate) fn change_byte(&mut self, value: &[u8]) -> (Vec<u8>, usize) {
        let (at, mut changed) = (self.below(value.len()), value.to_vec());
        changed[at] ^= 1 + self.below(255) as u8;
        (changed, at)
    }
}

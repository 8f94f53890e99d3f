//! The workload: Object items that several feeds write to, from a fixed seed.
//!
//! Invariants:
//! - which feed writes what to which item follows from the [`Shape`] alone; keys are random, for the
//!   engine makes them;
//! - messages are spread evenly: in each round every item gets one, in an order of that round's own.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write as _};
use std::path::Path;

use bytes::Bytes;
use systole::{
    Durability, Engine, FeedKey, Ingested, Item, ItemId, NewItem, Object, ObjectMutation, Party,
    Range, Transaction,
};

use crate::{Failure, Random};

/// Payload of every message, in bytes, about.
pub const PAYLOAD_BYTES: usize = 128;

/// Fields of every item.
const FIELDS: usize = 16;

/// How much is written, and by how many to how many.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Items.
    pub items: u64,
    /// Messages in all; the first of each item creates it.
    pub messages: u64,
    /// Feeds that write by turns.
    pub feeds: usize,
    /// Messages of one transaction.
    pub transaction: usize,
    /// What they survive.
    pub durability: Durability,
}

impl Shape {
    /// Items × messages by eight feeds in transactions of 64.
    pub fn new(items: u64, messages: u64) -> Self {
        Self { items, messages, feeds: 8, transaction: 64, durability: Durability::Buffered }
    }
}

/// What [`write()`] wrote.
#[derive(Debug)]
pub struct Written {
    /// The items.
    pub items: Vec<ItemId>,
    /// Blocks of all feeds together, credentials included.
    pub blocks: u64,
}

/// A mutation of one field with a text that makes the payload about [`PAYLOAD_BYTES`] long.
pub fn mutation(random: &mut Random) -> ObjectMutation {
    // The field's name and the tags around it take some sixteen bytes.
    let text: String =
        (0..PAYLOAD_BYTES - 16).map(|_| char::from(b'a' + random.below(26) as u8)).collect();
    ObjectMutation::set(format!("field-{}", random.below(FIELDS)), text)
}

/// A party that this engine founded, and the feeds to write to.
pub async fn founder(engine: &Engine, feeds: usize) -> Result<(Party, Vec<FeedKey>), Failure> {
    let party = engine.create_party().await?;
    let mut keys = vec![party.own_feed()?];
    while keys.len() < feeds {
        keys.push(party.create_feed().await?);
    }
    Ok((party, keys))
}

/// Writes the whole shape to `party`.
pub async fn write(party: &Party, feeds: &[FeedKey], shape: &Shape) -> Result<Written, Failure> {
    let mut writing = Writing::new(party, feeds, shape);
    writing.create().await?;
    writing.mutate(u64::MAX).await?;
    let blocks = feeds_of(party).await?.iter().map(|(_, length)| length).sum();
    Ok(Written { items: writing.items(), blocks })
}

/// Writes a shape step by step.
#[derive(Debug)]
pub struct Writing {
    party: Party,
    feeds: Vec<FeedKey>,
    shape: Shape,
    random: Random,
    items: Vec<Item<Object>>,
    /// The order in which items get their next message, and how many of them have it.
    order: Vec<usize>,
    next: usize,
    transactions: usize,
    written: u64,
}

impl Writing {
    /// Nothing is written yet.
    pub fn new(party: &Party, feeds: &[FeedKey], shape: &Shape) -> Self {
        Self {
            party: party.clone(),
            feeds: feeds.to_vec(),
            shape: *shape,
            random: Random::new(1),
            items: Vec::new(),
            order: Vec::new(),
            next: 0,
            transactions: 0,
            written: 0,
        }
    }

    /// Creates all items.
    pub async fn create(&mut self) -> Result<(), Failure> {
        while self.written < self.shape.items {
            let mut transaction = self.begin();
            for _ in 0..self.room(self.shape.items) {
                let item = NewItem::<Object>::new().with(mutation(&mut self.random));
                transaction = transaction.create(item);
                self.written += 1;
            }
            for id in transaction.commit().await?.1 {
                self.items.push(self.party.item(id)?);
            }
        }
        self.order = (0..self.items.len()).collect();
        self.next = self.items.len();
        Ok(())
    }

    /// Mutates the items until `until` messages are written, or all of the shape's.
    pub async fn mutate(&mut self, until: u64) -> Result<(), Failure> {
        let until = until.min(self.shape.messages);
        while self.written < until {
            let mut transaction = self.begin();
            for _ in 0..self.room(until) {
                if self.next == self.order.len() {
                    self.random.shuffle(&mut self.order);
                    self.next = 0;
                }
                let item = &self.items[self.order[self.next]];
                transaction = transaction.mutate(item, mutation(&mut self.random));
                self.next += 1;
                self.written += 1;
            }
            transaction.commit().await?;
        }
        Ok(())
    }

    /// From here on a transaction holds this many messages.
    pub fn transactions_of(&mut self, messages: usize) {
        self.shape.transaction = messages;
    }

    /// The items that were created.
    pub fn items(&self) -> Vec<ItemId> {
        self.items.iter().map(Item::id).collect()
    }

    /// A transaction of the feed whose turn it is.
    fn begin(&mut self) -> Transaction {
        let author = self.feeds[self.transactions % self.feeds.len()];
        self.transactions += 1;
        self.party.transaction().author(author).durability(self.shape.durability)
    }

    /// Messages that the next transaction takes.
    fn room(&self, until: u64) -> u64 {
        (self.shape.transaction as u64).min(until - self.written)
    }
}

/// The party's feeds and how many blocks each has, the founder's first.
pub async fn feeds_of(party: &Party) -> Result<Vec<(FeedKey, u64)>, Failure> {
    Ok(party.feeds().await?)
}

/// What a file of ranges holds.
#[derive(Clone, Copy, Debug)]
pub struct HandedOver {
    /// Blocks in all ranges.
    pub blocks: u64,
    /// Bytes of these blocks.
    pub bytes: u64,
}

/// Writes all of a party's blocks to a file, range by range, the feeds by turns.
pub async fn hand_over(party: &Party, path: &Path) -> Result<HandedOver, Failure> {
    hand_over_from(party, path, &[]).await
}

/// The same without the blocks that another party holds already: feeds and how many of each.
pub async fn hand_over_from(
    party: &Party,
    path: &Path,
    held: &[(FeedKey, u64)],
) -> Result<HandedOver, Failure> {
    let mut file = BufWriter::new(File::create(path)?);
    let mut handed = HandedOver { blocks: 0, bytes: 0 };
    let from = |feed| held.iter().find(|held| held.0 == feed).map_or(0, |held| held.1);
    let mut feeds: Vec<(FeedKey, u64)> =
        feeds_of(party).await?.into_iter().map(|(feed, _)| (feed, from(feed))).collect();
    while !feeds.is_empty() {
        let mut unfinished = Vec::new();
        for (feed, from) in feeds {
            let Some(range) = party.read(feed, from).await? else { continue };
            handed.blocks += range.blocks.len() as u64;
            handed.bytes += range.blocks.iter().map(|block| block.len() as u64).sum::<u64>();
            let encoded = range.encode();
            file.write_all(&u32::try_from(encoded.len())?.to_be_bytes())?;
            file.write_all(&encoded)?;
            unfinished.push((feed, range.end()));
        }
        feeds = unfinished;
    }
    file.flush()?;
    Ok(handed)
}

/// The ranges in a file of [`hand_over`], read one by one.
pub fn ranges(path: &Path) -> io::Result<impl Iterator<Item = Result<Range, Failure>> + use<>> {
    let mut file = BufReader::new(File::open(path)?);
    Ok(std::iter::from_fn(move || {
        let mut length = [0; 4];
        match file.read_exact(&mut length) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return None,
            Err(error) => return Some(Err(error.into())),
        }
        let mut encoded = vec![0; u32::from_be_bytes(length) as usize];
        let read = file.read_exact(&mut encoded).map_err(Failure::from);
        Some(read.and_then(|()| Ok(Range::decode(Bytes::from(encoded))?)))
    }))
}

/// Takes in ranges; the number of blocks that were added.
pub async fn ingest_all(
    party: &Party,
    ranges: impl Iterator<Item = Result<Range, Failure>>,
) -> Result<u64, Failure> {
    let mut added = 0;
    for range in ranges {
        match party.ingest(range?).await? {
            Ingested::Added { from, to } => added += to - from,
            other => return Err(format!("a range was not added: {other:?}").into()),
        }
    }
    Ok(added)
}

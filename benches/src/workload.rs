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
    Range,
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
    let mut random = Random::new(1);
    let mut items: Vec<Item<Object>> = Vec::new();
    let mut authors = feeds.iter().cycle();
    let mut begin = || {
        let author = *authors.next().expect("a party has a feed");
        party.transaction().author(author).durability(shape.durability)
    };
    let mut written = 0;
    while written < shape.items {
        let mut transaction = begin();
        for _ in 0..(shape.transaction as u64).min(shape.items - written) {
            let item = NewItem::<Object>::new().with(mutation(&mut random));
            transaction = transaction.create(item);
            written += 1;
        }
        for id in transaction.commit().await?.1 {
            items.push(party.item(id)?);
        }
    }
    let mut order: Vec<usize> = (0..items.len()).collect();
    let mut next = items.len();
    while written < shape.messages {
        let mut transaction = begin();
        for _ in 0..(shape.transaction as u64).min(shape.messages - written) {
            if next == order.len() {
                random.shuffle(&mut order);
                next = 0;
            }
            transaction = transaction.mutate(&items[order[next]], mutation(&mut random));
            next += 1;
            written += 1;
        }
        transaction.commit().await?;
    }
    let blocks = feeds_of(party).await?.iter().map(|(_, length)| length).sum();
    Ok(Written { items: items.iter().map(Item::id).collect(), blocks })
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
    let mut file = BufWriter::new(File::create(path)?);
    let mut handed = HandedOver { blocks: 0, bytes: 0 };
    let mut feeds: Vec<(FeedKey, u64)> =
        feeds_of(party).await?.into_iter().map(|(feed, _)| (feed, 0)).collect();
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

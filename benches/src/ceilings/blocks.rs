//! Stored blocks: read, copied and decoded; hashed; written in batches. No engine is around them.

use std::ops::ControlFlow;
use std::time::Instant;

use bytes::Bytes;
use prost::Message as _;
use systole::Durability;
use systole_proto::{Block, Body};
use systole_store::{Batch, FeedNo, Options, PartyNo, Store};

use crate::measure::Measured;
use crate::workloads::Source;
use crate::{Failure, Run, check, per_second};

/// Blocks of one batch where blocks are written without an engine.
pub const BATCH: usize = 256;

/// A block and where it stands.
pub type Stored = (FeedNo, u64, Bytes);

/// What an `Object` message carries, as `models/proto/object.proto` has it.
#[derive(Clone, PartialEq, prost::Message)]
struct ObjectMessage {
    #[prost(message, repeated, tag = "1")]
    operations: Vec<Operation>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Operation {
    #[prost(string, repeated, tag = "1")]
    path: Vec<String>,
    #[prost(string, optional, tag = "7")]
    text: Option<String>,
}

/// What is done with a block that was read.
type Visit<'a> = dyn FnMut(FeedNo, u64, &[u8]) -> Result<(), Failure> + 'a;

/// Visits every stored block of the party, feed by feed; returns how many a second, without opening.
fn visit(source: &Source, visit: &mut Visit<'_>) -> Measured {
    let store = Store::open_existing(&source.engine(), &Options::default())?;
    let party: PartyNo = store.meta().party_no(&source.party)?.ok_or("the party is gone")?;
    let feeds = store.meta().feed_nos(party)?;
    let (mut blocks, mut failure) = (0, None);
    let started = Instant::now();
    for feed in feeds {
        store.feeds().scan_blocks(feed, 0, u64::MAX, &mut |seq, block| {
            blocks += 1;
            match visit(feed, seq, block) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    failure = Some(error);
                    ControlFlow::Break(())
                }
            }
        })?;
    }
    let took = started.elapsed();
    failure.map_or(Ok(()), Err)?;
    let expected = source.blocks();
    check(blocks == expected, || format!("{blocks} of {expected} blocks are stored"))?;
    Ok(per_second(blocks, took))
}

/// Reads and copies every block.
pub fn scan(source: &Source) -> Measured {
    let mut bytes = 0;
    let rate = visit(source, &mut |_, _, block| {
        bytes += std::hint::black_box(Bytes::copy_from_slice(block)).len() as u64;
        Ok(())
    })?;
    check(bytes == source.beginning.bytes + source.rest.bytes, || "bytes are missing".into())?;
    Ok(rate)
}

/// Reads, copies and decodes every block: its envelope, and what an `Object` message carries.
pub fn scan_and_decode(source: &Source) -> Measured {
    let mut operations = 0;
    let rate = visit(source, &mut |_, _, block| {
        let block = Block::decode(Bytes::copy_from_slice(block))?;
        let payload = match block.body {
            Body::Genesis(genesis) => genesis.init,
            Body::Mutation(mutation) => mutation.payload,
            _ => return Ok(()),
        };
        operations += std::hint::black_box(ObjectMessage::decode(payload)?).operations.len();
        Ok(())
    })?;
    check(operations as u64 == source.messages, || format!("{operations} operations are there"))?;
    Ok(rate)
}

/// All blocks, in the order in which feeds hold them.
pub fn blocks(source: &Source) -> Result<Vec<Stored>, Failure> {
    let mut blocks = Vec::new();
    visit(source, &mut |feed, seq, block| {
        blocks.push((feed, seq, Bytes::copy_from_slice(block)));
        Ok(())
    })?;
    Ok(blocks)
}

/// Bytes of all payloads: what the application wanted to be kept.
pub fn payload_bytes(source: &Source) -> Result<u64, Failure> {
    let mut bytes = 0;
    visit(source, &mut |_, _, block| {
        bytes += match Block::decode(Bytes::copy_from_slice(block))?.body {
            Body::Genesis(genesis) => genesis.init.len() as u64,
            Body::Mutation(mutation) => mutation.payload.len() as u64,
            _ => 0,
        };
        Ok(())
    })?;
    Ok(bytes)
}

/// Hashes every block with BLAKE3.
pub fn hash(blocks: &[Stored]) -> Measured {
    let started = Instant::now();
    let mut all = [0; 32];
    for (_, _, block) in blocks {
        let hash = systole_proto::merkle::leaf_hash(block);
        all.iter_mut().zip(hash.as_bytes()).for_each(|(all, byte)| *all ^= byte);
    }
    let took = started.elapsed();
    check(all != [0; 32], || "no block was hashed".to_owned())?;
    Ok(per_second(blocks.len() as u64, took))
}

/// Writes every block to a fresh store, so many to a batch.
pub fn append(run: &Run, blocks: &[Stored], batch: usize, durability: Durability) -> Measured {
    let directory = run.directory()?;
    let store = Store::open(directory.path(), &Options::default())?;
    let started = Instant::now();
    for some in blocks.chunks(batch) {
        let mut batch = Batch::new();
        for (feed, seq, block) in some {
            store.feeds().put_block(&mut batch, *feed, *seq, block);
        }
        store.commit(batch, durability)?;
    }
    let took = started.elapsed();
    let last = blocks.last().ok_or("there is no block")?;
    let found = store.feeds().block(last.0, last.1)?;
    check(found.as_ref() == Some(&last.2), || "the last block is not stored".to_owned())?;
    Ok(per_second(blocks.len() as u64, took))
}

//! Processing stored blocks: feeds take turns, blocks are read ahead.

use std::ops::ControlFlow;
use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;
use systole_store::FeedNo;

use super::PartyCore;
use crate::Error;
use crate::party::state::Progress;
use crate::party::turn::Turn;
use crate::stages::Stage;

impl PartyCore {
    /// Processes stored blocks of the feeds whose turn it is, at most `blocks_max`. How many.
    ///
    /// # Errors
    /// The party has failed: what the turn holds must not be written.
    pub(crate) fn process(&mut self, blocks_max: usize, turn: &mut Turn) -> Result<usize, Error> {
        let mut blocks = 0;
        while blocks < blocks_max {
            let Some(feed) = self.state.next_ready(self.last_ready) else { break };
            self.last_ready = Some(feed);
            let processed = self.process_feed(feed, blocks_max - blocks, turn);
            blocks += self.failing(processed)?;
        }
        turn.processed += blocks;
        Ok(blocks)
    }

    /// Processes blocks of one feed until it waits, ends, or has had its share.
    fn process_feed(&mut self, feed: FeedNo, most: usize, turn: &mut Turn) -> Result<usize, Error> {
        let mut done = 0;
        while done < most {
            let position = self.state.feed(feed).expect("a ready feed is known");
            if position.processed >= position.length {
                break;
            }
            let (seq, length) = (position.processed, position.length);
            let block = self.block(feed, seq, length)?;
            match self.state.process(&mut self.host, feed, block, &mut turn.effects)? {
                Progress::Processed => done += 1,
                Progress::Waits { .. } => {
                    self.device.live.parked.fetch_add(1, Relaxed);
                    break;
                }
                Progress::NotAdmitted | Progress::Halted | Progress::Held => break,
            }
            self.read_ahead.used(feed, length - seq - 1);
        }
        Ok(done)
    }

    /// A stored block, read together with those after it.
    fn block(&mut self, feed: FeedNo, seq: u64, length: u64) -> Result<Bytes, Error> {
        let device = &self.device;
        let block = self.read_ahead.block(feed, seq, length, |range, chunk| {
            let mut watch = device.live.stages.watch();
            device.store.feeds().scan_blocks(feed, range.start, range.end, &mut |_, block| {
                if chunk.push(block) { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })?;
            device.live.read.fetch_add(chunk.len() as u64, Relaxed);
            watch.lap(Stage::Read, chunk.len() as u64);
            Ok(())
        })?;
        block.ok_or_else(|| Error::corrupt(format!("block {seq} of {feed} is missing")))
    }
}

//! Many items loaded at once: their logs and blocks are read together, in the order in which they lie
//! in the store.
//!
//! One item's messages lie scattered over the feeds, so an item that is loaded alone costs a search per
//! message. Items that are loaded together are brought forward side by side: each step reads the next
//! part of every log, and the blocks that these parts name lie close to each other, because all logs
//! follow one processing order. While one step is applied, the next one is read.
//!
//! Invariants:
//! - an item's messages are applied in the order of its log, whatever is loaded beside it;
//! - a record, a checkpoint or a block that is damaged fails its own item; what else cannot be read fails
//!   all of them, and whoever asked tries each by itself;
//! - at most three steps are held, each of bounded bytes.

mod applier;
mod reader;

use std::sync::mpsc::sync_channel;
use std::thread;

use bytes::Bytes;
use systole_store::{LogEntry, Store};

use self::applier::Applier;
use self::reader::Reader;
use super::load::Tail;
use crate::item::state::ItemState;
use crate::telemetry::Telemetry;
use crate::{Error, ErrorKind};

/// Name of the thread that applies what is read.
const THREAD_NAME: &str = "systole-apply";

/// Brings items of one party, which rise by their local names, forward to the message numbered `until`, or to the
/// ends of their logs.
pub(super) fn bring_forward(
    store: &Store,
    telemetry: &Telemetry,
    items: Vec<Result<ItemState, Error>>,
    until: u64,
) -> Vec<Result<(ItemState, Tail), Error>> {
    let keys = items.iter().flatten().map(|state| state.record.key);
    assert!(keys.is_sorted_by(|a, b| a < b), "items rise, each is there once");
    let mut reader = Reader::new(store, telemetry, &items, until);
    let mut applier = Applier::new(store, telemetry, items);
    match reader.step() {
        Ok(Some(step)) if reader.is_done() => drop(applier.take(Ok(step))),
        Ok(Some(step)) => {
            // A panic of either half is one of both, for the scope ends with both.
            thread::scope(|scope| {
                let (sender, steps) = sync_channel(1);
                let (done, used) = sync_channel(2);
                let applier = &mut applier;
                let apply = move || {
                    for step in steps {
                        // What cannot be given back is freed.
                        applier.take(step).map(|used| done.try_send(used));
                    }
                };
                let thread = thread::Builder::new().name(THREAD_NAME.to_owned());
                if let Err(error) = thread.spawn_scoped(scope, apply) {
                    let reason = "no thread could be started to load items";
                    return Err(Error::caused(ErrorKind::Unavailable, reason, error));
                }
                let mut next = Ok(Some(step));
                while let Some(step) = next.transpose() {
                    let failed = step.is_err();
                    if sender.send(step).is_err() || failed {
                        break;
                    }
                    used.try_iter().for_each(|step| reader.reuse(step));
                    next = reader.step();
                }
                Ok(())
            })
            .unwrap_or_else(|error| applier.fail(&error));
        }
        Ok(None) => {}
        Err(error) => applier.fail(&error),
    }
    applier.finish()
}

/// A part of the logs of some items, with the blocks that it names. Its memory is used again: what is
/// taken from the system and given back for every step costs as much as reading does.
#[derive(Default)]
struct Step {
    /// Messages in the order of their blocks, each with the place of its item.
    messages: Vec<(u32, LogEntry)>,
    /// Their blocks, one behind the other.
    bytes: Bytes,
    /// Where the block of each position ends; 0 where it is missing.
    ends: Vec<usize>,
}

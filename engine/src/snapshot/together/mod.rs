//! Many items loaded at once: their logs and blocks are read together, in the order in which they lie
//! in the store.
//!
//! One item's messages lie scattered over the feeds, so an item that is loaded alone costs a search per
//! message. Items that are loaded together are brought forward side by side: each step reads the next
//! part of every log, and the blocks that these parts name lie close to each other, because all logs
//! follow one processing order. While one step is applied, the next one is read, if somebody waits for the items.
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
use crate::Error;
use crate::item::state::ItemState;
use crate::telemetry::Telemetry;

/// Name of the thread that applies what is read.
const THREAD_NAME: &str = "systole-apply";

/// Whether somebody waits for items that are loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Awaited {
    /// One step is read while another is applied.
    Yes,
    /// One thread does both: that takes longer, less memory, and no second core from others.
    No,
}

/// Brings items of one party, which rise by their local names, forward to the message numbered `until`, or to the
/// ends of their logs.
pub(super) fn bring_forward(
    store: &Store,
    telemetry: &Telemetry,
    items: Vec<Result<ItemState, Error>>,
    until: u64,
    awaited: Awaited,
) -> Vec<Result<(ItemState, Tail), Error>> {
    let keys = items.iter().flatten().map(|state| state.record.key);
    assert!(keys.is_sorted_by(|a, b| a < b), "items rise, each is there once");
    let mut reader = Reader::new(store, telemetry, &items, until, awaited);
    let mut applier = Applier::new(store, telemetry, items);
    let mut next = reader.step();
    if awaited == Awaited::Yes && !reader.is_done() {
        next = side_by_side(&mut reader, &mut applier, next);
    }
    while let Some(step) = next.transpose() {
        let failed = step.is_err();
        if let Some(used) = applier.take(step) {
            reader.reuse(used);
        }
        if failed {
            break;
        }
        next = reader.step();
    }
    applier.finish()
}

/// Applies steps on a thread of their own while the next ones are read, from `next` on; what is left to be
/// done here, where no thread can be started.
fn side_by_side(
    reader: &mut Reader<'_>,
    applier: &mut Applier<'_>,
    mut next: Result<Option<Step>, Error>,
) -> Result<Option<Step>, Error> {
    // A panic of either half is one of both, for the scope ends with both.
    thread::scope(|scope| {
        let (sender, steps) = sync_channel(1);
        let (done, used) = sync_channel(2);
        let apply = move || {
            for step in steps {
                // What cannot be given back is freed.
                applier.take(step).map(|used| done.try_send(used));
            }
        };
        let thread = thread::Builder::new().name(THREAD_NAME.to_owned());
        if let Err(error) = thread.spawn_scoped(scope, apply) {
            tracing::debug!(%error, "items are loaded on one thread");
            return next;
        }
        while let Some(step) = next.transpose() {
            let failed = step.is_err();
            if sender.send(step).is_err() || failed {
                break;
            }
            used.try_iter().for_each(|step| reader.reuse(step));
            next = reader.step();
        }
        Ok(None)
    })
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

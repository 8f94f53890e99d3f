//! The messages of an item in the order they were processed: what hydration reads instead of feeds.
//!
//! A batch's messages for an item are one key, (item, first ordinal), with a delta-coded chunk: keys
//! at random positions are the dearest part of ingest, so there is one per item and batch, not one
//! per message.
//!
//! Invariants:
//! - ordinals begin at 1 and ascend within an item, over all its chunks;
//! - a chunk is complete in itself: its first entry is coded against zero.
//!
//! A model with total order will need its messages by (Lamport, feed key, seq) as well. Such a log lies
//! beside this one under the kind byte reserved in `keys.rs`, key (item, Lamport, feed key, seq), in
//! the same family; chunks here stay as they are and the engine reads whichever the model's order
//! asks for.

use std::ops::ControlFlow;

use systole_proto::Stamp;

use crate::backend::Caching;
use crate::batch::Batch;
use crate::error::Error;
use crate::family::Family;
use crate::items::ItemStore;
use crate::keys::{self, Kind, Range};
use crate::numbers::{FeedNo, ItemKey};
use crate::record::{Decoder, Encoder, Malformed};

/// One message of an item: where it stands, and what its origin is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogEntry {
    /// The party's processing number of the message.
    pub ordinal: u64,
    /// The feed that holds it.
    pub feed: FeedNo,
    /// Its position there.
    pub seq: u64,
    /// Its Lamport number.
    pub lamport: u64,
    /// Its author's stamp.
    pub stamp: Stamp,
    /// The time that its author gave for a backdated fact, in milliseconds since the Unix epoch.
    pub effective_at: Option<i64>,
    /// Whom it is for: 0 is the model, 1 the metadata.
    pub label: u32,
}

const VERSION: u8 = 1;

/// What an entry does not repeat from the entry before it.
mod flag {
    pub(super) const SAME_FEED: u8 = 1;
    pub(super) const NEXT_ORDINAL: u8 = 1 << 1;
    pub(super) const NEXT_SEQ: u8 = 1 << 2;
    pub(super) const NEXT_LAMPORT: u8 = 1 << 3;
    pub(super) const LOGICAL: u8 = 1 << 4;
    pub(super) const EFFECTIVE_AT: u8 = 1 << 5;
    pub(super) const LABEL: u8 = 1 << 6;
    pub(super) const ALL: u8 = (1 << 7) - 1;
}

/// The flags and the difference of stamps.
const ENTRY_BYTES_MIN: usize = 2;

impl ItemStore<'_> {
    /// Stores messages of an item, in processing order, behind all that its log holds.
    pub fn put_log(&self, batch: &mut Batch, item: ItemKey, entries: &[LogEntry]) {
        let Some(first) = entries.first() else { return };
        assert!(first.ordinal > 0, "ordinals begin at 1");
        let key = keys::processing_log(item, first.ordinal);
        batch.put_with(Family::Log, &key, |out| encode(out, entries));
    }

    /// Visits the item's messages with an ordinal above `after_ordinal`, in order.
    pub fn scan_log(
        &self,
        item: ItemKey,
        after_ordinal: u64,
        visit: &mut dyn FnMut(LogEntry) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        let mut range = Range::prefix(&keys::per_item(Kind::ProcessingLog, item));
        // The chunk that begins at or before the position may reach beyond it.
        if after_ordinal > 0 {
            let position = keys::after_prefix(&keys::processing_log(item, after_ordinal));
            if let Some((key, _)) =
                self.store.backend().last_in(Family::Log, &range.from, &position)?
            {
                range.from = key;
            }
        }
        let mut failure = None;
        self.store.backend().scan(Family::Log, &range.from, &range.to, &mut |key, value| {
            let mut flow = ControlFlow::Continue(());
            let decoded = decode(key, value, &mut |entry| {
                if entry.ordinal > after_ordinal && flow.is_continue() {
                    flow = visit(entry);
                }
                flow
            });
            if let Err(malformed) = decoded {
                failure = Some(Error::corrupt(Family::Log, key, malformed.0));
                return ControlFlow::Break(());
            }
            flow
        })?;
        failure.map_or(Ok(()), Err)
    }

    /// Number of the first message of the chunk in which the item's messages above `after_ordinal` begin,
    /// or a lower one.
    pub fn log_start(&self, item: ItemKey, after_ordinal: u64) -> Result<u64, Error> {
        if after_ordinal == 0 {
            return Ok(0);
        }
        let from = keys::per_item(Kind::ProcessingLog, item);
        let to = keys::after_prefix(&keys::processing_log(item, after_ordinal));
        let chunk = self.store.backend().last_in(Family::Log, &from, &to)?;
        Ok(chunk.and_then(|(key, _)| keys::last_u64(&key)).unwrap_or(after_ordinal))
    }

    /// Visits the chunks of several items' logs, from the chunk that begins at the given number or the
    /// next one on; the items rise. A visitor is told the item's place in `items`, and ends that item's
    /// visit by breaking.
    pub fn scan_logs(
        &self,
        items: &[(ItemKey, u64)],
        caching: Caching,
        visit: &mut dyn FnMut(usize, &[LogEntry]) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        let ends: Vec<_> = items
            .iter()
            .map(|(item, from)| {
                let end = keys::after_prefix(&keys::per_item(Kind::ProcessingLog, *item));
                (keys::processing_log(*item, *from), end)
            })
            .collect();
        let ranges: Vec<_> = ends.iter().map(|(from, to)| (&from[..], &to[..])).collect();
        let (mut chunk, mut failure) = (Vec::new(), None);
        self.store.backend().scan_ranges(
            Family::Log,
            &ranges,
            caching,
            &mut |at, key, value| {
                chunk.clear();
                let decoded = decode(key, value, &mut |entry| {
                    chunk.push(entry);
                    ControlFlow::Continue(())
                });
                match decoded {
                    Ok(()) if failure.is_none() => visit(at, &chunk),
                    Ok(()) => ControlFlow::Break(()),
                    Err(malformed) => {
                        failure.get_or_insert(Error::corrupt(Family::Log, key, malformed.0));
                        ControlFlow::Break(())
                    }
                }
            },
        )?;
        failure.map_or(Ok(()), Err)
    }
}

fn encode(out: &mut Vec<u8>, entries: &[LogEntry]) {
    let mut encoder = Encoder::new(out, VERSION);
    encoder.number(entries.len() as u64);
    let mut before = LogEntry::default();
    for (at, entry) in entries.iter().enumerate() {
        assert!(entry.ordinal > before.ordinal, "ordinals ascend");
        // The key tells the first ordinal.
        let ordinal_delta = if at == 0 { 1 } else { entry.ordinal - before.ordinal };
        let seq_delta = entry.seq.wrapping_sub(before.seq);
        let lamport_delta = entry.lamport.wrapping_sub(before.lamport);
        let set = |condition, flag| if condition { flag } else { 0 };
        let flags = set(entry.feed == before.feed, flag::SAME_FEED)
            | set(ordinal_delta == 1, flag::NEXT_ORDINAL)
            | set(seq_delta == 1, flag::NEXT_SEQ)
            | set(lamport_delta == 1, flag::NEXT_LAMPORT)
            | set(entry.stamp.logical != 0, flag::LOGICAL)
            | set(entry.effective_at.is_some(), flag::EFFECTIVE_AT)
            | set(entry.label != 0, flag::LABEL);
        encoder.byte(flags);
        if flags & flag::NEXT_ORDINAL == 0 {
            encoder.number(ordinal_delta);
        }
        if flags & flag::SAME_FEED == 0 {
            encoder.number(entry.feed.0.into());
        }
        if flags & flag::NEXT_SEQ == 0 {
            encoder.signed(seq_delta as i64);
        }
        if flags & flag::NEXT_LAMPORT == 0 {
            encoder.signed(lamport_delta as i64);
        }
        encoder.signed(entry.stamp.millis.wrapping_sub(before.stamp.millis) as i64);
        if flags & flag::LOGICAL != 0 {
            encoder.number(entry.stamp.logical.into());
        }
        if let Some(effective_at) = entry.effective_at {
            // Backdated facts lie near the time they are written.
            encoder.signed(effective_at.wrapping_sub(entry.stamp.millis as i64));
        }
        if flags & flag::LABEL != 0 {
            encoder.number(entry.label.into());
        }
        before = *entry;
    }
}

fn decode(
    key: &[u8],
    value: &[u8],
    visit: &mut dyn FnMut(LogEntry) -> ControlFlow<()>,
) -> Result<(), Malformed> {
    let first = keys::last_u64(key).ok_or(Malformed("short key"))?;
    let mut decoder = Decoder::new(value, VERSION)?;
    let count = decoder.count(ENTRY_BYTES_MIN)?;
    let mut before = LogEntry {
        ordinal: first.checked_sub(1).ok_or(Malformed("ordinal 0"))?,
        ..LogEntry::default()
    };
    for _ in 0..count {
        before = decode_entry(&mut decoder, &before)?;
        if visit(before).is_break() {
            return Ok(());
        }
    }
    decoder.finish()
}

fn decode_entry(decoder: &mut Decoder<'_>, before: &LogEntry) -> Result<LogEntry, Malformed> {
    let flags = decoder.byte()?;
    if flags & !flag::ALL != 0 {
        return Err(Malformed("unknown flag"));
    }
    let has = |flag| flags & flag != 0;
    let ordinal_delta = if has(flag::NEXT_ORDINAL) { 1 } else { decoder.number()? };
    let ordinal = before.ordinal.checked_add(ordinal_delta).filter(|_| ordinal_delta > 0);
    let ordinal = ordinal.ok_or(Malformed("ordinals do not ascend"))?;
    let feed = if has(flag::SAME_FEED) { before.feed } else { FeedNo(decoder.number_u32()?) };
    let seq_delta = if has(flag::NEXT_SEQ) { 1 } else { decoder.signed()? };
    let lamport_delta = if has(flag::NEXT_LAMPORT) { 1 } else { decoder.signed()? };
    let millis = before.stamp.millis.wrapping_add(decoder.signed()? as u64);
    let logical = if has(flag::LOGICAL) { decoder.number_u16()? } else { 0 };
    let effective_at = if has(flag::EFFECTIVE_AT) {
        Some(decoder.signed()?.wrapping_add(millis as i64))
    } else {
        None
    };
    let label = if has(flag::LABEL) { decoder.number_u32()? } else { 0 };
    Ok(LogEntry {
        ordinal,
        feed,
        seq: before.seq.wrapping_add(seq_delta as u64),
        lamport: before.lamport.wrapping_add(lamport_delta as u64),
        stamp: Stamp { millis, logical },
        effective_at,
        label,
    })
}

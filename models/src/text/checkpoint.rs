//! The bytes of a text's checkpoint: our tables, then the library's snapshot, behind a checksum.
//!
//! Layout: format byte · number of feeds · per feed its key, peer, length and tables · length of
//! the text · repeats · snapshot · BLAKE3 of all before. Numbers are LEB128, rising ones written as
//! differences.
//!
//! Invariant: bytes whose checksum does not match are refused before anything else reads them.
//! Behind it stand bytes of our own, still every number is checked: no table is accepted that the
//! code over it could trip on.

use systole_proto::FeedKey;
use systole_proto::limits::FEED_LENGTH_MAX;

use super::columns::{EndRun, Ends, Kinds, Sight, Sights, Steps};
use super::history::{History, Repeats, Track};
use super::wire::{put, take};

const FORMAT: u8 = 1;
const CHECKSUM_BYTES: usize = 32;
/// No feed's counter comes near it; sums of two fit.
const COUNTER_MAX: i32 = i32::MAX / 2;

/// What stands in a checkpoint beside the snapshot.
pub(super) struct Header {
    pub(super) history: History,
    pub(super) length: u64,
    pub(super) repeats: u64,
}

/// Writes a checkpoint.
pub(super) fn encode(history: &History, length: u64, repeats: u64, snapshot: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(snapshot.len() + snapshot.len() / 4 + 64);
    out.push(FORMAT);
    put(&mut out, history.tracks.len() as u64);
    for track in &history.tracks {
        out.extend_from_slice(track.feed.as_bytes());
        out.extend_from_slice(&track.peer.to_be_bytes());
        put(&mut out, track.length);
        put_ends(&mut out, &track.ends);
        put_kinds(&mut out, &track.kinds);
        put_steps(&mut out, &track.repeats, |out, value| {
            put(out, value.at_least << 1 | u64::from(value.vague));
        });
        put_seen(&mut out, &track.seen);
    }
    put(&mut out, length);
    put(&mut out, repeats);
    out.extend_from_slice(snapshot);
    let checksum = blake3::hash(&out);
    out.extend_from_slice(checksum.as_bytes());
    out
}

/// Reads a checkpoint: the tables, and the snapshot that follows them.
pub(super) fn decode(bytes: &[u8]) -> Result<(Header, &[u8]), &'static str> {
    let body = bytes.len().checked_sub(CHECKSUM_BYTES).ok_or("too short")?;
    let (body, checksum) = bytes.split_at(body);
    if blake3::hash(body).as_bytes() != checksum {
        return Err("checksum does not match");
    }
    let mut reader = Reader(body);
    if reader.bytes::<1>()? != [FORMAT] {
        return Err("format is unknown");
    }
    let count = reader.count()?;
    let tracks = (0..count).map(|_| reader.track()).collect::<Result<Vec<_>, _>>()?;
    let history = History::from_tracks(tracks)?;
    let header = Header { history, length: reader.number()?, repeats: reader.number()? };
    Ok((header, reader.0))
}

fn put_ends(out: &mut Vec<u8>, ends: &Ends) {
    put(out, ends.runs.len() as u64);
    let (mut seq, mut end) = (0, 0);
    for run in &ends.runs {
        put(out, run.seq - seq);
        put(out, (run.end - end) as u64);
        put(out, u64::from(run.count - 1));
        if run.count > 1 {
            put(out, run.seq_step);
            put(out, run.end_step as u64);
        }
        (seq, end) = run.last();
    }
}

fn put_kinds(out: &mut Vec<u8>, kinds: &Kinds) {
    // Kinds alternate, so the first one says all.
    put(out, kinds.runs.len() as u64);
    let Some(first) = kinds.runs.first() else { return };
    out.push(u8::from(first.inserts));
    let mut start = 0;
    for run in &kinds.runs[1..] {
        put(out, (run.start - start) as u64);
        start = run.start;
    }
}

fn put_steps<T: Copy>(out: &mut Vec<u8>, steps: &Steps<T>, mut value: impl FnMut(&mut Vec<u8>, T)) {
    put(out, steps.steps.len() as u64);
    let mut start = 0;
    for step in &steps.steps {
        put(out, (step.0 - start) as u64);
        value(out, step.1);
        start = step.0;
    }
}

fn put_seen(out: &mut Vec<u8>, seen: &Sights) {
    put(out, seen.rows.len() as u64);
    let mut last = Sight { track: 0, start: 0, end: 0 };
    for row in &seen.rows {
        put(out, u64::from(row.track - last.track));
        if row.track != last.track {
            (last.start, last.end) = (0, 0);
        }
        put(out, (row.start - last.start) as u64);
        put(out, (row.end - last.end) as u64);
        last = *row;
    }
}

/// What is left to read.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], &'static str> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or("cut off")?;
        self.0 = rest;
        Ok(*bytes)
    }

    fn number(&mut self) -> Result<u64, &'static str> {
        take(&mut self.0).ok_or("number cut off")
    }

    fn narrow(&mut self) -> Result<u32, &'static str> {
        u32::try_from(self.number()?).map_err(|_| "number out of range")
    }

    /// The sum of `base` and a number; both are counters.
    fn counter(&mut self, base: i32) -> Result<i32, &'static str> {
        let step = i32::try_from(self.number()?).map_err(|_| "counter out of range")?;
        base.checked_add(step).filter(|&sum| sum <= COUNTER_MAX).ok_or("counter out of range")
    }

    /// A number of elements, each of which takes a byte at least.
    fn count(&mut self) -> Result<usize, &'static str> {
        let count = usize::try_from(self.number()?).map_err(|_| "count out of range")?;
        if count > self.0.len() { Err("count exceeds the bytes") } else { Ok(count) }
    }

    fn track(&mut self) -> Result<Track, &'static str> {
        let feed = FeedKey::from_bytes(&self.bytes::<32>()?).map_err(|_| "feed key is wrong")?;
        let peer = u64::from_be_bytes(self.bytes()?);
        let length = self.number()?;
        let ends = self.ends()?;
        if ends.runs.last().is_some_and(|run| run.last().0 >= length) {
            return Err("message lies past the feed's end");
        }
        let kinds = self.kinds(ends.last())?;
        let repeats = self.steps(ends.last(), |reader| {
            let number = reader.number()?;
            Ok(Repeats { at_least: number >> 1, vague: number & 1 == 1 })
        })?;
        let seen = self.seen(ends.last())?;
        Ok(Track::new(feed, peer, length, (ends, kinds, repeats), seen))
    }

    fn seen(&mut self, end: i32) -> Result<Sights, &'static str> {
        let mut seen = Sights::default();
        let mut last = Sight { track: 0, start: 0, end: 0 };
        for _ in 0..self.count()? {
            let step = self.narrow()?;
            let mut row = last;
            if step > 0 {
                let track = last.track.checked_add(step).ok_or("feed out of range")?;
                row = Sight { track, start: 0, end: 0 };
            }
            row = Sight {
                track: row.track,
                start: self.counter(row.start)?,
                end: self.rising(row.end)?,
            };
            let first = seen.rows.is_empty() || step > 0;
            if row.start >= end || (!first && row.start == last.start) {
                return Err("sight out of place");
            }
            seen.rows.push(row);
            last = row;
        }
        Ok(seen)
    }

    fn ends(&mut self) -> Result<Ends, &'static str> {
        let mut ends = Ends::default();
        let (mut seq, mut end) = (None, 0);
        for _ in 0..self.count()? {
            let first = (self.position(seq)?, self.rising(end)?);
            let mut run = EndRun { seq: first.0, end: first.1, count: 1, seq_step: 1, end_step: 0 };
            let more = self.narrow()?;
            if more > 0 {
                run.count = more.checked_add(1).ok_or("count out of range")?;
                (run.seq_step, run.end_step) = (self.position(None)?, self.rising(0)?);
            }
            let far = u128::from(run.seq_step) * u128::from(more) + u128::from(run.seq);
            let high = i64::from(run.end_step) * i64::from(more) + i64::from(run.end);
            if run.seq_step == 0
                || far > u128::from(FEED_LENGTH_MAX)
                || high > i64::from(COUNTER_MAX)
            {
                return Err("messages out of range");
            }
            ends.runs.push(run);
            let last = run.last();
            (seq, end) = (Some(last.0), last.1);
        }
        Ok(ends)
    }

    fn kinds(&mut self, end: i32) -> Result<Kinds, &'static str> {
        let mut kinds = Kinds::default();
        let count = self.count()?;
        if count == 0 {
            return if end == 0 { Ok(kinds) } else { Err("kinds are missing") };
        }
        let [first] = self.bytes()?;
        let mut inserts = first != 0;
        kinds.push(0, inserts);
        let mut start = 0;
        for _ in 1..count {
            start = self.rising(start)?;
            inserts = !inserts;
            kinds.push(start, inserts);
        }
        if start < end { Ok(kinds) } else { Err("kinds lie past the counter") }
    }

    fn steps<T>(
        &mut self,
        end: i32,
        mut value: impl FnMut(&mut Self) -> Result<T, &'static str>,
    ) -> Result<Steps<T>, &'static str> {
        let mut steps = Steps { steps: Vec::new() };
        let mut start = 0;
        for index in 0..self.count()? {
            // The first step may stand at number 0; the others rise.
            start = if index == 0 { self.counter(0)? } else { self.rising(start)? };
            steps.steps.push((start, value(self)?));
        }
        if steps.steps.is_empty() || start < end { Ok(steps) } else { Err("step past the counter") }
    }

    /// The position `number` behind `last`, which is a new one.
    fn position(&mut self, last: Option<u64>) -> Result<u64, &'static str> {
        let number = self.number()?;
        let rises = last.is_none() || number > 0;
        let position = last.unwrap_or(0).checked_add(number).filter(|_| rises);
        position.filter(|&position| position <= FEED_LENGTH_MAX).ok_or("position out of range")
    }

    /// A counter above `base`.
    fn rising(&mut self, base: i32) -> Result<i32, &'static str> {
        self.counter(base)
            .and_then(|sum| if sum > base { Ok(sum) } else { Err("counter does not rise") })
    }
}

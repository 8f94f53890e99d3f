//! `Timeframe`: how far each feed is known; a vector clock over feeds.
//!
//! Invariants: entries rise by feed key, no key twice, no length 0 (a feed that is absent has
//! length 0). So two timeframes that mean the same are equal and have the same bytes.

use std::fmt;

use crate::error::DecodeError;
use crate::ids::FeedKey;
use crate::limits::{TIMEFRAME_BYTES_MAX, TIMEFRAME_FEEDS_MAX};
use crate::varint;

const VERSION: u8 = 1;
const WHAT: &str = "timeframe";

/// Per feed the length that is known: length L covers blocks 0 to L-1.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Timeframe {
    entries: Vec<(FeedKey, u64)>,
}

impl Timeframe {
    /// The timeframe that knows nothing.
    pub const fn new() -> Self {
        Self { entries: Vec::new() }
    }

    /// Sets the length of `feed`, also downwards; 0 forgets the feed.
    pub fn set(&mut self, feed: FeedKey, length: u64) {
        match (self.position(&feed), length) {
            (Ok(at), 0) => drop(self.entries.remove(at)),
            (Ok(at), _) => self.entries[at].1 = length,
            (Err(_), 0) => {}
            (Err(at), _) => self.entries.insert(at, (feed, length)),
        }
    }

    /// Raises the length of `feed` to at least `length`; tells whether that changed anything.
    pub fn advance_to(&mut self, feed: FeedKey, length: u64) -> bool {
        match self.position(&feed) {
            Ok(at) if self.entries[at].1 < length => self.entries[at].1 = length,
            Err(at) if length > 0 => self.entries.insert(at, (feed, length)),
            _ => return false,
        }
        true
    }

    /// Raises every feed to what `other` knows; tells whether that changed anything.
    pub fn merge(&mut self, other: &Self) -> bool {
        let mut changed = false;
        let mut missing = Vec::new();
        let mut at = 0;
        for &(feed, length) in &other.entries {
            match self.seek(at, &feed) {
                Ok(found) => {
                    if self.entries[found].1 < length {
                        self.entries[found].1 = length;
                        changed = true;
                    }
                    at = found + 1;
                }
                Err(place) => {
                    missing.push((feed, length));
                    at = place;
                }
            }
        }
        if !missing.is_empty() {
            changed = true;
            self.entries.append(&mut missing);
            // Two sorted runs: the stable sort finds and merges them in linear time.
            self.entries.sort_by_key(|entry| entry.0);
        }
        changed
    }

    /// The length known of `feed`, 0 if none.
    pub fn length(&self, feed: &FeedKey) -> u64 {
        self.position(feed).map_or(0, |at| self.entries[at].1)
    }

    /// Whether block `seq` of `feed` is known.
    pub fn contains(&self, feed: &FeedKey, seq: u64) -> bool {
        self.length(feed) > seq
    }

    /// Whether everything that `other` knows is known here.
    pub fn covers(&self, other: &Self) -> bool {
        self.gaps(other).next().is_none()
    }

    /// The feeds of which `other` knows more: (feed, length known here, length known there), by
    /// rising key.
    pub fn gaps<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = (FeedKey, u64, u64)> + 'a {
        let mut at = 0;
        other.entries.iter().filter_map(move |&(feed, want)| {
            let found = self.seek(at, &feed);
            at = found.map_or_else(|place| place, |found| found + 1);
            let have = found.map_or(0, |found| self.entries[found].1);
            (have < want).then_some((feed, have, want))
        })
    }

    /// Feeds with their lengths, by rising key.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (FeedKey, u64)> + DoubleEndedIterator + '_ {
        self.entries.iter().copied()
    }

    /// Number of feeds.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no feed is known.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The bytes that [`Timeframe::decode`] reads: version, count, then per feed its key and
    /// length.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(4 + self.entries.len() * 36);
        out.push(VERSION);
        write_entries(&self.entries, &mut out);
        out
    }

    /// The timeframe in `bytes`, which must be exactly what [`Timeframe::encode`] writes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut rest = open(bytes)?;
        let entries = read_entries(&mut rest)?;
        finish(rest)?;
        Ok(Self { entries })
    }

    /// What this timeframe knows beyond `base`: feeds of `base` by their place in it and how much
    /// they rose, other feeds by key. Lengths below those of `base` are left out.
    pub fn delta_since(&self, base: &Self) -> Vec<u8> {
        let mut raised = Vec::new();
        let mut added = Vec::new();
        for (feed, have, want) in base.gaps(self) {
            match base.position(&feed) {
                Ok(at) => raised.push((at as u64, want - have)),
                Err(_) => added.push((feed, want)),
            }
        }
        let mut out = vec![VERSION];
        varint::write(raised.len() as u64, &mut out);
        let mut next = 0;
        for (at, rise) in raised {
            varint::write(at - next, &mut out);
            varint::write(rise, &mut out);
            next = at + 1;
        }
        write_entries(&added, &mut out);
        out
    }

    /// Adds what [`Timeframe::delta_since`] wrote against a timeframe equal to this one. With
    /// another base the result is wrong or refused; on an error nothing changes.
    pub fn apply_delta(&mut self, bytes: &[u8]) -> Result<(), DecodeError> {
        let mut rest = open(bytes)?;
        let count = varint::read(&mut rest, WHAT)?;
        if count > self.entries.len() as u64 {
            return Err(DecodeError::OutOfRange {
                what: "raised feeds of a timeframe",
                found: count,
            });
        }
        // Bounded by the entries this timeframe already holds.
        let mut raised = Vec::with_capacity(count as usize);
        let mut next = 0u64;
        for _ in 0..count {
            let skip = varint::read(&mut rest, WHAT)?;
            let rise = varint::read(&mut rest, WHAT)?;
            let at = next.checked_add(skip).filter(|&at| at < self.entries.len() as u64);
            let at =
                at.ok_or(DecodeError::OutOfRange { what: "place in a timeframe", found: skip })?;
            let raise = self.entries[at as usize].1.checked_add(rise).filter(|_| rise > 0);
            let length =
                raise.ok_or(DecodeError::OutOfRange { what: "rise of a length", found: rise })?;
            raised.push((at as usize, length));
            next = at + 1;
        }
        let added = read_entries(&mut rest)?;
        finish(rest)?;
        if added.iter().any(|(feed, _)| self.position(feed).is_ok()) {
            return Err(DecodeError::Repeated { what: "feed of a timeframe" });
        }
        check_count((self.entries.len() + added.len()) as u64)?;
        for (at, length) in raised {
            self.entries[at].1 = length;
        }
        self.merge(&Self { entries: added });
        Ok(())
    }

    /// Like [`Self::position`] when `feed` cannot stand before `from`. Walking along a timeframe of the
    /// same feeds takes one comparison each; a short one over a long one takes a search each.
    fn seek(&self, from: usize, feed: &FeedKey) -> Result<usize, usize> {
        if self.entries.get(from).is_some_and(|entry| entry.0 == *feed) {
            return Ok(from);
        }
        let found = self.entries[from..].binary_search_by(|entry| entry.0.cmp(feed));
        found.map(|offset| from + offset).map_err(|offset| from + offset)
    }

    fn position(&self, feed: &FeedKey) -> Result<usize, usize> {
        self.entries.binary_search_by(|entry| entry.0.cmp(feed))
    }
}

impl fmt::Debug for Timeframe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl FromIterator<(FeedKey, u64)> for Timeframe {
    fn from_iter<I: IntoIterator<Item = (FeedKey, u64)>>(entries: I) -> Self {
        let mut timeframe = Self::new();
        timeframe.extend(entries);
        timeframe
    }
}

impl Extend<(FeedKey, u64)> for Timeframe {
    fn extend<I: IntoIterator<Item = (FeedKey, u64)>>(&mut self, entries: I) {
        for (feed, length) in entries {
            self.advance_to(feed, length);
        }
    }
}

fn open(bytes: &[u8]) -> Result<&[u8], DecodeError> {
    if bytes.len() > TIMEFRAME_BYTES_MAX {
        let bytes = bytes.len();
        return Err(DecodeError::TooLong { what: WHAT, bytes, bytes_max: TIMEFRAME_BYTES_MAX });
    }
    match bytes.split_first() {
        None => Err(DecodeError::Empty { what: WHAT }),
        Some((&VERSION, rest)) => Ok(rest),
        Some((&found, _)) => Err(DecodeError::Version { found, supported: VERSION }),
    }
}

fn write_entries(entries: &[(FeedKey, u64)], out: &mut Vec<u8>) {
    varint::write(entries.len() as u64, out);
    for (feed, length) in entries {
        out.extend_from_slice(feed.as_bytes());
        varint::write(*length, out);
    }
}

fn read_entries(rest: &mut &[u8]) -> Result<Vec<(FeedKey, u64)>, DecodeError> {
    let count = varint::read(rest, WHAT)?;
    check_count(count)?;
    // A feed takes at least 33 bytes, so a count that lies cannot reserve much more than it sent.
    let mut entries = Vec::<(FeedKey, u64)>::with_capacity((count as usize).min(rest.len() / 33));
    for _ in 0..count {
        let Some((key, after)) = rest.split_at_checked(FeedKey::BYTES) else {
            return Err(DecodeError::Malformed {
                what: WHAT,
                reason: "feed key cut off".to_owned(),
            });
        };
        *rest = after;
        let feed = FeedKey::from_bytes(key)?;
        if entries.last().is_some_and(|last| last.0 >= feed) {
            return Err(DecodeError::Unsorted { what: "feeds of a timeframe" });
        }
        let length = varint::read(rest, WHAT)?;
        if length == 0 {
            return Err(DecodeError::OutOfRange { what: "length in a timeframe", found: 0 });
        }
        entries.push((feed, length));
    }
    Ok(entries)
}

fn check_count(count: u64) -> Result<(), DecodeError> {
    if count > TIMEFRAME_FEEDS_MAX as u64 {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        return Err(DecodeError::TooMany {
            what: "feeds of a timeframe",
            count,
            count_max: TIMEFRAME_FEEDS_MAX,
        });
    }
    Ok(())
}

fn finish(rest: &[u8]) -> Result<(), DecodeError> {
    if rest.is_empty() {
        return Ok(());
    }
    Err(DecodeError::Malformed {
        what: WHAT,
        reason: format!("{} bytes behind its end", rest.len()),
    })
}

//! The causal graph of one text: what each feed did, and what each message had seen of the others.
//!
//! From it come, for every message, the parts that its author does not send: counter, dependencies,
//! and the length of the text the author saw. Everything is a function of the message and its
//! causal past, so every replica derives the same.
//!
//! **Length of an author's text.** It is what was inserted in the author's past, less what was
//! deleted there, plus *repeats*: deletes of code points that another feed deleted as well, unseen.
//! Inserts and deletes are counted by the tables. Repeats are only known of the text as a whole, so
//! each version carries a lower bound: that of its dependencies. Usually that bound meets the
//! number known of the whole and is exact; [`Place`] says so.
//!
//! Invariants: `tracks` only grows; counters stay far below `i32::MAX` because inserts are bounded
//! by [`TEXT_CHARS_MAX`] and along one feed nothing is deleted twice.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use systole_proto::FeedKey;

use crate::past::CausalPast;

use super::columns::{Ends, Kinds, Sights, Steps};
use super::peers::Peers;
use crate::Origin;

/// Code points that all messages in one causal past may have inserted together, deleted ones
/// included.
pub const TEXT_CHARS_MAX: usize = 1 << 28;

/// One feed's part in the text.
#[derive(Clone, Debug)]
pub(super) struct Track {
    pub(super) feed: FeedKey,
    pub(super) peer: u64,
    /// Messages at positions below this were applied or refused.
    pub(super) length: u64,
    pub(super) ends: Ends,
    pub(super) kinds: Kinds,
    /// From which own number on how many repeats are known, and whether exactly.
    pub(super) repeats: Steps<Repeats>,
    pub(super) seen: Sights,
    tip: Tip,
}

/// What a feed's last op has behind it; a cache over the other fields.
#[derive(Clone, Debug, Default)]
struct Tip {
    /// Numbers of all feeds, its own included.
    total: Total,
    /// The past that `seen` is known to hold; later pasts are compared to it.
    past: Option<CausalPast>,
}

/// Deletes of what another feed deleted as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Repeats {
    pub(super) at_least: u64,
    /// Whether there may be more.
    pub(super) vague: bool,
}

/// Sums over a version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Total {
    pub(super) inserted: i64,
    pub(super) deleted: i64,
}

impl Total {
    /// Code points ever inserted or deleted.
    pub(super) const fn numbers(&self) -> i64 {
        self.inserted + self.deleted
    }

    fn add(&mut self, other: Self) {
        self.inserted += other.inserted;
        self.deleted += other.deleted;
    }
}

/// A version's end in one track: its numbers below `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reach {
    pub(super) track: usize,
    pub(super) end: i32,
}

/// Where a message stands in the causal graph.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) track: usize,
    /// The author's counter before the message.
    pub(super) start: i32,
    /// The latest messages in its past, none of them in the past of another.
    pub(super) deps: Vec<Reach>,
    /// What the author saw of other feeds since its own message before.
    advanced: Vec<Reach>,
    /// What happened in the message's past.
    pub(super) total: Total,
    pub(super) repeats: Repeats,
    /// Whether nothing that was applied is missing from the message's past.
    pub(super) sees_all: bool,
}

impl Place {
    /// Length of the author's text, at least.
    pub(super) const fn length(&self) -> i64 {
        self.total.inserted - self.total.deleted + self.repeats.at_least as i64
    }
}

/// All feeds that wrote to a text.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    pub(super) tracks: Vec<Track>,
    by_feed: BTreeMap<FeedKey, usize>,
    peers: Peers,
    pub(super) total: Total,
}

impl History {
    /// The track of `feed`; made if this is its first message.
    pub(super) fn track_of(&mut self, feed: FeedKey) -> usize {
        if let Some(&track) = self.by_feed.get(&feed) {
            return track;
        }
        let peer = self.peers.assign(&feed);
        self.adopt(Track {
            feed,
            peer,
            length: 0,
            ends: Ends::default(),
            kinds: Kinds::default(),
            repeats: Steps::default(),
            seen: Sights::default(),
            tip: Tip::default(),
        })
    }

    /// Adds a track, whose peer is taken.
    fn adopt(&mut self, track: Track) -> usize {
        let index = self.tracks.len();
        self.by_feed.insert(track.feed, index);
        self.tracks.push(track);
        index
    }

    /// The tracks of a checkpoint, or what is wrong with them.
    pub(super) fn from_tracks(tracks: Vec<Track>) -> Result<Self, &'static str> {
        let mut history = Self::default();
        for track in tracks {
            if !history.peers.adopt(&track.feed, track.peer) {
                return Err("peers are out of order");
            }
            history.total.add(Total::of(&track, track.ends.last()));
            history.adopt(track);
        }
        for index in 0..history.tracks.len() {
            let track = &history.tracks[index];
            let mut total = Total::of(track, track.ends.last());
            for sight in track.seen.last() {
                let other = sight.track as usize;
                let Some(known) = history.tracks.get(other).filter(|_| other != index) else {
                    return Err("feed is unknown");
                };
                if sight.end > known.ends.last() {
                    return Err("message saw what is not there");
                }
                total.add(Total::of(known, sight.end));
            }
            history.tracks[index].tip = Tip { total, past: None };
        }
        Ok(history)
    }

    /// Whether message `seq` of `track` was applied or refused before.
    pub(super) fn is_applied(&self, track: usize, seq: u64) -> bool {
        seq < self.tracks[track].length
    }

    /// Notes that message `seq` of `track` is done with.
    pub(super) fn advance(&mut self, track: usize, seq: u64) {
        self.tracks[track].length = seq + 1;
    }

    /// Derives where a message of `track` stands. The repeats of everything applied are in `whole`.
    pub(super) fn place(&self, track: usize, origin: &Origin, whole: RangeInclusive<u64>) -> Place {
        let own = &self.tracks[track];
        let start = own.ends.last();
        let mut total = own.tip.total;
        let mut advanced = Vec::new();
        let mut note = |feed: &FeedKey, length: u64| {
            let Some(&other) = self.by_feed.get(feed).filter(|&&other| other != track) else {
                return;
            };
            let known = self.seen(track, start, other);
            let end = self.tracks[other].ends.at(length);
            if end > known {
                let mut fresh = Total::of(&self.tracks[other], end);
                let old = Total::of(&self.tracks[other], known);
                fresh.inserted -= old.inserted;
                fresh.deleted -= old.deleted;
                total.add(fresh);
                advanced.push(Reach { track: other, end });
            }
        };
        match &own.tip.past {
            Some(past) => origin.past.gains_since(past, note),
            None => origin.past.iter().for_each(|(feed, length)| note(&feed, length)),
        }
        let deps = self.latest(Reach { track, end: start }, &advanced);
        let sees_all = total == self.total;
        let repeats = self.repeats(&deps, sees_all, whole);
        Place { track, start, deps, advanced, total, repeats, sees_all }
    }

    /// The ends among `own` and `advanced` that no other of them has in its past.
    fn latest(&self, own: Reach, advanced: &[Reach]) -> Vec<Reach> {
        // Who knows most probably covers most: asked first, it keeps this far from quadratic.
        let mut by: Vec<&Reach> = advanced.iter().collect();
        by.sort_by_key(|by| Reverse(self.tracks[by.track].tip.total.numbers()));
        let mut latest = Vec::new();
        // What the author's message before had seen cannot have advanced since, so `own` covers
        // none of them.
        if own.end > 0 && !by.iter().any(|by| self.covers(**by, own)) {
            latest.push(own);
        }
        let covered = |reach: &Reach| {
            by.iter().any(|by| by.track != reach.track && self.covers(**by, *reach))
        };
        latest.extend(advanced.iter().filter(|reach| !covered(reach)));
        latest
    }

    fn covers(&self, by: Reach, reach: Reach) -> bool {
        self.seen(by.track, by.end, reach.track) >= reach.end
    }

    /// How far `other` was seen by `track`'s last message below `end`.
    fn seen(&self, track: usize, end: i32, other: usize) -> i32 {
        self.tracks[track].seen.at(other as u32, end)
    }

    fn repeats(&self, deps: &[Reach], sees_all: bool, whole: RangeInclusive<u64>) -> Repeats {
        let of = |reach: &Reach| self.tracks[reach.track].repeats.at(reach.end);
        let mut repeats = match deps {
            [] => return Repeats::default(),
            [only] => of(only),
            // Seeing more never unsees a repeat; how many the union adds is not known.
            many => Repeats {
                at_least: many.iter().map(|dep| of(dep).at_least).max().unwrap_or(0),
                vague: true,
            },
        };
        if sees_all {
            repeats.at_least = repeats.at_least.max(*whole.start());
        }
        repeats.vague &= repeats.at_least < *whole.end();
        repeats
    }

    /// Adds the ops of a message that stands at `place`: runs of (number of code points, whether
    /// inserted).
    pub(super) fn record(
        &mut self,
        place: &Place,
        origin: &Origin,
        runs: impl Iterator<Item = (i32, bool)>,
    ) {
        let track = &mut self.tracks[place.track];
        for reach in &place.advanced {
            track.seen.push(reach.track as u32, place.start, reach.end);
        }
        track.repeats.push(place.start, place.repeats);
        let mut end = place.start;
        let mut own = Total::default();
        for (count, inserts) in runs {
            track.kinds.push(end, inserts);
            end += count;
            let sum = if inserts { &mut own.inserted } else { &mut own.deleted };
            *sum += i64::from(count);
        }
        track.ends.push(origin.seq, end);
        track.tip = Tip { total: place.total, past: Some(origin.past.clone()) };
        track.tip.total.add(own);
        self.total.add(own);
    }

    /// The other feeds with ops in a message's past, by rising key, and how far it saw them.
    pub(super) fn others<'a>(
        &'a self,
        track: usize,
        past: &'a CausalPast,
    ) -> impl Iterator<Item = Reach> + 'a {
        past.iter().filter_map(move |(feed, length)| {
            let other = *self.by_feed.get(&feed).filter(|&&other| other != track)?;
            let end = self.tracks[other].ends.at(length);
            (end > 0).then_some(Reach { track: other, end })
        })
    }

    /// How far each track reaches in the past of the message at `place`.
    pub(super) fn version(&self, place: &Place) -> Vec<Reach> {
        let mut version: Vec<Reach> = (0..self.tracks.len())
            .map(|other| Reach { track: other, end: self.seen(place.track, place.start, other) })
            .collect();
        version[place.track].end = place.start;
        for reach in &place.advanced {
            version[reach.track].end = reach.end;
        }
        version.retain(|reach| reach.end > 0);
        version
    }

    /// How far each track reaches.
    pub(super) fn ends(&self) -> impl Iterator<Item = Reach> + '_ {
        let ends = self.tracks.iter().map(|track| track.ends.last()).enumerate();
        ends.filter(|end| end.1 > 0).map(|(track, end)| Reach { track, end })
    }

    /// Estimate of the memory that the tables hold.
    pub(super) fn memory_bytes(&self) -> usize {
        let of = |track: &Track| {
            let runs = 32 * track.ends.runs.len() + 12 * track.kinds.runs.len();
            256 + runs + 24 * track.repeats.steps.len() + 12 * track.seen.rows.len()
        };
        self.tracks.iter().map(of).sum()
    }

    pub(super) fn peer(&self, track: usize) -> u64 {
        self.tracks[track].peer
    }
}

impl Track {
    /// A track as a checkpoint describes it.
    pub(super) fn new(
        feed: FeedKey,
        peer: u64,
        length: u64,
        columns: (Ends, Kinds, Steps<Repeats>),
        seen: Sights,
    ) -> Self {
        let (ends, kinds, repeats) = columns;
        Self { feed, peer, length, ends, kinds, repeats, seen, tip: Tip::default() }
    }
}

impl Total {
    /// What `track` did with its numbers below `end`.
    fn of(track: &Track, end: i32) -> Self {
        let inserted = track.kinds.inserted(end);
        Self { inserted: i64::from(inserted), deleted: i64::from(end - inserted) }
    }
}

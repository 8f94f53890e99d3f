//! Taking in blocks of other devices, and what it means to be shown more of an own feed than is held.

use std::sync::atomic::Ordering::Relaxed;

use systole_proto::FeedKey;
use systole_store::FeedNo;

use super::PartyCore;
use crate::feed::{PreparedRange, RangeVerdict};
use crate::party::command::Ingested;
use crate::party::effect::Effect;
use crate::party::state::Host as _;
use crate::party::turn::Turn;
use crate::settings::{UNADMITTED_BLOCKS_MAX, UNADMITTED_FEEDS_MAX};
use crate::stages::Stage;
use crate::{Error, Event};

impl PartyCore {
    /// Whether the turn must be written before the range of `feed` is looked at: what a range is
    /// compared with must be in the store.
    pub(crate) fn must_commit_before(&self, feed: &FeedKey, turn: &Turn) -> bool {
        let known = self.state.number_of(feed);
        known.is_some_and(|feed| turn.extended.contains(&feed) || turn.written.contains(&feed))
    }

    /// Takes a range into the turn.
    pub(crate) fn take_range(
        &mut self,
        range: &PreparedRange,
        turn: &mut Turn,
    ) -> Result<Ingested, Error> {
        if let Some(error) = self.failure() {
            return Err(error);
        }
        let key = range.feed();
        if self.host.party_of(&key)?.is_some_and(|party| party != self.record.no) {
            return Err(Error::invalid(format!("feed {} belongs to another party", key.short())));
        }
        if !self.state.membership.is_admitted(&key) && self.too_many_unadmitted(&key, range.end()) {
            return Ok(Ingested::TooManyUnadmitted);
        }
        let feed = self.know_feed(&key)?;
        let store = self.device.store.clone();
        let held = self.host.held(feed)?;
        let from = held.tail.length();
        let device = self.device.clone();
        let mut watch = device.live.stages.watch();
        let verdict = range
            .check(&held.tail, held.head.as_ref(), |length| store.feeds().peaks_at(feed, length))?;
        watch.lap(Stage::Hash, 0);
        match verdict {
            RangeVerdict::Accepted(append) => {
                append.write(store.feeds(), &mut turn.batch, feed);
                watch.lap(Stage::Index, 0);
                held.head = Some(append.head().clone());
                held.tail = append.into_tail();
                let to = held.tail.length();
                self.device.live.verified.fetch_add(to - from, Relaxed);
                self.state.extended(feed, to);
                turn.extended.push(feed);
                if self.signers.remove(&feed).is_some() {
                    let lost = self.lose_feed(feed, key, turn);
                    self.failing(lost)?;
                }
                Ok(Ingested::Added { from, to })
            }
            RangeVerdict::Duplicate => Ok(Ingested::Duplicate),
            RangeVerdict::Gap { held, .. } => Ok(Ingested::Gap { held }),
            RangeVerdict::Inconsistent => Ok(Ingested::Inconsistent),
            RangeVerdict::Equivocation { ours, theirs } => {
                store.feeds().put_equivocation(&mut turn.batch, feed, &ours, &theirs);
                self.state.halt(feed, "its author signed two histories".into());
                turn.effects.push(Effect::Event(Event::Equivocation { feed: key }));
                Ok(Ingested::Equivocation)
            }
        }
    }

    /// Takes a feed into the state at the position it is stored at.
    fn know_feed(&mut self, key: &FeedKey) -> Result<FeedNo, Error> {
        if let Some(no) = self.state.number_of(key) {
            return Ok(no);
        }
        let no = self.host.number(key)?;
        let position = self.device.store.meta().position(no)?.unwrap_or_default();
        self.state.add_feed(no, *key, position);
        Ok(no)
    }

    /// Somebody holds more of our own feed than we do: this device was set back, or copied. Writing on
    /// would fork the feed, so its secret is forgotten; what stands in it is processed as anybody's.
    fn lose_feed(&mut self, no: FeedNo, feed: FeedKey, turn: &mut Turn) -> Result<(), Error> {
        let store = &self.device.store;
        if let Some(mut record) = store.meta().feed(no)? {
            record.own = false;
            store.meta().put_feed(&mut turn.batch, &record);
        }
        store.keys().remove(&mut turn.batch, feed.as_bytes());
        if self.record.own_feed == Some(no) {
            self.record.own_feed = None;
            store.meta().put_party(&mut turn.batch, &self.record);
        }
        turn.durable = true;
        turn.effects.push(Effect::Event(Event::OwnFeedLost { feed }));
        Ok(())
    }

    fn too_many_unadmitted(&self, key: &FeedKey, end: u64) -> bool {
        if end > UNADMITTED_BLOCKS_MAX {
            return true;
        }
        let membership = &self.state.membership;
        self.state.number_of(key).is_none()
            && self.state.feeds().filter(|(_, feed)| !membership.is_admitted(&feed.key)).count()
                >= UNADMITTED_FEEDS_MAX
    }
}

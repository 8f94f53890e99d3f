//! Which feed's next block is looked at when: every feed gets its turn, and a feed that waits is not
//! looked at before what it waits for is there. Pure.
//!
//! Invariants:
//! - a feed waits for at most one thing, and is not ready while it does;
//! - reaching a length wakes exactly the feeds that wait for that length or less.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use systole_store::FeedNo;

/// The feeds of a party in the order of their turns.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// Feeds whose next block may be processable.
    ready: BTreeSet<FeedNo>,
    /// Feeds that stopped until another credential counts.
    held: BTreeSet<FeedNo>,
    /// What a feed's next block waits for: blocks of another feed.
    waits: BTreeMap<FeedNo, (FeedNo, u64)>,
    /// The same from the other side: feed → length → who waits.
    waiters: BTreeMap<FeedNo, BTreeMap<u64, Vec<FeedNo>>>,
}

impl Order {
    /// The feed may have a block to process, unless it waits.
    pub(super) fn offer(&mut self, feed: FeedNo) {
        if !self.waits.contains_key(&feed) {
            self.ready.insert(feed);
        }
    }

    /// The feed has nothing to process for the time being.
    pub(super) fn withdraw(&mut self, feed: FeedNo) {
        self.ready.remove(&feed);
    }

    /// The feed stops until another credential counts.
    pub(super) fn hold(&mut self, feed: FeedNo) {
        self.ready.remove(&feed);
        self.held.insert(feed);
    }

    /// Another credential counts: what was held is looked at again.
    pub(super) fn release_held(&mut self) {
        self.ready.append(&mut self.held);
    }

    /// The feed's next block waits until `length` blocks of `target` are processed.
    pub(super) fn wait(&mut self, feed: FeedNo, target: FeedNo, length: u64) {
        self.ready.remove(&feed);
        let before = self.waits.insert(feed, (target, length));
        assert!(before.is_none(), "a waiting feed is not processed");
        self.waiters.entry(target).or_default().entry(length).or_default().push(feed);
    }

    /// `length` blocks of `feed` are processed: whoever waited for that is ready.
    pub(super) fn reached(&mut self, feed: FeedNo, length: u64) {
        let Some(waiting) = self.waiters.get_mut(&feed) else { return };
        let still = waiting.split_off(&(length + 1));
        let woken = std::mem::replace(waiting, still);
        if waiting.is_empty() {
            self.waiters.remove(&feed);
        }
        for waiter in woken.into_values().flatten() {
            self.waits.remove(&waiter);
            self.ready.insert(waiter);
        }
    }

    /// The next ready feed after `last`, starting over at the end.
    pub(super) fn next_after(&self, last: Option<FeedNo>) -> Option<FeedNo> {
        let after = last
            .and_then(|last| self.ready.range((Bound::Excluded(last), Bound::Unbounded)).next());
        after.or_else(|| self.ready.first()).copied()
    }

    /// What the feed's next block waits for.
    pub(super) fn waits_for(&self, feed: FeedNo) -> Option<(FeedNo, u64)> {
        self.waits.get(&feed).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ready_feed_gets_its_turn() {
        let mut order = Order::default();
        (1..=3).for_each(|n| order.offer(FeedNo(n)));
        let mut last = None;
        let mut turns = Vec::new();
        for _ in 0..5 {
            last = order.next_after(last);
            turns.push(last.expect("three feeds are ready").0);
        }
        assert_eq!(turns, [1, 2, 3, 1, 2]);
    }

    #[test]
    fn a_waiting_feed_is_woken_at_its_length_and_not_before() {
        let mut order = Order::default();
        order.offer(FeedNo(2));
        order.wait(FeedNo(2), FeedNo(1), 5);
        order.offer(FeedNo(2));
        order.reached(FeedNo(1), 4);
        assert_eq!(
            (order.next_after(None), order.waits_for(FeedNo(2))),
            (None, Some((FeedNo(1), 5)))
        );
        order.reached(FeedNo(1), 5);
        assert_eq!((order.next_after(None), order.waits_for(FeedNo(2))), (Some(FeedNo(2)), None));
    }

    #[test]
    fn a_held_feed_comes_back_with_the_next_credential() {
        let mut order = Order::default();
        order.offer(FeedNo(1));
        order.hold(FeedNo(1));
        assert_eq!(order.next_after(None), None);
        order.release_held();
        assert_eq!(order.next_after(None), Some(FeedNo(1)));
    }
}

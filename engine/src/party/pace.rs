//! How a party works through a backlog while somebody may be at work beside it. Pure.
//!
//! Invariants:
//! - while small commands come, turns are short, so that whoever is at work waits for one short turn;
//! - what is handed over to items is applied after [`TURNS_UNAPPLIED_MAX`] turns or
//!   [`HANDED_OVER_BYTES_MAX`] at the latest, and when nothing is left to be processed.

use crate::settings::{HANDED_OVER_BYTES_MAX, LIVE_TURN_BLOCKS_MAX, TURN_BLOCKS_MAX};

/// For how many turns after a small command others are expected.
const LIVE_TURNS: u32 = 256;

/// Turns in which messages may gather before an item that nobody watches applies them.
const TURNS_UNAPPLIED_MAX: u32 = 16;

/// Writes of so many operations and ranges of so many blocks are what somebody at work makes; larger ones
/// come from a program that has much to bring.
const SMALL_MAX: u64 = 64;

/// See the [module](self).
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Turns for which somebody is taken to be at work.
    live: u32,
    /// Turns since all items applied what they were handed.
    unapplied: u32,
    /// Payload bytes that were handed over since then.
    handed_over: u64,
}

/// Which items apply what they were handed, after a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Applies {
    /// None of them.
    Nobody,
    /// Those that somebody watches.
    Watched,
    /// All of them.
    All,
}

impl Pace {
    /// A command to write, or to take in, so many messages has come.
    pub(super) fn heard(&mut self, messages: u64) {
        if messages <= SMALL_MAX {
            self.live = LIVE_TURNS;
        }
    }

    /// Blocks of the next turn at most.
    pub(super) fn blocks_max(&self) -> usize {
        if self.live > 0 { LIVE_TURN_BLOCKS_MAX } else { TURN_BLOCKS_MAX }
    }

    /// Messages with so many bytes were handed over to an item.
    pub(super) fn handed_over(&mut self, bytes: u64) {
        self.handed_over += bytes;
    }

    /// A turn has ended; `more` says whether blocks are left to be processed.
    pub(super) fn turn_ended(&mut self, more: bool) -> Applies {
        let live = self.live > 0;
        self.live = self.live.saturating_sub(1);
        self.unapplied += 1;
        let much = self.handed_over > HANDED_OVER_BYTES_MAX;
        if !more || much || self.unapplied >= TURNS_UNAPPLIED_MAX {
            (self.unapplied, self.handed_over) = (0, 0);
            return Applies::All;
        }
        if live { Applies::Watched } else { Applies::Nobody }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_short_for_a_while_after_a_small_command() {
        let mut pace = Pace::default();
        pace.heard(SMALL_MAX + 1);
        assert_eq!(pace.blocks_max(), TURN_BLOCKS_MAX, "a large one tells of nobody at work");
        pace.heard(SMALL_MAX);
        for _ in 0..LIVE_TURNS {
            assert_eq!(pace.blocks_max(), LIVE_TURN_BLOCKS_MAX);
            pace.turn_ended(true);
        }
        assert_eq!(pace.blocks_max(), TURN_BLOCKS_MAX);
    }

    #[test]
    fn all_items_apply_at_the_end_and_now_and_then_before() {
        let mut pace = Pace::default();
        for _ in 0..3 {
            for _ in 1..TURNS_UNAPPLIED_MAX {
                assert_eq!(pace.turn_ended(true), Applies::Nobody);
            }
            assert_eq!(pace.turn_ended(true), Applies::All);
        }
        assert_eq!(pace.turn_ended(false), Applies::All);
    }

    #[test]
    fn all_items_apply_when_much_was_handed_over() {
        let mut pace = Pace::default();
        pace.handed_over(HANDED_OVER_BYTES_MAX);
        assert_eq!(pace.turn_ended(true), Applies::Nobody);
        pace.handed_over(1);
        assert_eq!(pace.turn_ended(true), Applies::All);
        assert_eq!(pace.turn_ended(true), Applies::Nobody, "counted anew");
    }

    #[test]
    fn watched_items_apply_after_each_turn_while_somebody_is_at_work() {
        let mut pace = Pace::default();
        pace.heard(1);
        assert_eq!(pace.turn_ended(true), Applies::Watched);
        assert_eq!(pace.turn_ended(false), Applies::All);
    }
}

//! The tables that say what each message of one feed did, held as runs because typing is
//! regular.
//!
//! All of them count in the feed's *counter*: one number for every code point that the feed
//! inserted or deleted.
//!
//! Invariants: runs rise strictly; a table only grows at its end.

/// Which counter a feed had reached after each of its messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ends {
    pub(super) runs: Vec<EndRun>,
}

/// Messages at equal distances that took equally many numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EndRun {
    /// Position of the first message in its feed.
    pub(super) seq: u64,
    /// Counter after the first message.
    pub(super) end: i32,
    /// Messages in the run.
    pub(super) count: u32,
    /// Distance between messages.
    pub(super) seq_step: u64,
    /// Numbers that each message after the first took.
    pub(super) end_step: i32,
}

impl Ends {
    pub(super) fn push(&mut self, seq: u64, end: i32) {
        if let Some(run) = self.runs.last_mut() {
            let (last_seq, last_end) = run.last();
            let (seq_step, end_step) = (seq - last_seq, end - last_end);
            if run.count == 1 {
                (run.seq_step, run.end_step) = (seq_step, end_step);
            }
            if (run.seq_step, run.end_step) == (seq_step, end_step) && run.count < u32::MAX {
                run.count += 1;
                return;
            }
        }
        self.runs.push(EndRun { seq, end, count: 1, seq_step: 1, end_step: 0 });
    }

    /// The counter after the messages at positions below `length`.
    pub(super) fn at(&self, length: u64) -> i32 {
        let after = self.runs.partition_point(|run| run.seq < length);
        let Some(run) = after.checked_sub(1).map(|index| &self.runs[index]) else {
            return 0;
        };
        let step = ((length - 1 - run.seq) / run.seq_step).min(u64::from(run.count - 1));
        run.end + step as i32 * run.end_step
    }

    /// The counter after the last message.
    pub(super) fn last(&self) -> i32 {
        self.runs.last().map_or(0, |run| run.last().1)
    }
}

impl EndRun {
    /// Position of the last message and the counter after it.
    pub(super) const fn last(&self) -> (u64, i32) {
        let more = self.count - 1;
        (self.seq + more as u64 * self.seq_step, self.end + more as i32 * self.end_step)
    }
}

/// Which of a feed's numbers stand for inserted code points.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Kinds {
    pub(super) runs: Vec<KindRun>,
}

/// Numbers of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KindRun {
    /// The first number.
    pub(super) start: i32,
    /// How many numbers before it stand for inserted code points.
    pub(super) inserted: i32,
    /// Whether these do.
    pub(super) inserts: bool,
}

impl Kinds {
    /// From the number `start` on, which is the next one, numbers stand for inserts or for deletes.
    pub(super) fn push(&mut self, start: i32, inserts: bool) {
        if self.runs.last().is_none_or(|run| run.inserts != inserts) {
            let inserted = self.inserted(start);
            self.runs.push(KindRun { start, inserted, inserts });
        }
    }

    /// How many of the numbers below `end` stand for inserted code points.
    pub(super) fn inserted(&self, end: i32) -> i32 {
        let after = self.runs.partition_point(|run| run.start < end);
        after.checked_sub(1).map_or(0, |index| {
            let run = &self.runs[index];
            run.inserted + if run.inserts { end - run.start } else { 0 }
        })
    }
}

/// Values that hold from a number on until the next one replaces it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Steps<T> {
    pub(super) steps: Vec<(i32, T)>,
}

impl<T> Default for Steps<T> {
    fn default() -> Self {
        Self { steps: Vec::new() }
    }
}

impl<T: Copy + Default + PartialEq> Steps<T> {
    /// `value` holds from the number `start` on, which is above all before.
    pub(super) fn push(&mut self, start: i32, value: T) {
        if self.steps.last().map_or(T::default(), |step| step.1) != value {
            self.steps.push((start, value));
        }
    }

    /// What holds for the last of the numbers below `end`.
    pub(super) fn at(&self, end: i32) -> T {
        let after = self.steps.partition_point(|step| step.0 < end);
        after.checked_sub(1).map_or(T::default(), |index| self.steps[index].1)
    }
}

/// From which own number on how far each other feed had been seen. Flat, because in a text of many
/// authors there is a row for almost every two of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sights {
    /// By feed, then by start; ends of one feed rise with the starts.
    pub(super) rows: Vec<Sight>,
}

/// From own number `start` on, the other feed at index `track` is seen up to number `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sight {
    pub(super) track: u32,
    pub(super) start: i32,
    pub(super) end: i32,
}

impl Sights {
    /// From the number `start` on, which is above all before, `track` is seen up to `end`.
    pub(super) fn push(&mut self, track: u32, start: i32, end: i32) {
        let at = self.before(track, start);
        self.rows.insert(at, Sight { track, start, end });
    }

    /// How far the last of the own numbers below `end` had seen `track`.
    pub(super) fn at(&self, track: u32, end: i32) -> i32 {
        let row = self.before(track, end).checked_sub(1).map(|index| self.rows[index]);
        row.filter(|row| row.track == track).map_or(0, |row| row.end)
    }

    /// The last row of each feed.
    pub(super) fn last(&self) -> impl Iterator<Item = &Sight> {
        self.rows.chunk_by(|one, next| one.track == next.track).filter_map(<[_]>::last)
    }

    fn before(&self, track: u32, start: i32) -> usize {
        self.rows.partition_point(|row| (row.track, row.start) < (track, start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_answer_like_a_plain_list() {
        let messages =
            [(3, 1), (4, 2), (5, 3), (9, 4), (11, 6), (13, 8), (15, 10), (100, 11), (1000, 500)];
        let mut ends = Ends::default();
        for (seq, end) in messages {
            ends.push(seq, end);
            assert_eq!(ends.last(), end);
        }
        for length in 0..1200 {
            let plain = messages.iter().rev().find(|message| message.0 < length);
            assert_eq!(ends.at(length), plain.map_or(0, |message| message.1), "{length}");
        }
        assert!(ends.runs.len() < messages.len());
    }

    #[test]
    fn kinds_count_inserts_below_any_number() {
        let mut kinds = Kinds::default();
        let flags = [true, true, false, true, false, false, true];
        for (start, inserts) in flags.iter().enumerate() {
            kinds.push(start as i32, *inserts);
        }
        for end in 0..=flags.len() {
            let plain = flags[..end].iter().filter(|inserts| **inserts).count();
            assert_eq!(kinds.inserted(end as i32), plain as i32, "{end}");
        }
    }

    #[test]
    fn steps_hold_until_replaced() {
        let mut steps = Steps::default();
        steps.push(2, 7);
        steps.push(4, 7);
        steps.push(9, 8);
        assert_eq!(steps.steps, [(2, 7), (9, 8)]);
        let at = [0, 2, 3, 9, 10, 99].map(|end| steps.at(end));
        assert_eq!(at, [0, 0, 7, 7, 8, 8]);
    }

    #[test]
    fn sights_are_kept_per_feed() {
        let mut sights = Sights::default();
        for (track, start, end) in [(5, 0, 3), (2, 0, 1), (5, 4, 9), (2, 7, 2)] {
            sights.push(track, start, end);
        }
        let at = |track, ends: [i32; 4]| ends.map(|end| sights.at(track, end));
        assert_eq!(at(5, [0, 1, 4, 5]), [0, 3, 3, 9]);
        assert_eq!(at(2, [0, 1, 7, 8]), [0, 1, 1, 2]);
        assert_eq!(at(3, [0, 1, 7, 8]), [0; 4]);
        let last: Vec<i32> = sights.last().map(|row| row.end).collect();
        assert_eq!(last, [2, 9]);
    }
}

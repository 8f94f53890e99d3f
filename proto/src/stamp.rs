//! Hybrid logical clock: stamps that follow wall-clock time and still respect cause and effect.
//!
//! Stamps are for display. Validity and order never depend on them, so a lying clock can mislead
//! people's eyes only, and the drift bound keeps one lying clock from dragging along the others.

use std::fmt;

use crate::limits::CLOCK_DRIFT_MAX_MILLIS;

/// How far ahead of the local clock, in milliseconds, a remote stamp may lie.
pub const CLOCK_DRIFT_MAX: u64 = CLOCK_DRIFT_MAX_MILLIS;

/// A moment: milliseconds since the Unix epoch, and a counter within the millisecond.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp {
    /// Milliseconds since the Unix epoch.
    pub millis: u64,
    /// Order within the millisecond.
    pub logical: u16,
}

impl Stamp {
    /// The stamp of a block that names its distance from its predecessor's stamp. Ends of the range
    /// are kept to.
    pub fn after(self, millis_delta: i64, logical: u16) -> Self {
        Self { millis: self.millis.saturating_add_signed(millis_delta), logical }
    }

    /// Milliseconds from `earlier` to this stamp, as [`Stamp::after`] takes them.
    pub fn millis_since(self, earlier: Self) -> i64 {
        let distance = i128::from(self.millis) - i128::from(earlier.millis);
        distance.clamp(i64::MIN.into(), i64::MAX.into()) as i64
    }
}

/// The clock of one author. It never goes back, whatever the wall clock does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    last: Stamp,
}

impl Clock {
    /// A clock that continues after `last`, the newest stamp it gave or saw.
    pub const fn resume(last: Stamp) -> Self {
        Self { last }
    }

    /// A stamp above every one given or observed so far. `now` is the wall clock in milliseconds.
    pub fn tick(&mut self, now: u64) -> Stamp {
        self.last = if now > self.last.millis {
            Stamp { millis: now, logical: 0 }
        } else if let Some(logical) = self.last.logical.checked_add(1) {
            Stamp { logical, ..self.last }
        } else {
            Stamp { millis: self.last.millis.saturating_add(1), logical: 0 }
        };
        self.last
    }

    /// Takes note of another author's stamp, so that later ticks lie above it. A stamp further
    /// ahead of `now` than [`CLOCK_DRIFT_MAX`] is refused and leaves the clock as it is.
    pub fn observe(&mut self, remote: Stamp, now: u64) -> Result<(), Drift> {
        let ahead = remote.millis.saturating_sub(now);
        if ahead > CLOCK_DRIFT_MAX {
            return Err(Drift { remote, ahead });
        }
        self.last = self.last.max(remote);
        Ok(())
    }

    /// The newest stamp given or observed.
    pub const fn last(&self) -> Stamp {
        self.last
    }
}

/// A stamp too far ahead of the local clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drift {
    /// The stamp that was refused.
    pub remote: Stamp,
    /// How far ahead it lies, in milliseconds.
    pub ahead: u64,
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stamp lies {} ms ahead, {CLOCK_DRIFT_MAX} ms are allowed", self.ahead)
    }
}

impl std::error::Error for Drift {}

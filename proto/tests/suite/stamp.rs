//! The hybrid clock rises whatever the wall clock and other authors do.

use systole_proto::{CLOCK_DRIFT_MAX, Clock, Drift, Stamp};

fn stamp(millis: u64, logical: u16) -> Stamp {
    Stamp { millis, logical }
}

#[test]
fn ticks_follow_the_wall_clock_and_count_within_a_millisecond() {
    let mut clock = Clock::default();
    assert_eq!(clock.tick(10), stamp(10, 0));
    assert_eq!(clock.tick(10), stamp(10, 1));
    assert_eq!(clock.tick(11), stamp(11, 0));
}

#[test]
fn ticks_rise_when_the_wall_clock_goes_back() {
    let mut clock = Clock::resume(stamp(100, 5));
    let mut last = clock.last();
    for now in [99, 50, 0, 100, 7] {
        let next = clock.tick(now);
        assert!(next > last);
        last = next;
    }
    assert_eq!(clock.tick(101), stamp(101, 0));
}

#[test]
fn a_full_counter_moves_on_to_the_next_millisecond() {
    let mut clock = Clock::resume(stamp(100, u16::MAX));
    assert_eq!(clock.tick(0), stamp(101, 0));
}

#[test]
fn ticks_lie_above_every_observed_stamp() {
    let mut clock = Clock::default();
    clock.tick(1_000);
    clock.observe(stamp(1_500, 3), 1_000).unwrap();
    assert_eq!(clock.tick(1_001), stamp(1_500, 4));
    clock.observe(stamp(900, 9), 1_001).unwrap();
    assert_eq!(clock.last(), stamp(1_500, 4));
}

#[test]
fn a_stamp_beyond_the_drift_is_refused_and_leaves_the_clock() {
    let mut clock = Clock::resume(stamp(1_000, 0));
    let before = clock.clone();
    let remote = stamp(1_001 + CLOCK_DRIFT_MAX, 0);
    let drift = Drift { remote, ahead: CLOCK_DRIFT_MAX + 1 };
    assert_eq!(clock.observe(remote, 1_000), Err(drift));
    assert_eq!(clock, before);
    clock.observe(stamp(1_000 + CLOCK_DRIFT_MAX, 0), 1_000).unwrap();
    assert_eq!(
        clock.observe(stamp(u64::MAX, 0), 0),
        Err(Drift { remote: stamp(u64::MAX, 0), ahead: u64::MAX })
    );
}

#[test]
fn a_block_names_its_stamp_by_the_distance_from_the_previous_one() {
    let moments = [0, 1, 1_700_000_000_000, u64::MAX >> 1];
    for earlier in moments {
        for later in moments {
            let (earlier, later) = (stamp(earlier, 1), stamp(later, 2));
            let delta = later.millis_since(earlier);
            assert_eq!(earlier.after(delta, 2), later);
        }
    }
    assert_eq!(stamp(5, 0).after(-9, 1), stamp(0, 1));
    assert_eq!(stamp(u64::MAX, 0).after(1, 1), stamp(u64::MAX, 1));
    assert_eq!(stamp(u64::MAX, 0).millis_since(stamp(0, 0)), i64::MAX);
}

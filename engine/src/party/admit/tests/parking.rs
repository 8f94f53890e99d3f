//! Parked credentials: what they wait for, and what happens when a feed has too many.

use super::super::parked::PARKED_PER_FEED_MAX;
use super::*;

/// Admissions of keys that nobody knows, on the word of keys that nobody knows.
fn unknown(number: usize) -> Bytes {
    let subject = 120 + number as u8;
    key_admission(subject, &[subject, subject + 60])
}

fn flooded(membership: &mut Membership) {
    for number in 0..PARKED_PER_FEED_MAX {
        park(membership, at(ALIEN_FEED, number as u64), &unknown(number));
    }
}

#[test]
fn what_is_parked_names_what_it_waits_for() {
    let mut membership = Membership::new(party(PARTY));
    for (seq, signers) in [[BORIS, ANNA, ALIEN], [ALIEN, ANNA, BORIS]].into_iter().enumerate() {
        let admission = key_admission(BORIS, &signers);
        let waits_for = park(&mut membership, at(BORIS_FEED, seq as u64), &admission);
        assert_eq!(waits_for, WaitsFor::Genesis);
    }
    accept(&mut membership, at(FOUNDER_FEED, 0), &genesis());
    let mut signers = vec![key(ANNA), key(ALIEN)];
    signers.sort();
    let parked: Vec<_> = membership.parked().map(|(_, waits_for)| waits_for).collect();
    assert_eq!(parked, [&WaitsFor::AnyOf(signers.clone()), &WaitsFor::AnyOf(signers)]);
}

#[test]
fn a_feed_is_held_when_its_places_are_taken_and_nothing_changes() {
    let mut membership = founded();
    flooded(&mut membership);
    let before = membership.clone();
    let one_more = unknown(PARKED_PER_FEED_MAX);
    let place = at(ALIEN_FEED, PARKED_PER_FEED_MAX as u64);
    assert!(matches!(membership.admit(place, &one_more), Verdict::Held { .. }));
    assert_eq!(membership, before);
}

#[test]
fn a_full_feed_costs_no_other_feed_anything() {
    let mut membership = founded();
    flooded(&mut membership);
    let own = feed_admission(ANNA_FEED, ANNA, &[ANNA_FEED, ANNA]);
    park(&mut membership, at(ANNA_FEED, 0), &own);
    let kinds =
        accept(&mut membership, at(FOUNDER_FEED, 1), &key_admission(ANNA, &[ANNA, FOUNDER]));
    assert_eq!(kinds, [AdmittedKind::Key(key(ANNA)), AdmittedKind::Feed(feed(ANNA_FEED))]);
}

#[test]
fn a_full_feed_is_still_heard_where_it_counts() {
    let mut membership = founded();
    flooded(&mut membership);
    let place = at(ALIEN_FEED, PARKED_PER_FEED_MAX as u64);
    accept(&mut membership, place, &key_admission(ANNA, &[ANNA, FOUNDER]));
}

#[test]
fn a_held_credential_offered_again_ends_where_an_early_release_ends() {
    let bytes: Vec<Bytes> =
        (0..=PARKED_PER_FEED_MAX as u8).map(|n| key_admission(120 + n, &[120 + n, ANNA])).collect();
    let release = key_admission(ANNA, &[ANNA, FOUNDER]);

    let mut early = founded();
    accept(&mut early, at(FOUNDER_FEED, 1), &release);
    for (seq, bytes) in bytes.iter().enumerate() {
        accept(&mut early, at(BORIS_FEED, seq as u64), bytes);
    }

    let mut late = founded();
    let (last, first) = bytes.split_last().unwrap();
    for (seq, bytes) in first.iter().enumerate() {
        park(&mut late, at(BORIS_FEED, seq as u64), bytes);
    }
    let place = at(BORIS_FEED, PARKED_PER_FEED_MAX as u64);
    assert!(matches!(late.admit(place, last), Verdict::Held { .. }));
    assert_eq!(accept(&mut late, at(FOUNDER_FEED, 1), &release).len(), 1 + PARKED_PER_FEED_MAX);
    accept(&mut late, place, last);
    assert_eq!(late, early);
}

#[test]
fn a_parked_position_keeps_its_first_credential() {
    let mut membership = founded();
    let first = key_admission(BORIS, &[BORIS, ANNA]);
    let waits_for = park(&mut membership, at(BORIS_FEED, 0), &first);
    let before = membership.clone();
    assert_eq!(park(&mut membership, at(BORIS_FEED, 0), &first), waits_for);
    assert_eq!(membership, before);
    let other = key_admission(BORIS, &[BORIS, ALIEN]);
    assert_eq!(reject(&mut membership, at(BORIS_FEED, 0), &other), Rejection::PositionTaken);
}

#[test]
fn what_is_parked_does_not_keep_its_frame_alive() {
    let mut membership = founded();
    let frame: Bytes = [&[0; 1_000][..], &key_admission(BORIS, &[BORIS, ANNA])].concat().into();
    park(&mut membership, at(BORIS_FEED, 0), &frame.slice(1_000..));
    assert!(frame.is_unique());
}

#[test]
fn restoring_knows_no_bound() {
    let mut membership = Membership::new(party(PARTY));
    for number in 0..2 * PARKED_PER_FEED_MAX {
        membership.restore(at(ALIEN_FEED, number as u64), &unknown(number)).unwrap();
    }
    assert_eq!(membership.parked().count(), 2 * PARKED_PER_FEED_MAX);
}

//! What a block may do depends on its causal past alone.

use std::collections::BTreeMap;

use super::*;

/// The past that holds the first blocks of each feed.
fn prefix(lengths: &BTreeMap<FeedKey, u64>) -> impl Fn(&Position) -> bool {
    move |position| lengths.get(&position.feed).is_some_and(|length| position.seq < *length)
}

#[test]
fn credentials_outside_the_past_have_no_say() {
    for seed in 0..120 {
        let mut dice = Dice(2_000 + seed);
        let history = random_history(&mut dice, 24);
        let mut everything = Membership::new(party(PARTY));
        for (at, bytes) in &history {
            let _ = everything.admit(*at, bytes);
        }
        let lengths: BTreeMap<_, _> =
            history.iter().map(|(at, _)| (at.feed, dice.roll(7) as u64)).collect();
        let covers = prefix(&lengths);
        let mut past_only = Membership::new(party(PARTY));
        for (at, bytes) in history.iter().filter(|(at, _)| covers(at)) {
            let _ = past_only.admit(*at, bytes);
        }
        for number in [FOUNDER_FEED, ANNA_FEED, BORIS_FEED, ALIEN_FEED, 114] {
            let alone = past_only.author(&feed(number), |_| true);
            assert_eq!(everything.author(&feed(number), &covers), alone, "seed {seed}, {number}");
            assert_eq!(past_only.is_admitted(&feed(number)), alone.is_some(), "seed {seed}");
        }
    }
}

#[test]
fn a_feed_may_write_from_its_admission_on() {
    let membership = with_anna();
    let knows = |length: u64| {
        move |position: &Position| position.feed == feed(FOUNDER_FEED) && position.seq < length
    };
    assert!(!membership.may_write(&feed(ANNA_FEED), knows(0)));
    assert!(!membership.may_write(&feed(ANNA_FEED), knows(2)));
    assert!(membership.may_write(&feed(ANNA_FEED), knows(3)));
    assert!(membership.may_write(&feed(FOUNDER_FEED), knows(1)));
    assert!(!membership.may_write(&feed(ALIEN_FEED), |_| true));
}

#[test]
fn an_admission_counts_only_together_with_its_owners() {
    let mut membership = founded();
    let own = feed_admission(ANNA_FEED, ANNA, &[ANNA_FEED, ANNA]);
    park(&mut membership, at(ANNA_FEED, 0), &own);
    accept(&mut membership, at(FOUNDER_FEED, 5), &key_admission(ANNA, &[ANNA, FOUNDER]));
    let knows = |founders: u64| {
        move |position: &Position| {
            position.feed == feed(ANNA_FEED)
                || (position.feed == feed(FOUNDER_FEED) && position.seq < founders)
        }
    };
    assert!(!membership.may_write(&feed(ANNA_FEED), knows(5)));
    assert!(membership.may_write(&feed(ANNA_FEED), knows(6)));
}

#[test]
fn each_further_admission_counts_for_blocks_that_know_only_it() {
    let mut membership = with_anna();
    let of_feed = feed_admission(ANNA_FEED, ANNA, &[ANNA_FEED, ANNA]);
    let of_key = key_admission(ANNA, &[ANNA, FOUNDER]);
    assert_eq!(accept(&mut membership, at(BORIS_FEED, 3), &of_key), [AdmittedKind::Repeat]);
    assert_eq!(accept(&mut membership, at(BORIS_FEED, 4), &of_feed), [AdmittedKind::Repeat]);
    let genesis_and_boris =
        |position: &Position| *position == at(FOUNDER_FEED, 0) || position.feed == feed(BORIS_FEED);
    assert!(membership.may_write(&feed(ANNA_FEED), genesis_and_boris));
    assert_eq!(membership.members().count(), 2);
}

#[test]
fn members_who_admit_only_each_other_lead_nowhere() {
    let mut membership = with_anna();
    accept(&mut membership, at(ANNA_FEED, 0), &key_admission(BORIS, &[BORIS, ANNA]));
    accept(&mut membership, at(BORIS_FEED, 0), &key_admission(ANNA, &[ANNA, BORIS]));
    let of_feed = feed_admission(BORIS_FEED, BORIS, &[BORIS_FEED, BORIS]);
    accept(&mut membership, at(BORIS_FEED, 1), &of_feed);
    let without_founders_word =
        |position: &Position| position.feed != feed(FOUNDER_FEED) || position.seq == 0;
    assert!(!membership.may_write(&feed(BORIS_FEED), without_founders_word));
    assert!(membership.may_write(&feed(BORIS_FEED), |_| true));
}

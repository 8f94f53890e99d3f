//! The outcome does not depend on the order of arrival, nor on where we heard of it.

use super::*;

fn taken_in(history: &[(Position, Bytes)]) -> Membership {
    let mut membership = Membership::new(party(PARTY));
    for (at, bytes) in history {
        let verdict = membership.admit(*at, bytes);
        assert!(!matches!(verdict, Verdict::Held { .. }), "histories stay below the bound");
    }
    membership
}

#[test]
fn any_order_of_arrival_gives_the_same_membership() {
    for seed in 0..60 {
        let mut dice = Dice(seed);
        let mut history = random_history(&mut dice, 16);
        let expected = taken_in(&history);
        for _ in 0..12 {
            dice.shuffle(&mut history);
            assert_eq!(taken_in(&history), expected, "seed {seed}");
        }
    }
}

#[test]
fn every_order_of_a_whole_chain_gives_the_same_membership() {
    let history = [
        (at(FOUNDER_FEED, 0), genesis()),
        (at(FOUNDER_FEED, 1), key_admission(ANNA, &[ANNA, FOUNDER])),
        (at(ANNA_FEED, 0), feed_admission(ANNA_FEED, ANNA, &[ANNA_FEED, ANNA])),
        (at(ANNA_FEED, 1), key_admission(BORIS, &[BORIS, ANNA])),
        (at(BORIS_FEED, 0), feed_admission(BORIS_FEED, BORIS, &[BORIS_FEED, BORIS])),
        (at(BORIS_FEED, 1), key_admission(ANNA, &[ANNA, BORIS])),
    ];
    let expected = taken_in(&history);
    assert_eq!(expected.parked().count(), 0);
    assert_eq!(expected.members().count(), 3);
    let mut orders = 0;
    permute(&mut history.to_vec(), 0, &mut |order| {
        orders += 1;
        assert_eq!(taken_in(order), expected);
    });
    assert_eq!(orders, 720);
}

fn permute(
    items: &mut Vec<(Position, Bytes)>,
    from: usize,
    visit: &mut impl FnMut(&[(Position, Bytes)]),
) {
    if from == items.len() {
        return visit(items);
    }
    for other in from..items.len() {
        items.swap(from, other);
        permute(items, from + 1, visit);
        items.swap(from, other);
    }
}

#[test]
fn what_the_store_kept_restores_the_same_membership_in_any_order() {
    for seed in 0..60 {
        let mut dice = Dice(1_000 + seed);
        let history = random_history(&mut dice, 16);
        let mut admitted = Membership::new(party(PARTY));
        let mut kept = Vec::new();
        for (at, bytes) in &history {
            match admitted.admit(*at, bytes) {
                Verdict::Accepted(_) | Verdict::Parked { .. } => kept.push((*at, bytes.clone())),
                Verdict::Known | Verdict::Held { .. } | Verdict::Rejected(_) => {}
            }
        }
        dice.shuffle(&mut kept);
        let mut restored = Membership::new(party(PARTY));
        for (at, bytes) in &kept {
            restored.restore(*at, bytes).unwrap();
        }
        assert_eq!(restored, admitted, "seed {seed}");
    }
}

#[test]
fn everything_released_is_reported_once_and_lowest_position_first() {
    let mut membership = Membership::new(party(PARTY));
    let chain = [
        (at(ANNA_FEED, 0), key_admission(ANNA, &[ANNA, FOUNDER])),
        (at(ANNA_FEED, 1), feed_admission(ANNA_FEED, ANNA, &[ANNA_FEED, ANNA])),
        (at(BORIS_FEED, 0), key_admission(BORIS, &[BORIS, ANNA])),
        (at(BORIS_FEED, 1), feed_admission(BORIS_FEED, BORIS, &[BORIS_FEED, BORIS])),
    ];
    for (at, bytes) in chain.iter().rev() {
        assert_eq!(park(&mut membership, *at, bytes), WaitsFor::Genesis);
    }
    let Verdict::Accepted(admitted) = membership.admit(at(FOUNDER_FEED, 0), &genesis()) else {
        panic!("the genesis counts at once");
    };
    assert_eq!(admitted[0].at, at(FOUNDER_FEED, 0));
    let mut found: Vec<_> = admitted[1..].iter().map(|one| (one.at, one.bytes.clone())).collect();
    let kinds: Vec<_> = admitted[1..].iter().map(|one| one.kind).collect();
    for (kind, before) in [
        (AdmittedKind::Feed(feed(ANNA_FEED)), AdmittedKind::Key(key(ANNA))),
        (AdmittedKind::Key(key(BORIS)), AdmittedKind::Key(key(ANNA))),
        (AdmittedKind::Feed(feed(BORIS_FEED)), AdmittedKind::Key(key(BORIS))),
    ] {
        let place = |wanted| kinds.iter().position(|kind| *kind == wanted).unwrap();
        assert!(place(before) < place(kind));
    }
    found.sort();
    let mut expected = chain.to_vec();
    expected.sort();
    assert_eq!(found, expected);
    assert_eq!(membership.parked().count(), 0);
}

#[test]
fn a_credential_heard_again_changes_nothing() {
    let mut membership = with_anna();
    let before = membership.clone();
    for (at, bytes) in [
        (at(FOUNDER_FEED, 0), genesis()),
        (at(FOUNDER_FEED, 1), key_admission(ANNA, &[ANNA, FOUNDER])),
        (at(FOUNDER_FEED, 9), key_admission(ANNA, &[ANNA, FOUNDER])),
        (at(FOUNDER_FEED, 2), feed_admission(ANNA_FEED, ANNA, &[ANNA_FEED, ANNA])),
    ] {
        assert_eq!(membership.admit(at, &bytes), Verdict::Known);
    }
    assert_eq!(membership, before);
}

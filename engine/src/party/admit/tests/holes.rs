//! The holes of the original (H1–H16) that admission must not have again, and the rules beside them.
//!
//! Not here: H7, H8 (invitation and replication handshakes, no part of admission), H12 (expiry and
//! chains; we have neither) and H13 (epochs).

use systole_proto::VerifyError;

use super::*;

#[test]
fn h1_every_key_named_must_have_signed() {
    let mut membership = founded();
    let place = at(FOUNDER_FEED, 1);
    let cases = [
        (key_admission(ANNA, &[FOUNDER]), ANNA),
        (feed_admission(ANNA_FEED, FOUNDER, &[FOUNDER]), ANNA_FEED),
        (feed_admission(ANNA_FEED, FOUNDER, &[ANNA_FEED]), FOUNDER),
        (feed_admission(ANNA_FEED, ANNA, &[ANNA_FEED, FOUNDER]), ANNA),
    ];
    for (bytes, missing) in cases {
        let by = key(missing);
        assert_eq!(reject(&mut membership, place, &bytes), Rejection::Unsigned { by });
    }
}

#[test]
fn h1_a_genesis_needs_all_three_signatures() {
    let all = [PARTY, FOUNDER, FOUNDER_FEED];
    for missing in all {
        let signers: Vec<u8> = all.into_iter().filter(|number| *number != missing).collect();
        let bytes = genesis_of(PARTY, FOUNDER, FOUNDER_FEED, &signers);
        let mut membership = Membership::new(party(PARTY));
        let rejection = reject(&mut membership, at(FOUNDER_FEED, 0), &bytes);
        assert_eq!(rejection, Rejection::Unsigned { by: key(missing) });
    }
}

#[test]
fn h1_one_key_cannot_stand_for_two_parts() {
    let mut membership = founded();
    let place = at(FOUNDER_FEED, 1);
    for bytes in [
        feed_admission(FOUNDER, FOUNDER, &[FOUNDER]),
        feed_admission(PARTY, FOUNDER, &[PARTY, FOUNDER]),
        key_admission(PARTY, &[PARTY, FOUNDER]),
        genesis_of(PARTY, PARTY, FOUNDER_FEED, &[PARTY, FOUNDER_FEED]),
    ] {
        assert_eq!(reject(&mut membership, place, &bytes), Rejection::KeyReused);
    }
}

#[test]
fn h2_a_bad_signature_anywhere_leaves_no_trace() {
    let admission = key_admission(ANNA, &[ANNA, FOUNDER, ALIEN]);
    let of_feed = feed_admission(ANNA_FEED, FOUNDER, &[ANNA_FEED, FOUNDER]);
    let mut membership = founded();
    for (bytes, signatures) in [(&admission, 3), (&of_feed, 2)] {
        for index in 0..signatures {
            let broken = with_broken_signature(bytes, index);
            let rejection = reject(&mut membership, at(FOUNDER_FEED, 1), &broken);
            assert_eq!(rejection, Rejection::Signature(VerifyError::BadSignature));
        }
    }
    let mut unfounded = Membership::new(party(PARTY));
    for index in 0..3 {
        let broken = with_broken_signature(&genesis(), index);
        reject(&mut unfounded, at(FOUNDER_FEED, 0), &broken);
    }
}

#[test]
fn h2_no_flipped_byte_is_accepted() {
    let bytes = key_admission(ANNA, &[ANNA, FOUNDER]);
    for index in 0..bytes.len() {
        let mut tampered = bytes.to_vec();
        tampered[index] ^= 0x04;
        let mut membership = founded();
        let before = membership.clone();
        let verdict = membership.admit(at(FOUNDER_FEED, 1), &tampered.into());
        assert!(matches!(verdict, Verdict::Rejected(_)), "byte {index}: {verdict:?}");
        assert_eq!(membership, before, "byte {index}");
    }
}

#[test]
fn h3_feed_keys_and_the_party_key_are_no_authority() {
    let mut membership = with_anna();
    let by_party = key_admission(BORIS, &[BORIS, PARTY]);
    let rejection = reject(&mut membership, at(FOUNDER_FEED, 3), &by_party);
    assert_eq!(rejection, Rejection::SelfAdmission);
    for feed_ in [FOUNDER_FEED, ANNA_FEED] {
        let by_feed = key_admission(BORIS, &[BORIS, feed_]);
        let waits_for = park(&mut membership, at(feed_, 9), &by_feed);
        assert_eq!(waits_for, WaitsFor::AnyOf(vec![key(feed_)]));
    }
    assert!(!membership.is_member(&key(BORIS)));
}

#[test]
fn h4_nothing_is_believed_before_the_genesis() {
    let mut membership = Membership::new(party(PARTY));
    park(&mut membership, at(FOUNDER_FEED, 1), &key_admission(ANNA, &[ANNA, FOUNDER]));
    park(&mut membership, at(ANNA_FEED, 0), &feed_admission(ANNA_FEED, ANNA, &[ANNA_FEED, ANNA]));
    assert_eq!(membership.members().count(), 0);
    assert!(!membership.is_admitted(&feed(ANNA_FEED)));
    assert_eq!(membership.genesis(), None);
    assert!(!membership.may_write(&feed(ANNA_FEED), |_| true));
}

#[test]
fn h5_what_does_not_count_yet_is_not_lost() {
    let mut membership = founded();
    park(&mut membership, at(BORIS_FEED, 0), &key_admission(BORIS, &[BORIS, ANNA]));
    assert!(!membership.is_member(&key(BORIS)));
    let kinds =
        accept(&mut membership, at(FOUNDER_FEED, 1), &key_admission(ANNA, &[ANNA, FOUNDER]));
    assert_eq!(kinds, [AdmittedKind::Key(key(ANNA)), AdmittedKind::Key(key(BORIS))]);
}

#[test]
fn h6_consent_to_one_party_means_nothing_in_another() {
    let mut membership = founded();
    let claim = Claim::KeyAdmission { party: party(FOREIGN), key: key(ANNA) };
    let mut foreign = credential(&claim, &[ANNA]);
    foreign.sign(&signer(FOUNDER)).unwrap();
    let rejection = reject(&mut membership, at(FOUNDER_FEED, 1), &foreign.encode());
    assert_eq!(rejection, Rejection::WrongParty { named: party(FOREIGN) });

    let mut transplanted = Credential::new(&key_claim(ANNA));
    transplanted.signatures = foreign.signatures;
    let rejection = reject(&mut membership, at(FOUNDER_FEED, 1), &transplanted.encode());
    assert_eq!(rejection, Rejection::Signature(VerifyError::BadSignature));
}

#[test]
fn h9_further_signers_gain_nothing() {
    let mut membership = founded();
    let admission = key_admission(ANNA, &[ANNA, ALIEN, FOUNDER]);
    accept(&mut membership, at(FOUNDER_FEED, 1), &admission);
    let of_feed = feed_admission(ANNA_FEED, ANNA, &[ANNA_FEED, ANNA, ALIEN]);
    accept(&mut membership, at(FOUNDER_FEED, 2), &of_feed);
    assert!(!membership.is_member(&key(ALIEN)));
    park(&mut membership, at(ALIEN_FEED, 0), &key_admission(BORIS, &[BORIS, ALIEN]));
    assert_eq!(membership.members().count(), 2);
}

#[test]
fn h9_a_members_signature_does_not_replace_the_owners_membership() {
    let mut membership = founded();
    let of_feed = feed_admission(ANNA_FEED, ANNA, &[ANNA_FEED, ANNA, FOUNDER]);
    let waits_for = park(&mut membership, at(FOUNDER_FEED, 1), &of_feed);
    assert_eq!(waits_for, WaitsFor::AnyOf(vec![key(ANNA)]));
}

#[test]
fn h10_the_kind_of_a_claim_is_signed() {
    let mut membership = founded();
    let signatures = credential(&key_claim(ANNA), &[ANNA, FOUNDER]).signatures;
    let mut forged = Credential::new(&feed_claim(ANNA, FOUNDER));
    forged.signatures = signatures;
    let rejection = reject(&mut membership, at(FOUNDER_FEED, 1), &forged.encode());
    assert_eq!(rejection, Rejection::Signature(VerifyError::BadSignature));
}

#[test]
fn h11_a_forgery_does_not_bar_the_real_one() {
    let mut membership = founded();
    let real = key_admission(ANNA, &[ANNA, FOUNDER]);
    reject(&mut membership, at(FOUNDER_FEED, 1), &with_broken_signature(&real, 0));
    let kinds = accept(&mut membership, at(FOUNDER_FEED, 1), &real);
    assert_eq!(kinds, [AdmittedKind::Key(key(ANNA))]);
}

#[test]
fn h14_nobody_takes_a_feed_over_without_its_key() {
    let mut membership = with_anna();
    accept(&mut membership, at(FOUNDER_FEED, 3), &key_admission(BORIS, &[BORIS, FOUNDER]));
    let taken = feed_admission(ANNA_FEED, BORIS, &[BORIS, FOUNDER]);
    reject(&mut membership, at(FOUNDER_FEED, 4), &taken);
    assert_eq!(membership.author(&feed(ANNA_FEED), |_| true), Some(&key(ANNA)));
}

#[test]
fn h14_a_feed_key_that_signs_two_owners_has_the_same_owner_everywhere() {
    let claims = [ANNA, BORIS].map(|owner| feed_admission(ALIEN_FEED, owner, &[ALIEN_FEED, owner]));
    let lowest = key(ANNA).min(key(BORIS));
    let mut outcomes = Vec::new();
    for order in [[0, 1], [1, 0]] {
        let mut membership = with_anna();
        accept(&mut membership, at(FOUNDER_FEED, 3), &key_admission(BORIS, &[BORIS, FOUNDER]));
        for index in order {
            accept(&mut membership, at(FOUNDER_FEED, 4 + index as u64), &claims[index]);
        }
        assert_eq!(membership.author(&feed(ALIEN_FEED), |_| true), Some(&lowest));
        let first_only = |position: &Position| *position < at(FOUNDER_FEED, 5);
        assert_eq!(membership.author(&feed(ALIEN_FEED), first_only), Some(&key(ANNA)));
        outcomes.push(membership);
    }
    assert_eq!(outcomes[0], outcomes[1]);
}

#[test]
fn h15_a_block_speaks_only_with_its_feeds_admission_in_its_past() {
    let membership = with_anna();
    let admission = at(FOUNDER_FEED, 2);
    assert!(!membership.may_write(&feed(ANNA_FEED), |position| *position < admission));
    assert!(membership.may_write(&feed(ANNA_FEED), |position| *position <= admission));
}

#[test]
fn h16_a_missing_link_of_the_chain_is_waited_for() {
    let mut membership = founded();
    park(&mut membership, at(ALIEN_FEED, 0), &key_admission(14, &[14, BORIS]));
    park(&mut membership, at(BORIS_FEED, 0), &key_admission(BORIS, &[BORIS, ANNA]));
    let kinds =
        accept(&mut membership, at(FOUNDER_FEED, 1), &key_admission(ANNA, &[ANNA, FOUNDER]));
    assert_eq!(kinds.len(), 3);
    assert!(membership.is_member(&key(14)));
}

#[test]
fn nobody_admits_himself() {
    let mut membership = with_anna();
    for number in [ANNA, ALIEN] {
        let alone = key_admission(number, &[number]);
        let rejection = reject(&mut membership, at(ANNA_FEED, 0), &alone);
        assert_eq!(rejection, Rejection::SelfAdmission);
    }
}

#[test]
fn a_genesis_stands_at_the_start_of_its_feed() {
    let mut membership = Membership::new(party(PARTY));
    for place in [at(FOUNDER_FEED, 1), at(ALIEN_FEED, 0)] {
        assert_eq!(reject(&mut membership, place, &genesis()), Rejection::MisplacedGenesis);
    }
}

#[test]
fn a_second_genesis_and_a_foreign_one_are_refused() {
    let mut membership = founded();
    let second = genesis_of(PARTY, ANNA, ANNA_FEED, &[PARTY, ANNA, ANNA_FEED]);
    let rejection = reject(&mut membership, at(ANNA_FEED, 0), &second);
    assert_eq!(rejection, Rejection::SecondGenesis);
    let other_key = genesis_of(PARTY, ANNA, FOUNDER_FEED, &[PARTY, ANNA, FOUNDER_FEED]);
    let rejection = reject(&mut membership, at(FOUNDER_FEED, 0), &other_key);
    assert_eq!(rejection, Rejection::SecondGenesis);
    let foreign = genesis_of(FOREIGN, ANNA, ANNA_FEED, &[FOREIGN, ANNA, ANNA_FEED]);
    let mut unfounded = Membership::new(party(PARTY));
    for membership in [&mut membership, &mut unfounded] {
        let rejection = reject(membership, at(ANNA_FEED, 0), &foreign);
        assert_eq!(rejection, Rejection::WrongParty { named: party(FOREIGN) });
    }
}

#[test]
fn weak_keys_are_refused() {
    let mut identity_point = [0; 32];
    identity_point[0] = 1;
    let weak = PublicKey(identity_point);
    let claim = Claim::KeyAdmission { party: party(PARTY), key: weak };
    let mut forged = credential(&claim, &[FOUNDER]);
    let mut signature = [0; 64];
    signature[0] = 1;
    forged.signatures.push((weak, Signature(signature)));
    let rejection = reject(&mut founded(), at(FOUNDER_FEED, 1), &forged.encode());
    assert_eq!(rejection, Rejection::Signature(VerifyError::WeakKey));
}

#[test]
fn garbage_is_refused() {
    let mut membership = founded();
    for bytes in [&b""[..], b"\x01", b"\x02", b"\x01\xff\xff\xff\xff\xff", &[0; 40_000]] {
        let bytes = Bytes::copy_from_slice(bytes);
        let rejection = reject(&mut membership, at(FOUNDER_FEED, 1), &bytes);
        assert!(matches!(rejection, Rejection::Malformed(_)), "{rejection:?}");
    }
}

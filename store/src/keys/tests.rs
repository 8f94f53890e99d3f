//! Keys sort as what they name does, and none is a prefix of a stranger.

use std::collections::BTreeSet;

use super::*;

fn item_of(feed: u32, seq: u64) -> ItemKey {
    ItemKey { feed: FeedNo(feed), seq }
}

/// Numbers whose byte order would differ if they were little-endian or of variable size.
const NUMBERS: [u64; 7] = [0, 1, 255, 256, 65_535, 1 << 32, u64::MAX];

#[test]
fn keys_sort_as_their_numbers_do() {
    let mut blocks = Vec::new();
    let mut logs = Vec::new();
    for feed in [0, 1, 255, 256, u32::MAX] {
        for seq in NUMBERS {
            blocks.push(block(FeedNo(feed), seq));
            for ordinal in NUMBERS {
                logs.push(processing_log(item_of(feed, seq), ordinal));
            }
        }
    }
    assert!(blocks.is_sorted());
    assert!(logs.is_sorted());
}

#[test]
fn a_number_at_the_end_of_a_key_is_read_back() {
    for seq in NUMBERS {
        assert_eq!(last_u64(&block(FeedNo(7), seq)), Some(seq));
        assert_eq!(
            last_item(&item_by_model(PartyNo(1), "m", item_of(7, seq))),
            Some(item_of(7, seq))
        );
    }
    assert_eq!(last_u32(&alias(FeedNo(7), 9)), Some(9));
    assert_eq!(last_u64(b"short"), None);
}

#[test]
fn a_prefix_range_holds_its_keys_and_no_others() {
    for last in [0, 1, 255, u32::MAX] {
        let range = Range::prefix(&per_feed(Kind::Block, FeedNo(last)));
        let within = |key: &[u8]| range.from.as_slice() <= key && key < range.to.as_slice();
        assert!(within(&block(FeedNo(last), 0)) && within(&block(FeedNo(last), u64::MAX)));
        assert!(!within(&block(FeedNo(last ^ 1), 5)));
        assert!(!within(&node(FeedNo(last), 6, 0)));
    }
}

#[test]
fn a_range_behind_a_key_starts_with_the_next_one() {
    let range = Range::prefix(&per_feed(Kind::Block, FeedNo(3))).after(&block(FeedNo(3), 8));
    assert!(block(FeedNo(3), 8).as_slice() < range.from.as_slice());
    assert!(range.from.as_slice() < block(FeedNo(3), 9).as_slice());
}

#[test]
fn a_model_whose_name_starts_like_anothers_has_a_range_of_its_own() {
    let range = Range::prefix(&items_by_model(PartyNo(1), "text"));
    let other = item_by_model(PartyNo(1), "text2", item_of(1, 1));
    assert!(!(range.from <= other && other < range.to));
}

#[test]
fn an_item_without_parent_is_apart_from_the_children_of_the_first_item() {
    let none = items_by_parent(PartyNo(1), None);
    let first = items_by_parent(PartyNo(1), Some(item_of(0, 0)));
    assert_ne!(none, first);
}

#[test]
fn no_two_kinds_of_keys_share_a_kind_byte() {
    let public = [7; 32];
    let item_key = item_of(1, 2);
    let keys: Vec<Vec<u8>> = vec![
        block(FeedNo(1), 2).into(),
        node(FeedNo(1), 6, 3).into(),
        head(FeedNo(1), 2).into(),
        latest_head(FeedNo(1)).into(),
        step(FeedNo(1), 2).into(),
        alias(FeedNo(1), 2).into(),
        equivocation(FeedNo(1)).into(),
        format().into(),
        place().into(),
        counter(Counter::Feed).into(),
        party_by_no(PartyNo(1)).into(),
        party_by_key(&PartyKey(public)).into(),
        feed_by_no(FeedNo(1)).into(),
        feed_by_key(&FeedKey(public)).into(),
        feed_of_party(PartyNo(1), FeedNo(2)).into(),
        position(FeedNo(1)).into(),
        credential(PartyNo(1), 2).into(),
        quarantine(PartyNo(1), FeedNo(2), 3).into(),
        preference("theme"),
        item(item_key).into(),
        item_by_id(PartyNo(1), &ItemId([9; 20])).into(),
        item_by_model(PartyNo(1), "example.counter", item_key),
        item_by_parent(PartyNo(1), Some(item_key), item_key).into(),
        processing_log(item_key, 4).into(),
        checkpoint(item_key).into(),
        vault_header().into(),
        secret(&public).into(),
        known_key(&public).into(),
    ];
    let kinds: BTreeSet<u8> = keys.iter().map(|key| key[0]).collect();
    assert_eq!(kinds.len(), keys.len());
    for key in keys {
        let words = describe(&key);
        assert!(!words.contains("unknown") && !words.contains("short"), "{words}");
    }
}

#[test]
fn a_key_is_told_in_words() {
    assert_eq!(describe(&block(FeedNo(3), 17)), "block: feed 3 seq 17");
    assert_eq!(
        describe(&item_by_model(PartyNo(2), "example.counter", item_of(3, 17))),
        "item by model: party 2 example.counter feed 3 seq 17"
    );
    assert_eq!(describe(&preference("theme")), "preference: theme");
}

#[test]
fn a_key_that_is_none_is_told_without_panic() {
    assert_eq!(describe(&[0xee, 1]), "unknown key ee01");
    assert_eq!(describe(&[]), "unknown key ");
    assert!(describe(&block(FeedNo(3), 17)[..6]).contains("short key"));
}

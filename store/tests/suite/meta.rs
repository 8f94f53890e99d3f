//! MetaStore: parties, feeds, positions, credentials, quarantine, preferences.

use bytes::Bytes;
use systole_proto::{PartyKey, Stamp};
use systole_store::{
    CredentialRecord, FeedNo, FeedPosition, PartyNo, PartyRecord, QuarantineRecord,
    REASON_BYTES_MAX, Store,
};

use crate::support::{commit, feed_key, feed_record, party_record};

#[test]
fn parties_are_found_by_number_and_by_key() {
    let store = Store::memory();
    let meta = store.meta();
    let full = party_record(1);
    let bare = PartyRecord {
        genesis_feed: None,
        device: None,
        own_feed: Some(FeedNo(4)),
        active: false,
        deleted: true,
        ..party_record(2)
    };
    commit(&store, |batch| {
        meta.put_party(batch, &bare);
        meta.put_party(batch, &full);
    });
    assert_eq!(meta.party(PartyNo(1)).unwrap().as_ref(), Some(&full));
    assert_eq!(meta.party_no(&full.key).unwrap(), Some(PartyNo(1)));
    assert_eq!(meta.party_by_key(&bare.key).unwrap().as_ref(), Some(&bare));
    assert_eq!(meta.party(PartyNo(3)).unwrap(), None);
    assert_eq!(meta.party_by_key(&PartyKey([0; 32])).unwrap(), None);
    assert_eq!(meta.parties().unwrap(), [full, bare]);
}

#[test]
fn feeds_are_found_by_number_by_key_and_by_party() {
    let store = Store::memory();
    let meta = store.meta();
    let records = [feed_record(1, 1), feed_record(2, 2), feed_record(300, 1)];
    commit(&store, |batch| records.iter().for_each(|feed| meta.put_feed(batch, feed)));
    assert_eq!(meta.feed(FeedNo(2)).unwrap().as_ref(), Some(&records[1]));
    assert_eq!(meta.feed_no(&feed_key(1)).unwrap(), Some(FeedNo(1)));
    assert_eq!(meta.feed_by_key(&feed_key(2)).unwrap().as_ref(), Some(&records[1]));
    assert_eq!(meta.feed_by_key(&feed_key(7)).unwrap(), None);
    assert_eq!(meta.feed_nos(PartyNo(1)).unwrap(), [FeedNo(1), FeedNo(300)]);
    assert_eq!(meta.feeds_of(PartyNo(1)).unwrap(), [records[0].clone(), records[2].clone()]);
    assert_eq!(meta.feeds_of(PartyNo(9)).unwrap(), []);
}

#[test]
fn numbers_begin_at_one_and_go_on_where_they_were_set() {
    let store = Store::memory();
    let meta = store.meta();
    assert_eq!(meta.next_feed_no().unwrap(), FeedNo(1));
    assert_eq!(meta.next_party_no().unwrap(), PartyNo(1));
    commit(&store, |batch| {
        meta.put_next_feed_no(batch, FeedNo(4));
        meta.put_next_party_no(batch, PartyNo(2));
    });
    assert_eq!(meta.next_feed_no().unwrap(), FeedNo(4));
    assert_eq!(meta.next_party_no().unwrap(), PartyNo(2));
}

#[test]
fn positions_are_replaced() {
    let store = Store::memory();
    let meta = store.meta();
    assert_eq!(meta.position(FeedNo(1)).unwrap(), None);
    let halted = FeedPosition {
        length: u64::MAX,
        processed: 3,
        lamport: 9,
        stamp: Stamp { millis: 1_700_000_000_000, logical: u16::MAX },
        halted: Some("block 3 names its own future".to_owned()),
    };
    for position in [FeedPosition::default(), halted] {
        commit(&store, |batch| meta.put_position(batch, FeedNo(1), &position));
        assert_eq!(meta.position(FeedNo(1)).unwrap(), Some(position));
    }
}

#[test]
fn a_position_takes_few_bytes() {
    let store = Store::memory();
    let mut batch = systole_store::Batch::new();
    let position = FeedPosition {
        length: 1_000_000,
        processed: 999_990,
        lamport: 2_000_000,
        stamp: Stamp { millis: 1_700_000_000_000, logical: 0 },
        halted: None,
    };
    store.meta().put_position(&mut batch, FeedNo(1), &position);
    assert!(batch.bytes() <= 24, "{} bytes", batch.bytes());
}

#[test]
fn credentials_are_listed_in_the_order_of_their_numbers() {
    let store = Store::memory();
    let meta = store.meta();
    let credential = |n: u8| CredentialRecord {
        feed: FeedNo(n.into()),
        seq: u64::from(n) << 40,
        bytes: Bytes::from(vec![n; n.into()]),
    };
    commit(&store, |batch| {
        for n in [2, 0, 255, 1] {
            meta.put_credential(batch, PartyNo(1), u64::from(n) * 300, &credential(n));
        }
        meta.put_credential(batch, PartyNo(2), 0, &credential(7));
    });
    let expected = [0, 1, 2, 255].map(|n| (u64::from(n) * 300, credential(n)));
    assert_eq!(meta.credentials(PartyNo(1)).unwrap(), expected);
}

#[test]
fn quarantine_is_listed_in_pages() {
    let store = Store::memory();
    let meta = store.meta();
    commit(&store, |batch| {
        for seq in 0..5 {
            meta.put_quarantine(batch, PartyNo(1), FeedNo(1), seq, "malformed", "no body");
        }
        meta.put_quarantine(batch, PartyNo(1), FeedNo(2), 0, "unadmitted", "no admission");
        meta.put_quarantine(batch, PartyNo(2), FeedNo(3), 0, "malformed", "");
    });
    assert_eq!(meta.quarantined_count(PartyNo(1)).unwrap(), 6);
    let places = |page: &[QuarantineRecord]| -> Vec<_> {
        page.iter().map(|record| (record.feed.0, record.seq)).collect()
    };
    let page = meta.quarantined(PartyNo(1), None, 4).unwrap();
    assert_eq!(places(&page), [(1, 0), (1, 1), (1, 2), (1, 3)]);
    let page = meta.quarantined(PartyNo(1), Some((FeedNo(1), 3)), 4).unwrap();
    assert_eq!(places(&page), [(1, 4), (2, 0)]);
    assert_eq!((page[1].code.as_str(), page[1].reason.as_str()), ("unadmitted", "no admission"));
    assert_eq!(meta.quarantined(PartyNo(1), None, 0).unwrap(), []);
}

#[test]
fn a_long_reason_is_cut_between_characters() {
    let store = Store::memory();
    let reason = "a".to_owned() + &"é".repeat(REASON_BYTES_MAX);
    commit(&store, |batch| {
        store.meta().put_quarantine(batch, PartyNo(1), FeedNo(1), 0, "malformed", &reason);
    });
    let kept = store.meta().quarantined(PartyNo(1), None, 1).unwrap().remove(0).reason;
    assert_eq!(kept.len(), REASON_BYTES_MAX - 1);
    assert!(reason.starts_with(&kept));
}

#[test]
fn preferences_are_set_listed_and_removed() {
    let store = Store::memory();
    let meta = store.meta();
    commit(&store, |batch| {
        meta.put_preference(batch, "theme", Some(b"dark"));
        meta.put_preference(batch, "", Some(b""));
        meta.put_preference(batch, "größe", Some(&[0xff; 300]));
    });
    assert_eq!(meta.preference("theme").unwrap().unwrap(), b"dark".as_slice());
    assert_eq!(meta.preference("").unwrap().unwrap(), b"".as_slice());
    assert_eq!(meta.preference("them").unwrap(), None);
    commit(&store, |batch| meta.put_preference(batch, "theme", None));
    let names: Vec<_> = meta.preferences().unwrap().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["", "größe"]);
}

//! Ids have one text each, and that text reads back.

use systole_proto::{DecodeError, FeedKey, Hash, ItemId, ParseIdError};

#[test]
fn base32_matches_the_examples_of_rfc_4648() {
    // "foobar" in the RFC is mzxw6ytboi; the rest of the id is zero.
    let mut bytes = [0; 20];
    bytes[..6].copy_from_slice(b"foobar");
    assert_eq!(ItemId(bytes).to_string(), "mzxw6ytboiaaaaaaaaaaaaaaaaaaaaaa");
    assert_eq!(Hash([0xff; 32]).to_string(), format!("{}q", "7".repeat(51)));
}

#[test]
fn text_reads_back_to_the_same_id_in_either_case() {
    for fill in 0..=255u8 {
        let id = FeedKey(std::array::from_fn(|at| fill.wrapping_mul(31).wrapping_add(at as u8)));
        let text = id.to_string();
        assert_eq!(text.len(), 52);
        assert_eq!(text.parse(), Ok(id));
        assert_eq!(text.to_uppercase().parse(), Ok(id));
    }
}

#[test]
fn text_that_no_id_prints_is_refused() {
    let good = ItemId([7; 20]).to_string();
    let short = ParseIdError::Length { found: 31, expected: 32 };
    assert_eq!(good[1..].parse::<ItemId>(), Err(short));
    let bad = good.replacen(|_| true, "1", 1);
    assert_eq!(bad.parse::<ItemId>(), Err(ParseIdError::Character('1')));
    let accent = good.replacen(|_| true, "é", 1);
    assert_eq!(accent.parse::<ItemId>(), Err(ParseIdError::Character('é')));
    let padded = format!("{}b", "a".repeat(51));
    assert_eq!(padded.parse::<FeedKey>(), Err(ParseIdError::TrailingBits));
    // 'K' as the Kelvin sign becomes 'k' in other rules of lower case.
    let kelvin = good.replacen(|_| true, "\u{212a}", 1);
    assert!(kelvin.parse::<ItemId>().is_err());
}

#[test]
fn prefix_matches_in_either_case_and_not_beyond_the_text() {
    let id = ItemId([0x42; 20]);
    let text = id.to_string();
    for end in 0..=text.len() {
        assert!(id.matches_prefix(&text[..end]));
        assert!(id.matches_prefix(&text[..end].to_uppercase()));
    }
    assert!(!id.matches_prefix(&format!("{text}a")));
    assert!(!id.matches_prefix("0"));
    assert!(!id.matches_prefix("é"));
    assert_eq!(id.short(), text[..8]);
    assert_eq!(format!("{id:?}"), format!("ItemId({})", &text[..8]));
}

#[test]
fn bytes_of_another_size_are_no_id() {
    let error = |found| DecodeError::WrongSize { what: "feed key", found, expected: 32 };
    assert_eq!(FeedKey::from_bytes(&[1; 32]), Ok(FeedKey([1; 32])));
    assert_eq!(FeedKey::from_bytes(&[1; 31]), Err(error(31)));
    assert_eq!(FeedKey::from_bytes(&[]), Err(error(0)));
}

#[test]
fn item_ids_differ_by_feed_and_by_position() {
    let id = ItemId::of(&FeedKey([1; 32]), 0);
    assert_eq!(id, ItemId::of(&FeedKey([1; 32]), 0));
    assert_ne!(id, ItemId::of(&FeedKey([1; 32]), 1));
    assert_ne!(id, ItemId::of(&FeedKey([2; 32]), 0));
}

//! What must hold of a replica whatever happened to it: its state follows from its blocks.
//!
//! Invariant: nothing here looks at how the engine came to where it is; it compares with a replica that
//! was never harmed.

use std::collections::BTreeMap;

use systole::{
    Durability, Engine, Error, ItemId, ItemInfo, ItemQuery, Model as _, Object, Party, PartyKey,
    Range, Text, Verifier,
};
use systole_store::Store;

use crate::exchange::offer;
use crate::journal::Journal;

/// All that can be seen of a party's items, deleted ones too, in words.
///
/// # Errors
/// As of the views.
pub async fn everything(party: &Party) -> Result<BTreeMap<ItemId, String>, Error> {
    let mut seen = BTreeMap::new();
    for info in party.items(&ItemQuery { with_deleted: true, ..ItemQuery::default() })? {
        let value = value(party, &info).await?;
        let metadata = party.view_metadata(info.id, show).await?;
        let said = format!("{info:?} {value} {metadata}");
        assert!(seen.insert(info.id, said).is_none(), "item {} is listed twice", info.id);
    }
    Ok(seen)
}

/// An item's content in words.
///
/// # Errors
/// As of the views.
pub async fn value(party: &Party, info: &ItemInfo) -> Result<String, Error> {
    match info.model.as_str() {
        Text::TYPE => party.item::<Text>(info.id)?.view(|text| text.to_string()).await,
        Object::TYPE => party.item::<Object>(info.id)?.view(show).await,
        Journal::TYPE => {
            party.item::<Journal>(info.id)?.view(|journal| journal.lines().join(" ")).await
        }
        other => panic!("items of type {other} are not looked at"),
    }
}

/// The values, and at each field what lost against them.
fn show(object: &Object) -> String {
    let entries = object.entries().map(|(path, value)| {
        let lost = object.conflicts(path);
        format!("{path}={value} {lost:?}")
    });
    entries.collect::<Vec<_>>().join(" ")
}

/// All blocks that a party holds.
///
/// # Errors
/// As of [`Party::read`].
pub async fn blocks(party: &Party) -> Result<Vec<Range>, Error> {
    let mut ranges = Vec::new();
    for (feed, length) in party.feeds().await? {
        let mut at = 0;
        while at < length {
            let range = party.read(feed, at).await?.expect("blocks that are held can be read");
            at = range.end();
            ranges.push(range);
        }
    }
    Ok(ranges)
}

/// What a replica sees that was given these blocks and nothing ever happened to.
///
/// # Panics
/// If the blocks do not prove themselves.
pub async fn replay(party: PartyKey, ranges: Vec<Range>) -> BTreeMap<ItemId, String> {
    let engine = Engine::in_memory().durability(Durability::Buffered).register::<Journal>();
    let engine = engine.open().await.expect("memory opens");
    let replica = engine.join(party).await.expect("the party is new to it");
    for range in ranges {
        offer(&replica, range).await;
    }
    replica.settle().await.expect("the replica is open");
    let seen = everything(&replica).await.expect("the replica is sound");
    engine.close().await.expect("memory closes");
    seen
}

/// Checks that a party shows what its blocks say, and that nothing of them is left aside.
///
/// # Panics
/// If it does not.
pub async fn check_replica(party: &Party, what: &str) {
    party.settle().await.expect("the party is open");
    let status = party.status().await.expect("the party is open");
    for feed in &status.feeds {
        assert!(feed.processed <= feed.stored, "{what}: a position claims too much: {feed:?}");
        let waits = feed.waits_for.is_some() || !feed.admitted;
        assert!(feed.processed == feed.stored || waits, "{what}: left aside: {feed:?}");
        assert_eq!(feed.halted, None, "{what}: {feed:?}");
    }
    let seen = everything(party).await.unwrap_or_else(|error| panic!("{what}: {error}"));
    let ranges = blocks(party).await.unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_same(&replay(party.key(), ranges).await, &seen, what);
}

/// Checks that two devices see the same.
///
/// # Panics
/// If they do not.
pub fn assert_same(
    expected: &BTreeMap<ItemId, String>,
    seen: &BTreeMap<ItemId, String>,
    what: &str,
) {
    for (id, expected) in expected {
        assert_eq!(seen.get(id), Some(expected), "{what}");
    }
    assert_eq!(expected.len(), seen.len(), "{what}");
}

/// Checks every record of a store that no engine has open.
///
/// # Panics
/// If it is damaged.
pub fn check_sound(store: Store, what: &str) {
    assert_sound(Verifier::on_store(store), what);
}

/// The same for one that is about to be verified.
///
/// # Panics
/// If it is damaged.
pub fn assert_sound(verifier: Verifier, what: &str) {
    let verifier = verifier.register::<Journal>();
    let report = verifier.run(&mut |_| {}).expect("the store can be verified");
    let damage: Vec<_> = report.damage.iter().map(ToString::to_string).collect();
    assert!(report.is_sound(), "{what}: {damage:#?}");
}

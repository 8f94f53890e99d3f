//! Devices that write at the same time end with the same values, whatever order the blocks come in.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;

use systole::{
    CheckpointPolicy, Durability, Engine, EngineBuilder, ErrorKind, ItemId, ItemQuery, Model,
    NewItem, Object, ObjectMutation, Party, Range, Text, TextMutation, Transaction,
};
use systole_store::Memory;
use systole_tests::exchange::offer;
use systole_tests::{Group, Random, exchange, pull};

const DEVICES: usize = 3;
const ORDERS: usize = 6;
const FIELDS: [&str; 4] = ["a", "b", "c", "d"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn generated_histories_converge_on_every_replica_and_after_reopening() {
    for seed in 0..100 {
        let mut random = Random::new(seed);
        let group = Group::in_memory(DEVICES).await;
        let log = write_history(&group, &mut random).await;
        let expected = everything(&group.parties[0]).await;
        for party in &group.parties {
            assert_same(&expected, &everything(party).await, &format!("history {seed}, a writer"));
        }
        for order in 0..ORDERS {
            let backend = Arc::new(Memory::new());
            let engine = reader(&backend, order).open().await.unwrap();
            let party = engine.join(group.parties[0].key()).await.unwrap();
            deliver(&party, &log, &mut random).await;
            let what = format!("history {seed}, order {order}");
            assert_same(&expected, &everything(&party).await, &what);
            engine.close().await.unwrap();

            let engine = reader(&backend, order).open().await.unwrap();
            let party = engine.party(party.key()).await.unwrap();
            assert_same(&expected, &everything(&party).await, &format!("{what}, reopened"));
            engine.close().await.unwrap();
        }
        group.close().await;
    }
}

/// Some readers keep next to nothing in memory and checkpoint all the time.
fn reader(backend: &Arc<Memory>, order: usize) -> EngineBuilder {
    let builder = Engine::on_backend(backend.clone()).durability(Durability::Buffered);
    if order.is_multiple_of(2) {
        return builder;
    }
    let often = CheckpointPolicy { messages_max: 3, idle_messages_min: 1, ..Default::default() };
    builder.checkpoints(often).memory_budget_bytes(1)
}

/// What was written to each feed, as the ranges that were read after each transaction.
type Log = Vec<Vec<Range>>;

/// Three devices write, and now and then hear something of each other; in the end everything.
async fn write_history(group: &Group, random: &mut Random) -> Log {
    let mut log: Log = vec![Vec::new(); DEVICES];
    for (party, ranges) in group.parties.iter().zip(&mut log) {
        ranges.extend(party.read(party.own_feed().unwrap(), 0).await.unwrap());
    }
    for _ in 0..10 + random.below(15) {
        let device = random.below(DEVICES);
        let party = &group.parties[device];
        if random.one_in(2) {
            hear(party, &log[random.below(DEVICES)], random).await;
        }
        let mut transaction = party.transaction().durability(Durability::Buffered);
        for _ in 0..1 + random.below(4) {
            transaction = operation(party, transaction, random).await;
        }
        let receipt = match transaction.commit().await {
            Ok((receipt, _)) => receipt,
            // An item cannot lie under itself; nothing of the transaction is written then.
            Err(error) if error.kind() == ErrorKind::Rejected => continue,
            Err(error) => panic!("{error}"),
        };
        log[device].extend(party.read(receipt.feed, receipt.seq).await.unwrap());
    }
    group.spread().await;
    log
}

/// Takes in the next part of a feed.
async fn hear(party: &Party, ranges: &[Range], random: &mut Random) {
    let held = party.feeds().await.unwrap();
    let Some(feed) = ranges.first().map(|range| range.feed) else { return };
    let held = held.iter().find(|(known, _)| *known == feed).map_or(0, |(_, length)| *length);
    let left: Vec<&Range> = ranges.iter().filter(|range| range.start >= held).collect();
    if !left.is_empty() {
        for range in &left[..1 + random.below(left.len())] {
            offer(party, (*range).clone()).await;
        }
        party.settle().await.unwrap();
    }
}

async fn operation(party: &Party, start: Transaction, random: &mut Random) -> Transaction {
    let infos = party.items(&ItemQuery { with_deleted: true, ..ItemQuery::default() }).unwrap();
    let pick = |random: &mut Random, model: &str| -> Option<ItemId> {
        let fit: Vec<_> = infos.iter().filter(|info| info.model == model).collect();
        random.any(&fit).map(|item| item.id)
    };
    let object = pick(random, Object::TYPE).map(|id| party.item::<Object>(id).unwrap());
    let text = pick(random, Text::TYPE).map(|id| party.item::<Text>(id).unwrap());
    let other = pick(random, Object::TYPE).map(|id| party.item::<Object>(id).unwrap());
    match (random.below(12), object, text, other) {
        (0..=2, Some(object), ..) => start.mutate(&object, fields(random)),
        (3..=6, _, Some(text), _) => {
            // Edits of one transaction see each other, so they stay where every length fits.
            let length = text.view(Text::len).await.unwrap();
            let mutation = match random.one_in(3) && length > 8 {
                true => TextMutation::replace(0, 1, "-"),
                false => TextMutation::insert(random.below(length + 1), letters(random)),
            };
            start.mutate(&text, mutation)
        }
        (7, _, Some(text), _) => start.metadata(&text, fields(random)),
        (8, Some(object), Some(text), _) => match random.below(3) {
            0 => start.delete(&text),
            1 => start.restore(&text),
            _ => start.move_to(&text, Some(&object)),
        },
        (9, Some(object), _, Some(other)) => match random.below(3) {
            0 => start.delete(&object),
            1 => start.restore(&object),
            _ => start.move_to(&object, Some(&other)),
        },
        (10, Some(object), ..) => {
            start.create(NewItem::<Text>::new().under(&object).with(TextMutation::insert(0, "new")))
        }
        _ => start.create(NewItem::<Object>::new().with(fields(random)).metadata(fields(random))),
    }
}

fn fields(random: &mut Random) -> ObjectMutation {
    let field = FIELDS[random.below(FIELDS.len())];
    match random.below(4) {
        0 => ObjectMutation::delete(field),
        1 => ObjectMutation::set(
            [field, FIELDS[random.below(FIELDS.len())]],
            random.below(100) as i64,
        ),
        _ => ObjectMutation::set(field, random.below(100) as i64),
    }
}

fn letters(random: &mut Random) -> String {
    (0..1 + random.below(3)).map(|_| char::from(b'a' + random.below(26) as u8)).collect()
}

async fn deliver(party: &Party, log: &Log, random: &mut Random) {
    let mut left: Vec<&[Range]> = log.iter().map(|ranges| &ranges[..]).collect();
    left.retain(|ranges| !ranges.is_empty());
    while !left.is_empty() {
        let at = random.below(left.len());
        offer(party, left[at][0].clone()).await;
        left[at] = &left[at][1..];
        if left[at].is_empty() {
            left.swap_remove(at);
        }
        if random.one_in(4) {
            party.settle().await.unwrap();
        }
    }
    party.settle().await.unwrap();
}

/// All that can be seen of a party, without what is known only to this device.
async fn everything(party: &Party) -> BTreeMap<ItemId, String> {
    let mut seen = BTreeMap::new();
    for info in party.items(&ItemQuery { with_deleted: true, ..ItemQuery::default() }).unwrap() {
        let (value, metadata) = if info.model == Text::TYPE {
            let item = party.item::<Text>(info.id).unwrap();
            let value = item.view(|text| text.to_string()).await.unwrap();
            (value, item.view_metadata(show).await.unwrap())
        } else {
            let item = party.item::<Object>(info.id).unwrap();
            (item.view(show).await.unwrap(), item.view_metadata(show).await.unwrap())
        };
        let said = format!("{info:?} {value:?} {metadata:?}");
        assert!(seen.insert(info.id, said).is_none(), "listed twice");
    }
    let listed = party.items(&ItemQuery::default()).unwrap().len();
    let deleted = seen.values().filter(|said| said.contains("deleted: true")).count();
    assert_eq!(listed + deleted, seen.len());
    seen
}

/// The values, and at each field what lost against them.
fn show(object: &Object) -> String {
    let values: Vec<_> = object.entries().collect();
    let conflicts = FIELDS.map(|field| format!("{:?}", object.conflicts(field)));
    format!("{values:?} {conflicts:?}")
}

fn assert_same(expected: &BTreeMap<ItemId, String>, seen: &BTreeMap<ItemId, String>, what: &str) {
    assert_eq!(expected.len(), seen.len(), "{what}");
    for (id, expected) in expected {
        assert_eq!(Some(expected), seen.get(id), "{what}");
    }
}

/// A load that runs beside ingest must not take what is written meanwhile for absent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_item_that_is_loaded_while_its_history_arrives_is_the_same_as_elsewhere() {
    let mut random = Random::new(7);
    let group = Group::in_memory(2).await;
    let [here, there] = &group.parties[..] else { unreachable!() };
    let note = here.create(NewItem::<Text>::new()).await.unwrap();
    pull(here, there).await;
    let notes = [note.clone(), there.item::<Text>(note.id()).unwrap()];
    let mut log: Log = vec![Vec::new(); 2];
    for round in 0..1_500 {
        for (at, (party, note)) in [here, there].into_iter().zip(&notes).enumerate() {
            let length = note.view(Text::len).await.unwrap();
            let mutation = TextMutation::insert(random.below(length + 1), letters(&mut random));
            let start = party.transaction().durability(Durability::Buffered);
            start.mutate(note, mutation).commit().await.unwrap();
            let held = log[at].last().map_or(0, Range::end);
            log[at].extend(party.read(party.own_feed().unwrap(), held).await.unwrap());
        }
        if round % 3 == 0 {
            exchange(here, there).await;
        }
    }
    exchange(here, there).await;
    let expected = note.view(|text| text.to_string()).await.unwrap();

    for _ in 0..3 {
        // Not in memory, so every look loads it.
        let engine = Engine::in_memory().durability(Durability::Buffered);
        let engine = engine.memory_budget_bytes(1).open().await.unwrap();
        let party = engine.join(here.key()).await.unwrap();
        let delivered = tokio::spawn({
            let (party, log) = (party.clone(), log.clone());
            let mut random = Random::new(random.number());
            async move { deliver(&party, &log, &mut random).await }
        });
        while !delivered.is_finished() {
            if let Ok(copy) = party.item::<Text>(note.id()) {
                copy.view(Text::len).await.unwrap();
            }
            tokio::task::yield_now().await;
        }
        delivered.await.unwrap();
        let copy = party.item::<Text>(note.id()).unwrap();
        let text = copy.view(|text| text.to_string()).await.unwrap();
        assert!(text == expected, "{} for {} bytes", text.len(), expected.len());
        engine.close().await.unwrap();
    }
    group.close().await;
}

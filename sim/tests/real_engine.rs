//! The blocks of simulated histories in the real engine, with one worker thread and with two: every
//! item is what the simulation says it is.

use systole::{Engine, ItemQuery, Object, Party, PartyKey, Range, Text};
use systole_models::Model;
use systole_sim::{History, Simulation};

const SEEDS: std::ops::Range<u64> = 40..52;

/// What users see of an item: its content, as text.
fn shown(object: &Object) -> String {
    object.entries().map(|(path, value)| format!("{path:?} {value:?}\n")).collect()
}

/// Every item of a history: id, model, parent, whether deleted, what it shows.
type Items = Vec<(String, String, String, bool, String)>;

fn simulated(history: &mut History<'_>) -> Items {
    let listed = history.items().expect("the history is readable");
    let items = listed.into_iter().map(|item| {
        let content = match item.model.as_str() {
            Object::TYPE => history.view::<Object, _>(&item.id, shown).expect("an object"),
            Text::TYPE => history.view::<Text, _>(&item.id, Text::to_string).expect("a text"),
            _ => String::new(),
        };
        (item.id.to_string(), item.model, format!("{:?}", item.parent), item.deleted, content)
    });
    sorted(items.collect())
}

async fn real(party: &Party) -> Items {
    let query = ItemQuery { with_deleted: true, ..ItemQuery::default() };
    let mut items = Items::new();
    for item in party.items(&query).expect("items can be listed") {
        let content = match item.model.as_str() {
            Object::TYPE => {
                let object = party.item::<Object>(item.id).expect("an object");
                object.view(shown).await.expect("it can be seen")
            }
            Text::TYPE => {
                let text = party.item::<Text>(item.id).expect("a text");
                text.view(Text::to_string).await.expect("it can be seen")
            }
            _ => String::new(),
        };
        let (id, parent) = (item.id.to_string(), format!("{:?}", item.parent));
        items.push((id, item.model, parent, item.deleted, content));
    }
    sorted(items)
}

fn sorted(mut items: Items) -> Items {
    items.sort();
    items
}

/// The items that the real engine makes of `ranges`, the last feed first.
async fn replayed(key: PartyKey, ranges: Vec<Range>) -> Items {
    let engine = Engine::in_memory().open().await.expect("an engine in memory opens");
    let party = engine.join(key).await.expect("the party is new to it");
    let mut feeds: Vec<Vec<Range>> = Vec::new();
    for range in ranges {
        match feeds.last_mut() {
            Some(feed) if feed[0].feed == range.feed => feed.push(range),
            _ => feeds.push(vec![range]),
        }
    }
    for range in feeds.into_iter().rev().flatten() {
        party.ingest(range).await.expect("what a device shows is taken");
    }
    party.settle().await.expect("everything is processed");
    let items = real(&party).await;
    engine.close().await.expect("what is left can be written");
    items
}

fn runtime(threads: usize) -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(threads).enable_all().build().expect("a runtime starts")
}

#[test]
fn the_real_engine_ends_where_the_simulation_does_on_one_thread_and_on_two() {
    let simulation = Simulation::new().objects().texts();
    let (one, two) = (runtime(1), runtime(2));
    let mut items = 0;
    for seed in SEEDS {
        let mut history = simulation.history(seed).expect("nothing is found");
        let (party, ranges) = (history.party(), history.ranges());
        let expected = simulated(&mut history);
        assert_eq!(
            one.block_on(replayed(party, ranges.clone())),
            expected,
            "seed {seed}, one thread"
        );
        assert_eq!(two.block_on(replayed(party, ranges)), expected, "seed {seed}, two threads");
        items += expected.len();
    }
    println!("{items} items are the same");
    assert!(items > 0, "there is something to compare");
}

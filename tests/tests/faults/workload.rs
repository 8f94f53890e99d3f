//! What the device under test does while its disk fails: everything an engine is there for, in small.
//!
//! It founds one party and takes part in another; a peer whose disk never fails is a member of both.

use std::sync::Arc;

use systole::{
    CheckpointPolicy, Durability, Engine, EngineBuilder, Ingested, Item, ItemQuery, Model, NewItem,
    Object, Party, Text, TextMutation, Transaction,
};
use systole_store::Backend;
use systole_tests::{Journal, Refused, Words, within};

use crate::caller::Caller;

/// A device whose disk never fails.
pub(crate) struct Peer {
    pub(crate) engine: Engine,
    /// The party that the device under test founds, once it did.
    pub(crate) theirs: Option<Party>,
    /// The party that this device founded.
    pub(crate) ours: Party,
    words: usize,
}

/// The items of one party.
struct Items {
    journal: Item<Journal>,
    object: Item<Object>,
    text: Item<Text>,
}

/// The engine under test: items are checkpointed whenever there is a reason, and nothing stays in memory.
pub(crate) fn engine(backend: Arc<dyn Backend>) -> EngineBuilder {
    let checkpoints =
        CheckpointPolicy { messages_max: 3, idle_messages_min: 1, ..Default::default() };
    let engine = Engine::on_backend(backend).register::<Journal>();
    engine.checkpoints(checkpoints).memory_budget_bytes(1)
}

impl Peer {
    pub(crate) async fn new() -> Self {
        let engine = Engine::in_memory().durability(Durability::Buffered).register::<Journal>();
        let engine = engine.open().await.unwrap();
        let ours = engine.create_party().await.unwrap();
        ours.create(NewItem::<Text>::new().with(TextMutation::insert(0, "ours"))).await.unwrap();
        Self { engine, theirs: None, ours, words: 0 }
    }

    /// Writes to everything that it holds of `party`.
    async fn write(&mut self, party: &Party) {
        let own = party.own_feed().unwrap();
        let status = party.status().await.unwrap();
        if !status.feeds.iter().any(|feed| feed.feed == own && feed.admitted) {
            return;
        }
        for info in party.items(&ItemQuery::default()).unwrap() {
            self.words += 1;
            let word = format!("[{}]", self.words);
            let start = party.transaction();
            let all = match info.model.as_str() {
                Text::TYPE => add(start, &party.item::<Text>(info.id).unwrap(), &word),
                Object::TYPE => add(start, &party.item::<Object>(info.id).unwrap(), &word),
                _ => add(start, &party.item::<Journal>(info.id).unwrap(), &word),
            };
            all.commit().await.unwrap();
        }
        party.create(NewItem::<Object>::new().with(Object::word("peer"))).await.unwrap();
    }
}

fn add<M: Words>(transaction: Transaction, item: &Item<M>, word: &str) -> Transaction {
    transaction.mutate(item, M::word(word))
}

/// The device founds a party, takes part in another, and works in both.
pub(crate) async fn first_day(
    caller: &mut Caller,
    engine: &Engine,
    peer: &mut Peer,
) -> Option<Party> {
    let party = caller.attempt("create_party", engine.create_party()).await;
    if let Some(party) = &party {
        caller.parties.push(party.key());
        let items = create_items(caller, party).await;
        invite(caller, party, peer).await;
        if let Some(items) = &items {
            work(caller, party, items).await;
        }
        pull_from_peer(caller, party, peer).await;
        if let Some(items) = &items {
            work(caller, party, items).await;
        }
        caller.look(party).await;
        let _ = caller.attempt("create_feed", party.create_feed()).await;
    }
    join(caller, engine, peer).await;
    if caller.attempt("preference", engine.set_preference("p", Some(b"kept"))).await.is_some() {
        caller.preference = Some("kept".to_owned());
        caller.all_durable();
    }
    party
}

/// The device comes back, hears of what happened meanwhile, and goes on.
pub(crate) async fn second_day(
    caller: &mut Caller,
    engine: &Engine,
    peer: &mut Peer,
) -> Option<Party> {
    let mut last = None;
    for key in caller.parties.clone() {
        let Some(party) = caller.attempt("party", engine.party(key)).await else { continue };
        pull_from_peer(caller, &party, peer).await;
        caller.look(&party).await;
        pull_from_peer(caller, &party, peer).await;
        if let Some(items) = create_items(caller, &party).await {
            work(caller, &party, &items).await;
        }
        let _ = caller.attempt("close_party", engine.close_party(key)).await;
        if let Some(party) = caller.attempt("party", engine.party(key)).await {
            caller.look(&party).await;
            last = Some(party);
        }
    }
    last
}

async fn create_items(caller: &mut Caller, party: &Party) -> Option<Items> {
    let journal = create(caller, party, NewItem::new()).await;
    let object = create(caller, party, NewItem::new().metadata(Object::word("title"))).await?;
    let text = create(caller, party, NewItem::new().under(&object)).await?;
    Some(Items { journal: journal?, object, text })
}

async fn create<M: Words>(caller: &mut Caller, party: &Party, item: NewItem<M>) -> Option<Item<M>> {
    let word = caller.word();
    let item = item.with(M::word(&word));
    let item = caller.attempt("create", party.create(item)).await?;
    caller.promised(party.key(), item.id(), word, true);
    Some(item)
}

/// Mutations of every kind, alone and together.
async fn work(caller: &mut Caller, party: &Party, items: &Items) {
    let Items { journal, object, text } = items;
    write(caller, party, text, Durability::Buffered).await;
    write(caller, party, journal, Durability::Synced).await;
    write(caller, party, object, Durability::Buffered).await;

    let words = [caller.word(), caller.word(), caller.word()];
    let all = add(party.transaction(), text, &words[0]).delete(text);
    let all = add(add(all, object, &words[1]), journal, &words[2]).restore(text);
    let all = all.move_to(text, None::<&Item<Object>>);
    if caller.attempt("a transaction", all.commit()).await.is_some() {
        for (word, item) in words.into_iter().zip([text.id(), object.id(), journal.id()]) {
            caller.promised(party.key(), item, word, true);
        }
    }

    // Refused by the second item's model, so the first one must forget it.
    let refused = add(party.transaction(), text, "never").mutate(journal, Journal::REFUSED.into());
    let refused = refused.commit().await.expect_err("the journal refuses the line");
    let faulted = caller.injected() > 0;
    assert!(refused.rejection::<Refused>().is_some() || faulted, "{refused}");
    if let Some(text) = caller.attempt("view", text.view(|text| text.to_string())).await {
        assert!(!text.contains("never"), "what was refused is seen");
    }
}

async fn write<M: Words>(
    caller: &mut Caller,
    party: &Party,
    item: &Item<M>,
    durability: Durability,
) {
    let word = caller.word();
    let transaction = add(party.transaction().durability(durability), item, &word);
    if caller.attempt("mutate", transaction.commit()).await.is_some() {
        caller.promised(party.key(), item.id(), word, durability == Durability::Synced);
    }
}

/// The peer becomes a member of the device's party, takes what is there, and writes.
async fn invite(caller: &mut Caller, party: &Party, peer: &mut Peer) {
    let theirs = peer.engine.join(party.key()).await.unwrap();
    peer.theirs = Some(theirs.clone());
    let request = theirs.admission_request().unwrap();
    if caller.attempt("admit", party.admit(request)).await.is_some() {
        caller.all_durable();
    }
    push_to_peer(caller, party, &theirs).await;
    peer.write(&theirs).await;
}

/// The device becomes a member of the peer's party and writes there.
async fn join(caller: &mut Caller, engine: &Engine, peer: &Peer) {
    let ours = peer.ours.clone();
    let Some(party) = caller.attempt("join", engine.join(ours.key())).await else { return };
    caller.parties.push(party.key());
    let request = caller.attempt("request", async { party.admission_request() }).await;
    let Some(request) = request else { return };
    ours.admit(request).await.unwrap();
    take(caller, &party, &ours).await;
    if let Some(items) = create_items(caller, &party).await {
        work(caller, &party, &items).await;
    }
    push_to_peer(caller, &party, &ours).await;
}

async fn pull_from_peer(caller: &mut Caller, party: &Party, peer: &mut Peer) {
    let there = match &peer.theirs {
        Some(theirs) if theirs.key() == party.key() => theirs.clone(),
        _ => peer.ours.clone(),
    };
    peer.write(&there).await;
    take(caller, party, &there).await;
    push_to_peer(caller, party, &there).await;
}

/// Gives the device what the peer holds.
async fn take(caller: &mut Caller, party: &Party, there: &Party) {
    let Some(held) = caller.attempt("feeds", party.feeds()).await else { return };
    for (feed, length) in there.feeds().await.unwrap() {
        let mut at = held.iter().find(|(known, _)| *known == feed).map_or(0, |(_, held)| *held);
        while at < length {
            let range = there.read(feed, at).await.unwrap().unwrap();
            at = range.end();
            match caller.attempt("ingest", party.ingest(range)).await {
                None => return,
                Some(Ingested::Added { .. } | Ingested::Duplicate | Ingested::Gap { .. }) => {}
                Some(other) => panic!("an honest peer is taken for a liar: {other:?}"),
            }
        }
    }
    let _ = caller.attempt("settle", party.settle()).await;
}

/// Gives the peer what the device can show.
async fn push_to_peer(caller: &mut Caller, party: &Party, there: &Party) {
    let Some(feeds) = caller.attempt("feeds", party.feeds()).await else { return };
    let held = there.feeds().await.unwrap();
    for (feed, length) in feeds {
        let at = held.iter().find(|(known, _)| *known == feed).map_or(0, |(_, held)| *held);
        if at >= length {
            continue;
        }
        let Some(range) = caller.attempt("read", party.read(feed, at)).await else { continue };
        let range = range.expect("a party holds what it says");
        let ingested = within("the peer", there.ingest(range)).await.unwrap();
        assert!(matches!(ingested, Ingested::Added { .. }), "{ingested:?}");
        // What was shown is synced.
        caller.all_durable();
    }
    there.settle().await.unwrap();
}

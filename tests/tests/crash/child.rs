//! The process that is killed: it works on a store in every way there is, and tells first what it wants
//! and then what it was promised.
//!
//! Invariants:
//! - it ends only by being killed: nothing that it asks may fail;
//! - transactions are told in the order in which they are submitted.

use std::path::PathBuf;
use std::time::Duration;

use systole::{
    CheckpointPolicy, Durability, Engine, EngineBuilder, Ingested, Item, ItemInfo, ItemQuery,
    Model, NewItem, Object, ObjectMutation, Party, Text, Transaction,
};
use systole_tests::{Journal, Random, RawFeed, child, oracle};

use crate::ledger::Ledger;
use crate::world::World;
use systole_tests::Words;

/// Items that a store holds at most, beside the second device's.
const ITEMS_MAX: usize = 40;
/// Blocks of its own after which a child writes little: the parent replays them after every kill.
const BLOCKS_MANY: u64 = 2_500;

/// An engine on the directory that uses little of everything, so that it flushes, compacts, checkpoints
/// and forgets all the time.
pub(crate) fn engine(store: &std::path::Path, random: &mut Random) -> EngineBuilder {
    let checkpoints = CheckpointPolicy {
        messages_max: *random.pick(&[1, 3, 16, 1_024]),
        bytes_max: *random.pick(&[64, 4_096, 256 << 10]),
        idle_after: Duration::from_millis(*random.pick(&[0, 2, 5_000])),
        idle_messages_min: 1,
    };
    let (cache, buffer) = (*random.pick(&[256 << 10, 4 << 20]), *random.pick(&[1, 2 << 20]));
    let durability = *random.pick(&[Durability::Synced, Durability::Buffered]);
    Engine::builder(store)
        .register::<Journal>()
        .checkpoints(checkpoints)
        .memory_budget_bytes(*random.pick(&[1, 30_000, 1 << 20]))
        .store_bytes(cache, buffer)
        .durability(durability)
}

/// The child's life; it has no end.
pub(crate) fn live() {
    let Some(words) = child::variable("SYSTOLE_CRASH_CHILD") else { return };
    let (round, path) = words.split_once(' ').unwrap();
    let round: u64 = round.parse().unwrap();
    let path = PathBuf::from(path);
    let world = child::variable("SYSTOLE_CRASH_WORLD").map(|words| World::decode(&words));
    let mut random = Random::new(round);
    let mut runtime = match random.below(3) {
        0 => tokio::runtime::Builder::new_current_thread(),
        threads => {
            let mut runtime = tokio::runtime::Builder::new_multi_thread();
            runtime.worker_threads(threads);
            runtime
        }
    };
    let ledger = Ledger::open(&path.join("ledger"));
    tell_of_panics(Ledger::open(&path.join("ledger")));
    let store = path.join("store");
    runtime.enable_all().build().unwrap().block_on(async {
        match world {
            None => found(&store, &ledger, &mut random).await,
            Some(world) => Worker::new(store, ledger, world, round, random).await.work().await,
        }
    });
}

/// A child that fails just before it is killed fails all the same.
fn tell_of_panics(ledger: Ledger) {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        ledger.line("x");
        usual(info);
    }));
}

/// Begins stores until it is killed, which happens to one of them.
async fn found(store: &std::path::Path, ledger: &Ledger, random: &mut Random) {
    ledger.mark("start");
    let engine = engine(store, random).open().await.unwrap();
    ledger.mark("opened");
    loop {
        engine.create_party().await.unwrap();
        ledger.mark("founded");
    }
}

struct Worker {
    store: PathBuf,
    ledger: Ledger,
    world: World,
    random: Random,
    foreign: RawFeed,
    engine: Engine,
    party: Party,
    items: Vec<ItemInfo>,
    /// Number of the next intent.
    next: u64,
    /// Own blocks at the last look.
    blocks: u64,
}

impl Worker {
    async fn new(
        store: PathBuf,
        ledger: Ledger,
        world: World,
        round: u64,
        mut random: Random,
    ) -> Self {
        ledger.mark("start");
        let opened = engine(&store, &mut random).existing().open().await.unwrap();
        let party = opened.party(world.party).await.unwrap();
        ledger.mark("opened");
        let foreign = world.foreign();
        let next = round << 20;
        let (items, blocks) = (Vec::new(), 0);
        let mut worker = Self {
            store,
            ledger,
            world,
            random,
            foreign,
            engine: opened,
            party,
            items,
            next,
            blocks,
        };
        worker.look_around().await;
        worker
    }

    async fn work(mut self) {
        loop {
            match self.random.below(40) {
                0..12 => self.write().await,
                12..16 => self.write_in_a_row().await,
                16..19 => self.write_much().await,
                19..22 => self.refused().await,
                22..27 => self.ingest(40).await,
                27 => self.ingest(1_000).await,
                28..31 => self.write_while_ingesting().await,
                31..34 => self.view().await,
                34 => self.prefer().await,
                35 => self.show().await,
                36 => self.compact().await,
                37..39 => self.reopen_party().await,
                _ => self.reopen().await,
            }
        }
    }

    async fn look_around(&mut self) {
        let query = ItemQuery { with_deleted: true, ..ItemQuery::default() };
        self.items = self.party.items(&query).unwrap();
        let status = self.party.status().await.unwrap();
        let own = status.feeds.iter().find(|feed| feed.feed == self.world.own).unwrap();
        self.blocks = own.stored;
    }

    async fn write(&mut self) {
        let blocks = if self.blocks > BLOCKS_MANY { 1 } else { 1 + self.random.below(6) };
        let (number, transaction) = self.prepare(blocks).await;
        let (receipt, created) = transaction.commit().await.unwrap();
        self.ledger.line(&format!("a {number} {} {}", receipt.seq, receipt.messages));
        self.blocks = receipt.seq + receipt.messages;
        if !created.is_empty() {
            self.look_around().await;
        }
    }

    /// Several transactions on their way at once.
    async fn write_in_a_row(&mut self) {
        let mut pending = Vec::new();
        for _ in 0..2 + self.random.below(6) {
            let (number, transaction) = self.prepare(1).await;
            pending.push((number, transaction.submit().await.unwrap()));
        }
        for (number, pending) in pending {
            let (receipt, _) = pending.written().await.unwrap();
            self.ledger.line(&format!("a {number} {} {}", receipt.seq, receipt.messages));
        }
        self.look_around().await;
    }

    /// So much at once that the store must flush before long.
    async fn write_much(&mut self) {
        if self.blocks > BLOCKS_MANY {
            return;
        }
        let number = self.number();
        let word = format!("<{number}.0>");
        let filler = "lorem ipsum ".repeat(1_000 + self.random.below(5_000));
        let object = self.any(Object::TYPE).map(|id| self.party.item::<Object>(id).unwrap());
        let mutation = ObjectMutation::set("much", format!("{word}{filler}"));
        let transaction = self.party.transaction();
        let transaction = match object {
            Some(object) => transaction.mutate(&object, mutation),
            None => transaction.create(NewItem::<Object>::new().with(mutation)),
        };
        self.ledger.line(&format!("i {number} 1 {word}"));
        let (receipt, _) = transaction.commit().await.unwrap();
        self.ledger.line(&format!("a {number} {} {}", receipt.seq, receipt.messages));
    }

    /// Refused by the last item's model: nothing of it may ever be seen.
    async fn refused(&mut self) {
        let Some(journal) = self.any(Journal::TYPE) else { return };
        let journal = self.party.item::<Journal>(journal).unwrap();
        let number = self.number();
        let transaction = self.party.transaction().create(NewItem::<Text>::new());
        let transaction = transaction.mutate(&journal, Journal::REFUSED.to_owned());
        self.ledger.line(&format!("i {number} 0 !"));
        transaction.commit().await.unwrap_err();
        self.ledger.line(&format!("r {number}"));
    }

    async fn ingest(&mut self, most: usize) {
        if most > 100 {
            self.ledger.mark("ingest");
        }
        let feeds = self.party.feeds().await.unwrap();
        let held = feeds.iter().find(|(feed, _)| *feed == self.foreign.key());
        let held = held.map_or(0, |(_, held)| *held);
        let to = (held + 1 + self.random.below(most) as u64).min(self.foreign.length());
        if held == to {
            return;
        }
        self.ledger.line(&format!("g {held} {to}"));
        let ingested = self.party.ingest(self.foreign.range(held, to)).await.unwrap();
        assert_eq!(ingested, Ingested::Added { from: held, to });
        self.ledger.line(&format!("h {to}"));
        if self.random.one_in(2) {
            self.party.settle().await.unwrap();
        }
        if most > 100 {
            self.ledger.mark("ingested");
        }
    }

    async fn write_while_ingesting(&mut self) {
        let feeds = self.party.feeds().await.unwrap();
        let held = feeds.iter().find(|(feed, _)| *feed == self.foreign.key());
        let held = held.map_or(0, |(_, held)| *held);
        let to = (held + 1 + self.random.below(20) as u64).min(self.foreign.length());
        let (number, transaction) = self.prepare(1).await;
        self.ledger.line(&format!("g {held} {to}"));
        let range = self.foreign.range(held.min(to - 1), to);
        let writing = async {
            let (receipt, _) = transaction.commit().await.unwrap();
            self.ledger.line(&format!("a {number} {} {}", receipt.seq, receipt.messages));
        };
        let ingesting = async {
            self.party.ingest(range).await.unwrap();
            self.ledger.line(&format!("h {to}"));
        };
        tokio::join!(writing, ingesting);
        self.look_around().await;
    }

    /// Looks at items, most of which are not in memory: others must leave it, with checkpoints.
    async fn view(&mut self) {
        self.ledger.mark("checkpoint");
        for _ in 0..6 {
            if self.items.is_empty() {
                break;
            }
            let info = self.random.pick(&self.items).clone();
            oracle::value(&self.party, &info).await.unwrap();
        }
        self.ledger.mark("viewed");
    }

    async fn prefer(&mut self) {
        let number = self.number();
        self.ledger.line(&format!("p {number}"));
        self.engine.set_preference("p", Some(number.to_string().as_bytes())).await.unwrap();
        self.ledger.line(&format!("q {number}"));
    }

    /// Shows its feed to somebody.
    async fn show(&mut self) {
        let shown = self.party.read(self.world.own, self.blocks / 2).await.unwrap().unwrap();
        assert!(!shown.blocks.is_empty());
    }

    async fn compact(&mut self) {
        self.ledger.mark("compact");
        self.engine.compact().await.unwrap();
        self.ledger.mark("compacted");
    }

    async fn reopen_party(&mut self) {
        self.ledger.mark("party");
        self.engine.close_party(self.world.party).await.unwrap();
        self.party = self.engine.party(self.world.party).await.unwrap();
        self.ledger.mark("reopened");
    }

    async fn reopen(&mut self) {
        self.ledger.mark("close");
        self.engine.close().await.unwrap();
        self.ledger.mark("open");
        self.engine = engine(&self.store, &mut self.random).existing().open().await.unwrap();
        assert!(!self.engine.was_copied(), "the directory never moved");
        self.party = self.engine.party(self.world.party).await.unwrap();
        self.ledger.mark("opened");
    }

    /// A transaction of so many blocks, announced.
    async fn prepare(&mut self, blocks: usize) -> (u64, Transaction) {
        let number = self.number();
        let mut transaction = self.party.transaction();
        if self.random.one_in(2) {
            let durability = *self.random.pick(&[Durability::Synced, Durability::Buffered]);
            transaction = transaction.durability(durability);
        }
        let mut words = Vec::new();
        for at in 0..blocks {
            let word = format!("<{number}.{at}>");
            let (with, holds) = self.add(transaction, &word);
            transaction = with;
            words.push(if holds { word } else { "-".to_owned() });
        }
        self.ledger.line(&format!("i {number} {blocks} {}", words.join(",")));
        (number, transaction)
    }

    /// Adds one operation; true if its block must hold the word.
    fn add(&mut self, transaction: Transaction, word: &str) -> (Transaction, bool) {
        if self.items.len() < 4 || self.items.len() < ITEMS_MAX && self.random.one_in(6) {
            return (self.create(transaction, word), true);
        }
        let info = self.random.pick(&self.items).clone();
        let choice = self.random.below(12);
        match info.model.as_str() {
            Text::TYPE => {
                self.change(transaction, &self.party.item::<Text>(info.id).unwrap(), choice, word)
            }
            Object::TYPE => {
                self.change(transaction, &self.party.item::<Object>(info.id).unwrap(), choice, word)
            }
            _ => self.change(
                transaction,
                &self.party.item::<Journal>(info.id).unwrap(),
                choice,
                word,
            ),
        }
    }

    fn create(&mut self, transaction: Transaction, word: &str) -> Transaction {
        match self.random.below(3) {
            0 => transaction.create(NewItem::<Text>::new().with(Text::word(word))),
            1 => transaction.create(
                NewItem::<Object>::new().with(Object::word(word)).metadata(Object::word("title")),
            ),
            _ => transaction.create(NewItem::<Journal>::new().with(Journal::word(word))),
        }
    }

    fn change<M: Words>(
        &self,
        transaction: Transaction,
        item: &Item<M>,
        choice: usize,
        word: &str,
    ) -> (Transaction, bool) {
        match choice {
            0 => (transaction.delete(item), false),
            1 => (transaction.restore(item), false),
            2 => (transaction.metadata(item, Object::word(word)), true),
            3 => (transaction.move_to(item, None::<&Item<Object>>), false),
            _ => (transaction.mutate(item, M::word(word)), true),
        }
    }

    fn any(&mut self, model: &str) -> Option<systole::ItemId> {
        let all: Vec<_> = self.items.iter().filter(|info| info.model == model).collect();
        (!all.is_empty()).then(|| self.random.pick(&all).id)
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

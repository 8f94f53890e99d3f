//! Drives this engine through one step of the comparison with its peers, as an application would: through
//! the public API, and nothing that an application would wait for is left out.
//! `systole_peers_contract` says what is asked and told, `make bench-peers` asks.
//!
//! Invariants:
//! - checkpoints are off where a store is populated and replayed, so that every message is read and
//!   applied; everywhere else settings are the defaults;
//! - an item's number stands in its metadata: what a replica holds is found by it, not by ids that both
//!   sides were told.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use systole::{
    CheckpointPolicy, Durability, Engine, FeedKey, Ingested, Item, ItemId, ItemQuery, NewItem,
    Object, ObjectMutation, Party, Range, Subscription, Update, Value, Verifier,
};
use systole_benches::runtime;
use systole_peers_contract::{
    Arguments, Durability as Asked, Failure, Message, State, Step, System, answer, drive,
};
use tokio::sync::mpsc;

/// Ranges on their way from one engine to the other.
const RANGES_IN_FLIGHT: usize = 4;
/// The key of an item's number in its metadata.
const NUMBER: &str = "number";

fn main() -> ExitCode {
    answer("peer", |asked| {
        if asked.system != "systole" {
            return Err(format!("this drives systole, not {:?}", asked.system).into());
        }
        // On the runtime's threads, where an application's tasks are.
        let (runtime, asked) = (runtime()?, asked.clone());
        runtime.block_on(runtime.spawn(async move { drive::<Systole>(&asked).await }))?
    })
}

/// An engine with one party of many feeds.
struct Systole {
    engine: Engine,
    asked: Arguments,
    party: Option<Party>,
    feeds: Vec<FeedKey>,
    items: Vec<Item<Object>>,
    watched: Vec<Subscription<Object>>,
}

impl Systole {
    fn party(&self) -> Result<&Party, Failure> {
        self.party.as_ref().ok_or_else(|| "there is no party".into())
    }

    /// Lists all items and loads them, so that all of their messages are applied.
    async fn view_all(&self) -> Result<(), Failure> {
        let party = self.party()?;
        let ids = ids(party)?;
        if ids.len() != self.asked.workload.items {
            return Err(format!("there are {} items", ids.len()).into());
        }
        // Each item has answered when this returns.
        Ok(party.load(&ids).await?)
    }
}

fn ids(party: &Party) -> Result<Vec<ItemId>, Failure> {
    Ok(party.items(&ItemQuery::default())?.into_iter().map(|info| info.id).collect())
}

fn mutation(message: &Message) -> ObjectMutation {
    ObjectMutation::set(message.field.to_string(), message.value.clone())
}

/// Everything a party holds, the feeds by turns, as bytes that travel.
async fn send(party: Party, ranges: mpsc::Sender<bytes::Bytes>) -> Result<(), Failure> {
    let mut feeds: Vec<_> = party.feeds().await?.into_iter().map(|(feed, _)| (feed, 0)).collect();
    while !feeds.is_empty() {
        let mut unfinished = Vec::new();
        for (feed, from) in feeds {
            let Some(range) = party.read(feed, from).await? else { continue };
            unfinished.push((feed, range.end()));
            ranges.send(range.encode()).await.map_err(|_| "the receiver is gone")?;
        }
        feeds = unfinished;
    }
    Ok(())
}

impl System for Systole {
    async fn open(directory: &Path, asked: &Arguments) -> Result<Self, Failure> {
        if asked.step == Step::ReplayVerified {
            // What the engine stored it trusts; who does not has everything checked before.
            let damage = Verifier::open(directory)?.run(&mut |_| {})?.damage;
            if !damage.is_empty() {
                return Err(format!("the store is damaged: {damage:?}").into());
            }
        }
        let durability = match asked.durability {
            Asked::Buffered => Durability::Buffered,
            Asked::Synced => Durability::Synced,
        };
        let mut builder = Engine::builder(directory).durability(durability);
        if matches!(asked.step, Step::Populate | Step::Replay | Step::ReplayVerified) {
            builder = builder.checkpoints(CheckpointPolicy {
                messages_max: u64::MAX,
                bytes_max: u64::MAX,
                idle_after: Duration::MAX,
                idle_messages_min: u64::MAX,
            });
        }
        let engine = builder.open().await?;
        let party = match engine.parties().await?.first() {
            Some((key, _)) => Some(engine.party(*key).await?),
            None => None,
        };
        let asked = asked.clone();
        Ok(Self { engine, asked, party, feeds: Vec::new(), items: Vec::new(), watched: Vec::new() })
    }

    async fn prepare(&mut self) -> Result<(), Failure> {
        let workload = self.asked.workload;
        let party = self.engine.create_party().await?;
        self.feeds.push(party.own_feed()?);
        while self.feeds.len() < workload.feeds {
            self.feeds.push(party.create_feed().await?);
        }
        let mut ids = Vec::new();
        for (number, feed) in self.feeds.iter().enumerate() {
            let mut transaction = party.transaction().author(*feed);
            for item in (number..workload.items).step_by(workload.feeds) {
                let number = ObjectMutation::set(NUMBER, item as i64);
                transaction = transaction.create(NewItem::<Object>::new().metadata(number));
            }
            ids.push(transaction.commit().await?.1);
        }
        for item in 0..workload.items {
            let id = ids[item % workload.feeds][item / workload.feeds];
            self.items.push(party.item(id)?);
        }
        self.party = Some(party);
        Ok(())
    }

    async fn append(&mut self, message: &Message) -> Result<(), Failure> {
        self.append_batch(std::slice::from_ref(message)).await
    }

    async fn append_batch(&mut self, batch: &[Message]) -> Result<(), Failure> {
        let mut transaction = self.party()?.transaction().author(self.feeds[batch[0].feed]);
        for message in batch {
            transaction = transaction.mutate(&self.items[message.item as usize], mutation(message));
        }
        transaction.commit().await?;
        Ok(())
    }

    async fn load(&mut self, _: bool) -> Result<(), Failure> {
        self.view_all().await
    }

    async fn replicate(&mut self, source: &mut Self) -> Result<(), Failure> {
        let theirs = source.party()?.clone();
        let party = self.engine.join(theirs.key()).await?;
        let (sender, mut ranges) = mpsc::channel(RANGES_IN_FLIGHT);
        let sent = tokio::spawn(send(theirs, sender));
        while let Some(range) = ranges.recv().await {
            match party.ingest(Range::decode(range)?).await? {
                Ingested::Added { .. } => {}
                other => return Err(format!("a range was not added: {other:?}").into()),
            }
        }
        sent.await??;
        party.settle().await?;
        self.party = Some(party);
        self.view_all().await
    }

    async fn watch(&mut self) -> Result<(), Failure> {
        for item in &self.items {
            self.watched.push(item.subscribe().await?);
        }
        Ok(())
    }

    /// Returns when the subscriber has the change and the writer its acknowledgement.
    async fn append_visible(&mut self, message: &Message) -> Result<(), Failure> {
        let item = message.item as usize;
        let transaction = self.party()?.transaction().author(self.feeds[message.feed]);
        let commit = transaction.mutate(&self.items[item], mutation(message)).commit();
        let (written, update) = tokio::join!(commit, self.watched[item].next());
        written?;
        match update {
            Some(Update::Changed { .. }) => Ok(()),
            other => Err(format!("the subscriber was told {other:?}").into()),
        }
    }

    async fn state(&mut self) -> Result<State, Failure> {
        let party = self.party()?;
        let replays = matches!(self.asked.step, Step::Replay | Step::ReplayVerified);
        let applied = self.engine.counters().await?.applied;
        if replays && applied < self.asked.workload.messages as u64 {
            return Err(format!("only {applied} messages were applied").into());
        }
        let mut state = State::default();
        for id in ids(party)? {
            let item = party.item::<Object>(id)?;
            let number = item.view_metadata(|metadata| metadata.get(NUMBER).cloned()).await?;
            let Some(Value::I64(number)) = number else {
                return Err(format!("item {id} has no number").into());
            };
            let registers = item.view(|object| {
                let registers = object
                    .entries()
                    .map(|(path, value)| (path.keys().next().map(str::to_owned), value.clone()));
                registers.collect::<Vec<_>>()
            });
            for (field, value) in registers.await? {
                let (Some(field), Value::String(value)) = (field, value) else {
                    return Err(format!("item {id} holds what was never written").into());
                };
                state.set(u32::try_from(number)?, field.parse()?, value);
            }
        }
        Ok(state)
    }

    async fn close(self) -> Result<(), Failure> {
        Ok(self.engine.close().await?)
    }
}

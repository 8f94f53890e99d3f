//! A party of the soak from its founding to its end, and what is known of it.
//!
//! Invariant: every party has the same number of items and gets about the same number of messages, so
//! that what is alive is constant when as many parties are.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use systole::{ErrorKind, Ingested, ItemId, Model, NewItem, Object, Party, PartyKey, Text};
use tokio::sync::Mutex;

use super::devices::{AWAY, Devices, HOME, exchange};
use super::hand::{HANDS, Hand};
use super::latency::{Kind, Latencies};
use super::ledger::{Entry, Ledger};
use super::rogue::{QUARANTINED, rogue_feed};
use crate::{Failure, Random, check};

/// Items that are created by one transaction.
const CREATED_AT_ONCE: usize = 32;

/// Which model an item has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Object,
    Text,
    Ledger,
}

impl Shape {
    pub(super) const KINDS: usize = 3;

    fn at(place: usize) -> Self {
        [Self::Object, Self::Text, Self::Ledger][place % Self::KINDS]
    }
}

/// A party and what must be in it.
#[derive(Debug)]
pub(super) struct Story {
    pub(super) key: PartyKey,
    pub(super) items: Vec<(ItemId, Shape)>,
    /// An item whose model panics.
    pub(super) poisoned: ItemId,
    /// Entries of the hands at home that were acknowledged, per ledger.
    pub(super) acknowledged: Vec<AtomicU64>,
    /// Those who write to it.
    pub(super) hands: Mutex<Vec<Hand>>,
    /// Its data may be gone.
    pub(super) ended: AtomicBool,
}

impl Story {
    /// Founds a party at home, and has the other device join it.
    pub(super) async fn found(
        devices: &Devices,
        items: usize,
        random: &mut Random,
        latencies: &Latencies,
    ) -> Result<Self, Failure> {
        let founding = devices.engine(HOME).await;
        let home = latencies.time(Kind::Found, founding.create_party()).await?;
        let away = devices.engine(AWAY).await.join(home.key()).await?;
        home.admit(away.admission_request()?).await?;

        let root = home.create(NewItem::<Object>::new()).await?;
        let poisoned = home.create(NewItem::<Ledger>::new().under(&root)).await?.id();
        let shapes: Vec<Shape> = (0..items).map(Shape::at).collect();
        let mut ids = Vec::new();
        for some in shapes.chunks(CREATED_AT_ONCE) {
            let mut transaction = home.transaction();
            for shape in some {
                transaction = match shape {
                    Shape::Object => transaction.create(NewItem::<Object>::new().under(&root)),
                    Shape::Text => transaction.create(NewItem::<Text>::new().under(&root)),
                    Shape::Ledger => transaction.create(NewItem::<Ledger>::new().under(&root)),
                };
            }
            ids.extend(transaction.commit().await?.1);
        }
        let parties = [home, away];
        exchange(&parties, latencies).await?;
        let [home, away] = &parties;

        let rogue = rogue_feed(home.key(), &devices.signer(AWAY))?;
        let added = home.ingest(rogue).await?;
        check(matches!(added, Ingested::Added { .. }), || format!("a feed is {added:?}"))?;
        away.item::<Ledger>(poisoned)?.mutate(Entry::POISON).await?;
        exchange(&parties, latencies).await?;

        let mut hands = Vec::new();
        for number in 0..HANDS {
            hands.push(Hand::new(number, random.number(), &shapes));
        }
        Ok(Self {
            key: home.key(),
            poisoned,
            acknowledged: ids.iter().map(|_| AtomicU64::default()).collect(),
            items: ids.into_iter().zip(shapes).collect(),
            hands: Mutex::new(hands),
            ended: AtomicBool::new(false),
        })
    }

    /// Looks at an item at home: it must show at least what was acknowledged before. Somebody who
    /// looks at a party that others close and delete may be told so.
    pub(super) async fn look(&self, home: &Party, at: usize) -> Result<(), Failure> {
        let (id, shape) = self.items[at];
        match shape {
            Shape::Object => drop(home.item::<Object>(id)?.view(Object::len).await?),
            Shape::Text => drop(home.item::<Text>(id)?.view(Text::len_utf16).await?),
            Shape::Ledger => {
                let acknowledged = self.acknowledged[at].load(Relaxed);
                let look =
                    |ledger: &Ledger| (0..HANDS - 1).map(|hand| ledger.of(hand as u8).0).sum();
                let seen: u64 = home.item::<Ledger>(id)?.view(look).await?;
                check(seen >= acknowledged, || {
                    format!("{acknowledged} entries were acknowledged, and {seen} are seen")
                })?;
            }
        }
        Ok(())
    }

    /// A model that panicked takes nothing along but itself.
    pub(super) async fn look_at_poisoned(&self, home: &Party) -> Result<(), Failure> {
        let seen = home.item::<Ledger>(self.poisoned)?.view(|_| ()).await;
        let expected = seen.as_ref().is_err_and(|error| error.kind() == ErrorKind::Internal);
        check(expected, || format!("a broken item answers {seen:?}"))
    }

    /// Compares both devices with each other and with what was written.
    pub(super) async fn check(
        &self,
        devices: &Devices,
        latencies: &Latencies,
    ) -> Result<(), Failure> {
        let parties = devices.parties(self.key).await?;
        exchange(&parties, latencies).await?;
        let hands = self.hands.lock().await;
        for at in 0..self.items.len() {
            for hand in &*hands {
                for party in &parties {
                    hand.check(party, self, at).await?;
                }
            }
            let [home, away] = &parties;
            let equal = self.digest(home, at).await? == self.digest(away, at).await?;
            check(equal, || format!("item {at} differs between the devices"))?;
        }
        let mut lengths = Vec::new();
        for party in &parties {
            let status = party.status().await?;
            let complete = status.feeds.iter().all(|feed| feed.processed == feed.stored);
            check(complete && status.parked.is_empty(), || format!("waits: {status:?}"))?;
            let counts = (status.items, status.quarantined);
            // The root and the broken item are beside those that are written to.
            let expected = (self.items.len() as u64 + 2, QUARANTINED);
            check(counts == expected, || format!("{counts:?} items and bad blocks: {expected:?}"))?;
            let mut feeds: Vec<_> =
                status.feeds.iter().map(|feed| (feed.feed, feed.stored)).collect();
            feeds.sort_unstable();
            lengths.push(feeds);
        }
        check(lengths[HOME] == lengths[AWAY], || "feeds differ".to_owned())
    }

    async fn digest(&self, party: &Party, at: usize) -> Result<Vec<u8>, Failure> {
        let (id, shape) = self.items[at];
        Ok(match shape {
            Shape::Object => party.item::<Object>(id)?.view(Model::digest).await?,
            Shape::Text => party.item::<Text>(id)?.view(Model::digest).await?,
            Shape::Ledger => party.item::<Ledger>(id)?.view(Model::digest).await?,
        })
    }

    /// Deletes the party on both devices. Whoever still holds something of it is told.
    pub(super) async fn end(
        &self,
        devices: &Devices,
        latencies: &Latencies,
    ) -> Result<(), Failure> {
        let parties = devices.parties(self.key).await?;
        self.ended.store(true, Relaxed);
        for (device, party) in parties.iter().enumerate() {
            let engine = devices.engine(device).await;
            latencies.time(Kind::Delete, engine.delete_party(self.key)).await?;
            let status = party.status().await;
            let expected = status.as_ref().is_err_and(|error| error.kind() == ErrorKind::Closed);
            check(expected, || format!("a deleted party answers {status:?}"))?;
        }
        Ok(())
    }
}

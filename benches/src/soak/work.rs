//! What goes on at the same time: parties are filled, looked at, watched and kept.
//!
//! Invariant: of each party only its keeper closes it and, once it is filled, only its keeper writes to
//! it, so that every acknowledged message is known for certain.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use systole::{FeedKey, Ingested, ItemQuery, Model, Object, Party, Text, Update};
use tokio::task::JoinSet;

use super::devices::{AWAY, HOME, carry};
use super::hand::{HANDS, Hand};
use super::latency::Kind;
use super::ledger::Ledger;
use super::rogue::QUARANTINED;
use super::story::{Shape, Story};
use super::world::World;
use crate::{Failure, Random, check};

/// A share of a party's messages is written when it is founded by each hand; as much is left for later.
const SHARE: u64 = HANDS as u64 + 1;
/// Transactions of the other device between two times that blocks are carried.
const CARRY_EVERY: u64 = 8;
/// Updates after which nobody watches any longer, and how long one is waited for.
const UPDATES_WATCHED: u64 = 8;
const UPDATE_WAIT: Duration = Duration::from_millis(20);
const LISTED: usize = 8;

/// Has all hands write their share to a party.
pub(super) async fn fill(world: &Arc<World>, story: &Arc<Story>) -> Result<(), Failure> {
    let mut tasks = JoinSet::new();
    for hand in story.hands.lock().await.drain(..) {
        tasks.spawn(fill_by(world.clone(), story.clone(), hand));
    }
    let mut hands = Vec::new();
    while let Some(hand) = tasks.join_next().await {
        hands.push(hand??);
    }
    hands.sort_unstable_by_key(Hand::number);
    *story.hands.lock().await = hands;
    Ok(())
}

async fn fill_by(world: Arc<World>, story: Arc<Story>, mut hand: Hand) -> Result<Hand, Failure> {
    let [home, away] = world.devices.parties(story.key).await?;
    let is_away = hand.device() == AWAY;
    let party = if is_away { &away } else { &home };
    let (share, mut written, mut transactions) = (world.settings.messages / SHARE, 0, 0);
    while written < share && !world.is_late() {
        let messages = hand.write(party, &story, share - written, &world.latencies).await?;
        world.written.fetch_add(messages, Relaxed);
        written += messages;
        transactions += 1;
        if is_away && transactions % CARRY_EVERY == 0 {
            cheat(&home, &away).await?;
            carry(&away, &home, &world.latencies).await?;
            carry(&home, &away, &world.latencies).await?;
        }
        world.rest().await;
    }
    Ok(hand)
}

/// Offers blocks that are changed, that leave some out, and that are held already.
async fn cheat(home: &Party, away: &Party) -> Result<(), Failure> {
    let feed = away.own_feed()?;
    let (held, length) = (length(home, feed).await?, length(away, feed).await?);
    if let Some(mut range) = away.read(feed, held).await? {
        let mut bytes = range.blocks[0].to_vec();
        if let Some(last) = bytes.last_mut() {
            *last ^= 1;
        }
        range.blocks[0] = bytes.into();
        let taken = home.ingest(range).await;
        let refused = matches!(taken, Err(_) | Ok(Ingested::Inconsistent));
        check(refused, || format!("a changed block is {taken:?}"))?;
    }
    if length > held + 1
        && let Some(range) = away.read(feed, held + 1).await?
    {
        let taken = home.ingest(range).await?;
        check(taken == Ingested::Gap { held }, || format!("a gap is {taken:?}, held {held}"))?;
    }
    if held > 0
        && let Some(range) = home.read(feed, 0).await?
    {
        let taken = home.ingest(range).await?;
        check(taken == Ingested::Duplicate, || format!("what is held already is {taken:?}"))?;
    }
    Ok(())
}

async fn length(party: &Party, feed: FeedKey) -> Result<u64, Failure> {
    let feeds = party.feeds().await?;
    Ok(feeds.iter().find(|(known, _)| *known == feed).map_or(0, |(_, length)| *length))
}

/// Writes what is left for later to a party that is filled, asks it this and that, and closes it.
pub(super) async fn keep(world: &World, story: &Story, random: &mut Random) -> Result<(), Failure> {
    let latencies = &world.latencies;
    let parties = world.devices.parties(story.key).await?;
    let share = world.settings.messages / SHARE / world.settings.parties as u64;
    for hand in story.hands.lock().await.iter_mut() {
        // One hand of each device: the others rest.
        if hand.number() != HOME && hand.device() == HOME {
            continue;
        }
        let mut written = 0;
        while written < share / 2 && !world.is_late() {
            let left = share / 2 - written;
            let messages = hand.write(&parties[hand.device()], story, left, latencies).await?;
            world.written.fetch_add(messages, Relaxed);
            written += messages;
            world.rest().await;
        }
    }
    let [home, away] = &parties;
    carry(home, away, latencies).await?;
    carry(away, home, latencies).await?;
    let (id, shape) = story.items[random.below(story.items.len())];
    if shape == Shape::Object {
        let item = home.item::<Object>(id)?;
        item.delete().await?;
        check(item.info()?.deleted, || "a deleted item is there".to_owned())?;
        item.restore().await?;
    }
    story.look_at_poisoned(home).await?;
    latencies.time(Kind::Query, ask(home, story)).await?;
    let engine = world.devices.engine(HOME).await;
    let activate = async {
        engine.close_party(story.key).await?;
        engine.party(story.key).await
    };
    latencies.time(Kind::Activate, activate).await?;
    Ok(())
}

async fn ask(home: &Party, story: &Story) -> Result<(), Failure> {
    let status = home.status().await?;
    check(status.members.len() == 2, || format!("{} members", status.members.len()))?;
    let model = Some(Ledger::TYPE.to_owned());
    let listed = home.items(&ItemQuery { model, limit: LISTED, ..ItemQuery::default() })?;
    // The broken item is a ledger too.
    let ledgers = 1 + story.items.iter().filter(|(_, shape)| *shape == Shape::Ledger).count();
    check(listed.len() == ledgers.min(LISTED), || format!("{} ledgers", listed.len()))?;
    let quarantined = home.quarantined(LISTED)?.len() as u64;
    check(quarantined == QUARANTINED, || format!("{quarantined} blocks are ignored"))
}

/// Looks at items, most of which are not in memory.
pub(super) async fn view(world: Arc<World>, mut random: Random) -> Result<(), Failure> {
    while !world.is_over() {
        if let Some(story) = world.any(&mut random) {
            let at = random.below(story.items.len());
            let look = async {
                let home = world.devices.party(HOME, story.key).await?;
                world.latencies.time(Kind::View, story.look(&home, at)).await?;
                Ok(())
            };
            world.tolerate(&story, look.await)?;
        }
        world.rest().await;
    }
    Ok(())
}

/// Watches items for a while.
pub(super) async fn watch(world: Arc<World>, mut random: Random) -> Result<(), Failure> {
    while !world.is_over() {
        if let Some(story) = world.any(&mut random) {
            let at = random.below(story.items.len());
            let watch = async {
                let home = world.devices.party(HOME, story.key).await?;
                match story.items[at].1 {
                    Shape::Object => watch_item::<Object>(&world, &story, &home, at).await,
                    Shape::Text => watch_item::<Text>(&world, &story, &home, at).await,
                    Shape::Ledger => watch_item::<Ledger>(&world, &story, &home, at).await,
                }
            };
            world.tolerate(&story, watch.await)?;
        }
        world.rest().await;
    }
    Ok(())
}

async fn watch_item<M: Model>(
    world: &World,
    story: &Story,
    home: &Party,
    at: usize,
) -> Result<(), Failure> {
    let item = home.item::<M>(story.items[at].0)?;
    let mut updates = world.latencies.time(Kind::Subscribe, item.subscribe()).await?;
    let mut last = 0;
    for _ in 0..UPDATES_WATCHED {
        match tokio::time::timeout(UPDATE_WAIT, updates.next()).await {
            Ok(Some(Update::Changed { version, .. })) => {
                // The messages of one transaction come at one version.
                check(version > last, || format!("update {version} follows {last}"))?;
                last = version;
            }
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => break,
        }
    }
    Ok(())
}

//! What an open store holds, as the views show it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use systole::{
    Engine, Error, FeedKey, FeedStatus, ItemId, ItemInfo, ItemQuery, Model, Object, Party,
    PartyKey, PartyStatus, Text,
};

use super::origin::{Origin, PATH, text};
use crate::view::{self, Feeds, Halt, Items, Parked, Shown, Status, Wait};

/// Ids that are named where an id is not clear.
const CANDIDATES_MAX: usize = 8;

/// Items listed at a time.
const PAGE_ITEMS: usize = 1024;

/// Where the title of an item stands in its metadata: the first of these that is there.
const TITLES: [&str; 3] = ["title", "name", PATH];

pub(super) async fn status(engine: &Engine, directory: &Path) -> Result<Status, Error> {
    let mut parties = Vec::new();
    for (key, active) in engine.parties().await? {
        parties.push(if active { party(engine, key).await? } else { closed(key) });
    }
    let usage = engine.usage().await?;
    Ok(Status {
        directory: directory.to_owned(),
        disk_bytes: usage.disk_bytes,
        usage: view::Usage {
            files: usage.files,
            file_bytes: usage.file_bytes,
            log_bytes: usage.log_bytes,
            unflushed_bytes: usage.unflushed_bytes,
            pending_compaction_bytes: usage.pending_compaction_bytes,
        },
        parties,
    })
}

pub(super) async fn feeds(engine: &Engine) -> Result<Feeds, Error> {
    let mut feeds = Vec::new();
    for party in active(engine).await? {
        let origin = Origin::of(&party).await?;
        for FeedStatus { feed, own, owner, stored, processed, .. } in settled(&party).await?.feeds {
            let key = feed.to_string();
            feeds.push(view::Feed {
                party: party.key().to_string(),
                author: origin.authors.get(&key).cloned(),
                owner: owner.map(|owner| owner.to_string()),
                own,
                blocks: stored,
                root: root(&party, feed, stored).await?,
                processed,
                feed: key,
            });
        }
    }
    Ok(Feeds { feeds })
}

pub(super) async fn items(engine: &Engine, with_deleted: bool) -> Result<Items, Error> {
    let mut items = Vec::new();
    for party in active(engine).await? {
        each_item(&party, with_deleted, async |item| {
            let authors = party.authors(item.id)?;
            items.push(view::Item {
                item: item.id.to_string(),
                party: party.key().to_string(),
                title: party.view_metadata(item.id, title).await?,
                messages: authors.iter().map(|(_, messages)| messages).sum(),
                feeds: authors.len() as u64,
                model: item.model,
                version: item.version,
                deleted: item.deleted,
            });
            Ok(())
        })
        .await?;
    }
    Ok(Items { items })
}

/// The one item whose id begins with `prefix`, or the beginnings of a list of several.
pub(super) async fn show(
    engine: &Engine,
    prefix: &str,
) -> Result<Result<Shown, Vec<String>>, Error> {
    let mut found = Vec::new();
    for party in active(engine).await? {
        let ids = party.items_with_prefix(&prefix.to_ascii_lowercase(), CANDIDATES_MAX)?;
        found.extend(ids.into_iter().map(|id| (party.clone(), id)));
    }
    match found.as_slice() {
        [(party, item)] => Ok(Ok(shown(engine, party, *item).await?)),
        several => Ok(Err(several.iter().map(|(_, id)| id.to_string()).collect())),
    }
}

async fn shown(engine: &Engine, party: &Party, id: ItemId) -> Result<Shown, Error> {
    let status = settled(party).await?;
    let read = engine.counters().await?.read;
    let started = Instant::now();
    let metadata = party.view_metadata(id, node).await?;
    let info = party.info(id)?;
    let content = match info.model.as_str() {
        Text::TYPE => Some(party.item::<Text>(id)?.view(Text::to_string).await?),
        Object::TYPE => party.item::<Object>(id)?.view(node).await?,
        _ => None,
    };
    let seconds = started.elapsed().as_secs_f64();
    let blocks_read = engine.counters().await?.read - read;
    let names = Origin::of(party).await?.authors;
    let writers = party.authors(id)?.into_iter().map(|(feed, messages)| {
        let feed = feed.to_string();
        view::Writer { author: names.get(&feed).cloned(), feed, messages }
    });
    Ok(Shown {
        item: id.to_string(),
        party: party.key().to_string(),
        model: info.model,
        version: info.version,
        parent: info.parent.map(|parent| parent.to_string()),
        deleted: info.deleted,
        metadata,
        writers: writers.collect(),
        content,
        seconds,
        blocks_read,
        blocks: status.feeds.iter().map(|feed| feed.stored).sum(),
    })
}

/// Everything an object holds, on one line.
fn node(object: &Object) -> Option<String> {
    object.node(Vec::<&str>::new()).map(|node| node.to_string())
}

async fn party(engine: &Engine, key: PartyKey) -> Result<view::Party, Error> {
    let party = engine.party(key).await?;
    let status = settled(&party).await?;
    let (mut items, mut deleted_items) = (0, 0);
    each_item(&party, true, async |item| {
        *if item.deleted { &mut deleted_items } else { &mut items } += 1;
        Ok(())
    })
    .await?;
    let state = match status {
        PartyStatus { founded: false, .. } => "without genesis",
        PartyStatus { paused: true, .. } => "paused",
        _ => "active",
    };
    let held = view::Held {
        feeds: status.feeds.len() as u64,
        members: status.members.len() as u64,
        blocks: status.feeds.iter().map(|feed| feed.stored).sum(),
        items,
        deleted_items,
        quarantined: status.quarantined,
        waiting: waiting(&status),
        halted: status.feeds.iter().filter_map(halted).collect(),
        parked: status.parked.iter().map(parked).collect(),
    };
    Ok(view::Party { party: key.to_string(), state: state.into(), held: Some(held) })
}

/// A party that is closed stays closed, so nothing more is known of it.
fn closed(key: PartyKey) -> view::Party {
    view::Party { party: key.to_string(), state: "closed".into(), held: None }
}

async fn active(engine: &Engine) -> Result<Vec<Party>, Error> {
    let mut active = Vec::new();
    for (key, _) in engine.parties().await?.into_iter().filter(|(_, active)| *active) {
        active.push(engine.party(key).await?);
    }
    Ok(active)
}

/// Where a party stands once everything that is stored and can be processed is.
async fn settled(party: &Party) -> Result<PartyStatus, Error> {
    party.settle().await?;
    party.status().await
}

/// What must come from elsewhere: a feed that merely waits for such a one is not named.
fn waiting(status: &PartyStatus) -> Vec<Wait> {
    let stored: BTreeMap<FeedKey, u64> =
        status.feeds.iter().map(|feed| (feed.feed, feed.stored)).collect();
    let mut wanted: BTreeMap<FeedKey, u64> = BTreeMap::new();
    for (feed, length) in status.feeds.iter().filter_map(|feed| feed.waits_for) {
        let want = wanted.entry(feed).or_default();
        *want = length.max(*want);
    }
    let have = |feed: &FeedKey| stored.get(feed).copied().unwrap_or_default();
    let lacking = wanted.into_iter().filter(|(feed, want)| have(feed) < *want);
    lacking.map(|(feed, want)| Wait { feed: feed.to_string(), have: have(&feed), want }).collect()
}

fn halted(feed: &FeedStatus) -> Option<Halt> {
    let reason = feed.halted.clone()?;
    Some(Halt { feed: feed.feed.to_string(), reason })
}

fn parked((feed, seq, waits_for): &(FeedKey, u64, String)) -> Parked {
    Parked { feed: feed.to_string(), seq: *seq, waits_for: waits_for.clone() }
}

/// Root of the signed head that covers all of a feed.
async fn root(party: &Party, feed: FeedKey, length: u64) -> Result<Option<String>, Error> {
    let Some(last) = length.checked_sub(1) else { return Ok(None) };
    let range = party.read(feed, last).await?;
    let head = range.and_then(|range| range.head.decode_unverified().ok());
    Ok(head.map(|head| head.root.to_string()))
}

fn title(metadata: &Object) -> Option<String> {
    TITLES.iter().find_map(|title| metadata.get(*title).and_then(text)).map(str::to_owned)
}

async fn each_item(
    party: &Party,
    with_deleted: bool,
    mut visit: impl AsyncFnMut(ItemInfo) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut query = ItemQuery { with_deleted, limit: PAGE_ITEMS, ..ItemQuery::default() };
    loop {
        let page = party.items(&query)?;
        query.after = page.last().map(|item| item.id);
        let ended = page.len() < PAGE_ITEMS;
        for item in page {
            visit(item).await?;
        }
        if ended {
            return Ok(());
        }
    }
}

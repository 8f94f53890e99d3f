//! Names that people can follow, instead of keys: devices are letters, a device's feeds are its letter
//! with a stroke for each renewal, items are numbered as they are made. And the lines of a story.

use std::collections::BTreeMap;

use systole::{FeedKey, ItemId};

/// Who is who in one history.
#[derive(Default)]
pub(crate) struct Names {
    feeds: BTreeMap<FeedKey, String>,
    items: BTreeMap<ItemId, String>,
    /// Feeds by the name they were first known by.
    counts: BTreeMap<String, usize>,
}

impl Names {
    /// Names a feed after its owner; a feed that has a name keeps it.
    pub(crate) fn name_feed(&mut self, feed: FeedKey, owner: &str) {
        if !self.feeds.contains_key(&feed) {
            let count = self.counts.entry(owner.to_owned()).or_default();
            self.feeds.insert(feed, format!("{owner}{}", "'".repeat(*count)));
            *count += 1;
        }
    }

    pub(crate) fn name_item(&mut self, item: ItemId) {
        let number = self.items.len() + 1;
        self.items.entry(item).or_insert_with(|| format!("i{number}"));
    }

    pub(crate) fn feed(&self, feed: &FeedKey) -> String {
        self.feeds.get(feed).cloned().unwrap_or_else(|| format!("feed {}", feed.short()))
    }

    pub(crate) fn item(&self, item: &ItemId) -> String {
        self.items.get(item).cloned().unwrap_or_else(|| format!("item {}", item.short()))
    }

    /// "B/3": block 3 of B's feed.
    pub(crate) fn position(&self, feed: &FeedKey, seq: u64) -> String {
        format!("{}/{seq}", self.feed(feed))
    }

    /// "A below 4, B below 2".
    pub(crate) fn past<'a, F: PastEntry<'a>>(&self, past: impl Iterator<Item = F>) -> String {
        let mut entries: Vec<String> = past
            .map(PastEntry::entry)
            .map(|(feed, length)| format!("{} below {length}", self.feed(feed)))
            .collect();
        entries.sort();
        if entries.is_empty() { "nothing".to_owned() } else { entries.join(", ") }
    }
}

/// An entry of a past, however it is kept.
pub(crate) trait PastEntry<'a> {
    fn entry(self) -> (&'a FeedKey, u64);
}

impl<'a> PastEntry<'a> for (&'a FeedKey, &'a u64) {
    fn entry(self) -> (&'a FeedKey, u64) {
        (self.0, *self.1)
    }
}

impl<'a> PastEntry<'a> for &'a (FeedKey, u64) {
    fn entry(self) -> (&'a FeedKey, u64) {
        (&self.0, self.1)
    }
}

/// What happened so far: one line for each thing, and a hash over all of them.
#[derive(Default)]
pub(crate) struct Story {
    lines: Vec<String>,
    /// Where the healing begins.
    healing: Option<usize>,
    hash: blake3::Hasher,
}

impl Story {
    pub(crate) fn tell(&mut self, line: impl Into<String>) {
        let line = line.into();
        self.note(line.as_bytes());
        self.lines.push(line);
    }

    /// Something that belongs to the trace and would not help a reader.
    pub(crate) fn note(&mut self, bytes: &[u8]) {
        self.hash.update(&(bytes.len() as u64).to_be_bytes());
        self.hash.update(bytes);
    }

    pub(crate) fn hash(&self) -> [u8; 32] {
        *self.hash.finalize().as_bytes()
    }

    /// From here on everything heals.
    pub(crate) fn heal(&mut self) {
        self.tell("everything heals");
        self.healing = Some(self.lines.len());
    }

    /// The lines; how everything heals is told only where that is the point.
    pub(crate) fn into_lines(mut self, with_healing: bool) -> Vec<String> {
        if let Some(healing) = self.healing.filter(|_| !with_healing) {
            self.lines.truncate(healing);
        }
        self.lines
    }
}

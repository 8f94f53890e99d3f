//! `systole feeds`: every feed of a store.

use std::fmt;

use serde::Serialize;

use crate::view::{self, Table};

/// The feeds of a store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Feeds {
    /// One by one.
    pub feeds: Vec<Feed>,
}

/// A feed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Feed {
    /// Its key.
    pub feed: String,
    /// The party it belongs to.
    pub party: String,
    /// Key of the device or identity that owns it, if it has been admitted.
    pub owner: Option<String>,
    /// Whether this device writes it.
    pub own: bool,
    /// Number of blocks.
    pub blocks: u64,
    /// Their size.
    pub bytes: u64,
    /// Length of the newest signed head.
    pub head_length: u64,
    /// Root of the newest signed head.
    pub head_root: Option<String>,
    /// How far the party has processed it.
    pub processed: u64,
}

impl fmt::Display for Feeds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.feeds.is_empty() {
            return write!(f, "no feeds");
        }
        let headings = ["FEED", "PARTY", "BLOCKS#", "SIZE#", "HEAD#", "PROCESSED#", "OWNER"];
        let mut table = Table::new(&headings);
        for feed in &self.feeds {
            let owner = match (&feed.owner, feed.own) {
                (Some(owner), true) => format!("{owner} (this device)"),
                (Some(owner), false) => owner.clone(),
                (None, _) => "not admitted".to_owned(),
            };
            table.row([
                &feed.feed,
                &feed.party,
                &view::grouped(feed.blocks),
                &view::bytes(feed.bytes),
                &view::grouped(feed.head_length),
                &view::grouped(feed.processed),
                &owner,
            ]);
        }
        table.fmt(f)
    }
}

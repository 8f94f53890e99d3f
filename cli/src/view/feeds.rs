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
    /// Who writes it, if the party says so.
    pub author: Option<String>,
    /// Number of blocks, all of them covered by a signed head.
    pub blocks: u64,
    /// Root of the signed head that covers all of them.
    pub root: Option<String>,
    /// How far the party has processed it.
    pub processed: u64,
}

impl fmt::Display for Feeds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.feeds.is_empty() {
            return write!(f, "no feeds");
        }
        let headings = ["FEED", "PARTY", "BLOCKS#", "PROCESSED#", "OWNER", "AUTHOR"];
        let mut table = Table::new(&headings);
        for feed in &self.feeds {
            let owner = match (&feed.owner, feed.own) {
                (Some(owner), true) => format!("{} (this device)", view::short(owner)),
                (Some(owner), false) => view::short(owner).to_owned(),
                (None, _) => "not admitted".to_owned(),
            };
            table.row([
                view::short(&feed.feed),
                view::short(&feed.party),
                &view::grouped(feed.blocks),
                &view::grouped(feed.processed),
                &owner,
                feed.author.as_deref().unwrap_or("-"),
            ]);
        }
        table.fmt(f)
    }
}

//! `systole show`: one item of a store.

use std::fmt;

use serde::Serialize;

use crate::view;

/// An item with what it holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Shown {
    /// Its id.
    pub item: String,
    /// The party it belongs to.
    pub party: String,
    /// Its model's type.
    pub model: String,
    /// Its model's version.
    pub version: u32,
    /// The item it lies under.
    pub parent: Option<String>,
    /// Whether it is deleted.
    pub deleted: bool,
    /// Its metadata, on one line.
    pub metadata: Option<String>,
    /// Who wrote to it.
    pub writers: Vec<Writer>,
    /// What it holds, if its model is known here.
    pub content: Option<String>,
    /// How long it took to bring it into memory, in seconds.
    pub seconds: f64,
    /// Blocks that were read for that.
    pub blocks_read: u64,
    /// Blocks of the party.
    pub blocks: u64,
}

/// A feed that wrote to an item.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Writer {
    /// The feed.
    pub feed: String,
    /// Who writes it, if the party says so.
    pub author: Option<String>,
    /// Number of its messages in the item.
    pub messages: u64,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let deleted = if self.deleted { ", deleted" } else { "" };
        let model = view::escaped(&self.model);
        writeln!(f, "item {}: {model} v{}{deleted}", self.item, self.version)?;
        if let Some(metadata) = &self.metadata {
            writeln!(f, "  {}", view::escaped(metadata))?;
        }
        for Writer { feed, author, messages } in &self.writers {
            let messages = view::count(*messages, "message");
            write!(f, "  {messages} of feed {}", view::short(feed))?;
            match author {
                Some(author) => writeln!(f, ", {}", view::escaped(author))?,
                None => writeln!(f)?,
            }
        }
        let read = view::count(self.blocks_read, "block");
        let (all, millis) = (view::grouped(self.blocks), self.seconds * 1000.0);
        write!(f, "  loaded in {millis:.1} ms from {read} of {all} and its checkpoint, if any")?;
        match self.content.as_deref().map(view::escaped_lines) {
            Some(content) => write!(f, "\n\n{}", content.trim_end_matches('\n')),
            None => Ok(()),
        }
    }
}

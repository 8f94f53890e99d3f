//! `systole items`: every item of a store.

use std::fmt;

use serde::Serialize;

use crate::view::{self, Table};

/// The items of a store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Items {
    /// One by one.
    pub items: Vec<Item>,
}

/// An item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Item {
    /// Its id.
    pub item: String,
    /// The party it belongs to.
    pub party: String,
    /// Its model's type.
    pub model: String,
    /// Its model's version.
    pub version: u32,
    /// Its title, or its path if it was imported.
    pub title: Option<String>,
    /// Number of messages.
    pub messages: u64,
    /// Number of feeds that wrote to it.
    pub feeds: u64,
    /// Whether it is deleted.
    pub deleted: bool,
}

impl fmt::Display for Items {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.items.is_empty() {
            return write!(f, "no items");
        }
        let mut table = Table::new(&["ITEM", "MODEL", "MESSAGES#", "FEEDS#", "TITLE"]);
        for item in &self.items {
            let mark = if item.deleted { "deleted: " } else { "" };
            table.row([
                view::short(&item.item),
                &format!("{} v{}", item.model, item.version),
                &view::grouped(item.messages),
                &view::grouped(item.feeds),
                &format!("{mark}{}", item.title.as_deref().unwrap_or("-")),
            ]);
        }
        table.fmt(f)
    }
}

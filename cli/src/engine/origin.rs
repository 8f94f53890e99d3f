//! The first item of an imported party: what was imported, and who the authors are.
//!
//! ```text
//! repository          name of the repository
//! head                id of the commit that was imported last
//! authors / <feed> / name
//!                  / email
//! ```
//!
//! Any party may keep its authors' names there; the inspector looks for them in the first item
//! without parent.

use std::collections::BTreeMap;

use systole::{FeedKey, ItemQuery, Object, ObjectMutation, Party, Value};

/// Where a file's path stands in its item's metadata.
pub(super) const PATH: &str = "path";

const REPOSITORY: &str = "repository";
const HEAD: &str = "head";
const AUTHORS: &str = "authors";
const NAME: &str = "name";
const EMAIL: &str = "email";

/// What the first item of an imported party says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Origin {
    /// Names of the authors, by feed.
    pub(super) authors: BTreeMap<String, String>,
}

impl Origin {
    /// Reads the first item of a party, if it is one of these.
    pub(super) async fn of(party: &Party) -> Result<Self, systole::Error> {
        let query = ItemQuery { parent: Some(None), limit: 1, ..ItemQuery::default() };
        let first = party.items(&query)?.pop();
        let Some(first) = first.and_then(|first| party.item::<Object>(first.id).ok()) else {
            return Ok(Self::default());
        };
        first.view(Self::read).await
    }

    fn read(object: &Object) -> Self {
        let name = |feed: &str| {
            let text = |field| object.get([AUTHORS, feed, field]).and_then(text);
            match (text(NAME), text(EMAIL)) {
                (Some(name), Some(email)) if !email.is_empty() => Some(format!("{name} <{email}>")),
                (name, email) => name.or(email).map(str::to_owned),
            }
        };
        let feeds = object.keys([AUTHORS]).into_iter();
        Self { authors: feeds.filter_map(|feed| Some((feed.to_owned(), name(feed)?))).collect() }
    }
}

/// Says what is being imported.
pub(super) fn begin(repository: &str) -> ObjectMutation {
    ObjectMutation::set(REPOSITORY, repository)
}

/// Says who writes to a feed.
pub(super) fn introduce(feed: FeedKey, name: String, email: String) -> ObjectMutation {
    let feed = feed.to_string();
    ObjectMutation::set([AUTHORS, &feed, NAME], name).then_set([AUTHORS, &feed, EMAIL], email)
}

/// Says how far the import came.
pub(super) fn end(head: &str) -> ObjectMutation {
    ObjectMutation::set(HEAD, head)
}

/// The text that a value is.
pub(super) fn text(value: &Value) -> Option<&str> {
    match value {
        Value::String(text) => Some(text),
        _ => None,
    }
}

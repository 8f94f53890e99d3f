//! Listing the items of a party, all or filtered, in the order of their local names.

use std::ops::ControlFlow;

use crate::error::Error;
use crate::family::Family;
use crate::items::{ItemRecord, ItemStore, record};
use crate::keys::{self, Kind, Range};
use crate::numbers::{ItemKey, PartyNo};
use crate::record::Malformed;

/// Which items to list; everything by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ItemFilter<'a> {
    /// Only items of this model.
    pub model: Option<&'a str>,
    /// Only items under this parent, or under none.
    pub parent: Option<Option<ItemKey>>,
    /// Only items that are deleted, or that are not.
    pub deleted: Option<bool>,
}

/// Records read at once when an index names them.
const PAGE: usize = 128;

impl ItemStore<'_> {
    /// Visits the party's items that pass the filter, in the order of their local names, those behind
    /// `after`. The visitor breaks to end a page and continues behind the last item it saw.
    pub fn scan(
        &self,
        party: PartyNo,
        filter: ItemFilter<'_>,
        after: Option<ItemKey>,
        visit: &mut dyn FnMut(ItemRecord) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        let mut visit =
            |item| if passes(&filter, &item) { visit(item) } else { ControlFlow::Continue(()) };
        // A parent's children are the narrower choice where both indexes would serve.
        let prefix = match (filter.parent, filter.model) {
            (Some(parent), _) => keys::items_by_parent(party, parent).to_vec(),
            (None, Some(model)) if model.len() > u8::MAX.into() => return Ok(()),
            (None, Some(model)) => keys::items_by_model(party, model),
            (None, None) => return self.scan_all(party, after, &mut visit),
        };
        self.scan_index(&prefix, after, &mut visit)
    }

    /// Number of the party's items, deleted ones included.
    pub fn count(&self, party: PartyNo) -> Result<u64, Error> {
        self.store.count(Family::Item, &Range::prefix(&keys::per_party(Kind::ItemById, party)))
    }

    /// Feed by feed: an item's record lies under the feed of its genesis.
    fn scan_all(
        &self,
        party: PartyNo,
        after: Option<ItemKey>,
        visit: &mut dyn FnMut(ItemRecord) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        let mut ended = false;
        for feed in self.store.meta().feed_nos(party)? {
            let mut range = Range::prefix(&keys::per_feed(Kind::Item, feed));
            match after {
                Some(after) if feed < after.feed => continue,
                Some(after) if feed == after.feed => range = range.after(&keys::item(after)),
                _ => {}
            }
            let decode = |key: &[u8], value: &[u8]| record::decode(last_item(key)?, value);
            self.store.visit(Family::Item, &range, decode, &mut |item| {
                let flow = visit(item);
                ended = flow.is_break();
                flow
            })?;
            if ended {
                return Ok(());
            }
        }
        Ok(())
    }

    fn scan_index(
        &self,
        prefix: &[u8],
        after: Option<ItemKey>,
        visit: &mut dyn FnMut(ItemRecord) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        let mut range = Range::prefix(prefix);
        if let Some(after) = after {
            let mut last = prefix.to_vec();
            last.extend_from_slice(&keys::bare_item(after));
            range = range.after(&last);
        }
        loop {
            let page = self.store.list(Family::Item, &range, PAGE, |key, _| last_item(key))?;
            let Some(last) = page.last() else { return Ok(()) };
            let mut last_key = prefix.to_vec();
            last_key.extend_from_slice(&keys::bare_item(*last));
            range = range.after(&last_key);
            // An item that was deleted between the two reads is no longer listed.
            for item in self.items(&page)?.into_iter().flatten() {
                if visit(item).is_break() {
                    return Ok(());
                }
            }
            if page.len() < PAGE {
                return Ok(());
            }
        }
    }
}

fn passes(filter: &ItemFilter<'_>, item: &ItemRecord) -> bool {
    // An index entry may be older or newer than the record read after it: the record decides.
    filter.model.is_none_or(|model| item.model == model)
        && filter.parent.is_none_or(|parent| item.parent == parent)
        && filter.deleted.is_none_or(|deleted| item.deleted == deleted)
}

fn last_item(key: &[u8]) -> Result<ItemKey, Malformed> {
    keys::last_item(key).ok_or(Malformed("short key"))
}

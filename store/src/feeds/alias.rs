//! Aliases: the short numbers by which a feed's blocks name other feeds.

use crate::batch::Batch;
use crate::error::Error;
use crate::family::Family;
use crate::feeds::FeedStore;
use crate::keys::{self, Kind, Range};
use crate::numbers::FeedNo;
use crate::record::{Decoder, Encoder, Malformed};

const VERSION: u8 = 1;

impl FeedStore<'_> {
    /// Remembers that `feed` calls `target` by the number `alias`. Alias 0 is the feed itself and is
    /// not stored.
    pub fn put_alias(&self, batch: &mut Batch, feed: FeedNo, alias: u32, target: FeedNo) {
        assert!(alias > 0, "alias 0 is the feed itself");
        batch.put_with(Family::Feed, &keys::alias(feed, alias), |out| {
            Encoder::new(out, VERSION).number(target.0.into());
        });
    }

    /// The feed that `feed` calls by `alias`, which is not 0.
    pub fn alias(&self, feed: FeedNo, alias: u32) -> Result<Option<FeedNo>, Error> {
        self.store.value(Family::Feed, &keys::alias(feed, alias), |value| target(&value))
    }

    /// What the feed's aliases stand for: the feed at index `n` has alias `n`, the feed itself alias 0.
    pub fn aliases(&self, feed: FeedNo) -> Result<Vec<FeedNo>, Error> {
        let prefix = keys::per_feed(Kind::Alias, feed);
        let range = Range::prefix(&prefix);
        let stored = self.store.list(Family::Feed, &range, usize::MAX, |key, value| {
            let alias = keys::last_u32(key).ok_or(Malformed("short key"))?;
            Ok((alias, target(value)?))
        })?;
        let mut aliases = Vec::with_capacity(1 + stored.len());
        aliases.push(feed);
        for (alias, target) in stored {
            if alias as usize != aliases.len() {
                let key = keys::alias(feed, alias);
                return Err(Error::corrupt(Family::Feed, &key, "an alias before it is missing"));
            }
            aliases.push(target);
        }
        Ok(aliases)
    }
}

fn target(value: &[u8]) -> Result<FeedNo, Malformed> {
    let mut decoder = Decoder::new(value, VERSION)?;
    let target = FeedNo(decoder.number_u32()?);
    decoder.finish().map(|()| target)
}

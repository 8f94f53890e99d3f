//! Messages that are set aside with a reason, so that the rest of the party lives on.

use crate::batch::Batch;
use crate::error::Error;
use crate::family::Family;
use crate::keys::{self, Kind, Range};
use crate::meta::MetaStore;
use crate::numbers::{FeedNo, PartyNo};
use crate::record::{Decoder, Encoder, Malformed};

/// Bytes kept of a quarantine's reason; the rest is cut off.
pub const REASON_BYTES_MAX: usize = 512;

/// A message that was set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuarantineRecord {
    /// The feed that holds it.
    pub feed: FeedNo,
    /// Its position there.
    pub seq: u64,
    /// What kind of fault it is, for programs.
    pub code: String,
    /// What is wrong with it, for people.
    pub reason: String,
}

const VERSION: u8 = 1;

impl MetaStore<'_> {
    /// Sets message `seq` of `feed` aside.
    pub fn put_quarantine(
        &self,
        batch: &mut Batch,
        party: PartyNo,
        feed: FeedNo,
        seq: u64,
        code: &str,
        reason: &str,
    ) {
        let reason = cut(reason);
        batch.put_with(Family::Meta, &keys::quarantine(party, feed, seq), |out| {
            Encoder::new(out, VERSION).bytes(code.as_bytes()).bytes(reason.as_bytes());
        });
    }

    /// Why message `seq` of `feed` is set aside, if it is.
    pub fn quarantine(
        &self,
        party: PartyNo,
        feed: FeedNo,
        seq: u64,
    ) -> Result<Option<QuarantineRecord>, Error> {
        let key = keys::quarantine(party, feed, seq);
        self.store.value(Family::Meta, &key, |value| decode(&key, &value))
    }

    /// Up to `count_max` messages of the party that are set aside, those behind `after`.
    pub fn quarantined(
        &self,
        party: PartyNo,
        after: Option<(FeedNo, u64)>,
        count_max: usize,
    ) -> Result<Vec<QuarantineRecord>, Error> {
        let mut range = Range::prefix(&keys::per_party(Kind::Quarantine, party));
        if let Some((feed, seq)) = after {
            range = range.after(&keys::quarantine(party, feed, seq));
        }
        self.store.list(Family::Meta, &range, count_max, decode)
    }

    /// Number of the party's messages that are set aside.
    pub fn quarantined_count(&self, party: PartyNo) -> Result<u64, Error> {
        self.store.count(Family::Meta, &Range::prefix(&keys::per_party(Kind::Quarantine, party)))
    }
}

/// The start of `reason` that is kept, ending between two characters.
fn cut(reason: &str) -> &str {
    let mut end = reason.len().min(REASON_BYTES_MAX);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    &reason[..end]
}

fn decode(key: &[u8], value: &[u8]) -> Result<QuarantineRecord, Malformed> {
    let at = keys::last_item(key).ok_or(Malformed("short key"))?;
    let mut decoder = Decoder::new(value, VERSION)?;
    let code = decoder.text()?;
    let reason = decoder.text()?;
    decoder.finish()?;
    Ok(QuarantineRecord { feed: at.feed, seq: at.seq, code, reason })
}

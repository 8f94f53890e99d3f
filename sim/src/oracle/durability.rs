//! What a device has promised: the blocks of acknowledged synced writes, and how much of its feeds it
//! has shown. Both are looked for on its disk, byte for byte, after every crash and at the end.

use std::collections::BTreeMap;

use bytes::Bytes;
use systole::FeedKey;

use super::{Oracle, Violation};
use crate::device::Device;
use crate::story::Names;

/// The promises of one device. A disk that is set back takes its own promises with it.
#[derive(Clone, Default)]
pub(crate) struct Ledger {
    acknowledged: BTreeMap<(FeedKey, u64), Bytes>,
    shown: BTreeMap<FeedKey, u64>,
}

impl Ledger {
    /// A block whose write was acknowledged as synced.
    pub(crate) fn acknowledge(&mut self, feed: FeedKey, seq: u64, block: Bytes) {
        self.acknowledged.insert((feed, seq), block);
    }

    /// The device has shown its feed up to `length`.
    pub(crate) fn show(&mut self, feed: FeedKey, length: u64) {
        let shown = self.shown.entry(feed).or_default();
        *shown = length.max(*shown);
    }

    /// Looks for everything promised.
    pub(crate) fn check(&self, device: &Device, names: &Names) -> Result<(), Violation> {
        let broken = |detail: String| Violation::new(Oracle::Durability, detail);
        for ((feed, seq), block) in &self.acknowledged {
            let at = names.position(feed, *seq);
            match device.block(feed, *seq).map_err(|error| broken(error.to_string()))? {
                Some(found) if found == *block => {}
                Some(_) => {
                    return Err(broken(format!("{at} was acknowledged and is another block")));
                }
                None => return Err(broken(format!("{at} was acknowledged as synced and is gone"))),
            }
        }
        for (feed, length) in &self.shown {
            let Some(last) = length.checked_sub(1) else { continue };
            if device.block(feed, last).map_err(|error| broken(error.to_string()))?.is_none() {
                let at = names.position(feed, last);
                return Err(broken(format!("{at} was shown to a peer and is gone")));
            }
        }
        Ok(())
    }
}

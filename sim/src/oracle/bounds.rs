//! What a device may hold at most, whatever it is sent.

use systole::limits::UNADMITTED_FEEDS_MAX;

use super::{Oracle, Violation};
use crate::device::{Bounds, Settings};

/// Credentials of one feed that may be parked.
const PARKED_PER_FEED_MAX: usize = 16;

/// Holds what a device keeps in memory and for strangers against its settings.
pub(crate) fn check(bounds: &Bounds, settings: &Settings, device: &str) -> Result<(), Violation> {
    let limits = [
        ("batches wait at an item", bounds.waiting_batches_max, settings.mailbox),
        ("credentials of one feed are parked", bounds.parked_per_feed_max, PARKED_PER_FEED_MAX),
        ("feeds of strangers are kept", bounds.unadmitted_feeds, UNADMITTED_FEEDS_MAX),
    ];
    for (what, found, most) in limits {
        if found > most {
            let detail = format!("device {device}: {found} {what}, at most {most} may");
            return Err(Violation::new(Oracle::Bounds, detail));
        }
    }
    Ok(())
}

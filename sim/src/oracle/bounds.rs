//! What a device may hold at most, whatever it is sent, and how far others may push its clock.

use systole::FeedKey;
use systole::limits::{READ_AHEAD_BYTES_MAX, UNADMITTED_FEEDS_MAX};
use systole_proto::CLOCK_DRIFT_MAX;

use super::{Oracle, Violation};
use crate::device::Device;

/// Credentials of one feed that may be parked.
const PARKED_PER_FEED_MAX: usize = 16;

/// Holds what a device keeps in memory and for strangers against its settings.
pub(crate) fn check(device: &mut Device, name: &str) -> Result<(), Violation> {
    let (bounds, settings) = (device.bounds(), &device.settings);
    let limits = [
        ("batches wait at an item", bounds.waiting_batches_max, settings.mailbox),
        ("bytes of items are in memory", bounds.resident_bytes, settings.memory_budget_bytes),
        ("bytes are read ahead", bounds.read_ahead_bytes, READ_AHEAD_BYTES_MAX),
        ("credentials of one feed are parked", bounds.parked_per_feed_max, PARKED_PER_FEED_MAX),
        ("feeds of strangers are kept", bounds.unadmitted_feeds, UNADMITTED_FEEDS_MAX),
    ];
    for (what, found, most) in limits {
        if found > most {
            let detail = format!("device {name}: {found} {what}, at most {most} may");
            return Err(Violation::new(Oracle::Bounds, detail));
        }
    }
    Ok(())
}

/// Holds the time that an own feed claims against what the device's clock has shown: others may lie about
/// theirs, and drag it along no further than allowed.
pub(crate) fn check_clock(device: &Device, feed: &FeedKey, name: &str) -> Result<(), Violation> {
    let stamp = device.stamp(feed);
    let stamp = stamp.map_err(|error| Violation::new(Oracle::Soundness, error.to_string()))?;
    let ahead = stamp.saturating_sub(device.clock_latest);
    if ahead > CLOCK_DRIFT_MAX {
        let detail = format!("device {name} writes {ahead} ms ahead of its clock");
        return Err(Violation::new(Oracle::Bounds, detail));
    }
    Ok(())
}

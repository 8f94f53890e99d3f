//! The memory of this process, as the kernel counts it.

use std::fs;
use std::io;

/// Most memory held at once since the start or the last [`reset_peak`], in bytes.
pub fn peak_bytes() -> io::Result<u64> {
    status("VmHWM:")
}

/// Memory held, in bytes.
pub fn resident_bytes() -> io::Result<u64> {
    status("VmRSS:")
}

/// Lets [`peak_bytes`] begin again from what is held.
pub fn reset_peak() -> io::Result<()> {
    fs::write("/proc/self/clear_refs", "5")
}

fn status(name: &str) -> io::Result<u64> {
    let text = fs::read_to_string("/proc/self/status")?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.map(|kib| kib << 10).ok_or_else(|| io::Error::other(format!("{name} is not told here")))
}

//! What a process took of the machine, as the kernel counts it.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Clock ticks of a second in `/proc`: fixed in the kernel's interface.
const TICKS_PER_SECOND: f64 = 100.0;

/// Seconds that all threads of this process computed.
pub(crate) fn cpu_seconds() -> io::Result<f64> {
    let text = fs::read_to_string("/proc/self/stat")?;
    // The second field may hold anything, but it ends with the last bracket.
    let fields = text.rsplit(')').next().unwrap_or_default();
    let mut ticks = fields.split_whitespace().skip(11).map_while(|field| field.parse::<f64>().ok());
    match (ticks.next(), ticks.next()) {
        (Some(user), Some(system)) => Ok((user + system) / TICKS_PER_SECOND),
        _ => Err(io::Error::other("times are not told in /proc/self/stat")),
    }
}

/// Most memory that this process held at once.
pub fn peak_bytes() -> io::Result<u64> {
    memory("VmHWM:")
}

/// Memory that this process holds.
pub fn resident_bytes() -> io::Result<u64> {
    memory("VmRSS:")
}

fn memory(name: &str) -> io::Result<u64> {
    let text = fs::read_to_string("/proc/self/status")?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.map(|kib| kib << 10).ok_or_else(|| io::Error::other(format!("{name} is not told here")))
}

/// Bytes that everything below a directory takes on disk: blocks, for some systems make sparse files.
pub fn disk_bytes(directory: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes +=
            if metadata.is_dir() { disk_bytes(&entry.path())? } else { metadata.blocks() * 512 };
    }
    Ok(bytes)
}

//! What the figures were measured on.

use std::fs;

/// Prints the bench's name and the machine: processor, cores, memory, load, and where files stand.
pub fn print_machine(bench: &str, files: &std::path::Path) {
    let cpu = field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown processor".into());
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = field("/proc/meminfo", "MemTotal")
        .and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok())
        .map_or_else(String::new, |kib| format!(", {:.0} GiB", kib as f64 / (1 << 20) as f64));
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split_whitespace().take(2).collect::<Vec<_>>().join(" and ");
    println!("\n{bench}: {cpu}, {cores} cores{memory}; load of 1 and 5 minutes {load}");
    println!("files in {}", files.display());
}

fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

//! What the figures were measured on.

use std::fmt;
use std::fs;

use serde_json::{Value, json};

/// The machine, as the kernel tells.
#[derive(Debug)]
pub(super) struct Machine {
    processor: String,
    /// The cores that drivers run on.
    pub(super) cores: Vec<usize>,
    memory_gib: f64,
    load_before: String,
}

/// Drivers get so many cores, however many there are.
const CORES: usize = 2;

impl Machine {
    pub(super) fn look() -> Self {
        let memory_kib = field("/proc/meminfo", "MemTotal").and_then(|text| {
            text.split_whitespace().next().and_then(|kib| kib.parse::<f64>().ok())
        });
        Self {
            processor: field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".into()),
            cores: allowed_cores().into_iter().take(CORES).collect(),
            memory_gib: memory_kib.unwrap_or_default() / f64::from(1 << 20),
            load_before: load(),
        }
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "processor": self.processor,
            "cores": self.cores,
            "memory_gib": self.memory_gib,
            "load_before": self.load_before,
            "load_after": load(),
        })
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { processor, cores, memory_gib, load_before } = self;
        write!(
            f,
            "{processor}, {memory_gib:.0} GiB; drivers on cores {cores:?}; load before {load_before}"
        )
    }
}

/// Load of 1, 5 and 15 minutes.
pub(super) fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

/// The cores that this process may use: `0-1,4` in the kernel's words.
fn allowed_cores() -> Vec<usize> {
    let list = field("/proc/self/status", "Cpus_allowed_list").unwrap_or_default();
    list.split(',')
        .filter_map(|part| {
            let (from, to) = part.split_once('-').unwrap_or((part, part));
            Some(from.trim().parse::<usize>().ok()?..=to.trim().parse().ok()?)
        })
        .flatten()
        .collect()
}

fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

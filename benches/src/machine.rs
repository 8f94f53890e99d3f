//! What the figures were measured on.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde::Serialize;

/// The machine, the sources and the moment.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// Processor, cores and memory.
    pub hardware: String,
    /// Cores that this process may use.
    pub cores: usize,
    /// Load of one minute when the run began, and when it ended.
    pub load: (f64, f64),
    /// Commit of the sources, with a mark where they were changed.
    pub commit: String,
    /// When the run began, UTC.
    pub date: String,
    /// Where files stand.
    pub files: String,
}

impl Machine {
    /// This machine as the run begins.
    pub fn look(files: &Path) -> Self {
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let processor =
            field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown processor".into());
        let memory = field("/proc/meminfo", "MemTotal")
            .and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok())
            .map_or_else(String::new, |kib| format!(", {:.0} GiB", kib as f64 / (1 << 20) as f64));
        let source = env!("CARGO_MANIFEST_DIR");
        let commit = said("git", &["-C", source, "describe", "--always", "--dirty", "--abbrev=10"]);
        let date = said("date", &["--utc", "+%Y-%m-%d %H:%M UTC"]);
        Self {
            hardware: format!("{processor}, {cores} cores{memory}"),
            cores,
            load: (load(), 0.0),
            commit: commit.unwrap_or_else(|| "unknown".into()),
            date: date.unwrap_or_else(|| "unknown".into()),
            files: files.display().to_string(),
        }
    }

    /// The run has ended.
    pub fn end(&mut self) {
        self.load.1 = load();
    }

    /// All of it in one line.
    pub fn line(&self) -> String {
        let Self { hardware, commit, date, load, files, .. } = self;
        let (began, ended) = load;
        format!(
            "{hardware}; commit {commit}; {date}; load {began} at the beginning, {ended} at the end; files in {files}"
        )
    }
}

/// Prints the bench's name and the machine: processor, cores, memory, load, and where files stand.
pub fn print_machine(bench: &str, files: &Path) {
    println!("\n{bench}: {}", Machine::look(files).line());
}

/// The load of the last minute. That of a bench itself is about 1 or 2.
fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().and_then(|load| load.parse().ok()).unwrap_or(f64::NAN)
}

/// What a program says in one line, if it is there and content.
fn said(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let text = text.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}

fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

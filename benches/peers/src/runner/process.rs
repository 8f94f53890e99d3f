//! Starting drivers: which program drives which system, on which cores, for how long at most.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use systole_peers_contract::{Failure, Step};

use super::figures::Figures;
use super::plan::{Case, Plan, workload};
use super::settings::Settings;

/// A step that takes longer has failed.
const SECONDS_MAX: &str = "900";
/// The oldest Node that the peers run on.
const NODE_MAJOR_MIN: u32 = 20;
/// What of a driver's complaint is told.
const COMPLAINT_BYTES_MAX: usize = 400;

/// What one run told.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) seconds: f64,
    pub(super) cpu_seconds: f64,
    pub(super) state: String,
    pub(super) disk_bytes: f64,
    pub(super) peak_bytes: f64,
    /// Median and 99 % in microseconds, of live messages.
    pub(super) latency: Option<(f64, f64)>,
}

impl Told {
    pub(super) fn parse(line: &str) -> Result<Self, Failure> {
        let told: Value = serde_json::from_str(line)?;
        let number = |name: &str| {
            told[name].as_f64().ok_or_else(|| Failure::from(format!("{name} is not told: {line}")))
        };
        let state = told["state"].as_str().ok_or("the state is not told")?.to_owned();
        let latency = match told.get("p50_us") {
            Some(_) => Some((number("p50_us")?, number("p99_us")?)),
            None => None,
        };
        Ok(Self {
            seconds: number("seconds")?,
            cpu_seconds: number("cpu_seconds")?,
            state,
            disk_bytes: number("disk_bytes")?,
            peak_bytes: number("peak_bytes")?,
            latency,
        })
    }
}

/// The programs.
pub(super) struct Drivers {
    systole: PathBuf,
    rust: PathBuf,
    node: PathBuf,
    node_lacks: Option<String>,
    lacking: Vec<(String, String)>,
    cores: String,
}

impl Drivers {
    pub(super) fn find(settings: &Settings, cores: &[usize]) -> Result<Self, Failure> {
        let rust = std::env::current_exe()?.with_file_name("driver");
        for program in [&settings.systole, &rust] {
            if !program.is_file() {
                return Err(format!("{} is not there: build it first", program.display()).into());
            }
        }
        let cores = cores.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        Ok(Self {
            systole: settings.systole.clone(),
            rust,
            node: settings.node.join("driver.js"),
            node_lacks: node_lacks(&settings.node),
            lacking: settings.lacking.clone(),
            cores,
        })
    }

    /// The cases whose drivers can run here; for the others the reason goes to the figures.
    pub(super) fn usable(&self, plan: &Plan, figures: &mut Figures) -> Vec<Case> {
        let mut usable = Vec::new();
        for case in plan.cases() {
            let lacking = self.lacking.iter().find(|(system, _)| *system == case.system.name);
            let why = lacking.map(|(_, why)| why).or(self.node_lacks.as_ref());
            match why {
                Some(why) if lacking.is_some() || case.system.on_node => {
                    figures.lacks(case.system.name, why);
                }
                _ => usable.push(*case),
            }
        }
        usable
    }

    /// Runs one step in a process of its own.
    pub(super) fn run(
        &self,
        case: &Case,
        step: Step,
        directory: &Path,
        source: Option<&Path>,
    ) -> Result<Told, Failure> {
        self.run_under(&[], case, step, directory, source)
    }

    /// The same, below another program.
    pub(super) fn run_under(
        &self,
        above: &[&OsStr],
        case: &Case,
        step: Step,
        directory: &Path,
        source: Option<&Path>,
    ) -> Result<Told, Failure> {
        let sizes = workload(case.messages);
        let mut command = Command::new("taskset");
        command.args(["--cpu-list", &self.cores, "timeout", SECONDS_MAX]).args(above);
        if case.is_own() {
            command.arg(&self.systole);
        } else if case.system.on_node {
            command.arg("node").arg(&self.node);
        } else {
            command.arg(&self.rust);
        }
        command.args([case.system.name, step.name(), "--durability", case.durability.name()]);
        for (name, value) in [
            ("--messages", sizes.messages),
            ("--feeds", sizes.feeds),
            ("--items", sizes.items),
            ("--payload", sizes.payload),
            ("--seed", sizes.seed as usize),
        ] {
            command.arg(name).arg(value.to_string());
        }
        command.arg("--directory").arg(directory);
        if let Some(source) = source {
            command.arg("--source").arg(source);
        }
        let output = command.stdin(Stdio::null()).output()?;
        if !output.status.success() {
            let complaint = String::from_utf8_lossy(&output.stderr);
            let from = complaint.len().saturating_sub(COMPLAINT_BYTES_MAX);
            let end = complaint.get(from..).unwrap_or(&complaint).trim();
            return Err(format!("{} of {case}: {}: {end}", step.name(), output.status).into());
        }
        let text = String::from_utf8(output.stdout)?;
        Told::parse(text.lines().last().ok_or("a driver told nothing")?)
    }
}

/// Why Node drivers cannot run, if so.
fn node_lacks(node: &Path) -> Option<String> {
    let Ok(output) = Command::new("node").arg("--version").output() else {
        return Some(format!("there is no Node here; {NODE_MAJOR_MIN} or newer is needed"));
    };
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let major = version.trim_start_matches('v').split('.').next();
    let major = major.and_then(|major| major.parse::<u32>().ok()).unwrap_or_default();
    if major < NODE_MAJOR_MIN {
        return Some(format!("Node {version} is older than {NODE_MAJOR_MIN}"));
    }
    let packages = node.join("node_modules");
    (!packages.is_dir()).then(|| format!("{} is not there: npm ci", packages.display()))
}

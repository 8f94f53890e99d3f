//! What the command line asks of the runner.

use std::path::PathBuf;

use systole_peers_contract::Failure;

/// How to call the runner.
pub const USAGE: &str =
    "compare --systole DRIVER --node DIRECTORY --files DIRECTORY --report DIRECTORY
        [--smoke] [--scale FACTOR] [--rounds N] [--lacking SYSTEM=REASON]... [SYSTEM]...

  --systole  the driver of Systole; that of the Rust peers stands beside this program
  --node     the folder of the Node drivers, packages installed
  --files    where stores are written: on the disk that is meant, with some GiB free
  --report   where peers.json and peers.html go
  --smoke    every system and step with few messages; checks states, says nothing of times
  --scale    the counts of a full run, times this
  --rounds   how often each is measured, by turns; 3 if not said
  --lacking  a system that could not be set up, and why
  SYSTEM     only these peers, by the beginning of their names
";

/// What the command line asks for.
#[derive(Debug)]
pub struct Settings {
    /// The driver of Systole.
    pub systole: PathBuf,
    /// The folder of the Node drivers.
    pub node: PathBuf,
    /// Where stores are written.
    pub files: PathBuf,
    /// Where the report goes.
    pub report: PathBuf,
    /// Few messages, no times.
    pub smoke: bool,
    /// The counts of a full run, times this.
    pub scale: f64,
    /// How often each is measured.
    pub rounds: usize,
    /// Systems that could not be set up, and why.
    pub lacking: Vec<(String, String)>,
    /// Only these peers; all if empty.
    pub only: Vec<String>,
}

impl Settings {
    /// Reads the command line, without the program's name.
    pub fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, Failure> {
        let mut settings = Self {
            systole: PathBuf::new(),
            node: PathBuf::new(),
            files: PathBuf::new(),
            report: PathBuf::new(),
            smoke: false,
            scale: 1.0,
            rounds: 3,
            lacking: Vec::new(),
            only: Vec::new(),
        };
        while let Some(argument) = arguments.next() {
            let mut value =
                || arguments.next().ok_or_else(|| format!("{argument} lacks its value"));
            match argument.as_str() {
                "--smoke" => settings.smoke = true,
                "--systole" => settings.systole = value()?.into(),
                "--node" => settings.node = value()?.into(),
                "--files" => settings.files = value()?.into(),
                "--report" => settings.report = value()?.into(),
                "--scale" => settings.scale = value()?.parse()?,
                "--rounds" => settings.rounds = value()?.parse()?,
                "--lacking" => {
                    let value = value()?;
                    let (system, why) = value.split_once('=').ok_or("--lacking SYSTEM=REASON")?;
                    settings.lacking.push((system.to_owned(), why.to_owned()));
                }
                flag if flag.starts_with('-') => return Err(format!("{flag} is unknown").into()),
                system => settings.only.push(system.to_owned()),
            }
        }
        for (name, path) in [
            ("--systole", &settings.systole),
            ("--node", &settings.node),
            ("--files", &settings.files),
            ("--report", &settings.report),
        ] {
            if path.as_os_str().is_empty() {
                return Err(format!("{name} is missing").into());
            }
        }
        if !(settings.scale > 0.0 && settings.scale <= 100.0) || settings.rounds == 0 {
            return Err("the scale is above 0 and at most 100, and there is a round".into());
        }
        if settings.smoke {
            settings.rounds = 1;
        }
        Ok(settings)
    }

    /// Whether a peer was asked for.
    pub(super) fn wants(&self, system: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| system.starts_with(only.as_str()))
    }
}

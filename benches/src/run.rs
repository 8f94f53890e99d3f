//! One run of a bench: how large, which sections, where its files stand.

use std::error::Error;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// Anything that ends a bench early.
pub type Failure = Box<dyn Error + Send + Sync>;

/// What the command line and the environment ask for.
#[derive(Debug)]
pub struct Run {
    /// A small run that checks results and says nothing of times.
    pub smoke: bool,
    scale: f64,
    sections: Vec<String>,
    parent: PathBuf,
}

impl Run {
    /// Reads arguments and environment; files go below `parent` or `SYSTOLE_BENCH_DIRECTORY`.
    pub fn new(parent: &str) -> Result<Self, Failure> {
        let mut run =
            Self { smoke: false, scale: 1.0, sections: Vec::new(), parent: PathBuf::from(parent) };
        for argument in std::env::args().skip(1) {
            match argument.as_str() {
                "--smoke" => run.smoke = true,
                // Cargo says that this is a bench.
                "--bench" => {}
                flag if flag.starts_with('-') => {
                    return Err(format!("{flag} means nothing here: --smoke, or names").into());
                }
                section => run.sections.push(section.to_owned()),
            }
        }
        if let Ok(scale) = std::env::var("SYSTOLE_BENCH_SCALE") {
            run.scale = scale.parse()?;
            if !(run.scale > 0.0 && run.scale <= 1_000.0) {
                return Err("SYSTOLE_BENCH_SCALE is a number above 0 and at most 1000".into());
            }
        }
        if let Some(directory) = std::env::var_os("SYSTOLE_BENCH_DIRECTORY") {
            run.parent = directory.into();
        }
        Ok(run)
    }

    /// A full run whose files go below `folder`, whatever the command line says.
    pub fn in_folder(folder: &Path) -> Self {
        let parent = folder.to_owned();
        Self { smoke: false, scale: 1.0, sections: Vec::new(), parent }
    }

    /// How much of a full run this is.
    pub fn scale(&self) -> f64 {
        self.scale
    }

    /// The count to use where a full run uses `count` and a small one `smoke`.
    pub fn count(&self, count: u64, smoke: u64) -> u64 {
        if self.smoke { smoke } else { ((count as f64 * self.scale) as u64).max(1) }
    }

    /// How often to repeat what a full run repeats `times` times.
    pub fn times(&self, times: usize) -> usize {
        if self.smoke { 1 } else { times }
    }

    /// Whether a section was asked for: by a part of its name, or because none was.
    pub fn wants(&self, section: &str) -> bool {
        self.sections.is_empty() || self.sections.iter().any(|part| section.contains(part))
    }

    /// A fresh directory that goes away with its guard.
    pub fn directory(&self) -> Result<TempDir, Failure> {
        std::fs::create_dir_all(&self.parent)?;
        Ok(tempfile::Builder::new().prefix("systole-bench-").tempdir_in(&self.parent)?)
    }

    /// Where the files of this run stand.
    pub fn parent(&self) -> &Path {
        &self.parent
    }
}

/// The runtime of every bench: as many threads as an app would use.
pub fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

/// Ends the bench if `holds` is not: a wrong result has no speed.
pub fn check(holds: bool, what: impl FnOnce() -> String) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(what().into()) }
}

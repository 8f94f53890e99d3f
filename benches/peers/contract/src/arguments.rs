//! What the runner asks of a driver.

use std::path::{Path, PathBuf};

use crate::{Failure, Workload};

/// How to call a driver.
pub(crate) const USAGE: &str = "driver SYSTEM STEP --messages N --feeds N --items N --payload BYTES \
--seed N --durability buffered|synced --directory EMPTY [--source POPULATED]";

/// What is done with the workload; see the crate's documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Leaves a store for the steps with a source.
    Populate,
    /// One by one.
    Append,
    /// In batches.
    AppendBatch,
    /// In batches that are one message each.
    AppendMerged,
    /// From a store to the state.
    Replay,
    /// The same, all signatures checked.
    ReplayVerified,
    /// From one store to another one's state.
    Replicate,
    /// From the call to visible.
    Live,
}

impl Step {
    /// Every step by its name.
    pub const ALL: [(&str, Self); 8] = [
        ("populate", Self::Populate),
        ("append", Self::Append),
        ("append-batch", Self::AppendBatch),
        ("append-merged", Self::AppendMerged),
        ("replay", Self::Replay),
        ("replay-verified", Self::ReplayVerified),
        ("replicate", Self::Replicate),
        ("live", Self::Live),
    ];

    /// As the command line says it.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, step)| *step == self).map_or("", |(name, _)| name)
    }
}

/// What a write survives when it is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The process: the kernel has it.
    Buffered,
    /// The machine: the disk has it.
    Synced,
}

impl Durability {
    /// As the command line says it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Buffered => "buffered",
            Self::Synced => "synced",
        }
    }
}

/// The command line of a driver.
#[derive(Clone, Debug)]
pub struct Arguments {
    /// Which system.
    pub system: String,
    /// Which step.
    pub step: Step,
    /// How much.
    pub workload: Workload,
    /// What writes survive.
    pub durability: Durability,
    /// Where the step writes; made if missing.
    pub directory: PathBuf,
    source: Option<PathBuf>,
}

impl Arguments {
    /// Reads the command line, without the program's name.
    pub fn parse(arguments: impl Iterator<Item = String>) -> Result<Self, Failure> {
        let mut arguments = arguments;
        let mut next = |what: &str| arguments.next().ok_or_else(|| format!("{what} is missing"));
        let system = next("the system")?;
        let step = next("the step")?;
        let step = Step::ALL.iter().find(|(name, _)| *name == step);
        let step = step.ok_or("there is no such step")?.1;
        let workload = Workload { messages: 1_000, feeds: 8, items: 1_000, payload: 128, seed: 1 };
        let (durability, directory) = (Durability::Buffered, PathBuf::new());
        let mut all = Self { system, step, workload, durability, directory, source: None };
        while let Ok(name) = next("a flag") {
            let value = next(&name)?;
            match name.as_str() {
                "--messages" => all.workload.messages = value.parse()?,
                "--feeds" => all.workload.feeds = value.parse()?,
                "--items" => all.workload.items = value.parse()?,
                "--payload" => all.workload.payload = value.parse()?,
                "--seed" => all.workload.seed = value.parse()?,
                "--durability" if value == "synced" => all.durability = Durability::Synced,
                "--durability" if value == "buffered" => all.durability = Durability::Buffered,
                "--directory" => all.directory = value.into(),
                "--source" => all.source = Some(value.into()),
                _ => return Err(format!("{name} {value} means nothing here").into()),
            }
        }
        let sizes = all.workload;
        if sizes.feeds == 0 || sizes.items == 0 || !sizes.items.is_multiple_of(sizes.feeds) {
            return Err("the items are a multiple of the feeds".into());
        }
        if sizes.messages == 0 || sizes.payload <= crate::HEADER_BYTES {
            return Err("there is at least one message, with a value".into());
        }
        if all.directory.as_os_str().is_empty() {
            return Err("--directory is missing".into());
        }
        Ok(all)
    }

    /// The populated store.
    pub fn source(&self) -> Result<&Path, Failure> {
        self.source.as_deref().ok_or_else(|| "--source is missing".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Arguments, Failure> {
        Arguments::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn what_is_asked_is_what_is_read() {
        let asked =
            parse("sqlite replay --messages 7 --durability synced --directory d --source s");
        let asked = asked.unwrap();
        assert_eq!((asked.step, asked.workload.messages), (Step::Replay, 7));
        assert_eq!(asked.durability, Durability::Synced);
        assert_eq!(asked.source().unwrap(), Path::new("s"));
    }

    #[test]
    fn nonsense_is_refused() {
        for line in [
            "sqlite",
            "sqlite dance --directory d",
            "sqlite append",
            "sqlite append --directory d --durability maybe",
            "sqlite append --directory d --items 9",
            "sqlite append --directory d --messages 0",
            "sqlite append --directory d --payload 8",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}

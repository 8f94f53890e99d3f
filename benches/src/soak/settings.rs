//! What a soak is asked for on the command line.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use crate::Failure;

/// What `--help` prints.
pub const USAGE: &str = "\
A mixed workload on two engines on disk: parties are founded, filled, used and deleted, so that as much
is alive at every moment; what is written is compared with what was kept in mind. Says over time what
memory, files and time it takes. Ends with 1 and its seed when anything is wrong.

  --minutes N       how long (default 30)
  --seconds N       the same in seconds
  --directory DIR   where the engines' files stand (default: a temporary directory)
  --interval N      seconds between two samples (default: a hundredth of the time, 1 to 60)
  --seed N          what the workload follows from (default: of the clock)
  --parties N       parties alive (default 6)
  --items N         items of a party (default 96)
  --messages N      messages of a party (default 12000)
  --reopen-after N  seconds between two times that the engines are closed and opened (default 300)
  --pause N         milliseconds that each task rests after each operation (default 0)
  --csv FILE        where all samples go, to be plotted
  --strict          end with 1 when memory or disk are not flat
";

/// What a soak is asked for.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long it takes.
    pub duration: Duration,
    /// Where files stand, if not in a temporary directory.
    pub directory: Option<PathBuf>,
    /// Between two samples.
    pub interval: Duration,
    /// What the workload follows from.
    pub seed: u64,
    /// Parties alive at a time, beside the one that is being filled.
    pub parties: usize,
    /// Items of a party.
    pub items: usize,
    /// Messages of a party, about.
    pub messages: u64,
    /// Between two times that the engines are closed and opened again.
    pub reopen_after: Duration,
    /// Each task's rest after each operation.
    pub pause: Duration,
    /// Where samples go.
    pub csv: Option<PathBuf>,
    /// Memory and disk must be flat.
    pub strict: bool,
}

impl Settings {
    /// What the arguments say; `None` where help is asked for.
    pub fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Option<Self>, Failure> {
        let mut settings = Self {
            duration: Duration::from_secs(30 * 60),
            directory: None,
            interval: Duration::ZERO,
            seed: SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs(),
            parties: 6,
            items: 96,
            messages: 12_000,
            reopen_after: Duration::from_secs(300),
            pause: Duration::ZERO,
            csv: None,
            strict: false,
        };
        while let Some(name) = arguments.next() {
            match name.as_str() {
                "--help" | "-h" => return Ok(None),
                "--strict" => {
                    settings.strict = true;
                    continue;
                }
                _ => {}
            }
            let value = arguments.next().ok_or_else(|| format!("{name} lacks its value"))?;
            let number = || {
                let number = value.parse::<u64>();
                number.map_err(|_| format!("{name} takes a number, not {value:?}"))
            };
            match name.as_str() {
                "--minutes" => {
                    settings.duration = Duration::from_secs(number()?.saturating_mul(60))
                }
                "--seconds" => settings.duration = Duration::from_secs(number()?),
                "--directory" => settings.directory = Some(value.into()),
                "--interval" => settings.interval = Duration::from_secs(number()?),
                "--seed" => settings.seed = number()?,
                "--parties" => settings.parties = usize::try_from(number()?)?.clamp(1, 10_000),
                // Two of each kind at least: one of them belongs to each device.
                "--items" => settings.items = usize::try_from(number()?)?.clamp(12, 100_000),
                "--messages" => settings.messages = number()?.max(100),
                "--reopen-after" => settings.reopen_after = Duration::from_secs(number()?),
                "--pause" => settings.pause = Duration::from_millis(number()?),
                "--csv" => settings.csv = Some(value.into()),
                _ => return Err(format!("{name} means nothing here").into()),
            }
        }
        if settings.interval.is_zero() {
            let (least, most) = (Duration::from_secs(1), Duration::from_secs(60));
            settings.interval = (settings.duration / 100).clamp(least, most);
        }
        Ok(Some(settings))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Option<Settings>, Failure> {
        Settings::parse(arguments.iter().map(|argument| (*argument).to_owned()))
    }

    #[test]
    fn arguments_are_read_and_what_means_nothing_is_refused() {
        let settings = parse(&["--minutes", "240", "--seed", "7", "--strict"]).unwrap().unwrap();
        assert_eq!((settings.duration.as_secs(), settings.seed), (14_400, 7));
        assert!(settings.strict);
        assert_eq!(settings.interval.as_secs(), 60);
        assert!(parse(&["--help"]).unwrap().is_none());
        for wrong in [&["--hours", "3"][..], &["--minutes"], &["--minutes", "soon"]] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }
}

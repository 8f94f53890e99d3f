//! How often a system syncs for a thousand single appends: what its durability really is. Counted by
//! strace, where there is one, in a run of its own whose time says nothing.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use systole_peers_contract::{Failure, Step};

use super::figures::Figures;
use super::plan::Case;
use super::process::Drivers;

const MESSAGES: usize = 1_000;

/// Counts for each system and durability, once.
pub(super) fn count(
    drivers: &Drivers,
    cases: &[Case],
    directory: &Path,
    figures: &mut Figures,
) -> Result<(), Failure> {
    let version = Command::new("strace").arg("--version").stdout(Stdio::null()).status();
    if !version.is_ok_and(|status| status.success()) {
        eprintln!("syncs are not counted: there is no strace here");
        return Ok(());
    }
    for case in cases {
        let case = Case { messages: MESSAGES, ..*case };
        if figures.syncs.iter().any(|(counted, _)| counted.name() == case.name()) {
            continue;
        }
        eprintln!("counting syncs of {}", case.name());
        let written = tempfile::tempdir_in(directory)?;
        let counts = directory.join("strace");
        let above = ["strace", "-f", "-c", "-e", "trace=fsync,fdatasync", "-o"];
        let above = above.iter().map(OsStr::new).chain([counts.as_os_str()]).collect::<Vec<_>>();
        match drivers.run_under(&above, &case, Step::Append, written.path(), None) {
            Ok(_) => figures.syncs.push((case, calls(&fs::read_to_string(&counts)?))),
            Err(failure) => eprintln!("syncs of {} are not counted: {failure}", case.name()),
        }
    }
    Ok(())
}

/// Calls in strace's table: `% time, seconds, usecs/call, calls, errors, syscall`.
fn calls(table: &str) -> u64 {
    let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let syncs = rows.filter(|row| matches!(row.last(), Some(&"fsync" | &"fdatasync")));
    syncs.filter_map(|row| row.get(3)?.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    #[test]
    fn both_ways_to_sync_are_counted() {
        let table = "\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 98.31    0.065432          65      1003           fdatasync
  1.69    0.001125         112        10         2 fsync
------ ----------- ----------- --------- --------- ----------------
100.00    0.066557          65      1013         2 total
";
        assert_eq!(super::calls(table), 1_013);
        assert_eq!(super::calls(""), 0);
    }
}

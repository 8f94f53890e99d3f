//! Instructions of one message in each phase, by callgrind: they do not depend on the neighbours. Taken
//! between two sizes, so that opening and closing do not count, and counted twice, so that it shows
//! how near two counts are.

use std::path::Path;
use std::process::{Command, Stdio};

use super::cores::processors;
use super::{Context, argument};
use crate::phases::PHASES;
use crate::report::{Instructions, Report};
use crate::{Failure, check};

/// Messages of the smaller and of the larger run.
const SIZES: (u64, u64) = (4_000, 12_000);
/// In a small run, without callgrind.
const SIZES_SMOKE: (u64, u64) = (200, 400);
/// How often everything is counted.
const COUNTS: usize = 2;

/// Counts each phase, or says why not.
pub(super) fn rows(context: &Context, report: &mut Report) -> Result<(), Failure> {
    let smoke = context.run.smoke;
    let valgrind = Command::new("valgrind").arg("--version").output().is_ok();
    if !valgrind && !smoke {
        let note = "instructions: valgrind is not here; scripts/setup instructions installs it";
        report.notes.push(note.to_owned());
        return Ok(());
    }
    let program = &context.instructions;
    let (few, many) = if smoke { SIZES_SMOKE } else { SIZES };
    let directory = context.run.directory()?;
    let folders = [few, many].map(|count| (count, directory.path().join(count.to_string())));
    for (count, folder) in &folders {
        std::fs::create_dir_all(folder)?;
        said(Command::new(program), "prepare", *count, folder)?;
    }
    for (phase, base, name) in PHASES {
        let mut per_message = Vec::new();
        for _ in 0..if smoke { 1 } else { COUNTS } {
            let mut counts = [0.0; 2];
            for ((messages, folder), count) in folders.iter().zip(&mut counts) {
                let taken_off = match base {
                    Some(base) => instructions(program, smoke, base, *messages, folder)?,
                    None => 0.0,
                };
                *count = instructions(program, smoke, phase, *messages, folder)? - taken_off;
            }
            per_message.push((counts[1] - counts[0]) / (many - few) as f64);
        }
        if !smoke {
            let phase = name.to_owned();
            report.instructions.push(Instructions { phase, per_message, sizes: (few, many) });
        }
    }
    Ok(())
}

/// Instructions of a whole phase; in a small run it only has to succeed.
fn instructions(
    program: &Path,
    smoke: bool,
    phase: &str,
    messages: u64,
    folder: &Path,
) -> Result<f64, Failure> {
    if smoke {
        said(Command::new(program), phase, messages, folder)?;
        return Ok(0.0);
    }
    // On one processor the engine has one thread of each kind, and the counts hardly differ.
    let first = processors()?.first().ok_or("there is a processor")?.to_string();
    let mut command = Command::new("taskset");
    command.args(["--cpu-list", &first, "valgrind", "--tool=callgrind"]);
    command.arg("--callgrind-out-file=/dev/null").arg(program);
    let text = said(command, phase, messages, folder)?;
    let line = text.lines().find_map(|line| line.split_once("Collected :"));
    let count = line.and_then(|(_, count)| count.trim().parse().ok());
    count.ok_or_else(|| format!("callgrind counted nothing in {phase}: {text}").into())
}

/// Runs a phase; what was said on standard error.
fn said(
    mut command: Command,
    phase: &str,
    messages: u64,
    folder: &Path,
) -> Result<String, Failure> {
    command.args([phase, &messages.to_string(), argument(folder)?]).stdin(Stdio::null());
    let output = command.output()?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    check(output.status.success(), || format!("phase {phase} failed: {text}"))?;
    Ok(text)
}

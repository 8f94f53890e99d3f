//! Verifying a store that nobody has open.

use std::path::Path;
use std::time::Instant;

use systole::{Report, Verifier};

use super::fault::fault;
use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::view::{Damage, Verification};

/// Checks everything in the store in `directory`.
pub(super) fn verify(directory: &Path, progress: &mut Progress) -> Result<Verification> {
    let started = Instant::now();
    let verified = Verifier::open(directory).and_then(|verifier| run(&verifier, progress));
    answer(directory, verified, started)
}

/// Runs a verifier and shows how far it is.
pub(super) fn run(verifier: &Verifier, progress: &mut Progress) -> Result<Report, systole::Error> {
    let mut stage = None;
    let mut done = 0;
    let report = verifier.run(&mut |at| {
        if stage.replace(at.what) != Some(at.what) {
            progress.start(at.what, "done", at.total);
            done = 0;
        }
        progress.advance(at.done.saturating_sub(done), 0);
        done = at.done;
    });
    progress.end();
    report
}

/// What is told of a verification.
pub(super) fn answer(
    directory: &Path,
    verified: Result<Report, systole::Error>,
    started: Instant,
) -> Result<Verification> {
    let report = match verified {
        Ok(report) => report,
        Err(error) => return unopened(directory, error, started),
    };
    let Report { feeds, blocks, bytes, heads, items, messages, checkpoints, skipped, .. } = report;
    Ok(Verification {
        directory: directory.to_owned(),
        feeds,
        blocks,
        bytes,
        heads,
        items,
        messages,
        checkpoints,
        skipped,
        damage: report.damage.into_iter().map(damage).collect(),
        damage_total: report.damage_total,
        seconds: started.elapsed().as_secs_f64(),
    })
}

fn damage(damage: systole::Damage) -> Damage {
    Damage {
        kind: damage.kind.to_string(),
        feed: damage.feed.map(|feed| feed.to_string()),
        first_block: damage.blocks.as_ref().map(|blocks| blocks.start),
        last_block: damage.blocks.as_ref().and_then(|blocks| blocks.end.checked_sub(1)),
        item: damage.item.map(|item| item.to_string()),
        problem: damage.to_string(),
        advice: damage.advice.to_owned(),
    }
}

/// A store so damaged that it cannot be opened has an answer too.
fn unopened(directory: &Path, error: systole::Error, started: Instant) -> Result<Verification> {
    match fault(directory)(error) {
        Error::Corrupt { directory, source } => Ok(Verification {
            directory,
            damage: vec![Damage {
                kind: systole::DamageKind::File.to_string(),
                problem: format!("the database cannot be opened: {source}"),
                advice: "nothing was changed; check the disk, then restore the directory from a \
                         backup or fetch its parties again from another device into a fresh \
                         directory"
                    .into(),
                ..Damage::default()
            }],
            damage_total: 1,
            seconds: started.elapsed().as_secs_f64(),
            ..Verification::default()
        }),
        error => Err(error),
    }
}

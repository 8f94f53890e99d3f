//! W5: 64 parties at once, on two cores beside one. Each measurement is a process of its own that may
//! use these processors alone, with a worker thread for each.

use std::time::Instant;

use systole::{Object, Party};

use super::{Context, argument};
use crate::child::{Child, report as tell, run_child_on};
use crate::measure::{Measured, in_turn};
use crate::report::{Report, Row, Target, grouped};
use crate::workload::{ingest_all, ranges};
use crate::workloads::buffered;
use crate::workloads::fingerprint;
use crate::workloads::parties::Parties;
use crate::{Failure, check, per_second, runtime};

/// Replay and ingest of all parties at once.
pub(super) fn rows(context: &Context, report: &mut Report) -> Result<(), Failure> {
    let processors = processors()?;
    let [first, second, ..] = processors[..] else {
        report.notes.push("cores: there is one processor, so two cannot be compared".to_owned());
        return Ok(());
    };
    let (one, two) = (first.to_string(), format!("{first},{second}"));
    let parties = context.runtime.block_on(Parties::write(&context.run))?;
    let measure = |processors: &str, way: &str| measure(context, &parties, processors, way);
    let [replay_one, replay_two, ingest_one, ingest_two] = in_turn(
        &context.run,
        3,
        [
            &mut || measure(&one, "replay"),
            &mut || measure(&two, "replay"),
            &mut || measure(&one, "ingest"),
            &mut || measure(&two, "ingest"),
        ],
    )?;
    let size = format!(
        "{} parties, {} messages in all",
        parties.parties,
        grouped(parties.messages as i64)
    );
    for (what, on_two, on_one) in [
        ("W5: second core, stored blocks processed", &replay_two, &replay_one),
        ("W5: second core, verified ingest", &ingest_two, &ingest_one),
    ] {
        let row = Row::ratio(
            "cores",
            what,
            Target::AtLeast(1.7),
            ("messages on two cores", on_two),
            ("messages on one core", on_one),
            "/s",
        );
        report.rows.push(row.size(size.clone()));
    }
    Ok(())
}

/// Processors that this process may use.
pub(super) fn processors() -> Result<Vec<usize>, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let mut processors = Vec::new();
    for part in list.unwrap_or_default().trim().split(',').filter(|part| !part.is_empty()) {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        processors.extend(from.parse::<usize>()?..=to.parse()?);
    }
    Ok(processors)
}

fn measure(context: &Context, parties: &Parties, processors: &str, way: &str) -> Measured {
    let directory = context.run.directory()?;
    let count = parties.parties.to_string();
    let paths = [argument(directory.path())?, argument(parties.directory())?];
    let values = run_child_on(processors, "parties", &[paths[0], paths[1], &count, way])?;
    let cores = values["cores"] as usize;
    let allowed = processors.split(',').count();
    check(cores == allowed, || format!("the process saw {cores} cores, not {allowed}"))?;
    check(values["fingerprint"] as u64 == parties.fingerprint, || "items differ".to_owned())?;
    Ok(per_second(parties.messages, std::time::Duration::from_secs_f64(values["seconds"])))
}

/// Takes all parties in at once, or processes them once they are stored; every item is in memory.
pub(super) fn child(child: &Child) -> Result<(), Failure> {
    let (directory, files) = (child.argument(0)?.to_owned(), child.argument(1)?.to_owned());
    let (count, replay) = (child.argument(2)?.parse::<u64>()?, child.argument(3)? == "replay");
    runtime()?.block_on(async {
        let engine = buffered(directory.as_ref()).open().await?;
        let (mut parties, mut watched) = (Vec::new(), Vec::new());
        for n in 0..count {
            let files = Parties::files(files.as_ref(), n);
            let (key, items) = Parties::facts(&files)?;
            let party = engine.join(key).await?;
            ingest_all(&party, ranges(&files.beginning)?).await?;
            party.settle().await?;
            for id in &items {
                watched.push(party.item::<Object>(*id)?.subscribe().await?);
            }
            let rest: Vec<_> = ranges(&files.rest)?.collect();
            let rest = if replay {
                party.pause().await?;
                ingest_all(&party, rest.into_iter()).await?;
                Vec::new()
            } else {
                rest
            };
            parties.push((party, items, rest));
        }
        let started = Instant::now();
        let mut tasks = tokio::task::JoinSet::new();
        let mut all: Vec<(Party, Vec<systole::ItemId>)> = Vec::new();
        for (party, items, rest) in parties {
            all.push((party.clone(), items.clone()));
            tasks.spawn(async move {
                if replay {
                    party.resume().await?;
                }
                ingest_all(&party, rest.into_iter()).await?;
                party.settle().await?;
                for id in items {
                    party.item::<Object>(id)?.view(|_| ()).await?;
                }
                Ok::<_, Failure>(())
            });
        }
        while let Some(done) = tasks.join_next().await {
            done??;
        }
        tell("seconds", started.elapsed().as_secs_f64());
        tell("cores", std::thread::available_parallelism()?.get() as f64);
        let mut digests = Vec::new();
        for (party, items) in all {
            for id in items {
                let digest = systole::Model::digest;
                digests.push(party.item::<Object>(id)?.view(digest).await?);
            }
        }
        tell("fingerprint", fingerprint(&digests) as f64);
        drop(watched);
        engine.close().await?;
        Ok(())
    })
}

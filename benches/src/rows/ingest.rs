//! W1 as it comes from another device: verified, stored, ordered and applied, beside writing the same
//! bytes with nothing around.

use systole::Durability;

use super::{Context, ROUNDS, size};
use crate::Failure;
use crate::ceilings::{blocks, signatures};
use crate::measure::in_turn;
use crate::report::{Report, Row, Stages, Target};

/// With items in memory, which are changed, and with items at rest, whose logs grow.
pub(super) fn rows(context: &Context, report: &mut Report) -> Result<(), Failure> {
    let (run, source) = (&context.run, context.w1()?);
    let stored = blocks::blocks(source)?;
    let heads = run.count(1_000, 10);
    let [raw, hash, verify, applied, at_rest] = in_turn(
        run,
        ROUNDS,
        [
            &mut || blocks::append(run, &stored, blocks::BATCH, Durability::Buffered),
            &mut || blocks::hash(&stored),
            &mut || signatures::verify(heads),
            &mut || context.ingested(source, true),
            &mut || context.ingested(source, false),
        ],
    )?;
    let beside = ("RocksDB batches of 256 of the same blocks, not synced", &raw);
    for (what, value) in [
        ("W1: verified ingest, applied to items in memory", &applied),
        ("W1: verified ingest, items at rest", &at_rest),
    ] {
        let row =
            Row::ratio("ingest", what, Target::AtLeast(0.2), ("messages", value), beside, "/s");
        report.rows.push(row.size(size(source)));
    }
    let messages = source.rest.blocks;
    let all = |rate: f64| messages as f64 * 1e9 / rate;
    let signatures = source.rest()?.len() as f64 * 1e9 / verify.median();
    for (workload, rate) in [
        ("W1 ingest, applied to items in memory", applied.median()),
        ("W1 ingest, items at rest", at_rest.median()),
    ] {
        let (total, hash, raw) = (all(rate), all(hash.median()), all(raw.median()));
        report.stages.push(Stages {
            workload: workload.to_owned(),
            source: "beside the ceilings; negative where the engine spreads work over cores",
            nanoseconds: total / messages as f64,
            stages: vec![
                ("hash alone".to_owned(), hash, messages),
                ("verify: signatures of the ranges alone".to_owned(), signatures, messages),
                ("commit: the blocks alone".to_owned(), raw, messages),
                ("all else of the engine".to_owned(), total - hash - signatures - raw, messages),
            ],
        });
    }
    Ok(())
}

//! W1 from stored blocks to states, beside reading and decoding the same blocks.

use systole::Object;

use super::{Context, ROUNDS, size};
use crate::Failure;
use crate::ceilings::blocks;
use crate::measure::in_turn;
use crate::report::{Report, Row, Stages, Target};
use crate::workloads::rebuilt;

/// Both ways to states, and where their time goes.
pub(super) fn rows(context: &Context, report: &mut Report) -> Result<(), Failure> {
    let source = context.w1()?;
    let [scan, ceiling, processed, from_logs] = in_turn(
        &context.run,
        ROUNDS,
        [
            &mut || blocks::scan(source),
            &mut || blocks::scan_and_decode(source),
            &mut || context.replayed::<Object>(source),
            &mut || context.runtime.block_on(rebuilt::<Object>(source)),
        ],
    )?;
    let beside = ("RocksDB scan, copy and decode of the same blocks", &ceiling);
    let target = Target::AtLeast(0.5);
    for (what, value) in [
        ("W1: stored blocks processed into models", &processed),
        ("W1: states rebuilt from the items' logs", &from_logs),
    ] {
        let row = Row::ratio("replay", what, target, ("messages", value), beside, "/s");
        report.rows.push(row.size(size(source)));
    }
    let messages = source.rest.blocks;
    let all = |rate: f64| messages as f64 * 1e9 / rate;
    let read = all(scan.median());
    let decode = (all(ceiling.median()) - read).max(0.0);
    for (workload, rate) in [
        ("W1 replay, processed into models", processed.median()),
        ("W1 replay, rebuilt from the items' logs", from_logs.median()),
    ] {
        let total = all(rate);
        report.stages.push(Stages {
            workload: workload.to_owned(),
            source: "beside the ceilings; negative where the engine spreads work over cores",
            nanoseconds: total / messages as f64,
            stages: vec![
                ("read: scan and copy alone".to_owned(), read, messages),
                ("decode alone".to_owned(), decode, messages),
                ("all else of the engine".to_owned(), total - read - decode, messages),
            ],
        });
    }
    Ok(())
}

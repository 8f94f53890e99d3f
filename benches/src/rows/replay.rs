//! W1 from stored blocks to states, beside reading and decoding the same blocks.

use std::cell::Cell;

use systole::Object;

use super::{Context, ROUNDS, size};
use crate::Failure;
use crate::ceilings::blocks;
use crate::measure::in_turn;
use crate::report::{Report, Row, Stages, Target};

/// Both ways to states, and where their time goes.
pub(super) fn rows(context: &Context, report: &mut Report) -> Result<(), Failure> {
    let source = context.w1()?;
    let (in_processing, in_rebuilding) = (Cell::default(), Cell::default());
    let [ceiling, processed, from_logs] = in_turn(
        &context.run,
        ROUNDS,
        [
            &mut || blocks::scan_and_decode(source),
            &mut || Ok(context.replayed::<Object>(source)?.keep(&in_processing)),
            &mut || Ok(context.rebuilt::<Object>(source)?.keep(&in_rebuilding)),
        ],
    )?;
    let beside = ("RocksDB scan, copy and decode of the same blocks", &ceiling);
    for (what, value, messages, spent) in [
        ("W1: stored blocks processed into models", &processed, source.rest.blocks, in_processing),
        ("W1: states rebuilt from the items' logs", &from_logs, source.messages, in_rebuilding),
    ] {
        let target = Target::AtLeast(0.5);
        let row = Row::ratio("replay", what, target, ("messages", value), beside, "/s");
        let note = "the engine may use every core, the ceiling uses one";
        report.rows.push(row.size(size(source)).note(note));
        report.stages.push(Stages::new(what, messages, value.median(), &spent.get()));
    }
    Ok(())
}

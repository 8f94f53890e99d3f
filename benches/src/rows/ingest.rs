//! W1 as it comes from another device: verified, stored, ordered and applied, beside writing the same
//! bytes with nothing around.

use std::cell::Cell;

use systole::Durability;

use super::{Context, ROUNDS, size};
use crate::Failure;
use crate::ceilings::blocks;
use crate::measure::in_turn;
use crate::report::{Report, Row, Stages, Target};

/// With items in memory, which are changed, and with items at rest, whose logs grow.
pub(super) fn rows(context: &Context, report: &mut Report) -> Result<(), Failure> {
    let (run, source) = (&context.run, context.w1()?);
    let stored = blocks::blocks(source)?;
    let (in_memory, resting) = (Cell::default(), Cell::default());
    let [raw, applied, at_rest] = in_turn(
        run,
        ROUNDS,
        [
            &mut || blocks::append(run, &stored, blocks::BATCH, Durability::Buffered),
            &mut || Ok(context.ingested(source, true)?.keep(&in_memory)),
            &mut || Ok(context.ingested(source, false)?.keep(&resting)),
        ],
    )?;
    let beside = ("RocksDB batches of 256 of the same blocks, not synced", &raw);
    for (what, value, spent) in [
        ("W1: verified ingest, applied to items in memory", &applied, in_memory),
        ("W1: verified ingest, items at rest", &at_rest, resting),
    ] {
        let target = Target::AtLeast(0.2);
        let row = Row::ratio("ingest", what, target, ("messages", value), beside, "/s");
        let note = "the engine may use every core, the ceiling uses one";
        report.rows.push(row.size(size(source)).note(note));
        let messages = source.rest.blocks;
        report.stages.push(Stages::new(what, messages, value.median(), &spent.get()));
    }
    Ok(())
}

//! W3 beside W1: does it matter that one item gets all messages?

use systole::Object;

use super::{Context, ROUNDS, size};
use crate::Failure;
use crate::measure::in_turn;
use crate::report::{Report, Row, Target};
use crate::workloads::rebuilt;

/// Both ways to states, of one item and of many.
pub(super) fn rows(context: &Context, report: &mut Report) -> Result<(), Failure> {
    let (many, one) = (context.w1()?, context.w3()?);
    let [many_processed, processed, many_rebuilt, one_rebuilt] = in_turn(
        &context.run,
        ROUNDS,
        [
            &mut || context.replayed::<Object>(many),
            &mut || context.replayed::<Object>(one),
            &mut || context.runtime.block_on(rebuilt::<Object>(many)),
            &mut || context.runtime.block_on(rebuilt::<Object>(one)),
        ],
    )?;
    for (what, one_item, items) in [
        ("W3: one hot item, stored blocks processed", &processed, &many_processed),
        ("W3: one hot item, rebuilt from its log", &one_rebuilt, &many_rebuilt),
    ] {
        let value = ("messages of one item", one_item);
        let beside = ("messages of many items, W1", items);
        let row = Row::ratio("hot", what, Target::AtLeast(0.5), value, beside, "/s");
        report.rows.push(row.size(size(one)));
    }
    Ok(())
}

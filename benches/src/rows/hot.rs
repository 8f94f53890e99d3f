//! W3 beside W1: does it matter that one item gets all messages?

use std::cell::Cell;

use systole::Object;

use super::{Context, ROUNDS, size};
use crate::Failure;
use crate::measure::in_turn;
use crate::report::{Report, Row, Stages, Target};

/// Both ways to states, of one item and of many.
pub(super) fn rows(context: &Context, report: &mut Report) -> Result<(), Failure> {
    let (many, one) = (context.w1()?, context.w3()?);
    let (in_processing, in_rebuilding) = (Cell::default(), Cell::default());
    let [many_processed, processed, many_rebuilt, rebuilt] = in_turn(
        &context.run,
        ROUNDS,
        [
            &mut || Ok(context.replayed::<Object>(many)?.rate),
            &mut || Ok(context.replayed::<Object>(one)?.keep(&in_processing)),
            &mut || Ok(context.rebuilt::<Object>(many)?.rate),
            &mut || Ok(context.rebuilt::<Object>(one)?.keep(&in_rebuilding)),
        ],
    )?;
    let messages = (one.rest.blocks, one.messages);
    for (what, one_item, items, messages, spent) in [
        (
            "W3: one hot item, stored blocks processed",
            &processed,
            &many_processed,
            messages.0,
            in_processing,
        ),
        (
            "W3: one hot item, rebuilt from its log",
            &rebuilt,
            &many_rebuilt,
            messages.1,
            in_rebuilding,
        ),
    ] {
        let value = ("messages of one item", one_item);
        let beside = ("messages of many items, W1", items);
        let row = Row::ratio("hot", what, Target::AtLeast(0.5), value, beside, "/s");
        report.rows.push(row.size(size(one)));
        report.stages.push(Stages::new(what, messages, one_item.median(), &spent.get()));
    }
    Ok(())
}

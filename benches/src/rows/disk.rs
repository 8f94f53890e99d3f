//! Bytes that W1 takes on disk, beside those that the application wrote.

use systole::Object;

use super::{Context, size};
use crate::Failure;
use crate::ceilings::blocks;
use crate::measure::Series;
use crate::report::{Figure, Report, Row, Target};
use crate::workloads::Replica;

/// After compaction, with the checkpoints that items in memory leave.
pub(super) fn rows(context: &Context, report: &mut Report) -> Result<(), Failure> {
    let source = context.w1()?;
    let payload = blocks::payload_bytes(source)?;
    let (mut before, mut after) = (Series::default(), Series::default());
    for _ in 0..context.run.times(2) {
        context.runtime.block_on(async {
            let replica = Replica::<Object>::begin(&context.run, source, true).await?;
            replica.ingest(source).await?;
            replica.check(source, true).await?;
            before.push(replica.engine.disk_bytes().await? as f64);
            replica.engine.compact().await?;
            after.push(replica.engine.disk_bytes().await? as f64);
            replica.close().await
        })?;
    }
    let of_payload = Series::new(after.values().iter().map(|_| payload as f64));
    let mut row = Row::ratio(
        "disk",
        "W1: bytes on disk after compaction against payload bytes",
        Target::AtMost(2.5),
        ("on disk, after compaction", &after),
        ("payloads", &of_payload),
        "B",
    );
    row.figures.push(Figure::new("on disk, before compaction", "B", &before));
    report.rows.push(row.size(size(source)));
    Ok(())
}

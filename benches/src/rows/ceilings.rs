//! What the machine allows, on the bytes of W1: figures that other rows are judged by.

use systole::Durability;

use super::{Context, ROUNDS, size};
use crate::ceilings::{blocks, signatures};
use crate::measure::in_turn;
use crate::report::{Figure, Report};
use crate::{Failure, check};

/// Measures each ceiling.
pub(super) fn rows(context: &Context, report: &mut Report) -> Result<(), Failure> {
    let (run, source) = (&context.run, context.w1()?);
    let stored = blocks::blocks(source)?;
    // A sync costs as much as thousands of blocks.
    let synced = stored.len().min(blocks::BATCH * 200);
    let heads = run.count(2_000, 20);
    let [scan, decode, hash, append, append_synced, sign, verify] = in_turn(
        run,
        ROUNDS,
        [
            &mut || blocks::scan(source),
            &mut || blocks::scan_and_decode(source),
            &mut || blocks::hash(&stored),
            &mut || blocks::append(run, &stored, blocks::BATCH, Durability::Buffered),
            &mut || blocks::append(run, &stored[..synced], blocks::BATCH, Durability::Synced),
            &mut || signatures::sign(heads),
            &mut || signatures::verify(heads),
        ],
    )?;
    check(scan.median() > 0.0, || "nothing was read".to_owned())?;
    let of = size(source);
    report.ceilings.extend([
        Figure::new(format!("RocksDB: scan and copy ({of})"), "/s", &scan),
        Figure::new("RocksDB: scan, copy and decode envelope and payload", "/s", &decode),
        Figure::new("BLAKE3: hash the blocks, one by one", "/s", &hash),
        Figure::new("RocksDB: append in batches of 256, not synced", "/s", &append),
        Figure::new("RocksDB: append in batches of 256, each synced", "/s", &append_synced),
        Figure::new("ed25519: sign a head", "/s", &sign),
        Figure::new("ed25519: verify a head strictly", "/s", &verify),
    ]);
    Ok(())
}

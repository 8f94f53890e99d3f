//! What is measured, and how: workloads from a fixed seed, ceilings on the same bytes, rows that set one
//! beside the other, and a report.
//!
//! ```text
//! workloads ──┐
//!             ├──► rows ──► report: table, JSON, page with charts
//! ceilings ───┘
//! ```
//!
//! ```text
//! make bench                                  everything; its knobs stand in the README
//! make bench BENCH="replay ingest"            groups of rows whose name holds one of these
//! make bench-smoke                            small; checks results instead of times
//! SYSTOLE_BENCH_SCALE=0.1 make bench          a tenth of the messages
//! make soak SOAK_MINUTES=30                   a mixed workload over time, see [`soak`]
//! ```
//!
//! Figures say what this machine did at this moment. Each stands beside another one of the same run
//! on the same data, and the ratio of the two is what may be compared elsewhere.

pub mod ceilings;
mod child;
mod machine;
mod measure;
mod memory;
pub mod phases;
pub mod report;
pub mod rows;
mod run;
mod sample;
pub mod soak;
mod workload;
pub mod workloads;

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

pub use child::{Child, report, run_child, run_child_on, run_child_with};
pub use machine::{Machine, print_machine};
pub use measure::{Measured, Passed, Series, in_turn};
pub use memory::{peak_bytes, reset_peak, resident_bytes};
pub use run::{Failure, Run, check, runtime};
pub use sample::{Sample, per_second, timed};
pub use systole_sim::Random;
pub use workload::{
    HandedOver, PAYLOAD_BYTES, Shape, Writing, Written, feeds_of, founder, hand_over,
    hand_over_from, ingest_all, mutation, ranges, write,
};

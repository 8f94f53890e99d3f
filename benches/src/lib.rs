//! What the benches share: a workload from a fixed seed, measuring, and saying what was measured.
//!
//! ```text
//! cargo bench -p systole-benches                        all benches
//! cargo bench -p systole-benches --bench throughput -- ingest   sections whose name holds "ingest"
//! cargo bench -p systole-benches -- --smoke             small, checks results instead of times
//! SYSTOLE_BENCH_SCALE=0.1 cargo bench -p systole-benches        a tenth of the messages
//! make soak SOAK_MINUTES=30                             a mixed workload over time, see [`soak`]
//! ```
//!
//! Figures say what this machine did at this moment. Each stands beside another one of the same run
//! on the same data, and the ratio of the two is what may be compared elsewhere.

mod child;
mod machine;
mod memory;
mod run;
mod sample;
pub mod soak;
mod workload;

pub use child::{Child, report, run_child};
pub use machine::print_machine;
pub use memory::{peak_bytes, reset_peak, resident_bytes};
pub use run::{Failure, Run, check, runtime};
pub use sample::{Sample, per_second, timed};
pub use systole_sim::Random;
pub use workload::{
    HandedOver, PAYLOAD_BYTES, Shape, Written, feeds_of, founder, hand_over, ingest_all, mutation,
    ranges, write,
};

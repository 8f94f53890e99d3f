//! One phase of a message's path on a fixed small workload, on one thread, for a tool that counts
//! instructions: `systolic` runs it under callgrind.
//!
//! ```text
//! instructions prepare 4000 folder     writes the workload that the phases read
//! instructions ingest 4000 folder      one phase
//! ```
//!
//! Every phase checks its result. What a phase needs before it begins is a phase as well, whose count
//! is taken off.

use systole_benches::{Failure, phases};

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [phase, messages, folder] = &arguments[..] else {
        return Err("what is wanted: a phase, a number of messages, a folder".into());
    };
    phases::run(phase, messages.parse()?, folder.as_ref())
}

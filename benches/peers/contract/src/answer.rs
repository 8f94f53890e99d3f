//! What the runner sees of a driver: its command line, the one line that it tells, and how it ends.

use std::process::ExitCode;

use crate::arguments::USAGE;
use crate::{Arguments, Failure};

/// A driver's `main`: reads the command line, lets `step` do what is asked, and tells the line that it
/// returns. A driver that failed tells nothing but its complaint.
pub fn answer(program: &str, step: impl FnOnce(&Arguments) -> Result<String, Failure>) -> ExitCode {
    let asked = Arguments::parse(std::env::args().skip(1))
        .map_err(|failure| Failure::from(format!("{failure}\n{USAGE}")));
    match asked.and_then(|asked| step(&asked)) {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("{program}: {failure}");
            ExitCode::FAILURE
        }
    }
}

//! Runs histories for as long as one likes and says how many, how fast, and what was in them.
//!
//! ```text
//! cargo run --release --workspace --example marathon -- [--minutes N] [--first SEED] [--seeds N]
//!                                                       [--devices N] [--steps N]
//! ```
//!
//! One minute, from seed 0 on, 3 devices and 100 steps if not said. It ends after so many minutes or so
//! many seeds, whichever is first.
//! Ends with status 1 and the story of the first broken promise.
#![expect(clippy::disallowed_methods, reason = "it measures how fast the histories are")]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use systole_sim::{Report, Simulation};

fn main() -> ExitCode {
    let minutes = argument("--minutes").unwrap_or(1);
    let first = argument("--first").unwrap_or(0);
    let count = argument("--seeds").unwrap_or(u64::MAX - first);
    let simulation = Simulation::new()
        .objects()
        .texts()
        .devices(argument("--devices").unwrap_or(3) as usize)
        .steps(argument("--steps").unwrap_or(100) as usize);
    println!(
        "{} {}, one thread, from seed {first} on",
        std::env::consts::OS,
        std::env::consts::ARCH
    );
    let (start, mut told) = (Instant::now(), 0);
    let result = simulation.run_while(first..first + count, |report| {
        let passed = start.elapsed();
        if passed.as_secs() / 60 > told {
            told = passed.as_secs() / 60;
            println!("{told} min: {}", line(report, passed));
        }
        passed < Duration::from_secs(60 * minutes)
    });
    match result {
        Ok(report) => {
            println!("end: {}", line(&report, start.elapsed()));
            println!("0 violations");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            println!("1 violation after {} histories\n{failure}", failure.histories());
            let again = "cargo run --release --workspace --example marathon -- --seeds 1 --first";
            println!("here: {again} {}", failure.seed());
            ExitCode::FAILURE
        }
    }
}

fn line(report: &Report, passed: Duration) -> String {
    let per_second = report.histories as f64 / passed.as_secs_f64();
    format!("{per_second:.0} histories/s; {report}")
}

/// The number behind a name.
///
/// # Panics
/// If there is none: nobody wants an hour of something else.
fn argument(name: &str) -> Option<u64> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.next()?;
    let number = arguments.next().and_then(|number| number.parse().ok());
    Some(number.unwrap_or_else(|| panic!("{name} takes a number")))
}

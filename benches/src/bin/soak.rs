//! The soak: a mixed workload on two engines on disk for as long as one likes. `--help` tells more.

use std::process::ExitCode;

use systole_benches::soak::{Settings, USAGE, soak};

fn main() -> ExitCode {
    let settings = match Settings::parse(std::env::args().skip(1)) {
        Ok(Some(settings)) => settings,
        Ok(None) => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(wrong) => {
            eprintln!("soak: {wrong}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match soak(&settings) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("soak: memory or disk is not flat; seed {}", settings.seed);
            ExitCode::FAILURE
        }
        Err(failure) => {
            eprintln!("soak: seed {}: {failure}", settings.seed);
            ExitCode::FAILURE
        }
    }
}

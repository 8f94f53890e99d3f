//! Compares Systole with its peers; see the crate's documentation.

use std::process::ExitCode;

use systole_peers::runner::{Settings, USAGE, compare};

fn main() -> ExitCode {
    let settings = match Settings::parse(std::env::args().skip(1)) {
        Ok(settings) => settings,
        Err(failure) => {
            eprintln!("compare: {failure}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match compare(&settings) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("compare: {failure}");
            ExitCode::FAILURE
        }
    }
}

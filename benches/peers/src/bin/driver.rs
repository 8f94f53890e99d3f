//! Drives one Rust peer through one step; `systole_peers_contract` says what is asked and told.

use std::process::ExitCode;

use systole_peers_contract::{Arguments, Failure, USAGE};

fn main() -> ExitCode {
    match run() {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("driver: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<String, Failure> {
    let asked = Arguments::parse(std::env::args().skip(1))
        .map_err(|failure| format!("{failure}\n{USAGE}"))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(systole_peers::systems::run(&asked))
}

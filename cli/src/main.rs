//! The program `systole`; everything it does is in the library `systole_cli`.

use std::io::{stderr, stdout};
use std::process::ExitCode;

use clap::Parser;
use systole_cli::arguments::Arguments;
use systole_cli::command::{print_error, run};
use systole_cli::engine::Directories;
use systole_cli::{Error, Exit};

/// Messages are allocated on one thread and freed on another, which the system's allocator does not take
/// well.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Threads that load items. More would hold memory that the allocator gives each of them, not help.
const LOADING_THREADS: usize = 2;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .max_blocking_threads(LOADING_THREADS)
        .enable_all()
        .build()
        .map_err(|source| Error::io("starting the runtime", source))
        .and_then(|runtime| runtime.block_on(run(&arguments, &Directories, &mut stdout().lock())));
    let exit = outcome.unwrap_or_else(|error| {
        // With the error output gone, the exit status still tells.
        let _ = print_error(&mut stderr().lock(), arguments.form(), &error);
        error.exit()
    });
    Exit::into(exit)
}

//! The program `systole`; everything it does is in the library `systole_cli`.

use std::io::{stderr, stdout};
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use systole_cli::arguments::Arguments;
use systole_cli::backend::Backend;
use systole_cli::command::{print_error, run};
use systole_cli::import::memory::Memory;
use systole_cli::progress::Progress;
use systole_cli::view::{Feeds, Items, Status, Verification};
use systole_cli::{Error, Exit, Result};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|source| Error::io("starting the runtime", source))
        .and_then(|runtime| runtime.block_on(run(&arguments, &Unlinked, &mut stdout().lock())));
    let exit = outcome.unwrap_or_else(|error| {
        // With the error output gone, the exit status still tells.
        let _ = print_error(&mut stderr().lock(), arguments.form(), &error);
        error.exit()
    });
    Exit::into(exit)
}

/// A build without the engine.
struct Unlinked;

impl Unlinked {
    fn refuse<T>() -> Result<T> {
        Err(Error::engine("this build has no engine"))
    }
}

impl Backend for Unlinked {
    type Sink = Memory;

    async fn create(&self, _: &Path, _: &str) -> Result<Memory> {
        Self::refuse()
    }

    async fn status(&self, _: &Path) -> Result<Status> {
        Self::refuse()
    }

    async fn feeds(&self, _: &Path) -> Result<Feeds> {
        Self::refuse()
    }

    async fn items(&self, _: &Path, _: bool) -> Result<Items> {
        Self::refuse()
    }

    async fn verify(&self, _: &Path, _: &mut Progress) -> Result<Verification> {
        Self::refuse()
    }
}

//! Drives one Rust peer through one step; `systole_peers_contract` says what is asked and told.

use std::process::ExitCode;

use systole_peers::systems;
use systole_peers_contract::answer;

/// As Systole's own driver.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    answer("driver", |asked| {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        // On the runtime's threads, as Systole's own driver does it.
        let asked = asked.clone();
        runtime.block_on(runtime.spawn(async move { systems::run(&asked).await }))?
    })
}

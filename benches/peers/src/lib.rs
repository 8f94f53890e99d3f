//! What Systole is compared with, and how; see `README.md` beside the manifest for the traps.

pub mod runner;
pub mod systems;

//! Placeholder
mod backend;
mod byzantine;
mod device;
mod heal;
mod history;
mod network;
mod oracle;
mod panics;
mod plan;
mod random;
mod report;
mod seeds;
mod shrink;
mod simulation;
mod steps;
mod story;
mod workload;
mod world;

#[doc(hidden)]
pub use device::Flaws;
pub use history::History;
pub use oracle::Oracle;
pub use random::Random;
pub use report::{Counts, Failure, Report};
pub use simulation::Simulation;
pub use workload::{object_users, text_users};

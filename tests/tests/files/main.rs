//! What files can do to a store: logs that end anywhere, writes that are cut short, two processes on one
//! directory.
#![allow(clippy::unwrap_used)]

mod limits;
mod processes;
mod recorder;
mod truncation;

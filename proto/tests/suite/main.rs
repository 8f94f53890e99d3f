//! The crate as its users see it: one test binary, one module per subject.
#![allow(clippy::unwrap_used, reason = "a test that fails should stop")]

mod block;
mod checkpoint;
mod credential;
mod golden;
mod head;
mod ids;
mod merkle;
mod range;
mod sign;
mod stamp;
mod support;
mod timeframe;

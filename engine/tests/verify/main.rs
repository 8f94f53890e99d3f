//! Verification of stores: what is sound passes, and whatever is altered is named.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod files;
mod fixture;
mod raw;
mod records;
mod sound;

//! The command line against real Git repositories.

#![allow(clippy::unwrap_used)]

mod builder;
mod check;
mod commands;
mod copies;
mod histories;
mod import;
mod program;
mod repository;
mod stores;

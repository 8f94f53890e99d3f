//! The command `systole`: imports Git repositories, and shows and verifies what a store holds.
//!
//! ```text
//!   arguments ──► command ──► import ──► git        reads a repository through the git program
//!                    │           ├─────► diff       texts to edits
//!                    │           └─────► Sink ┐
//!                    ├──► Backend ────────────┴──►  engine
//!                    └──► view                      answers, as text or JSON
//! ```
//!
//! What touches the engine stands behind two traits: [`import::Sink`], which an import writes to, and
//! [`backend::Backend`], which the other commands ask. The folder [`engine`] fills both in.

pub mod arguments;
pub mod backend;
pub mod command;
pub mod diff;
pub mod engine;
pub mod error;
pub mod git;
pub mod import;
pub mod progress;
pub mod view;

pub use error::{Error, Exit, Result};

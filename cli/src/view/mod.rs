//! What the commands print: one structure each, as text for people and as JSON for programs.
//!
//! Invariants:
//! - the JSON names are a promise to scripts: they are added to, never changed;
//! - ids are whole in JSON and short in text; where one is asked for, its beginning is enough;
//! - text from a store or a repository is printed without control characters.

mod copies;
mod feeds;
mod format;
mod items;
mod shown;
mod status;
mod table;
mod verification;

pub use copies::{Backup, Restored};
pub use feeds::{Feed, Feeds};
pub use format::{bytes, count, escaped, escaped_lines, grouped, seconds, short};
pub use items::{Item, Items};
pub use shown::{Shown, Writer};
pub use status::{Halt, Held, Parked, Party, Status, Usage, Wait};
pub use table::Table;
pub use verification::{Damage, Verification};

use std::fmt::Display;
use std::io::Write;

use serde::Serialize;

use crate::error::{Error, Result};

/// How a command's answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// For people.
    Text,
    /// For programs: one JSON document.
    Json,
}

/// Writes a command's answer. A reader that has seen enough, such as `head`, is no error.
pub fn print(out: &mut impl Write, form: Form, answer: &(impl Display + Serialize)) -> Result<()> {
    match form {
        Form::Text => writeln!(out, "{answer}"),
        Form::Json => {
            let json = serde_json::to_string_pretty(answer).map_err(std::io::Error::from);
            json.and_then(|json| writeln!(out, "{json}"))
        }
    }
    .and_then(|()| out.flush())
    .or_else(|error| match error.kind() {
        std::io::ErrorKind::BrokenPipe => Ok(()),
        _ => Err(Error::io("writing the answer", error)),
    })
}

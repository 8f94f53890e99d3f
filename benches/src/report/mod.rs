//! What a run found, and how it is told: a table, JSON, and a page with charts.
//!
//! Invariant: every figure says what it is, in which unit, and of how many rounds; the three forms
//! show the same [`Report`].

mod chart;
mod curve;
mod figure;
mod html;
mod json;
mod number;
mod row;
mod stages;
mod table;

use serde::Serialize;

use crate::Run;
use crate::machine::Machine;

pub use curve::{Curve, Distribution};
pub use figure::{Figure, Spread};
pub use html::html;
pub use json::json;
pub use number::{grouped, quantity, short};
pub use row::{Row, Target};
pub use stages::{Stage, Stages};
pub use table::print;

/// Everything that a run found.
#[derive(Debug, Serialize)]
pub struct Report {
    /// What it was measured on.
    pub machine: Machine,
    /// The size of the run: 1 is a full one.
    pub scale: f64,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// Rows whose targets the project has set.
    pub rows: Vec<Row>,
    /// What the machine allows.
    pub ceilings: Vec<Figure>,
    /// Where the time goes.
    pub stages: Vec<Stages>,
    /// Growth.
    pub curves: Vec<Curve>,
    /// Latencies.
    pub distributions: Vec<Distribution>,
    /// Instructions.
    pub instructions: Vec<Instructions>,
    /// What could not be measured, and why.
    pub notes: Vec<String>,
}

impl Report {
    /// Nothing is measured yet.
    pub fn new(run: &Run) -> Self {
        Self {
            machine: Machine::look(run.parent()),
            scale: run.scale(),
            seconds: 0.0,
            rows: Vec::new(),
            ceilings: Vec::new(),
            stages: Vec::new(),
            curves: Vec::new(),
            distributions: Vec::new(),
            instructions: Vec::new(),
            notes: Vec::new(),
        }
    }
}

/// Instructions that one message takes in one phase.
#[derive(Clone, Debug, Serialize)]
pub struct Instructions {
    /// The phase.
    pub phase: String,
    /// Instructions a message, of each run.
    pub per_message: Vec<f64>,
    /// Messages of the smaller and of the larger run whose difference it is.
    pub sizes: (u64, u64),
}

//! The report as JSON, for programs that compare runs.

use super::Report;
use crate::Failure;

/// The whole report. A figure that is no number stands as `null`.
pub fn json(report: &Report) -> Result<String, Failure> {
    Ok(serde_json::to_string_pretty(report)?)
}

//! W3: one item that gets all messages of W1.

use super::objects::{MESSAGES, MESSAGES_SMOKE, source};
use super::source::Source;
use crate::workload::Shape;
use crate::{Failure, Run};

/// W3 in the size of this run.
pub async fn w3(run: &Run) -> Result<Source, Failure> {
    source(run, Shape::new(1, run.count(MESSAGES, MESSAGES_SMOKE))).await
}

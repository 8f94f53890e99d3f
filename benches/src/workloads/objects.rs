//! W1 and W2: `Object` items that eight feeds write to by turns.

use systole::Object;

use super::source::{Draft, Source};
use crate::workload::{Shape, Writing};
use crate::{Failure, Run};

/// Items of W1.
pub const ITEMS: u64 = 1_000;
/// Messages of W1 in a full run.
pub const MESSAGES: u64 = 200_000;
/// Messages of W1 in a small run.
pub const MESSAGES_SMOKE: u64 = 3_000;

/// W1 in the size of this run.
pub async fn w1(run: &Run) -> Result<Source, Failure> {
    let messages = run.count(MESSAGES, MESSAGES_SMOKE);
    source(run, Shape::new(run.count(ITEMS, 20).min(ITEMS), messages)).await
}

/// A party of any shape.
pub async fn source(run: &Run, shape: Shape) -> Result<Source, Failure> {
    let mut draft = Draft::new(run).await?;
    let feeds = draft.feeds(shape.feeds).await?;
    let mut writing = Writing::new(&draft.party, &feeds, &shape);
    writing.create().await?;
    draft.begun().await?;
    writing.mutate(u64::MAX).await?;
    draft.finish::<Object>(writing.items(), shape.messages).await
}

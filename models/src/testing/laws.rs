//! The laws, checked against one history in several delivery orders.

use std::fmt;

use super::history::History;
use super::random::Random;
use super::{Law, ModelCheck, Violation};
use crate::model::{Message, Model, Outcome};

/// Messages in one batch.
const BATCH_MAX: usize = 4;
/// No history of a test fills this.
const MEMORY_BYTES_SANE: usize = 1 << 40;

pub(super) fn check<M: Model, C, T: PartialEq + fmt::Debug>(
    history: &History,
    seed: u64,
    check: &ModelCheck<M, C, T>,
) -> Result<(), Violation> {
    let mut random = Random::new(seed);
    let in_order: Vec<usize> = (0..history.messages.len()).collect();
    let one_by_one: Vec<Vec<usize>> = in_order.iter().map(|&index| vec![index]).collect();
    let mut first = M::empty();
    deliver(history, &one_by_one, &mut first);
    let expected = Expected {
        state: (check.observe)(&first),
        digest: first.digest(),
        order: history.names(&in_order),
    };
    for _ in 0..check.orders {
        let order = history.delivery(M::ORDER, &mut random);
        let batches = batches(&order, &mut random);
        converges(history, &batches, &expected, check)?;
        resumes(history, &batches, &expected, &mut random, check)?;
        ignores_duplicates(history, &batches, &expected, &mut random, check)?;
    }
    Ok(())
}

/// What every replica must arrive at.
struct Expected<T> {
    state: T,
    digest: Vec<u8>,
    order: String,
}

/// The model that a model's checkpoint describes, which must be the same.
pub(super) fn restored<M: Model, C, T: PartialEq + fmt::Debug>(
    model: &M,
    check: &ModelCheck<M, C, T>,
) -> Result<M, Violation> {
    let bytes = model.checkpoint();
    let restored = M::restore(&bytes).map_err(|error| Violation {
        law: Law::Checkpoint,
        detail: format!("the model's own checkpoint: {error}"),
    })?;
    let (before, after) = ((check.observe)(model), (check.observe)(&restored));
    if before != after {
        return Err(Violation::differ(Law::Checkpoint, "before", &before, "after restore", &after));
    }
    if restored.digest() != model.digest() {
        let detail = "a restored model has another digest than the one before".to_owned();
        return Err(Violation { law: Law::Digest, detail });
    }
    Ok(restored)
}

fn converges<M: Model, C, T: PartialEq + fmt::Debug>(
    history: &History,
    batches: &[Vec<usize>],
    expected: &Expected<T>,
    check: &ModelCheck<M, C, T>,
) -> Result<(), Violation> {
    let mut model = M::empty();
    deliver(history, batches, &mut model);
    arrived(&model, Law::Convergence, &shown(history, batches), expected, check)?;
    let bytes = model.memory_bytes();
    if bytes == 0 || bytes > MEMORY_BYTES_SANE {
        let detail = format!("the model says that it takes {bytes} bytes");
        return Err(Violation { law: Law::Memory, detail });
    }
    Ok(())
}

/// A checkpoint anywhere, then the rest; and the same with messages from before the cut once more, as after a
/// crash between applying and recording that.
fn resumes<M: Model, C, T: PartialEq + fmt::Debug>(
    history: &History,
    batches: &[Vec<usize>],
    expected: &Expected<T>,
    random: &mut Random,
    check: &ModelCheck<M, C, T>,
) -> Result<(), Violation> {
    let (head, tail) = batches.split_at(random.below(batches.len() + 1));
    let mut model = M::empty();
    deliver(history, head, &mut model);
    // Twice: the second checkpoint is one that a restored model wrote.
    let mut resumed = restored(&restored(&model, check)?, check)?;
    deliver(history, tail, &mut resumed);
    let how = format!("{} | checkpoint | {}", shown(history, head), shown(history, tail));
    arrived(&resumed, Law::Checkpoint, &how, expected, check)?;

    let again = &head[random.below(head.len() + 1)..];
    let mut resumed = restored(&model, check)?;
    deliver(history, again, &mut resumed);
    deliver(history, tail, &mut resumed);
    let again = shown(history, again);
    let how =
        format!("{} | checkpoint | again {again} | {}", shown(history, head), shown(history, tail));
    arrived(&resumed, Law::Duplicates, &how, expected, check)
}

/// Batches that were applied come once more, whole or as part of a larger batch.
fn ignores_duplicates<M: Model, C, T: PartialEq + fmt::Debug>(
    history: &History,
    batches: &[Vec<usize>],
    expected: &Expected<T>,
    random: &mut Random,
    check: &ModelCheck<M, C, T>,
) -> Result<(), Violation> {
    let mut model = M::empty();
    for (end, batch) in batches.iter().enumerate() {
        let mut twice = batch.clone();
        if random.below(2) == 0 {
            twice.extend(batch);
        }
        deliver(history, &[twice], &mut model);
        if random.below(2) == 0 {
            continue;
        }
        let again = &batches[random.below(end + 1)..=end].concat();
        let before = (check.observe)(&model);
        let changes = apply(history, again, &mut model);
        let after = (check.observe)(&model);
        let how = format!("{} | again {}", shown(history, &batches[..=end]), history.names(again));
        if before != after {
            return Err(Violation::differ(Law::Duplicates, "once", &before, &how, &after));
        }
        if changes > 0 {
            let detail = format!("{changes} changes were reported after {how}");
            return Err(Violation { law: Law::Duplicates, detail });
        }
    }
    let how = format!("{} with repetitions", shown(history, batches));
    arrived(&model, Law::Duplicates, &how, expected, check)
}

fn arrived<M: Model, C, T: PartialEq + fmt::Debug>(
    model: &M,
    law: Law,
    how: &str,
    expected: &Expected<T>,
    check: &ModelCheck<M, C, T>,
) -> Result<(), Violation> {
    let state = (check.observe)(model);
    if state != expected.state {
        return Err(Violation::differ(law, &expected.order, &expected.state, how, &state));
    }
    if model.digest() != expected.digest {
        let detail = format!("{} and {how} give equal states", expected.order);
        return Err(Violation { law: Law::Digest, detail });
    }
    Ok(())
}

fn batches(order: &[usize], random: &mut Random) -> Vec<Vec<usize>> {
    let mut rest = order;
    let mut batches = Vec::new();
    while !rest.is_empty() {
        let (batch, after) = rest.split_at((1 + random.below(BATCH_MAX)).min(rest.len()));
        batches.push(batch.to_vec());
        rest = after;
    }
    batches
}

fn deliver<M: Model>(history: &History, batches: &[Vec<usize>], model: &mut M) {
    for batch in batches {
        apply(history, batch, model);
    }
}

/// Applies messages as one batch; how many changes that caused.
fn apply<M: Model>(history: &History, batch: &[usize], model: &mut M) -> usize {
    let batch: Vec<Message> = batch.iter().map(|&index| history.messages[index].clone()).collect();
    let mut outcome = Outcome::default();
    model.apply(&batch, &mut outcome);
    outcome.changes.len()
}

fn shown(history: &History, batches: &[Vec<usize>]) -> String {
    let shown: Vec<String> =
        batches.iter().map(|batch| format!("[{}]", history.names(batch))).collect();
    shown.join(" ")
}

//! What a check found: a report, or a broken law with the history that breaks it.

use std::fmt;

use super::history::History;

/// What a model promises; see the table of [`super`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Law {
    /// The state is a function of the set of messages.
    Convergence,
    /// A checkpoint plus the rest of the messages equals full replay.
    Checkpoint,
    /// Equal states have equal digests.
    Digest,
    /// A message delivered again changes nothing.
    Duplicates,
    /// A mutation does to its writer what its message does to a reader.
    MutateEqualsApply,
    /// A refused mutation leaves the state as it was.
    Rejection,
    /// The memory estimate can be counted with.
    Memory,
    /// Nothing panics.
    NoPanic,
    /// The check could not run, or the model answered the same input in two ways.
    Determinism,
}

impl fmt::Display for Law {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Convergence => "the state depends on the order of delivery",
            Self::Checkpoint => "a checkpoint plus the rest is not full replay",
            Self::Digest => "equal states have different digests",
            Self::Duplicates => "a message delivered again changes something",
            Self::MutateEqualsApply => "the writer's state is not that of a reader",
            Self::Rejection => "a refused mutation leaves traces",
            Self::Memory => "the memory estimate is useless",
            Self::NoPanic => "the model panics",
            Self::Determinism => "the check gives no answer",
        })
    }
}

/// A broken law, before its history is attached.
pub(super) struct Violation {
    pub(super) law: Law,
    pub(super) detail: String,
}

impl Violation {
    pub(super) fn differ(
        law: Law,
        one: &str,
        left: &impl fmt::Debug,
        other: &str,
        right: &impl fmt::Debug,
    ) -> Self {
        Self { law, detail: format!("{one}\n      {left:?}\n    {other}\n      {right:?}") }
    }
}

/// A broken law, and the smallest history found that breaks it. `Debug` reads like `Display`, so that
/// `unwrap` shows it.
pub struct LawViolation {
    law: Law,
    detail: String,
    history: Vec<String>,
    seed: u64,
}

impl LawViolation {
    pub(super) fn of(violation: Violation, history: &History, seed: u64) -> Self {
        let Violation { law, detail } = violation;
        Self { law, detail, history: history.lines(), seed }
    }

    pub(super) fn not_run(reason: &str, seed: u64) -> Self {
        Self { law: Law::Determinism, detail: reason.to_owned(), history: Vec::new(), seed }
    }

    /// The law.
    pub fn law(&self) -> Law {
        self.law
    }

    /// What was found instead.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The messages of the history in the order they were written, one line each.
    pub fn history(&self) -> &[String] {
        &self.history
    }
}

impl fmt::Display for LawViolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "law broken: {}", self.law)?;
        writeln!(f, "    {}", self.detail)?;
        writeln!(f, "smallest history found (seed {}):", self.seed)?;
        self.history.iter().try_for_each(|line| writeln!(f, "    {line}"))
    }
}

impl fmt::Debug for LawViolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\n{self}")
    }
}

impl std::error::Error for LawViolation {}

/// What a check went through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// Histories played.
    pub histories: usize,
    /// Messages in all of them.
    pub messages: usize,
    /// Delivery orders tried, each once plainly, with two restarts and with repetitions.
    pub orders: usize,
    /// Mutations that the model refused.
    pub rejections: usize,
}

impl CheckReport {
    pub(super) fn add(&mut self, history: &History, orders: usize) {
        self.histories += 1;
        self.messages += history.messages.len();
        self.orders += orders;
        self.rejections += history.rejections;
    }
}

impl fmt::Display for CheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { histories, messages, orders, rejections } = self;
        write!(
            f,
            "{histories} histories, {messages} messages, {orders} delivery orders, {rejections} mutations refused"
        )
    }
}

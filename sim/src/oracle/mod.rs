//! What must hold, one file for each promise. An oracle knows what the world did, never how the engine
//! does it.

pub(crate) mod bounds;
pub(crate) mod causality;
pub(crate) mod convergence;
pub(crate) mod durability;
pub(crate) mod fork;
pub(crate) mod position;

use std::fmt;

/// A promise; see the table of the crate's documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Oracle {
    /// An acknowledged synced write, and whatever was shown to a peer, survives every crash.
    Durability,
    /// No honest feed ever has two histories.
    Fork,
    /// The same blocks give the same items, states, members and refusals everywhere.
    Convergence,
    /// A checkpoint and the messages after it equal full replay.
    Replay,
    /// Positions move forward only.
    Positions,
    /// What a message's author had seen, and its Lamport number, are what really happened.
    Causality,
    /// No message counts before its author's admission is in its past.
    Admission,
    /// Every message of an admitted author is processed exactly once in the life of a store.
    Once,
    /// Every bound is respected.
    Bounds,
    /// Once everything heals, everything arrives.
    Progress,
    /// What breaks one item breaks nothing else.
    Isolation,
    /// What comes twice changes nothing.
    Duplicates,
    /// The engine neither panics nor reports damage where there is none.
    Soundness,
}

impl fmt::Display for Oracle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Durability => "what was acknowledged or shown is gone",
            Self::Fork => "an honest feed has two histories",
            Self::Convergence => "devices with the same blocks differ",
            Self::Replay => "an item is not what its messages say",
            Self::Positions => "a position went back",
            Self::Causality => "a message's past is not what its author had seen",
            Self::Admission => "a message counts before its author is admitted",
            Self::Once => "a message was lost or processed twice",
            Self::Bounds => "a bound is exceeded",
            Self::Progress => "not everything arrives though nothing stands in the way",
            Self::Isolation => "a broken item broke something else",
            Self::Duplicates => "what came twice changed something",
            Self::Soundness => "the engine or a model failed",
        })
    }
}

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) oracle: Oracle,
    pub(crate) detail: String,
}

impl Violation {
    pub(crate) fn new(oracle: Oracle, detail: impl Into<String>) -> Self {
        Self { oracle, detail: detail.into() }
    }
}

//! Who is compared, with how many messages, at which durability, and how far ahead Systole must be.
//!
//! Counts differ because some systems get slower with every message: each peer is measured at a count
//! that it finishes in a minute or so, and Systole at the same one beside it.

use std::fmt;

use systole_peers_contract::{Durability, Step, Workload};

use super::settings::Settings;

/// The project itself.
pub(super) const SYSTOLE: &str = "systole";
/// Messages of which each one's latency is taken, at most.
const LIVE_MESSAGES: usize = 2_000;
/// Messages of a smoke run: more than one batch of every feed.
const SMOKE_MESSAGES: usize = 2_500;
/// Fewest messages that a scaled run has.
const MESSAGES_MIN: usize = 500;

use Durability::{Buffered, Synced};

/// A system that is compared.
#[derive(Debug)]
pub(super) struct System {
    pub(super) name: &'static str,
    pub(super) on_node: bool,
    /// What a reader must know.
    pub(super) about: &'static str,
    /// Its configurations.
    counts: &'static [(Durability, usize)],
    /// Steps that not every system has.
    extra: &'static [Step],
}

impl System {
    pub(super) fn does(&self, step: Step) -> bool {
        !matches!(step, Step::ReplayVerified | Step::AppendMerged) || self.extra.contains(&step)
    }
}

/// Systole, at the counts that no peer asks for.
static OWN: System = System {
    name: SYSTOLE,
    on_node: false,
    about: "signed feeds, causal order, membership, items with models",
    counts: &[(Buffered, 100_000), (Synced, 20_000)],
    extra: &[Step::ReplayVerified],
};

/// The peers.
static PEERS: [System; 8] = [
    System {
        name: "sqlite",
        on_node: false,
        about: "unsigned rows in one table; synced: WAL + FULL, buffered: NORMAL",
        counts: &[(Buffered, 100_000), (Synced, 20_000)],
        extra: &[],
    },
    System {
        name: "hypercore-rust",
        on_node: false,
        about: "a bare signed log; synced: as shipped, buffered: over plain files of ours",
        counts: &[(Buffered, 100_000), (Synced, 10_000)],
        extra: &[],
    },
    System {
        name: "p2panda",
        on_node: false,
        about: "signed operations in SQLite, scanned at every append; synced: as shipped",
        counts: &[(Buffered, 10_000), (Synced, 1_000), (Synced, 3_000), (Synced, 10_000)],
        extra: &[Step::ReplayVerified],
    },
    System {
        name: "automerge",
        on_node: false,
        about: "unsigned changes of maps, in files",
        counts: &[(Buffered, 100_000)],
        extra: &[Step::AppendMerged],
    },
    System {
        name: "cojson",
        on_node: true,
        about: "signed CRDT logs of groups in SQLite; synced: FULL, as shipped",
        counts: &[(Buffered, 100_000), (Synced, 20_000)],
        extra: &[Step::AppendMerged],
    },
    System {
        name: "hypercore",
        on_node: true,
        about: "a bare signed log on RocksDB, which never syncs",
        counts: &[(Buffered, 100_000)],
        extra: &[],
    },
    System {
        name: "autobase",
        on_node: true,
        about: "signed logs, ordered and applied to a view",
        counts: &[(Buffered, 10_000)],
        extra: &[],
    },
    System {
        name: "yjs",
        on_node: true,
        about: "unsigned updates of maps, in LevelDB",
        counts: &[(Buffered, 100_000)],
        extra: &[Step::AppendMerged],
    },
];

/// One configuration of a system.
#[derive(Clone, Copy)]
pub(super) struct Case {
    pub(super) system: &'static System,
    pub(super) durability: Durability,
    pub(super) messages: usize,
}

impl Case {
    pub(super) fn is_own(&self) -> bool {
        self.system.name == SYSTOLE
    }

    /// Whether the two may stand beside each other.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.durability == other.durability && self.messages == other.messages
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.system.name == other.system.name && self.is_like(other)
    }

    /// The step of Systole that stands beside this one of a peer: it has no merged batches.
    pub(super) fn own_step(step: Step) -> Step {
        if step == Step::AppendMerged { Step::AppendBatch } else { step }
    }

    /// How far ahead of this peer Systole must be.
    pub(super) fn target(&self, step: Step) -> Option<f64> {
        match (self.system.name, self.durability, step) {
            (_, _, Step::Live | Step::AppendMerged | Step::ReplayVerified) => None,
            ("p2panda" | "cojson" | "autobase", ..) => Some(10.0),
            ("hypercore-rust", Buffered, Step::Replay | Step::Replicate) => Some(5.0),
            ("hypercore-rust", Buffered, Step::AppendBatch) => Some(1.0),
            _ => None,
        }
    }
}

impl Case {
    /// System and durability.
    pub(super) fn name(&self) -> String {
        format!("{} {}", self.system.name, self.durability.name())
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.system.name, self.durability.name(), self.messages)
    }
}

/// All configurations, a peer's after those of Systole that it is compared with.
pub(super) struct Plan {
    cases: Vec<Case>,
}

impl Plan {
    pub(super) fn new(settings: &Settings) -> Self {
        let count = |messages: usize| {
            if settings.smoke {
                SMOKE_MESSAGES
            } else {
                ((messages as f64 * settings.scale) as usize).max(MESSAGES_MIN)
            }
        };
        let mut plan = Self { cases: Vec::new() };
        let wanted = PEERS.iter().filter(|system| settings.wants(system.name));
        for system in [&OWN].into_iter().chain(wanted) {
            for (durability, messages) in system.counts {
                let (durability, messages) = (*durability, count(*messages));
                plan.add(Case { system: &OWN, durability, messages });
                plan.add(Case { system, durability, messages });
            }
        }
        plan
    }

    fn add(&mut self, case: Case) {
        if !self.cases.iter().any(|other| other.is_same(&case)) {
            self.cases.push(case);
        }
    }

    pub(super) fn cases(&self) -> &[Case] {
        &self.cases
    }

    /// The cases that a step is asked of, each with as many messages as the step takes, none twice.
    pub(super) fn asked(cases: &[Case], step: Step) -> Vec<Case> {
        let mut asked: Vec<Case> = Vec::new();
        for case in cases.iter().filter(|case| case.system.does(step)) {
            let case = match step {
                Step::Live => Case { messages: case.messages.min(LIVE_MESSAGES), ..*case },
                _ => *case,
            };
            if !asked.iter().any(|other| other.is_same(&case)) {
                asked.push(case);
            }
        }
        asked
    }

    /// What is measured, in this order.
    pub(super) fn steps() -> &'static [Step] {
        &[
            Step::AppendBatch,
            Step::AppendMerged,
            Step::Append,
            Step::Replay,
            Step::ReplayVerified,
            Step::Replicate,
            Step::Live,
        ]
    }
}

/// The workload of so many messages: 8 feeds, 1,000 items, 128 bytes, seed 1.
pub(super) fn workload(messages: usize) -> Workload {
    Workload { messages, feeds: 8, items: 1_000, payload: 128, seed: 1 }
}

//! `Plan`: what happens in one generated history, before anything is played.
//!
//! Invariants: a plan can be played whatever its steps are (indexes are taken modulo what exists), so any
//! step can be left out while a failing plan is made smaller.

use proptest::collection::vec;
use proptest::prelude::*;

/// One thing that happens to a replica.
#[derive(Clone, Debug)]
pub(super) enum Step<C> {
    /// A replica writes, after `skip` blocks of other items.
    Write { replica: usize, skip: u64, choice: C },
    /// A replica reads what another one knows: all of it, or only the first `part` of 4.
    Sync { from: usize, to: usize, part: usize },
    /// A replica writes its checkpoint and starts again from it.
    Restart { replica: usize },
    /// The author behind a replica writes bytes that no model made.
    Hostile { replica: usize, payload: HostilePayload },
}

#[derive(Clone, Debug)]
pub(super) enum HostilePayload {
    Random(Vec<u8>),
    /// The payload of an earlier message with some bytes replaced and its end cut off.
    Mangled {
        of: usize,
        edits: Vec<(usize, u8)>,
        cut: usize,
    },
}

#[derive(Clone, Debug)]
pub(super) struct Plan<C> {
    pub(super) steps: Vec<Step<C>>,
    /// Decides delivery orders, batches, cuts and what is delivered again.
    pub(super) seed: u64,
}

pub(super) fn plans<C>(
    choices: BoxedStrategy<C>,
    replicas: usize,
    steps_max: usize,
    hostile: bool,
) -> impl Strategy<Value = Plan<C>>
where
    C: Clone + std::fmt::Debug + 'static,
{
    let replica = 0..replicas;
    let skip = prop_oneof![3 => Just(0u64), 1 => 1..4u64];
    let write = (replica.clone(), skip, choices).prop_map(|(replica, skip, choice)| Step::Write {
        replica,
        skip,
        choice,
    });
    let sync = (replica.clone(), replica.clone(), 1..=4usize)
        .prop_map(|(from, to, part)| Step::Sync { from, to, part });
    let restart = replica.clone().prop_map(|replica| Step::Restart { replica });
    let random = vec(any::<u8>(), 0..24).prop_map(HostilePayload::Random);
    let mangled = (any::<usize>(), vec(any::<(usize, u8)>(), 0..4), 0..6usize)
        .prop_map(|(of, edits, cut)| HostilePayload::Mangled { of, edits, cut });
    let payload = prop_oneof![1 => random, 3 => mangled];
    let hostile_step =
        (replica, payload).prop_map(|(replica, payload)| Step::Hostile { replica, payload });
    let honest = || prop_oneof![6 => write.clone(), 4 => sync.clone(), 1 => restart.clone()];
    // Half of the histories stay honest, so that hostile bytes cannot mask a plain mistake.
    let steps = prop_oneof![
        1 => vec(honest().boxed(), 1..=steps_max),
        u32::from(hostile) => vec(prop_oneof![6 => honest(), 1 => hostile_step].boxed(), 1..=steps_max),
    ];
    (steps, any::<u64>().no_shrink()).prop_map(|(steps, seed)| Plan { steps, seed })
}

impl HostilePayload {
    /// The bytes, given the payloads written before.
    pub(super) fn bytes(&self, earlier: &[&[u8]]) -> Vec<u8> {
        match self {
            Self::Random(bytes) => bytes.clone(),
            Self::Mangled { .. } if earlier.is_empty() => Vec::new(),
            Self::Mangled { of, edits, cut } => {
                let mut bytes = earlier[of % earlier.len()].to_vec();
                bytes.truncate(bytes.len().saturating_sub(*cut));
                if !bytes.is_empty() {
                    for (at, byte) in edits {
                        let at = at % bytes.len();
                        bytes[at] = *byte;
                    }
                }
                bytes
            }
        }
    }
}

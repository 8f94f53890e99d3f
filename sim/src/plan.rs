//! A plan: what happens in one history, step by step, made from the seed before anything runs.
//!
//! Invariants:
//! - every step stands on its own: what it acts on is chosen among what exists when it runs, so any
//!   subset of a plan is a plan; that is all that shrinking needs;
//! - each seed switches random features off and weighs the others anew (swarm testing): a history with
//!   everything in it rarely shows what a history of one kind shows.

use crate::random::{Random, derived};

/// One thing that happens. Numbers choose among what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Write { device: u64, operations: u64, choice: u64, synced: bool },
    Send { from: u64, to: u64, choice: u64 },
    Deliver { pick: u64 },
    Duplicate { pick: u64 },
    Drop { pick: u64 },
    Corrupt { pick: u64, at: u64 },
    Exchange { from: u64, to: u64 },
    Partition { sides: u64 },
    Reunite,
    Process { device: u64, blocks: u64 },
    Apply { device: u64, pick: u64, count: u64 },
    Look { device: u64, choice: u64 },
    Checkpoint { device: u64, item: u64 },
    Evict { device: u64, item: u64 },
    Crash { device: u64, kept: u64 },
    CutPower { device: u64, call: u64, after: bool, kept: u64 },
    Restart { device: u64, choice: u64 },
    Clock { device: u64, choice: u64 },
    Admit { device: u64, by: u64 },
    Renew { device: u64 },
    Backup { device: u64 },
    Restore { device: u64 },
    RollBack { device: u64 },
    Copy { device: u64, choice: u64 },
    Hostile { choice: u64 },
    Fork { to: u64, choice: u64 },
    Stranger { to: u64, choice: u64 },
}

/// Kinds of steps, with how often each comes when nothing is switched off, and whether it may be.
const KINDS: [(Kind, u32, bool); 27] = [
    (Kind::Write, 30, false),
    (Kind::Send, 14, true),
    (Kind::Deliver, 14, true),
    (Kind::Duplicate, 3, true),
    (Kind::Drop, 2, true),
    (Kind::Corrupt, 2, true),
    (Kind::Exchange, 20, false),
    (Kind::Partition, 1, true),
    (Kind::Reunite, 1, true),
    (Kind::Process, 10, false),
    (Kind::Apply, 4, false),
    (Kind::Look, 6, false),
    (Kind::Checkpoint, 4, true),
    (Kind::Evict, 5, true),
    (Kind::Crash, 4, true),
    (Kind::CutPower, 4, true),
    (Kind::Restart, 3, true),
    (Kind::Clock, 2, true),
    (Kind::Admit, 4, false),
    (Kind::Renew, 1, true),
    (Kind::Backup, 2, true),
    (Kind::Restore, 1, true),
    (Kind::RollBack, 1, true),
    (Kind::Copy, 1, true),
    (Kind::Hostile, 8, true),
    (Kind::Fork, 1, true),
    (Kind::Stranger, 2, true),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Write,
    Send,
    Deliver,
    Duplicate,
    Drop,
    Corrupt,
    Exchange,
    Partition,
    Reunite,
    Process,
    Apply,
    Look,
    Checkpoint,
    Evict,
    Crash,
    CutPower,
    Restart,
    Clock,
    Admit,
    Renew,
    Backup,
    Restore,
    RollBack,
    Copy,
    Hostile,
    Fork,
    Stranger,
}

/// What may happen to the devices of a simulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scope {
    pub(crate) devices: usize,
    pub(crate) steps: usize,
    /// Authors that break the rules, and blocks of strangers.
    pub(crate) hostile: bool,
    /// Crashes, power cuts, restarts and whatever is done to disks.
    pub(crate) faults: bool,
}

/// A history to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    /// Devices there are at the beginning.
    pub(crate) devices: usize,
    /// Devices that are admitted before the first step; the others come later, or when all heals.
    pub(crate) admitted: usize,
    /// Whether a hostile author is admitted.
    pub(crate) hostile: bool,
    /// What operations may be written beside mutations.
    pub(crate) structure: bool,
    pub(crate) steps: Vec<Step>,
}

impl Plan {
    /// The plan of `seed`.
    pub(crate) fn new(seed: u64, scope: &Scope) -> Self {
        let mut random = Random::new(derived(seed, 2));
        let weights: Vec<u32> = KINDS
            .iter()
            .map(|(kind, weight, optional)| {
                let off = match kind {
                    Kind::Fork => !random.one_in(8),
                    _ => *optional && random.one_in(2),
                };
                let factor = [1, 1, 2, 4][random.below(4)];
                if off || !scope.allows(*kind) { 0 } else { weight * factor }
            })
            .collect();
        let hostile = [Kind::Hostile, Kind::Fork].iter().any(|kind| weights[*kind as usize] > 0);
        let admitted = 1 + random.below(scope.devices);
        let structure = random.one_in(2);
        let count = scope.steps / 4 + random.below(scope.steps.max(1));
        let steps = (0..count).map(|_| step(chosen(&weights, &mut random), &mut random)).collect();
        Self { seed, devices: scope.devices, admitted, hostile, structure, steps }
    }
}

impl Scope {
    fn allows(&self, kind: Kind) -> bool {
        match kind {
            Kind::Hostile | Kind::Fork | Kind::Stranger => self.hostile,
            Kind::Crash
            | Kind::CutPower
            | Kind::Restart
            | Kind::Clock
            | Kind::Renew
            | Kind::Backup
            | Kind::Restore
            | Kind::RollBack
            | Kind::Copy => self.faults,
            _ => true,
        }
    }
}

fn chosen(weights: &[u32], random: &mut Random) -> Kind {
    let total: u32 = weights.iter().sum();
    let mut at = random.below(total as usize) as u32;
    for ((kind, ..), weight) in KINDS.iter().zip(weights) {
        if at < *weight {
            return *kind;
        }
        at -= weight;
    }
    Kind::Write
}

fn step(kind: Kind, random: &mut Random) -> Step {
    let mut number = || random.number();
    let (device, choice, pick) = (number(), number(), number());
    let (other, flag) = (number(), number().is_multiple_of(2));
    match kind {
        Kind::Write => {
            let operations = [1, 1, 1, 2, 3, 5][(pick % 6) as usize];
            Step::Write { device, operations, choice, synced: flag }
        }
        Kind::Send => Step::Send { from: device, to: other, choice },
        Kind::Deliver => Step::Deliver { pick },
        Kind::Duplicate => Step::Duplicate { pick },
        Kind::Drop => Step::Drop { pick },
        Kind::Corrupt => Step::Corrupt { pick, at: other },
        Kind::Exchange => Step::Exchange { from: device, to: other },
        Kind::Partition => Step::Partition { sides: choice },
        Kind::Reunite => Step::Reunite,
        Kind::Process => {
            Step::Process { device, blocks: 1 + pick % [2, 8, 64][(other % 3) as usize] }
        }
        Kind::Apply => Step::Apply { device, pick, count: 1 + other % 4 },
        Kind::Look => Step::Look { device, choice },
        Kind::Checkpoint => Step::Checkpoint { device, item: pick },
        Kind::Evict => Step::Evict { device, item: pick },
        Kind::Crash => Step::Crash { device, kept: pick },
        Kind::CutPower => Step::CutPower { device, call: 1 + pick % 6, after: flag, kept: other },
        Kind::Restart => Step::Restart { device, choice },
        Kind::Clock => Step::Clock { device, choice },
        Kind::Admit => Step::Admit { device, by: other },
        Kind::Renew => Step::Renew { device },
        Kind::Backup => Step::Backup { device },
        Kind::Restore => Step::Restore { device },
        Kind::RollBack => Step::RollBack { device },
        Kind::Copy => Step::Copy { device, choice },
        Kind::Hostile => Step::Hostile { choice },
        Kind::Fork => Step::Fork { to: other, choice },
        Kind::Stranger => Step::Stranger { to: other, choice },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_stands_at_its_own_number() {
        for (at, (kind, ..)) in KINDS.iter().enumerate() {
            assert_eq!(*kind as usize, at);
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_plan_and_another_seed_another_one() {
        let scope = Scope { devices: 3, steps: 80, hostile: true, faults: true };
        assert_eq!(Plan::new(7, &scope).steps, Plan::new(7, &scope).steps);
        assert_ne!(Plan::new(7, &scope).steps, Plan::new(8, &scope).steps);
    }
}

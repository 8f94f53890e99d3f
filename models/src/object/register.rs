//! `Register`: the siblings at one path.
//!
//! Invariants: siblings fall by rank, so the first one wins; a register that stays in an object is not
//! empty; a single sibling, by far the common case, needs no memory of its own.

use std::cmp::Ordering;

use super::value::Value;
use crate::feeds::{FeedNumber, Feeds};

/// The message that wrote a sibling.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dot {
    pub(super) lamport: u64,
    pub(super) seq: u64,
    pub(super) feed: FeedNumber,
}

impl Dot {
    /// Order by (Lamport, feed key). Dots of one message are equal.
    pub(super) fn rank(&self, other: &Self, feeds: &Feeds) -> Ordering {
        let lamport = self.lamport.cmp(&other.lamport);
        lamport.then_with(|| feeds.key(self.feed).cmp(feeds.key(other.feed)))
    }
}

/// One of the writes at a path that did not know of each other.
#[derive(Clone, Debug)]
pub(super) struct Sibling {
    /// `None` marks a deletion.
    pub(super) value: Option<Value>,
    pub(super) dot: Dot,
}

impl Sibling {
    /// Memory of the sibling with its value, in bytes.
    pub(super) fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.value.as_ref().map_or(0, Value::heap_bytes)
    }
}

#[derive(Clone, Debug)]
pub(super) enum Register {
    One(Sibling),
    Many(Vec<Sibling>),
}

impl Register {
    pub(super) const EMPTY: Self = Self::Many(Vec::new());

    pub(super) fn siblings(&self) -> &[Sibling] {
        match self {
            Self::One(sibling) => std::slice::from_ref(sibling),
            Self::Many(siblings) => siblings,
        }
    }

    pub(super) fn siblings_mut(&mut self) -> &mut [Sibling] {
        match self {
            Self::One(sibling) => std::slice::from_mut(sibling),
            Self::Many(siblings) => siblings,
        }
    }

    pub(super) fn winner(&self) -> &Sibling {
        &self.siblings()[0]
    }

    pub(super) fn is_empty(&self) -> bool {
        self.siblings().is_empty()
    }

    pub(super) fn insert(&mut self, sibling: Sibling, feeds: &Feeds) {
        match self {
            Self::Many(siblings) if siblings.is_empty() => *self = Self::One(sibling),
            Self::Many(siblings) => {
                let at =
                    siblings.partition_point(|other| other.dot.rank(&sibling.dot, feeds).is_gt());
                siblings.insert(at, sibling);
            }
            Self::One(_) => {
                let Self::One(other) = std::mem::replace(self, Self::EMPTY) else { unreachable!() };
                let mut siblings = vec![other, sibling];
                siblings.sort_by(|left, right| right.dot.rank(&left.dot, feeds));
                *self = Self::Many(siblings);
            }
        }
    }

    /// Removes the siblings that `seen` names; returns how much memory they held.
    pub(super) fn remove(&mut self, seen: impl Fn(&Dot) -> bool) -> usize {
        let mut freed = 0;
        let mut leaves = |sibling: &Sibling| {
            let leaves = seen(&sibling.dot);
            freed += if leaves { sibling.memory_bytes() } else { 0 };
            leaves
        };
        match self {
            Self::One(sibling) => {
                if leaves(sibling) {
                    *self = Self::EMPTY;
                }
            }
            Self::Many(siblings) => {
                siblings.retain(|sibling| !leaves(sibling));
                if siblings.len() == 1 {
                    *self = Self::One(siblings.remove(0));
                }
            }
        }
        freed
    }
}

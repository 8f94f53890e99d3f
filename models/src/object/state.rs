//! How operations change an object: the rules of the table in [`super`].
//!
//! Invariants: no register is empty; `nested` counts those whose paths have several keys; `content_bytes` is the memory of all paths' text and all siblings; the
//! registers are a function of the operations applied, whatever causal order they came in.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use super::mutation::{Operation, Operations};
use super::path::{Path, is_below};
use super::register::{Dot, Register, Sibling};
use super::value::Value;
use super::{Object, ObjectChange};
use crate::feeds::FeedNumber;
use crate::model::{Origin, Outcome};
use crate::past::CausalPast;

impl Object {
    /// Applies the operations of the message at `origin`, which was not applied before. `feed` is the
    /// number of its feed.
    pub(super) fn perform(
        &mut self,
        operations: Operations,
        feed: FeedNumber,
        origin: &Origin,
        outcome: &mut Outcome<ObjectChange>,
    ) {
        let dot = Dot { lamport: origin.lamport, seq: origin.seq, feed };
        let operations = match operations {
            Operations::One(operation) if self.stands_alone(&operation.path) => {
                return self.perform_alone(operation, dot, &origin.past, outcome);
            }
            Operations::One(operation) => vec![operation],
            Operations::Many(operations) => last_of_each_path(operations),
        };
        let region = outcome.is_heard().then(|| Region::of(&operations, self));
        let before = region.as_ref().map(|region| self.values_in(region));
        for operation in operations {
            self.perform_one(operation, dot, &origin.past, false);
        }
        if let Some((region, before)) = region.zip(before) {
            report(before, self.values_in(&region), outcome);
        }
    }

    /// Whether nothing was written above or below `path`, as in objects without nesting.
    fn stands_alone(&self, path: &Path) -> bool {
        if self.nested == 0 && !path.is_nested() {
            return true;
        }
        let below = (Bound::Excluded(path.as_str()), Bound::Unbounded);
        let next = self.registers.range::<str, _>(below).next();
        !next.is_some_and(|(next, _)| next.is_below(path))
            && path.above().all(|above| !self.registers.contains_key(above))
    }

    /// The one operation of a message at a path that stands alone: it can change nothing else.
    fn perform_alone(
        &mut self,
        operation: Operation,
        dot: Dot,
        past: &CausalPast,
        outcome: &mut Outcome<ObjectChange>,
    ) {
        if !outcome.is_heard() {
            return self.perform_one(operation, dot, past, true);
        }
        let path = operation.path.clone();
        let value = |object: &Self| object.registers.get(&path)?.winner().value.clone();
        let before = value(self);
        self.perform_one(operation, dot, past, true);
        let after = value(self);
        if before != after {
            outcome.changed(ObjectChange { path, before, after });
        }
    }

    /// `alone` says that nothing was written above or below the path.
    fn perform_one(&mut self, operation: Operation, dot: Dot, past: &CausalPast, alone: bool) {
        let Self { feeds, registers, nested, content_bytes } = self;
        // Operations of one message know those before them, and a feed always knows itself.
        let seen = |other: &Dot| {
            if other.feed == dot.feed {
                other.seq <= dot.seq
            } else {
                past.contains(feeds.key(other.feed), other.seq)
            }
        };
        let Operation { path, content } = operation;

        if content.is_some() && !alone {
            for above in path.above() {
                let Some(register) = registers.get_mut(above) else { continue };
                for sibling in register.siblings_mut() {
                    if seen(&sibling.dot) {
                        *content_bytes -= sibling.memory_bytes();
                        sibling.value = None;
                        *content_bytes += sibling.memory_bytes();
                    }
                }
            }
        }

        let mut emptied = Vec::new();
        let below = (Bound::Excluded(path.as_str()), Bound::Unbounded);
        let after = (!alone).then(|| registers.range_mut::<str, _>(below));
        for (other, register) in after.into_iter().flatten() {
            if !other.is_below(&path) {
                break;
            }
            *content_bytes -= register.remove(seen);
            if register.is_empty() {
                emptied.push(other.clone());
            }
        }
        for other in emptied {
            *content_bytes -= other.as_str().len();
            *nested -= 1;
            registers.remove(&other);
        }

        let sibling = Sibling { value: content, dot };
        *content_bytes += sibling.memory_bytes();
        if let Some(register) = registers.get_mut(&path) {
            *content_bytes -= register.remove(seen);
            register.insert(sibling, feeds);
        } else {
            *content_bytes += path.as_str().len();
            *nested += usize::from(path.is_nested());
            registers.insert(path, Register::One(sibling));
        }
    }

    fn values_in(&self, region: &Region) -> Vec<(Path, Value)> {
        let mut values = Vec::new();
        for root in &region.roots {
            let leaves = self.leaves(root.as_str());
            values.extend(leaves.map(|(path, value)| (path.clone(), value.clone())));
        }
        if !region.above.is_empty() {
            for path in &region.above {
                values.extend(self.get(path).map(|value| (path.clone(), value.clone())));
            }
            values.sort_unstable_by(|left, right| left.0.cmp(&right.0));
        }
        values
    }
}

/// The operations that count, in their order: the last of each path.
fn last_of_each_path(mut operations: Vec<Operation>) -> Vec<Operation> {
    if operations.len() > 1 {
        let last: BTreeMap<Path, usize> = operations
            .iter()
            .enumerate()
            .map(|(at, operation)| (operation.path.clone(), at))
            .collect();
        let mut at = 0;
        operations.retain(|operation| {
            at += 1;
            last[&operation.path] == at - 1
        });
    }
    operations
}

/// Where operations can change what is read: at and below their paths, and at written paths above them.
struct Region {
    /// Rising; none lies below another.
    roots: Vec<Path>,
    above: BTreeSet<Path>,
}

impl Region {
    fn of(operations: &[Operation], object: &Object) -> Self {
        let mut paths: Vec<&Path> = operations.iter().map(|operation| &operation.path).collect();
        paths.sort_unstable();
        let mut region = Self { roots: Vec::with_capacity(1), above: BTreeSet::new() };
        for path in paths {
            if region.roots.last().is_some_and(|root| is_below(path.as_str(), root.as_str())) {
                continue;
            }
            for above in path.above() {
                if let Some((above, _)) = object.registers.get_key_value(above) {
                    region.above.insert(above.clone());
                }
            }
            region.roots.push(path.clone());
        }
        region
    }
}

/// Reports every path whose value differs. Both lists rise by path.
fn report(
    before: Vec<(Path, Value)>,
    after: Vec<(Path, Value)>,
    outcome: &mut Outcome<ObjectChange>,
) {
    let (mut before, mut after) = (before.into_iter().peekable(), after.into_iter().peekable());
    loop {
        let order = match (before.peek(), after.peek()) {
            (None, None) => return,
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some(old), Some(new)) => old.0.cmp(&new.0),
        };
        let old = if order.is_le() { before.next() } else { None };
        let new = if order.is_ge() { after.next() } else { None };
        let (old_path, old) = old.unzip();
        let (new_path, new) = new.unzip();
        if old != new
            && let Some(path) = new_path.or(old_path)
        {
            outcome.changed(ObjectChange { path, before: old, after: new });
        }
    }
}

//! What can be read of an object.
//!
//! Invariant: a path holds a value or fields below it, never both.

use std::collections::{BTreeMap, btree_map};
use std::ops::Bound;

use systole_proto::FeedKey;

use super::path::{IntoPath, Path, first_key_below, is_below};
use super::register::{Dot, Register};
use super::value::{Node, Value};
use super::{Conflict, Object};
use crate::feeds::Feeds;

impl Object {
    /// The value at `path`. `None` if nothing was set there, it was deleted, or fields lie below it.
    pub fn get(&self, path: impl IntoPath) -> Option<&Value> {
        let path = path.into_path().ok()?;
        let (found, value) = self.leaves(path.as_str()).next()?;
        (*found == path).then_some(value)
    }

    /// Every path that holds a value, with the value, by rising path.
    pub fn entries(&self) -> impl Iterator<Item = (&Path, &Value)> {
        self.leaves("")
    }

    /// Number of paths that hold a value.
    pub fn len(&self) -> usize {
        self.leaves("").count()
    }

    /// Whether no path holds a value.
    pub fn is_empty(&self) -> bool {
        self.leaves("").next().is_none()
    }

    /// The keys directly below `path`, rising; those of the object itself for [`Path::root`].
    pub fn keys(&self, path: impl IntoPath) -> Vec<&str> {
        let Ok(above) = path.into_path() else { return Vec::new() };
        let mut keys = Vec::new();
        for (path, _) in self.leaves(above.as_str()) {
            if path.is_below(&above) {
                let key = first_key_below(path.as_str(), above.as_str());
                if keys.last() != Some(&key) {
                    keys.push(key);
                }
            }
        }
        keys
    }

    /// What lies at `path`: a value, or the fields below it; the whole object for [`Path::root`].
    pub fn node(&self, path: impl IntoPath) -> Option<Node> {
        let root = path.into_path().ok()?;
        let mut fields = BTreeMap::new();
        for (path, value) in self.leaves(root.as_str()) {
            if *path == root {
                return Some(Node::Value(value.clone()));
            }
            let mut map = &mut fields;
            let mut keys = path.keys().skip(root.keys().count()).peekable();
            while let Some(key) = keys.next() {
                if keys.peek().is_none() {
                    map.insert(key.to_owned(), Node::Value(value.clone()));
                    break;
                }
                let node = map.entry(key.to_owned()).or_insert_with(|| Node::Map(BTreeMap::new()));
                let Node::Map(inner) = node else { unreachable!("a value has no fields below it") };
                map = inner;
            }
        }
        (root.is_root() || !fields.is_empty()).then_some(Node::Map(fields))
    }

    /// The fields below `path`. `None` if there are none; the object itself always has a map.
    pub fn map(&self, path: impl IntoPath) -> Option<BTreeMap<String, Node>> {
        match self.node(path)? {
            Node::Map(fields) => Some(fields),
            Node::Value(_) => None,
        }
    }

    /// The writes at `path` that did not know of each other, the winner first; empty unless one of them set
    /// a value that is not the one read.
    pub fn conflicts(&self, path: impl IntoPath) -> Vec<Conflict<'_>> {
        let Ok(path) = path.into_path() else { return Vec::new() };
        let Some(register) = self.registers.get(&path) else { return Vec::new() };
        let siblings = register.siblings();
        if siblings.len() == 1 && (siblings[0].value.is_none() || self.get(&path).is_some()) {
            return Vec::new();
        }
        let conflicts = siblings.iter().map(|sibling| Conflict {
            value: sibling.value.as_ref(),
            feed: self.key(&sibling.dot),
            seq: sibling.dot.seq,
            lamport: sibling.dot.lamport,
        });
        conflicts.collect()
    }

    /// Paths at and below `root` that hold a value.
    pub(super) fn leaves<'o, 'r>(&'o self, root: &'r str) -> Leaves<'o, 'r> {
        let mut hidden_by = None;
        for (at, _) in root.match_indices('\0') {
            if let Some(register) = self.registers.get(&root[..at]) {
                hidden_by = higher(hidden_by, register.winner().dot, &self.feeds);
            }
        }
        let from = (Bound::Included(root), Bound::Unbounded);
        let range = self.registers.range::<str, _>(from);
        let walk =
            Walk { feeds: &self.feeds, range, root, hidden_by, above: Vec::new(), last: None };
        Leaves { walk, pending: None }
    }

    fn key(&self, dot: &Dot) -> FeedKey {
        *self.feeds.key(dot.feed)
    }
}

fn higher(left: Option<Dot>, right: Dot, feeds: &Feeds) -> Option<Dot> {
    left.filter(|left| left.rank(&right, feeds).is_gt()).or(Some(right))
}

/// The values at and below a path that no write above them hides, rising by path.
struct Walk<'o, 'r> {
    feeds: &'o Feeds,
    range: btree_map::Range<'o, Path, Register>,
    root: &'r str,
    /// The highest rank above `root`.
    hidden_by: Option<Dot>,
    /// Registers above the place the walk has reached, each with the highest rank at and above it.
    above: Vec<(&'o str, Dot)>,
    /// The register before; it moves to `above` if the next one lies below it.
    last: Option<(&'o str, Dot)>,
}

impl<'o> Iterator for Walk<'o, '_> {
    type Item = (&'o Path, &'o Value);

    fn next(&mut self) -> Option<Self::Item> {
        for (path, register) in self.range.by_ref() {
            let at = path.as_str();
            if at != self.root && !is_below(at, self.root) {
                break;
            }
            if let Some(last) = self.last.take()
                && is_below(at, last.0)
            {
                self.above.push(last);
            }
            while self.above.last().is_some_and(|(above, _)| !is_below(at, above)) {
                self.above.pop();
            }
            let winner = register.winner();
            let hidden_by = self.above.last().map(|(_, dot)| *dot).or(self.hidden_by);
            let highest = higher(hidden_by, winner.dot, self.feeds).unwrap_or(winner.dot);
            self.last = Some((at, highest));
            let hidden = hidden_by.is_some_and(|dot| dot.rank(&winner.dot, self.feeds).is_gt());
            if let Some(value) = winner.value.as_ref().filter(|_| !hidden) {
                return Some((path, value));
            }
        }
        None
    }
}

/// The values of a walk that have no values below them.
pub(super) struct Leaves<'o, 'r> {
    walk: Walk<'o, 'r>,
    pending: Option<(&'o Path, &'o Value)>,
}

impl<'o> Iterator for Leaves<'o, '_> {
    type Item = (&'o Path, &'o Value);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let next = self.walk.next();
            let Some(pending) = std::mem::replace(&mut self.pending, next) else {
                next?;
                continue;
            };
            match next {
                // The fields below it take its place.
                Some((path, _)) if path.is_below(pending.0) => {}
                _ => return Some(pending),
            }
        }
    }
}

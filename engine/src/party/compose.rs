//! Writing own blocks: the frontier that a block links to, the names it needs, its exact bytes.
//!
//! Invariant: an own block goes through the same [`PartyState::process_block`] as everybody's, so a
//! writer cannot see its own message differently from its readers.

use std::sync::Arc;

use systole_proto::{
    Block, Body, FeedKey, Genesis, Hash, ItemRef, Link, Move, Mutation, Stamp, Tombstone, limits,
};
use systole_store::{FeedNo, ItemKey};

use super::causal::{Past, Tip, frontier};
use super::effect::{Effect, LocalBody};
use super::state::{Host, PartyState, Progress};
use crate::Error;

/// Most bytes of own payload in one block; the rest of a block is left to links, names and fields.
pub const PAYLOAD_BYTES_MAX: usize = limits::BLOCK_BYTES_MAX - (64 << 10);

/// Where the next own block will stand, before its body is known: what a model needs to mutate.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) feed: FeedNo,
    pub(crate) key: FeedKey,
    /// Position of the first block that carries a body.
    pub(crate) seq: u64,
    /// Lamport number of that block.
    pub(crate) lamport: u64,
    /// What all blocks of the plan have seen of other feeds.
    pub(crate) past: Arc<Past>,
    links: Vec<(FeedNo, u64, Hash)>,
}

impl PartyState {
    /// Plans own blocks of `feed` that have seen everything processed so far.
    ///
    /// Everybody must hold what a block links to before the block counts. So feeds that are not admitted
    /// are linked only by an author who has no right to speak without the credentials in them: or else
    /// strangers could have honest feeds wait for blocks that they keep to themselves.
    pub(crate) fn plan(&mut self, host: &mut dyn Host, feed: FeedNo) -> Result<Plan, Error> {
        let plan = self.plan_with(host, feed, false)?;
        if self.may_speak(&plan) || !self.membership.is_admitted(&plan.key) {
            return Ok(plan);
        }
        self.plan_with(host, feed, true)
    }

    fn plan_with(
        &mut self,
        host: &mut dyn Host,
        feed: FeedNo,
        strangers: bool,
    ) -> Result<Plan, Error> {
        let state = &self.feeds[&feed];
        let (key, seq) = (state.key, state.processed);
        assert_eq!(seq, state.length, "own blocks are processed when they are written");
        let own = self.own_causal(host, feed, seq)?;
        let tips = self.feeds.iter().filter(|(no, other)| {
            **no != feed
                && other.processed > own.past.length(**no)
                && (strangers || self.membership.is_admitted(&other.key))
        });
        let tips: Vec<Tip> = tips
            .map(|(no, other)| Tip { feed: *no, length: other.processed, lamport: other.lamport })
            .collect();
        let mut plan =
            Plan { feed, key, seq, lamport: own.lamport, past: own.past, links: Vec::new() };
        // A feed that is not admitted introduces itself: it is heard only where it links to nothing.
        if tips.is_empty() || !self.membership.is_admitted(&key) {
            return Ok(plan);
        }
        let kept = frontier(tips, |tip| {
            Ok::<_, Error>(self.own_causal(host, tip.feed, tip.length - 1)?.past)
        })?;
        let mut past = Past::clone(&plan.past);
        for (tip, seen) in kept {
            plan.lamport = plan.lamport.max(tip.lamport + 1);
            past.merge(&seen, feed);
            past.raise(tip.feed, tip.length);
            plan.links.push((tip.feed, tip.length, host.root(tip.feed, tip.length)?));
        }
        plan.past = Arc::new(past);
        // More concurrent tips than one block may link to are linked by empty blocks before it.
        let before = (plan.links.len().max(1) - 1) as u64 / limits::LINKS_MAX as u64;
        plan.seq += before;
        plan.lamport += before;
        Ok(plan)
    }

    /// The blocks of `bodies` in the order given, with the plan's links before or in the first. Every
    /// effect of theirs goes into `effects`. No payload may exceed [`PAYLOAD_BYTES_MAX`].
    pub(crate) fn compose(
        &mut self,
        host: &mut dyn Host,
        plan: &Plan,
        bodies: Vec<(LocalBody, Stamp, Option<i64>)>,
        effects: &mut Vec<Effect>,
    ) -> Result<Vec<bytes::Bytes>, Error> {
        let mut encoded = Vec::with_capacity(bodies.len());
        let mut links = plan.links.chunks(limits::LINKS_MAX);
        let empty = links.len().saturating_sub(1);
        let length = self.feeds[&plan.feed].length + (empty + bodies.len()) as u64;
        self.extended(plan.feed, length);
        let stamp = bodies.first().map_or(Stamp::default(), |(_, stamp, _)| *stamp);
        let empty = std::iter::repeat_n((None, stamp, None), empty);
        let bodies = bodies.into_iter().map(|(body, stamp, at)| (Some(body), stamp, at));
        for (body, stamp, effective_at) in empty.chain(bodies) {
            let mut names = Names { feed: plan.feed, fresh: Vec::new() };
            let links = links.next().unwrap_or_default();
            let links = links
                .iter()
                .map(|(target, length, root)| Link {
                    feed: names.alias(self, *target),
                    length: *length,
                    root: *root,
                })
                .collect();
            let body = body.map_or(Body::Empty, |body| self.body(&mut names, body));
            let keys = names.fresh.iter().map(|no| self.feeds[no].key).collect();
            let previous = self.feeds[&plan.feed].stamp;
            let block = Block {
                keys,
                links,
                stamp_millis_delta: stamp.millis_since(previous),
                stamp_logical: u32::from(stamp.logical),
                effective_at,
                body,
            };
            let bytes = block.encode();
            assert!(bytes.len() <= limits::BLOCK_BYTES_MAX, "payloads were measured before");
            let progress = self.process_block(host, plan.feed, block, true, effects)?;
            assert_eq!(progress, Progress::Processed, "an own block never waits");
            encoded.push(bytes);
        }
        Ok(encoded)
    }

    fn body(&self, names: &mut Names, body: LocalBody) -> Body {
        match body {
            LocalBody::Credential(bytes) => Body::Credential(bytes),
            LocalBody::Genesis { model, version, algorithm, parent, init, metadata } => {
                let parent = parent.map(|parent| names.item(self, parent));
                let schema = bytes::Bytes::new();
                Body::Genesis(Genesis { model, version, algorithm, parent, init, metadata, schema })
            }
            LocalBody::Mutation { item, label, payload } => {
                Body::Mutation(Mutation { item: names.item(self, item), label, payload })
            }
            LocalBody::Move { item, parent } => Body::Move(Move {
                item: names.item(self, item),
                parent: parent.map(|parent| names.item(self, parent)),
            }),
            LocalBody::Tombstone { item, restore } => {
                Body::Tombstone(Tombstone { item: names.item(self, item), restore })
            }
        }
    }
}

/// The feeds that one block names for the first time.
struct Names {
    feed: FeedNo,
    fresh: Vec<FeedNo>,
}

impl Names {
    fn alias(&mut self, state: &PartyState, target: FeedNo) -> u32 {
        if target == self.feed {
            return 0;
        }
        let cursor = state.feeds[&self.feed].cursor.as_ref().expect("loaded by the plan");
        if let Some(alias) = cursor.alias_of.get(&target) {
            return *alias;
        }
        let at = self.fresh.iter().position(|no| *no == target).unwrap_or_else(|| {
            self.fresh.push(target);
            self.fresh.len() - 1
        });
        (cursor.aliases.len() + at) as u32 + 1
    }

    fn item(&mut self, state: &PartyState, item: ItemKey) -> ItemRef {
        ItemRef { feed: self.alias(state, item.feed), seq: item.seq }
    }
}

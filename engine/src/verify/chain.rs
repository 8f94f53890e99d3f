//! One feed as its author signed it: heads, tree, blocks.
//!
//! The blocks are read once, in chunks of 64: each chunk's hash is compared with the lowest stored
//! node of the tree, every node above is folded from the chunks, and the root at each signed length is
//! compared with what was signed. Memory is a chunk and the peaks, however long the feed is.
//!
//! Invariant: whoever is blamed for a hash that does not fit was told apart by a signature: a node if
//! the blocks lead to a signed root, blocks if the node does.

use std::ops::{ControlFlow, Range};

use bytes::Bytes;
use systole_proto::merkle::{MemoryNodes, inclusion_proof, leaf_hash, verify_inclusion};
use systole_proto::{FeedKey, Hash, PartyKey, Peaks, SignedHead, Verifier};
use systole_store::{Batch, FeedNo, FeedPosition, NODE_LEVEL_MIN, Store};

use super::chunks::{CHUNK, Chunks, root};
use super::locate::one_byte;
use super::report::{Damage, DamageKind, chain, unreadable};
use super::{Sink, repair};

/// What is known of a feed once its blocks were read.
#[derive(Clone, Debug, Default)]
pub(super) struct Checked {
    /// Blocks that the feed has, as far as anything says.
    pub(super) length: u64,
    /// The first block that is altered or unreadable and could not be put right.
    pub(super) doubtful_from: Option<u64>,
    /// The stored position was found wrong: it says nothing of how far the feed was processed.
    pub(super) position_wrong: bool,
    /// Where altered blocks lie that could not be told apart, and how that was found out.
    pub(super) altered: Vec<(Range<u64>, String)>,
}

impl Checked {
    /// Whether nothing can be said of what block `seq` means.
    pub(super) fn is_doubtful(&self, seq: u64) -> bool {
        self.doubtful_from.is_some_and(|from| seq >= from)
    }

    /// Whether block `seq` may be the altered one.
    pub(super) fn is_suspect(&self, seq: u64) -> bool {
        self.altered.iter().any(|(blocks, _)| blocks.contains(&seq))
    }

    fn doubt(&mut self, from: u64) {
        self.doubtful_from = Some(self.doubtful_from.map_or(from, |before| before.min(from)));
    }
}

/// A head that the feed's author signed.
#[derive(Clone, Copy, Debug)]
struct Signed {
    length: u64,
    root: Hash,
}

/// Checks one feed. What can be put right is put right in `store`, a scratch copy.
pub(super) fn check(
    store: &Store,
    party: PartyKey,
    feed: (FeedNo, FeedKey),
    position: Option<&FeedPosition>,
    sink: &mut Sink<'_>,
) -> Checked {
    let (no, key) = feed;
    let verifier = match Verifier::new(key.as_bytes()) {
        Ok(verifier) => Some(verifier),
        Err(error) => {
            sink.findings.add(
                Damage::new(DamageKind::Feed, format!("its key cannot sign: {error}"))
                    .party(party)
                    .feed(key),
            );
            None
        }
    };
    let mut chain = Chain {
        store,
        party,
        no,
        key,
        verifier,
        latest: None,
        kept: Vec::new(),
        tree: Peaks::new(),
        unfolded: false,
        contradicted: Vec::new(),
        confirmed: 0,
        missing: None,
        checked: Checked::default(),
        sink,
    };
    chain.read_heads(position.map_or(0, |position| position.length));
    chain.check_position(position);
    chain.check_equivocation();
    chain.read_blocks();
    chain.checked
}

struct Chain<'a, 'b> {
    store: &'a Store,
    party: PartyKey,
    no: FeedNo,
    key: FeedKey,
    verifier: Option<Verifier>,
    latest: Option<Signed>,
    /// Kept heads that are sound, shortest first.
    kept: Vec<Signed>,
    /// The tree over the chunks so far, each of them a leaf.
    tree: Peaks,
    /// A chunk was unknown: roots behind it cannot be computed.
    unfolded: bool,
    /// Lengths at which a sound head has another root than the blocks.
    contradicted: Vec<u64>,
    /// The greatest length at which a sound head has the blocks' root.
    confirmed: u64,
    /// Blocks that are not there, and why, before they are told.
    missing: Option<(Range<u64>, String)>,
    checked: Checked,
    sink: &'a mut Sink<'b>,
}

/// The blocks of a chunk as their hashes.
struct Leaves {
    span: Range<u64>,
    /// One per block, as long as all before it are there.
    hashes: Vec<Hash>,
    /// Whether every block is there.
    complete: bool,
}

impl Chain<'_, '_> {
    fn read_heads(&mut self, claimed_length: u64) {
        match self.store.feeds().latest_head(self.no) {
            Ok(None) if claimed_length == 0 => {}
            Ok(None) => self.damage(DamageKind::Head, "the latest head is missing", |it| it),
            Ok(Some(head)) => self.latest = self.signed(&head, None),
            Err(error) => {
                let reason = format!("the latest head: {}", unreadable(&error));
                self.damage(DamageKind::Head, reason, |it| it);
            }
        }
        let mut kept = Vec::new();
        let scanned = self.store.feeds().scan_heads(self.no, &mut |length, head| {
            kept.push((length, head));
            ControlFlow::Continue(())
        });
        for (length, head) in kept {
            match head {
                Ok(head) => {
                    let signed = self.signed(&head, Some(length));
                    self.kept.extend(signed);
                }
                Err(error) => {
                    self.damage(DamageKind::Head, unreadable(&error), |it| it.length(Some(length)));
                }
            }
        }
        if let Err(error) = scanned {
            let reason = format!("the kept heads: {}", unreadable(&error));
            self.damage(DamageKind::Head, reason, |it| it);
        }
        let kept = self.kept.last().map_or(0, |head| head.length);
        self.checked.length = match self.latest {
            Some(latest) => latest.length,
            None => claimed_length.max(kept),
        };
        if kept > self.checked.length {
            let reason = format!("the feed has {} blocks by its latest head", self.checked.length);
            self.damage(DamageKind::Head, reason, |it| it.length(Some(kept)));
            let length = self.checked.length;
            self.kept.retain(|head| head.length <= length);
        }
    }

    /// The head, if the feed's key signed it for the length that it is kept under.
    fn signed(&mut self, head: &SignedHead, kept_for: Option<u64>) -> Option<Signed> {
        self.sink.findings.report.heads += 1;
        let name = if kept_for.is_some() { "" } else { "the latest head: " };
        let claimed = head.decode_unverified().ok().map(|head| head.length);
        let verified = match &self.verifier {
            Some(verifier) => head.verify_with(verifier),
            None => return None,
        };
        match verified {
            Ok(head) if kept_for.is_none_or(|length| length == head.length) => {
                Some(Signed { length: head.length, root: head.root })
            }
            Ok(head) => {
                let reason = format!("it was signed for length {}", head.length);
                self.damage(DamageKind::Head, reason, |it| it.length(kept_for));
                None
            }
            Err(error) => {
                let reason = format!("{name}{}", chain(&error));
                self.damage(DamageKind::Head, reason, |it| it.length(kept_for.or(claimed)));
                None
            }
        }
    }

    fn check_position(&mut self, position: Option<&FeedPosition>) {
        let Some(latest) = self.latest else { return };
        let Some(stored) = position.map(|position| position.length) else { return };
        if stored != latest.length {
            let reason = format!(
                "it says that {stored} blocks are stored, the latest head says {}",
                latest.length
            );
            self.damage(DamageKind::Position, reason, |it| it);
            self.checked.position_wrong = true;
            return;
        }
        let mut behind = None;
        let scanned = self.store.feeds().scan_blocks(self.no, stored, u64::MAX, &mut |seq, _| {
            behind = Some(seq);
            ControlFlow::Break(())
        });
        if let Some(seq) = behind {
            let reason = "it lies behind the feed's end: no head covers it";
            self.damage(DamageKind::Block, reason, |it| it.at(seq));
        }
        if let Err(error) = scanned {
            let reason = format!("behind the feed's end: {}", unreadable(&error));
            self.damage(DamageKind::File, reason, |it| it);
        }
    }

    fn check_equivocation(&mut self) {
        let reason = match self.store.feeds().equivocation(self.no) {
            Ok(None) => return,
            Ok(Some(heads)) => {
                let Some(verifier) = &self.verifier else { return };
                match (heads.0.verify_with(verifier), heads.1.verify_with(verifier)) {
                    (Ok(first), Ok(second)) if first != second => return,
                    (Ok(_), Ok(_)) => "its two heads do not differ".to_owned(),
                    (Err(error), _) | (_, Err(error)) => chain(&error),
                }
            }
            Err(error) => unreadable(&error),
        };
        self.damage(DamageKind::Equivocation, reason, |it| it);
    }

    fn read_blocks(&mut self) {
        let length = self.checked.length;
        for start in (0..length).step_by(CHUNK as usize) {
            let span = start..length.min(start + CHUNK);
            let mut leaves = self.read_leaves(span);
            self.sink.progress(leaves.span.end - leaves.span.start);
            let hash = if leaves.complete && leaves.span.end - start == CHUNK {
                self.check_chunk(&mut leaves)
            } else if leaves.complete {
                self.check_end(&mut leaves);
                Some(root(&leaves.hashes))
            } else {
                self.checked.doubt(start + leaves.hashes.len() as u64);
                self.node(NODE_LEVEL_MIN, start / CHUNK).ok().flatten()
            };
            self.compare_kept(&leaves, hash);
            self.fold(hash);
        }
        self.tell_missing();
        self.check_root();
    }

    /// The hashes of a chunk's blocks. Reads block by block where a scan fails.
    fn read_leaves(&mut self, span: Range<u64>) -> Leaves {
        let mut hashes = Vec::with_capacity(CHUNK as usize);
        let mut bytes = 0;
        let scanned =
            self.store.feeds().scan_blocks(self.no, span.start, span.end, &mut |seq, block| {
                if seq != span.start + hashes.len() as u64 {
                    return ControlFlow::Break(());
                }
                bytes += block.len() as u64;
                hashes.push(leaf_hash(block));
                ControlFlow::Continue(())
            });
        let reached = span.start + hashes.len() as u64;
        if reached < span.end {
            for seq in reached..span.end {
                let Some(block) = self.look_for(seq) else { continue };
                if seq == span.start + hashes.len() as u64 {
                    bytes += block.len() as u64;
                    hashes.push(leaf_hash(&block));
                }
            }
        } else {
            self.tell_missing();
        }
        if let Err(error) = scanned {
            let reason =
                format!("blocks {} to {}: {}", span.start, span.end - 1, unreadable(&error));
            self.damage(DamageKind::File, reason, |it| it);
        }
        let report = &mut self.sink.findings.report;
        report.blocks += hashes.len() as u64;
        report.bytes += bytes;
        let complete = hashes.len() as u64 == span.end - span.start;
        Leaves { span, hashes, complete }
    }

    /// Reads a block that a scan did not give.
    fn look_for(&mut self, seq: u64) -> Option<Bytes> {
        let reason = match self.store.feeds().block(self.no, seq) {
            Ok(Some(block)) => {
                self.tell_missing();
                return Some(block);
            }
            Ok(None) => "missing, though a head covers it".to_owned(),
            Err(error) => unreadable(&error),
        };
        match &mut self.missing {
            Some((blocks, before)) if blocks.end == seq && *before == reason => blocks.end += 1,
            _ => {
                self.tell_missing();
                self.missing = Some((seq..seq + 1, reason));
            }
        }
        None
    }

    fn tell_missing(&mut self) {
        if let Some((blocks, reason)) = self.missing.take() {
            self.damage(DamageKind::Block, reason, |it| it.within(blocks));
        }
    }

    /// Compares a whole chunk with its stored node; the hash that the author signed, as far as can be
    /// told.
    fn check_chunk(&mut self, leaves: &mut Leaves) -> Option<Hash> {
        let index = leaves.span.start / CHUNK;
        let computed = root(&leaves.hashes);
        let stored = self.node(NODE_LEVEL_MIN, index);
        let stored = match stored {
            Ok(Some(stored)) if stored == computed => return Some(computed),
            Ok(Some(stored)) => stored,
            Ok(None) => {
                self.wrong_node(NODE_LEVEL_MIN, index, computed, "missing".to_owned());
                return Some(computed);
            }
            Err(reason) => {
                self.wrong_node(NODE_LEVEL_MIN, index, computed, reason);
                return Some(computed);
            }
        };
        let fits =
            |hash: &Hash| self.anchors(&leaves.span).any(|head| self.leads_to(index, hash, head));
        let differing = stored.0.iter().zip(computed.0).filter(|(a, b)| **a != *b).count();
        if fits(&computed) || (differing == 1 && !fits(&stored)) {
            let reason = "its blocks lead to another hash".to_owned();
            self.wrong_node(NODE_LEVEL_MIN, index, computed, reason);
            return Some(computed);
        }
        let nodes: MemoryNodes = leaves.hashes.iter().copied().collect();
        let proofs = (0..CHUNK).map(|leaf| inclusion_proof(&nodes, leaf, CHUNK).ok()).collect();
        self.blame_blocks(leaves, proofs, |leaf, hash, proof| {
            verify_inclusion(hash, leaf, CHUNK, proof, &stored).is_ok()
        });
        Some(stored)
    }

    /// Compares the blocks behind the last whole chunk with the latest head: no node stands over them.
    fn check_end(&mut self, leaves: &mut Leaves) {
        let Some(latest) = self.latest.filter(|_| !self.unfolded) else { return };
        let mut tree = self.tree.clone();
        tree.append(root(&leaves.hashes), |_, _, _| {});
        if tree.root() == latest.root {
            return;
        }
        let nodes = self.store.feeds().nodes(self.no);
        let proof = |seq| inclusion_proof(&nodes, seq, latest.length).ok();
        let proofs = leaves.span.clone().map(proof).collect();
        let start = leaves.span.start;
        self.blame_blocks(leaves, proofs, |leaf, hash, proof| {
            verify_inclusion(hash, start + leaf, latest.length, proof, &latest.root).is_ok()
        });
    }

    /// The blocks of `leaves` are not those that were signed: finds the altered one and puts it right,
    /// or remembers where it lies.
    fn blame_blocks(
        &mut self,
        leaves: &mut Leaves,
        proofs: Vec<Option<Vec<Hash>>>,
        fits: impl Fn(u64, &Hash, &[Hash]) -> bool,
    ) {
        let mut blocks: Vec<Bytes> = Vec::new();
        let scanned = self.store.feeds().scan_blocks(
            self.no,
            leaves.span.start,
            leaves.span.end,
            &mut |_, block| {
                blocks.push(Bytes::copy_from_slice(block));
                ControlFlow::Continue(())
            },
        );
        let provable = scanned.is_ok() && self.sink.searches > 0;
        let located = provable.then(|| {
            one_byte(&blocks, |index, hash| {
                proofs[index].as_ref().is_some_and(|proof| fits(index as u64, hash, proof))
            })
        });
        if let Some(located) = located.flatten() {
            let seq = leaves.span.start + located.index as u64;
            let reason = format!(
                "byte {} of it was changed: with {:#04x} instead of {:#04x} there it is what its author signed",
                located.offset,
                located.block[located.offset],
                blocks[located.index][located.offset]
            );
            self.damage(DamageKind::Block, reason, |it| it.at(seq));
            let (feeds, no) = (self.store.feeds(), self.no);
            repair(self.store, |batch| feeds.put_block(batch, no, seq, &located.block));
            leaves.hashes[located.index] = leaf_hash(&located.block);
            return;
        }
        self.sink.searches = self.sink.searches.saturating_sub(1);
        let span = self.narrowed(leaves);
        self.checked.doubt(span.start);
        let reason =
            "they are not what their author signed: their hashes do not lead to the signed root";
        self.checked.altered.push((span, reason.to_owned()));
        leaves.complete = false;
    }

    /// The part of a chunk's blocks that sound heads within it leave under suspicion.
    fn narrowed(&self, leaves: &Leaves) -> Range<u64> {
        let mut suspect = leaves.span.clone();
        if self.unfolded {
            return suspect;
        }
        for head in self.kept.iter().filter(|head| leaves.span.contains(&head.length)) {
            if self.root_within(leaves, head.length) == Some(head.root) {
                suspect.start = head.length;
            } else {
                suspect.end = head.length;
                break;
            }
        }
        if suspect.is_empty() { leaves.span.clone() } else { suspect }
    }

    /// Compares the roots at the lengths of the kept heads that end in this chunk. `hash` is that of
    /// the whole chunk.
    fn compare_kept(&mut self, leaves: &Leaves, hash: Option<Hash>) {
        let (start, end) = (leaves.span.start, leaves.span.end);
        let heads: Vec<Signed> = self
            .kept
            .iter()
            .skip_while(|head| head.length <= start)
            .take_while(|head| head.length <= end)
            .copied()
            .collect();
        for head in heads {
            let computed = match hash {
                _ if self.unfolded => None,
                Some(hash) if head.length == end => {
                    let mut tree = self.tree.clone();
                    tree.append(hash, |_, _, _| {});
                    Some(tree.root())
                }
                _ if leaves.complete => self.root_within(leaves, head.length),
                _ => None,
            };
            match computed {
                Some(computed) if computed == head.root => self.confirmed = head.length,
                Some(_) => self.contradicted.push(head.length),
                None => {}
            }
        }
    }

    /// The root at a length within a chunk that is about to be folded.
    fn root_within(&self, leaves: &Leaves, length: u64) -> Option<Hash> {
        let count = usize::try_from(length.checked_sub(leaves.span.start)?).ok()?;
        let mut tree = self.tree.clone();
        if count > 0 {
            tree.append(root(leaves.hashes.get(..count)?), |_, _, _| {});
        }
        Some(tree.root())
    }

    /// Appends a chunk to the tree and compares the nodes that it completes.
    fn fold(&mut self, hash: Option<Hash>) {
        let whole = (self.tree.length() + 1) * CHUNK <= self.checked.length;
        let Some(hash) = hash.filter(|_| !self.unfolded) else {
            self.unfolded = true;
            return;
        };
        let mut completed = Vec::new();
        self.tree.append(hash, |level, index, hash| completed.push((level, index, hash)));
        for (level, index, computed) in completed {
            // A tree's last leaf may be an incomplete chunk: what stands over it is not stored.
            if level == 0 || !whole {
                continue;
            }
            let level = level + NODE_LEVEL_MIN;
            let reason = match self.node(level, index) {
                Ok(Some(stored)) if stored == computed => continue,
                Ok(Some(_)) => "what lies under it leads to another hash".to_owned(),
                Ok(None) => "missing".to_owned(),
                Err(reason) => reason,
            };
            self.wrong_node(level, index, computed, reason);
        }
    }

    /// The root of the whole feed, and what follows for the kept heads.
    fn check_root(&mut self) {
        let latest = self.latest.filter(|_| !self.unfolded);
        if latest.is_some_and(|latest| latest.root == self.tree.root()) {
            for length in std::mem::take(&mut self.contradicted) {
                let reason = "it was signed for other blocks than those that later heads cover";
                self.damage(DamageKind::Head, reason, |it| it.length(Some(length)));
            }
            return;
        }
        if latest.is_none() && self.contradicted.is_empty() {
            return;
        }
        // Known already where the altered blocks lie.
        if !self.checked.altered.is_empty() {
            return;
        }
        let end = self.contradicted.first().copied().unwrap_or(self.checked.length);
        let blocks = self.confirmed.min(end.saturating_sub(1))..end;
        self.checked.doubt(blocks.start);
        let reason = "they are not what their author signed, though the stored tree fits them";
        self.checked.altered.push((blocks, reason.to_owned()));
    }

    /// The sound heads by which a chunk can be judged: the newest, and the first behind the chunk.
    fn anchors<'s>(&'s self, span: &Range<u64>) -> impl Iterator<Item = Signed> + use<'s> {
        let end = span.end;
        let near = self.kept.iter().copied().find(|head| head.length >= end);
        self.latest.into_iter().chain(near)
    }

    /// Whether chunk `index` with this hash leads to the root of a signed head, by the stored nodes.
    fn leads_to(&self, index: u64, hash: &Hash, head: Signed) -> bool {
        let chunks = Chunks { store: self.store, feed: self.no, length: head.length };
        let count = head.length.div_ceil(CHUNK);
        inclusion_proof(&chunks, index, count)
            .is_ok_and(|proof| verify_inclusion(hash, index, count, &proof, &head.root).is_ok())
    }

    fn node(&self, level: u8, index: u64) -> Result<Option<Hash>, String> {
        self.store.feeds().node(self.no, level, index).map_err(|error| unreadable(&error))
    }

    fn wrong_node(&mut self, level: u8, index: u64, right: Hash, reason: String) {
        let blocks = (index << level)..((index + 1) << level);
        let reason = format!("node {index} at level {level}: {reason}");
        self.damage(DamageKind::Node, reason, |it| it.within(blocks));
        let (feeds, no) = (self.store.feeds(), self.no);
        repair(self.store, |batch: &mut Batch| feeds.put_node(batch, no, level, index, right));
    }

    fn damage(
        &mut self,
        kind: DamageKind,
        reason: impl Into<String>,
        place: impl FnOnce(Damage) -> Damage,
    ) {
        let damage = Damage::new(kind, reason).party(self.party).feed(self.key);
        self.sink.findings.add(place(damage));
    }
}

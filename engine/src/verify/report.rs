//! What a verification says: how much it checked, what is damaged, where, and what to do.
//!
//! Invariant: however much is damaged, the list stays bounded; what does not fit is still counted.

use std::fmt;
use std::ops::Range;

use systole_proto::{FeedKey, ItemId, PartyKey};

/// Damages of one kind that a report lists; more are counted.
pub const DAMAGE_LISTED_MAX: usize = 64;

/// How far a verification has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// How much of the stage is done.
    pub done: u64,
    /// How much there is of it.
    pub total: u64,
    /// What is being checked, in words.
    pub what: &'static str,
}

/// What a verification checked and found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Parties, without those whose data were deleted.
    pub parties: u64,
    /// Feeds with blocks.
    pub feeds: u64,
    /// Blocks that were hashed.
    pub blocks: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Signed heads.
    pub heads: u64,
    /// Stored credentials.
    pub credentials: u64,
    /// Items.
    pub items: u64,
    /// Messages of items.
    pub messages: u64,
    /// Checkpoints that were compared with a full replay.
    pub checkpoints: u64,
    /// Checkpoints of model types that are not registered: only their checksums were checked.
    pub unregistered: u64,
    /// Blocks whose meaning, and checkpoints whose state, could not be compared, for blocks before
    /// them are damaged.
    pub skipped: u64,
    /// What is damaged: the causes first, at most [`DAMAGE_LISTED_MAX`] of each kind.
    pub damage: Vec<Damage>,
    /// How many damages were found in all.
    pub damage_total: u64,
}

impl Report {
    /// Whether nothing is damaged.
    pub fn is_sound(&self) -> bool {
        self.damage_total == 0
    }
}

/// What kind of record is damaged. What others are derived from stands first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum DamageKind {
    /// A file of the storage engine cannot be read.
    File,
    /// A party's record.
    Party,
    /// A feed's record.
    Feed,
    /// A signed head.
    Head,
    /// A block of a feed.
    Block,
    /// A node of a feed's Merkle tree.
    Node,
    /// The proof that a feed's author signed two histories.
    Equivocation,
    /// How far a feed is stored and processed.
    Position,
    /// The short name by which a feed's blocks name another feed.
    Alias,
    /// What a block adds to its feed's causal past.
    CausalStep,
    /// A stored credential.
    Credential,
    /// The note that a block is ignored, and why.
    Quarantine,
    /// An item's record.
    Item,
    /// An index of items.
    Index,
    /// An item's list of messages.
    Log,
    /// An item's saved state.
    Checkpoint,
}

impl DamageKind {
    fn name(self) -> &'static str {
        match self {
            Self::File => "storage file",
            Self::Party => "party record",
            Self::Feed => "feed record",
            Self::Head => "head",
            Self::Block => "block",
            Self::Node => "tree node",
            Self::Equivocation => "proof of equivocation",
            Self::Position => "position",
            Self::Alias => "alias",
            Self::CausalStep => "causal step",
            Self::Credential => "credential",
            Self::Quarantine => "quarantine",
            Self::Item => "item record",
            Self::Index => "item index",
            Self::Log => "item log",
            Self::Checkpoint => "checkpoint",
        }
    }

    /// What to do about damage of this kind.
    fn advice(self) -> &'static str {
        match self {
            Self::File => {
                "nothing was changed; check the disk, then restore the directory from a backup or \
                 fetch its parties again from another device into a fresh directory"
            }
            Self::Head | Self::Block | Self::Credential | Self::Equivocation => {
                "nothing was changed; keep the directory as it is, and restore it from a backup or \
                 fetch the feed again from another device into a fresh directory"
            }
            Self::Checkpoint => {
                "nothing was changed; unless blocks are damaged too, no message is lost: restore \
                 the directory from a backup, or fetch the party into a fresh directory"
            }
            _ => {
                "nothing was changed; this record is made from blocks: restore the directory from a \
                 backup, or fetch the party again into a fresh directory"
            }
        }
    }
}

impl fmt::Display for DamageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One thing that is not as it was written, or not what the blocks say.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Damage {
    /// What it is.
    pub kind: DamageKind,
    /// The party that it belongs to.
    pub party: Option<PartyKey>,
    /// The feed that it belongs to.
    pub feed: Option<FeedKey>,
    /// Positions in the feed, the last one excluded: the damage lies in at least one of these blocks,
    /// or in what is kept for them.
    pub blocks: Option<Range<u64>>,
    /// The length that a head is for.
    pub length: Option<u64>,
    /// The item that it belongs to.
    pub item: Option<ItemId>,
    /// How it was found out, as a fragment without capital or full stop.
    pub reason: String,
    /// What to do.
    pub advice: &'static str,
}

impl Damage {
    pub(super) fn new(kind: DamageKind, reason: impl Into<String>) -> Self {
        Self {
            kind,
            party: None,
            feed: None,
            blocks: None,
            length: None,
            item: None,
            reason: reason.into(),
            advice: kind.advice(),
        }
    }

    pub(super) fn party(self, party: PartyKey) -> Self {
        Self { party: Some(party), ..self }
    }

    pub(super) fn feed(self, feed: FeedKey) -> Self {
        Self { feed: Some(feed), ..self }
    }

    pub(super) fn at(self, seq: u64) -> Self {
        self.within(seq..seq + 1)
    }

    pub(super) fn within(self, blocks: Range<u64>) -> Self {
        Self { blocks: Some(blocks), ..self }
    }

    pub(super) fn length(self, length: Option<u64>) -> Self {
        Self { length, ..self }
    }

    pub(super) fn item(self, item: ItemId) -> Self {
        Self { item: Some(item), ..self }
    }

    /// The block's position, where it is known which block it is.
    pub fn seq(&self) -> Option<u64> {
        self.blocks.as_ref().filter(|blocks| blocks.end == blocks.start + 1).map(|one| one.start)
    }
}

/// `block 77 of feed h3k2…: one byte was changed`
impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind)?;
        if let Some(length) = self.length {
            write!(f, " of length {length}")?;
        }
        match (&self.blocks, self.seq()) {
            (_, Some(seq)) if self.kind == DamageKind::Block => write!(f, " {seq}")?,
            (Some(blocks), None) if self.kind == DamageKind::Block => {
                write!(f, "s {} to {}", blocks.start, blocks.end.saturating_sub(1))?;
            }
            (_, Some(seq)) => write!(f, " of block {seq}")?,
            (Some(blocks), None) => {
                write!(f, " of blocks {} to {}", blocks.start, blocks.end.saturating_sub(1))?;
            }
            (None, None) => {}
        }
        if let Some(item) = self.item {
            write!(f, " of item {item}")?;
        }
        match (self.feed, self.party) {
            (Some(feed), _) => write!(f, " of feed {feed}")?,
            (None, Some(party)) if self.item.is_none() => write!(f, " of party {party}")?,
            _ => {}
        }
        write!(f, ": {}", self.reason)
    }
}

/// A report that is being written.
#[derive(Clone, Debug, Default)]
pub(super) struct Findings {
    pub(super) report: Report,
}

impl Findings {
    /// Adds a damage; counts it only if the list holds enough of its kind.
    pub(super) fn add(&mut self, damage: Damage) {
        self.report.damage_total += 1;
        let listed = self.report.damage.iter().filter(|other| other.kind == damage.kind).count();
        if listed < DAMAGE_LISTED_MAX {
            self.report.damage.push(damage);
        }
    }

    pub(super) fn finish(mut self) -> Report {
        self.report.damage.sort_by_key(|damage| damage.kind);
        self.report
    }
}

/// An error with its causes, as one line.
pub(super) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_line = cause.to_string();
        // Some errors print their cause themselves.
        if !line.contains(&cause_line) {
            line.push_str(": ");
            line.push_str(&cause_line);
        }
        source = cause.source();
    }
    line
}

/// What the store says of a value that it cannot give, without the advice that it adds.
pub(super) fn unreadable(error: &systole_store::Error) -> String {
    use systole_store::Error;
    match error {
        Error::Corrupt { family, key, reason } => format!("{key} (family {family}): {reason}"),
        Error::Backend { reason, .. } => format!("the storage engine cannot read it: {reason}"),
        other => chain(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_lists_a_bounded_number_of_each_kind_and_counts_all() {
        let mut findings = Findings::default();
        for seq in 0..1_000 {
            findings.add(Damage::new(DamageKind::Log, "").at(seq));
        }
        findings.add(Damage::new(DamageKind::Block, "").at(3));
        let report = findings.finish();
        assert_eq!(report.damage_total, 1_001);
        assert_eq!(report.damage.len(), DAMAGE_LISTED_MAX + 1);
        assert_eq!(report.damage[0].kind, DamageKind::Block);
    }

    #[test]
    fn a_damage_says_what_and_where_in_one_line() {
        let feed = FeedKey([0; 32]);
        let damage = Damage::new(DamageKind::Block, "one byte was changed").feed(feed);
        assert_eq!(
            damage.clone().at(77).to_string(),
            format!("block 77 of feed {feed}: one byte was changed")
        );
        assert!(damage.within(64..128).to_string().starts_with("blocks 64 to 127 of feed "));
    }
}

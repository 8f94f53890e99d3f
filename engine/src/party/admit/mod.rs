//! Who belongs to a party: its genesis, its member keys and its feeds, derived from credentials.
//!
//! A credential proves itself: only its claim and its signatures decide, never who carries it or when
//! it came. Three claims exist.
//!
//! | claim | must be signed by | counts once |
//! | --- | --- | --- |
//! | genesis {party, key, feed} | party key, member key and feed key; stands at seq 0 of that feed | at once; there is only one |
//! | key admission {party, key} | the key itself and somebody else | somebody else who signed is a member |
//! | feed admission {party, feed, key} | feed key and its owner `key` | the owner is a member |
//!
//! Invariants:
//! - a credential is checked completely before anything changes; a rejected or held one leaves the
//!   state equal to what it was;
//! - the state is a function of the set of credentials taken in, whatever order they came in. Nothing
//!   is ever taken back, so admission is a least fixpoint. What does not count yet is parked under
//!   what it waits for. (One exception cannot be closed here: a party key that signed two geneses has
//!   founded two parties of one name. The first one heard stays.)
//! - what a *block* may do is a function of its causal past alone: see [`Membership::author`];
//! - authority comes from member keys only. The party key counts in the genesis and never again, feed
//!   keys speak for themselves only, and further signers of a credential gain nothing by signing;
//! - every fact costs its author a block, and only the first position per (authority, feed) is kept,
//!   so memory stays a fraction of the log.
//!
//! Where roles and removal will fit: a role is one more field of a key admission and lives beside the
//! edge in `Admissions`; `author` then returns it together with the owner. A removal or a cut is one
//! more claim, remembered by position like every edge and obeyed by the same search through the past.
//! The store keeps credentials, never this struct, so it can change shape without a migration.

mod admissions;
mod parked;
mod rules;
#[cfg(test)]
mod tests;
mod verdict;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use systole_proto::{FeedKey, PartyKey, PublicKey};

pub(crate) use parked::WaitsFor;
pub(crate) use rules::Rejection;
pub(crate) use verdict::{Admitted, AdmittedKind, Verdict};

use admissions::Admissions;
use parked::{PARKED_PER_FEED_MAX, Parked};
use rules::{Signatures, Statement, examine};

/// Where a credential stands: one block of one feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    /// The feed that carries it.
    pub(crate) feed: FeedKey,
    /// The block's position in that feed.
    pub(crate) seq: u64,
}

/// The membership of one party.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Membership {
    party: PartyKey,
    founder: Option<Founder>,
    members: BTreeMap<PublicKey, Admissions>,
    feeds: BTreeMap<FeedKey, Admissions>,
    parked: Parked,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Founder {
    at: Position,
    key: PublicKey,
}

/// How a credential stands to the present state.
enum Standing {
    Counts,
    Waits(WaitsFor),
    Refused(Rejection),
}

impl Membership {
    /// The party before its genesis is known.
    pub(crate) fn new(party: PartyKey) -> Self {
        Self {
            party,
            founder: None,
            members: BTreeMap::new(),
            feeds: BTreeMap::new(),
            parked: Parked::default(),
        }
    }

    /// Takes in the encoded credential found at `at`, from whomever.
    pub(crate) fn admit(&mut self, at: Position, bytes: &Bytes) -> Verdict {
        match examine(&self.party, &at, bytes, Signatures::Check) {
            Err(rejection) => Verdict::Rejected(rejection),
            Ok(statement) => self.take(at, bytes, statement, PARKED_PER_FEED_MAX),
        }
    }

    /// Takes in a credential that was accepted or parked before and comes from our own store: its
    /// signatures are not checked again and no bound applies. Everything else is as in
    /// [`Self::admit`]; an error means that the store holds what it cannot hold.
    pub(crate) fn restore(&mut self, at: Position, bytes: &Bytes) -> Result<(), Rejection> {
        let statement = examine(&self.party, &at, bytes, Signatures::Trust)?;
        match self.take(at, bytes, statement, usize::MAX) {
            Verdict::Rejected(rejection) => Err(rejection),
            Verdict::Accepted(_) | Verdict::Known | Verdict::Parked { .. } => Ok(()),
            Verdict::Held { .. } => unreachable!("no bound applies"),
        }
    }

    fn take(
        &mut self,
        at: Position,
        bytes: &Bytes,
        statement: Statement,
        parked_max: usize,
    ) -> Verdict {
        if let Some(entry) = self.parked.at(&at) {
            return match entry.bytes == *bytes {
                true => Verdict::Parked { waits_for: entry.waits_for().clone() },
                false => Verdict::Rejected(Rejection::PositionTaken),
            };
        }
        match self.judge(&at, &statement) {
            Standing::Refused(rejection) => Verdict::Rejected(rejection),
            Standing::Waits(waits_for) if self.parked.is_full(&at, parked_max) => {
                Verdict::Held { waits_for }
            }
            Standing::Waits(waits_for) => {
                self.parked.insert(at, bytes, statement, waits_for.clone());
                Verdict::Parked { waits_for }
            }
            Standing::Counts => match self.apply(&at, &statement) {
                None => Verdict::Known,
                Some(kind) => {
                    let mut accepted = vec![Admitted { at, bytes: bytes.clone(), kind }];
                    self.release(kind, &mut accepted);
                    Verdict::Accepted(accepted)
                }
            },
        }
    }

    fn judge(&self, at: &Position, statement: &Statement) -> Standing {
        match (statement, &self.founder) {
            (Statement::Genesis { .. }, None) => Standing::Counts,
            (Statement::Genesis { key, .. }, Some(founder)) => {
                if founder.at == *at && founder.key == *key {
                    Standing::Counts
                } else {
                    Standing::Refused(Rejection::SecondGenesis)
                }
            }
            (_, None) => Standing::Waits(WaitsFor::Genesis),
            (Statement::Key { admitters, .. }, Some(_)) => {
                if admitters.iter().any(|key| self.is_member(key)) {
                    Standing::Counts
                } else {
                    Standing::Waits(WaitsFor::AnyOf(admitters.clone()))
                }
            }
            (Statement::Feed { owner, .. }, Some(_)) => {
                if self.is_member(owner) {
                    Standing::Counts
                } else {
                    Standing::Waits(WaitsFor::AnyOf(vec![*owner]))
                }
            }
        }
    }

    /// Makes a statement that counts part of the state; `None` if it was so already.
    fn apply(&mut self, at: &Position, statement: &Statement) -> Option<AdmittedKind> {
        match statement {
            Statement::Genesis { key, feed } => {
                if self.founder.is_some() {
                    return None;
                }
                self.founder = Some(Founder { at: *at, key: *key });
                self.members.entry(*key).or_default();
                self.feeds.entry(*feed).or_default().remember(*key, at);
                Some(AdmittedKind::Genesis { key: *key, feed: *feed })
            }
            Statement::Key { key, admitters } => {
                let first = !self.is_member(key);
                let admissions = self.members.entry(*key).or_default();
                // Signers who are no members are remembered too: should one become a member in
                // another way, this admission is as good as if it had come after that. Until then
                // the search in `is_member_within` finds no way through them.
                let mut more = false;
                for admitter in admitters {
                    more |= admissions.remember(*admitter, at);
                }
                match (first, more) {
                    (true, _) => Some(AdmittedKind::Key(*key)),
                    (false, true) => Some(AdmittedKind::Repeat),
                    (false, false) => None,
                }
            }
            Statement::Feed { feed, owner } => {
                let first = !self.is_admitted(feed);
                let more = self.feeds.entry(*feed).or_default().remember(*owner, at);
                match (first, more) {
                    (true, _) => Some(AdmittedKind::Feed(*feed)),
                    (false, true) => Some(AdmittedKind::Repeat),
                    (false, false) => None,
                }
            }
        }
    }

    /// Lets in whatever `kind` has made count, the lowest position first.
    fn release(&mut self, kind: AdmittedKind, accepted: &mut Vec<Admitted>) {
        let mut woken = self.woken_by(kind);
        while let Some((at, entry)) = woken.pop_first() {
            match self.judge(&at, &entry.statement) {
                Standing::Counts => {
                    if let Some(kind) = self.apply(&at, &entry.statement) {
                        accepted.push(Admitted { at, bytes: entry.bytes, kind });
                        woken.append(&mut self.woken_by(kind));
                    }
                }
                Standing::Waits(waits_for) => {
                    self.parked.insert(at, &entry.bytes, entry.statement, waits_for);
                }
                Standing::Refused(_) => {
                    unreachable!("only a genesis is refused; it is never parked")
                }
            }
        }
    }

    fn woken_by(&mut self, kind: AdmittedKind) -> BTreeMap<Position, parked::Entry> {
        match kind {
            AdmittedKind::Genesis { .. } => self.parked.wake_all(),
            AdmittedKind::Key(key) => self.parked.wake(&key),
            AdmittedKind::Feed(_) | AdmittedKind::Repeat => BTreeMap::new(),
        }
    }

    /// Whether `key` is a member, as far as this replica knows.
    pub(crate) fn is_member(&self, key: &PublicKey) -> bool {
        self.members.contains_key(key)
    }

    /// Whether `feed` belongs to the party, as far as this replica knows: it is worth listening to.
    /// What its blocks may do is for [`Self::may_write`] to say.
    pub(crate) fn is_admitted(&self, feed: &FeedKey) -> bool {
        self.feeds.contains_key(feed)
    }

    /// Whether a block of `feed` may speak; `covers` says which positions lie in its causal past, the
    /// block itself included. Once true for a block it is true for all later blocks of the feed, so
    /// a caller can remember the first yes.
    pub(crate) fn may_write(&self, feed: &FeedKey, covers: impl Fn(&Position) -> bool) -> bool {
        self.author(feed, covers).is_some()
    }

    /// The member in whose name a block of `feed` speaks: the owner, if the block's causal past holds
    /// the feed's admission, the owner's, that of whoever admitted the owner, and so on back to the
    /// genesis. Credentials outside that past have no say, so every replica that has the past gives
    /// the same answer, whatever else it knows.
    ///
    /// A feed key that signed for several owners belongs to the one with the lowest key in that past.
    /// Who asks at the first block that may speak, and remembers the answer, has an owner that no
    /// later admission can change.
    pub(crate) fn author(
        &self,
        feed: &FeedKey,
        covers: impl Fn(&Position) -> bool,
    ) -> Option<&PublicKey> {
        self.feeds.get(feed)?.within(&covers).find(|owner| self.is_member_within(owner, &covers))
    }

    /// Looks for a way from `key` back to the founder through admissions that `covers` knows.
    fn is_member_within(&self, key: &PublicKey, covers: &impl Fn(&Position) -> bool) -> bool {
        let Some(founder) = self.founder.as_ref().filter(|founder| covers(&founder.at)) else {
            return false;
        };
        let mut seen = BTreeSet::from([key]);
        let mut open = vec![key];
        while let Some(key) = open.pop() {
            if *key == founder.key {
                return true;
            }
            if let Some(admissions) = self.members.get(key) {
                open.extend(admissions.within(covers).filter(|admitter| seen.insert(*admitter)));
            }
        }
        false
    }

    /// Where the genesis stands, once it is known.
    pub(crate) fn genesis(&self) -> Option<&Position> {
        self.founder.as_ref().map(|founder| &founder.at)
    }

    /// The members, in rising order.
    pub(crate) fn members(&self) -> impl Iterator<Item = &PublicKey> {
        self.members.keys()
    }

    /// The parked credentials, in rising order of position, and what each waits for.
    pub(crate) fn parked(&self) -> impl Iterator<Item = (&Position, &WaitsFor)> {
        self.parked.iter()
    }
}

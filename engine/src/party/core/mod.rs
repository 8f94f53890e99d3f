//! A whole party without an actor: rules, lookups, own keys, clock, and the batch that every turn ends
//! in. What drives it decides only when a turn ends, and moves messages to items: the actor
//! ([`processor`](super::processor)) does it with tasks, a simulation with its own hands.
//!
//! ```text
//! stored blocks ── process ─┐
//! a range ──────── ingest ──┼──► Turn ── close_turn ──► one batch ── written ──► committed
//! operations ───── write ───┘                                                      │ Told
//! ```
//!
//! Invariants:
//! - nothing here waits or rolls dice, or reads a clock but to measure stages: time and fresh keys are
//!   arguments;
//! - a turn is closed, and its batch written, before the next one begins;
//! - after a failure nothing is written any more: what is in memory may be ahead of the store.

mod ingest;
mod process;
mod status;
mod write;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use systole_proto::{Claim, Clock, Credential, Ed25519Signer, FeedKey, PartyKey, Signer, Stamp};
use systole_store::{FeedNo, FeedPosition, PartyRecord};

use super::admit::Position;
use super::ahead::ReadAhead;
use super::command::Operation;
use super::effect::LocalBody;
use super::host::StoreHost;
use super::request::genesis_credentials;
use super::state::{Host as _, PartyState};
use super::turn::{Told, Turn};
use crate::device::Device;
use crate::settings::CURSORS_BYTES_MAX;
use crate::stages::Stage;
use crate::{Error, ErrorKind};

pub use status::Bounds;
pub(crate) use write::{Ask, Laid, Preparing, no_own_feed};

/// A party's rules and everything that they work on.
pub(crate) struct PartyCore {
    device: Arc<Device>,
    record: PartyRecord,
    pub(super) state: PartyState,
    pub(super) host: StoreHost,
    /// Own feeds that can be written to.
    signers: BTreeMap<FeedNo, Arc<dyn Signer>>,
    clock: Clock,
    now_millis: u64,
    next_credential: u64,
    read_ahead: ReadAhead,
    last_ready: Option<FeedNo>,
    paused: bool,
    failed: Option<Error>,
}

impl PartyCore {
    /// The party where it is stored.
    pub(crate) fn open(
        device: Arc<Device>,
        record: PartyRecord,
        now_millis: u64,
    ) -> Result<Self, Error> {
        let store = &device.store;
        let mut host = StoreHost::new(device.clone(), record.no);
        let mut state = PartyState::new(record.key, record.no, record.ordinal);
        let (mut last_own, mut others) = (Stamp::default(), Vec::new());
        let mut signers = BTreeMap::new();
        for feed in store.meta().feeds_of(record.no)? {
            let position = store.meta().position(feed.no)?.unwrap_or_default();
            match feed.own {
                true => last_own = last_own.max(position.stamp),
                false => others.push(position.stamp),
            }
            if position.length > 0 || feed.own {
                state.add_feed(feed.no, feed.key, position);
            }
            if feed.own
                && let Some(signer) = device.secret(&feed.key)?
            {
                signers.insert(feed.no, signer);
            }
        }
        let credentials = store.meta().credentials(record.no)?;
        let next_credential = credentials.last().map_or(0, |(n, _)| n + 1);
        for (_, credential) in credentials {
            let at = Position { feed: host.key(credential.feed)?, seq: credential.seq };
            state.membership.restore(at, &credential.bytes).map_err(|rejection| {
                let message = format!("a stored credential of party {} is damaged", record.key);
                Error::caused(ErrorKind::Corrupt, message, rejection)
            })?;
        }
        let mut clock = Clock::resume(last_own);
        for stamp in others {
            // As when it was heard first: beyond the allowed drift it is theirs alone.
            let _ = clock.observe(stamp, now_millis);
        }
        host.tell_time(now_millis);
        Ok(Self {
            device,
            record,
            state,
            host,
            signers,
            clock,
            now_millis,
            next_credential,
            read_ahead: ReadAhead::default(),
            last_ready: None,
            paused: false,
            failed: None,
        })
    }

    /// What happens from here happens at this time, in milliseconds since the Unix epoch.
    pub(crate) fn tell_time(&mut self, now_millis: u64) {
        self.now_millis = now_millis;
        self.host.tell_time(now_millis);
    }

    /// The party's key.
    pub(crate) fn key(&self) -> PartyKey {
        self.record.key
    }

    /// The feed that this device writes to.
    pub(crate) fn own_feed(&self) -> Option<FeedKey> {
        self.record.own_feed.and_then(|no| self.state.feed(no)).map(|feed| feed.key)
    }

    /// Whether stored blocks may be processed now.
    pub(crate) fn has_ready(&self) -> bool {
        self.failed.is_none() && !self.paused && self.state.next_ready(self.last_ready).is_some()
    }

    /// Stops or resumes processing and writing.
    pub(crate) fn pause(&mut self, paused: bool) {
        self.paused = paused;
    }

    /// Nothing is written any more; the first reason stays.
    pub(crate) fn fail(&mut self, error: Error) {
        self.failed.get_or_insert(error);
    }

    /// Why nothing is written any more.
    pub(crate) fn failure(&self) -> Option<Error> {
        self.failed.clone()
    }

    /// Remembers a failure, for what it left half done.
    fn failing<T>(&mut self, result: Result<T, Error>) -> Result<T, Error> {
        result.inspect_err(|error| self.fail(error.clone()))
    }

    /// Whether this device lacks a feed that it can write to, or its admission, and
    /// [`Self::keep_up`] can help.
    pub(crate) fn needs_upkeep(&self) -> bool {
        self.failed.is_none()
            && !self.paused
            && (self.needs_feed() || self.needs_admission().is_some())
    }

    /// Gives this device a fresh feed, `fresh`, if it has none that it can write to, and admits the
    /// feed if the device is a member. So a device that lost its feed goes on in another one.
    ///
    /// # Errors
    /// The party has failed: what the turn holds must not be written.
    pub(crate) fn keep_up(&mut self, fresh: Ed25519Signer, turn: &mut Turn) -> Result<(), Error> {
        if self.needs_feed() {
            let added = self.add_feed(fresh, turn);
            self.failing(added)?;
        }
        match self.needs_admission() {
            Some(no) => {
                let admitted = self.admit_own(no, turn);
                self.failing(admitted)
            }
            None => Ok(()),
        }
    }

    /// Adds a feed of this device and admits it, in the device's own name.
    pub(crate) fn create_feed(
        &mut self,
        signer: Ed25519Signer,
        turn: &mut Turn,
    ) -> Result<FeedKey, Error> {
        if let Some(error) = self.failure() {
            return Err(error);
        }
        // Refused before anything changes: half a feed could be written to, and its secret would be lost.
        if self.paused {
            return Err(Error::unavailable("the party is paused"));
        }
        if !self.state.membership.is_member(&self.device.key()) {
            return Err(Error::unavailable("this device is not a member of the party yet"));
        }
        let no = self.add_feed(signer, turn)?;
        let admitted = self.admit_own(no, turn);
        self.failing(admitted)?;
        Ok(self.state.feed(no).expect("just added").key)
    }

    /// Founds the party, whose key is `founder`'s, in this device's first feed.
    pub(crate) fn found(&mut self, founder: &dyn Signer, turn: &mut Turn) -> Result<(), Error> {
        let no = self.record.own_feed.ok_or_else(no_own_feed)?;
        let feed = self.signers.get(&no).ok_or_else(no_own_feed)?.clone();
        let genesis = genesis_credentials(founder, &*self.device.signer, &*feed);
        let genesis = genesis.map_err(|error| {
            Error::caused(ErrorKind::Unavailable, "the genesis cannot be signed", error)
        })?;
        self.write_credential(None, genesis, turn)
    }

    fn needs_feed(&self) -> bool {
        let own = self.record.own_feed.filter(|no| self.signers.contains_key(no));
        own.and_then(|no| self.state.feed(no)).is_none_or(|feed| feed.halted.is_some())
    }

    /// The device's feed, if only its admission is missing and the device may write that itself.
    fn needs_admission(&self) -> Option<FeedNo> {
        let no = self.record.own_feed.filter(|no| self.signers.contains_key(no))?;
        let feed = self.state.feed(no).filter(|feed| feed.halted.is_none())?;
        let membership = &self.state.membership;
        let missing = !membership.is_admitted(&feed.key) && feed.length == 0;
        (missing && membership.is_member(&self.device.key())).then_some(no)
    }

    /// Adds a feed that signs with `signer`. Where the device can write to no other feed, this becomes
    /// its first.
    fn add_feed(&mut self, signer: Ed25519Signer, turn: &mut Turn) -> Result<FeedNo, Error> {
        let key = FeedKey(signer.public_key());
        if self.state.number_of(&key).is_some() {
            return Err(Error::invalid(format!("feed {} is known already", key.short())));
        }
        self.device.keep_secret(&mut turn.batch, &signer)?;
        let first = self.needs_feed();
        let no = self.host.add_own_feed(key)?;
        self.state.add_feed(no, key, FeedPosition::default());
        self.signers.insert(no, Arc::new(signer));
        if first {
            self.record.own_feed = Some(no);
        }
        self.device.store.meta().put_party(&mut turn.batch, &self.record);
        turn.durable = true;
        Ok(no)
    }

    /// Writes the admission of an own feed into that feed.
    fn admit_own(&mut self, no: FeedNo, turn: &mut Turn) -> Result<(), Error> {
        let feed = self.state.feed(no).expect("own feeds are known").key;
        let party = self.record.key;
        let mut credential =
            Credential::new(&Claim::FeedAdmission { party, feed, key: self.device.key() });
        let signers = [&*self.signers[&no], &*self.device.signer];
        let signed = signers.iter().try_for_each(|signer| credential.sign(*signer));
        signed.map_err(|error| {
            Error::caused(ErrorKind::Unavailable, "the feed's admission cannot be signed", error)
        })?;
        self.write_credential(Some(feed), credential.encode(), turn)
    }

    fn write_credential(
        &mut self,
        feed: Option<FeedKey>,
        credential: Bytes,
        turn: &mut Turn,
    ) -> Result<(), Error> {
        let operation = Operation::Plain(LocalBody::Credential(credential));
        let mut preparing = self.begin(feed, vec![operation], None)?;
        let asked = self.next(&mut preparing)?;
        assert!(asked.is_none(), "a credential concerns no item");
        self.lay_out(preparing, systole_store::Durability::Synced, turn)?;
        Ok(())
    }

    /// Closes a turn: afterwards its batch holds everything that is to be stored, positions included.
    /// What is told when it is written comes back.
    ///
    /// # Errors
    /// The party has failed: what the turn holds must not be written.
    pub(crate) fn close_turn(&mut self, turn: &mut Turn) -> Result<Told, Error> {
        assert!(self.failed.is_none(), "a party that failed writes nothing");
        let sealed = self.seal(turn);
        self.failing(sealed)?;
        let device = self.device.clone();
        let mut watch = device.live.stages.watch();
        let ordinal = self.record.ordinal;
        let genesis = self.record.genesis_feed;
        let told = turn.lay_down(
            &self.device.store,
            self.record.no,
            &mut self.next_credential,
            &mut self.record.genesis_feed,
        );
        let meta = self.device.store.meta();
        for feed in self.host.take_new_feeds() {
            meta.put_feed(&mut turn.batch, &feed);
        }
        for (feed, position) in self.state.take_positions() {
            meta.put_position(&mut turn.batch, feed, &position);
            // Their clock only moves ours forward within the allowed drift; a stamp beyond it is theirs alone.
            let _ = self.clock.observe(position.stamp, self.now_millis);
        }
        self.record.ordinal = self.state.ordinal;
        if self.record.ordinal != ordinal || self.record.genesis_feed != genesis {
            meta.put_party(&mut turn.batch, &self.record);
        }
        watch.lap(Stage::Index, told.messages);
        Ok(told)
    }

    /// The turn's batch is written.
    pub(crate) fn committed(&mut self, told: &mut Told) {
        self.state.committed(CURSORS_BYTES_MAX);
        for record in told.records.drain(..) {
            self.host.remember(record);
        }
    }
}

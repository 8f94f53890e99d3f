//! The world of one history: devices, the network, hostile authors, and everything the oracles must
//! remember. Steps act on it (`steps`), then all of it heals (`heal`).
//!
//! Invariants:
//! - after every step each device is open, and every oracle that can already say something has said it;
//! - whatever happens is a function of the plan and the setting.

use std::collections::BTreeSet;
use std::rc::Rc;

use systole::{Ed25519Signer, ErrorKind, FeedKey, ItemId, PartyKey, Signer};
use systole_models::ModelRegistry;

use crate::backend::{Disk, Image};
use crate::byzantine::{Made, RawFeed};
use crate::device::{Device, Flaws, Identity, Seen, Settings};
use crate::network::Network;
use crate::oracle::causality::Records;
use crate::oracle::durability::Ledger;
use crate::oracle::fork::Archive;
use crate::oracle::position::Watch;
use crate::oracle::{Oracle, Violation};
use crate::plan::{Plan, Scope};
use crate::random::{Random, derived};
use crate::report::Counts;
use crate::story::{Names, Story};
use crate::witness::{OwnPast, own_past};
use crate::workload::Workload;

/// What does not change from history to history.
pub(crate) struct Setting {
    pub(crate) workloads: Vec<Rc<dyn Workload>>,
    pub(crate) scope: Scope,
    pub(crate) flaws: Flaws,
    /// A planted bug: positions reach the disk before what led to them.
    pub(crate) splits_positions: bool,
    /// Whether a model may panic.
    pub(crate) panics: bool,
}

/// A device, and what is expected of it.
pub(crate) struct Member {
    pub(crate) device: Device,
    pub(crate) name: String,
    pub(crate) ledger: Ledger,
    pub(crate) watch: Watch,
    /// A backup, with the promises and positions of its moment.
    pub(crate) backup: Option<Backup>,
    /// Own blocks that were being written when the power went: their messages, block by block.
    pub(crate) pending: Option<Pending>,
    /// Of its unsynced writes, how many will have reached the disk when a planned power cut comes.
    pub(crate) kept_when_cut: u64,
    /// Whether the device was let in, or its request was at least countersigned.
    pub(crate) asked: bool,
}

/// Blocks that are being written: the feed, the first position, and the messages of each block.
pub(crate) type Pending = (FeedKey, u64, Vec<Vec<(ItemId, u32)>>);

#[derive(Clone)]
pub(crate) struct Backup {
    pub(crate) image: Image,
    pub(crate) ledger: Ledger,
    pub(crate) watch: Watch,
}

/// One history while it runs.
pub(crate) struct World<'a> {
    pub(crate) setting: &'a Setting,
    pub(crate) seed: u64,
    pub(crate) structure: bool,
    pub(crate) party: PartyKey,
    pub(crate) now: u64,
    pub(crate) members: Vec<Member>,
    pub(crate) network: Network,
    pub(crate) hostile: Option<RawFeed>,
    pub(crate) puppet: Option<RawFeed>,
    /// The feed that holds the admission of the hostile author.
    pub(crate) founder_feed: Option<FeedKey>,
    pub(crate) forked: Option<RawFeed>,
    /// Feeds of whoever does not keep the rules, strangers included.
    pub(crate) hostile_feeds: BTreeSet<FeedKey>,
    /// Feeds of devices whose disk was set back.
    pub(crate) set_back: BTreeSet<FeedKey>,
    /// Whether a block that others have seen is gone with a disk.
    pub(crate) torn: bool,
    pub(crate) archive: Archive,
    pub(crate) records: Records,
    pub(crate) items: Vec<Made>,
    pub(crate) names: Names,
    pub(crate) story: Story,
    pub(crate) counts: Counts,
    pub(crate) places: u64,
}

/// Milliseconds since the epoch at which every history begins.
const BEGINNING: u64 = 1_700_000_000_000;
/// Milliseconds between two steps.
const STEP_MILLIS: u64 = 250;

impl<'a> World<'a> {
    /// Founds the party and lets in whom the plan lets in.
    pub(crate) fn new(setting: &'a Setting, plan: &Plan) -> Result<Self, Violation> {
        let founder = Ed25519Signer::from_seed(&Random::new(derived(plan.seed, 3)).bytes());
        let mut world = Self {
            setting,
            seed: plan.seed,
            structure: plan.structure,
            party: PartyKey(founder.public_key()),
            now: BEGINNING,
            members: Vec::new(),
            network: Network::default(),
            hostile: None,
            puppet: None,
            founder_feed: None,
            forked: None,
            hostile_feeds: BTreeSet::new(),
            set_back: BTreeSet::new(),
            torn: false,
            archive: Archive::default(),
            records: Records::default(),
            items: Vec::new(),
            names: Names::default(),
            story: Story::default(),
            counts: Counts::default(),
            places: 0,
        };
        for number in 0..plan.devices {
            world.add_device(number as u64)?;
        }
        world.act(0, |device, now| device.found(&founder, now))?;
        world.story.tell("A founds the party");
        for number in 1..plan.admitted.min(plan.devices) {
            world.admit(number, 0)?;
        }
        if plan.hostile {
            world.admit_hostile()?;
        }
        Ok(world)
    }

    /// A device as it comes out of the box; its place among the members.
    fn add_device(&mut self, number: u64) -> Result<usize, Violation> {
        let name = char::from(b'A' + (number % 12) as u8).to_string();
        let identity = Identity::new(self.party, self.seed, number);
        let settings = self.settings(derived(self.seed, 0x2000 + number), true);
        let disk = Disk::new(self.setting.splits_positions);
        let place = self.place();
        let device = Device::new(identity, settings, disk, place);
        self.join(device, name, None, false)
    }

    /// Opens a device and adds it to the members. `copied` is what its disk holds already.
    pub(crate) fn join(
        &mut self,
        device: Device,
        name: String,
        copied: Option<Backup>,
        asked: bool,
    ) -> Result<usize, Violation> {
        let (ledger, watch) =
            copied.map(|copied| (copied.ledger, copied.watch)).unwrap_or_default();
        self.members.push(Member {
            device,
            name,
            ledger,
            watch,
            backup: None,
            pending: None,
            kept_when_cut: 0,
            asked,
        });
        let at = self.members.len() - 1;
        self.reopen(at)?;
        Ok(at)
    }

    /// The name of a place where no disk stood before.
    pub(crate) fn place(&mut self) -> Vec<u8> {
        self.places += 1;
        self.places.to_be_bytes().to_vec()
    }

    /// What a device is opened with next.
    pub(crate) fn settings(&self, choice: u64, all_models: bool) -> Settings {
        let mut random = Random::new(choice);
        let all = (1u32 << self.setting.workloads.len()) - 1;
        let models =
            if all_models || random.one_in(2) { all } else { random.number() as u32 & all };
        Settings {
            mailbox: [1, 1, 2, 64][random.below(4)],
            checkpoint_messages: [1, 3, 1_024][random.below(3)],
            memory_budget_bytes: [1, 50_000, 64 << 20, 64 << 20][random.below(4)],
            models,
        }
    }

    /// The models that are known to a device with these settings.
    fn registry(&self, models: u32) -> Result<ModelRegistry, Violation> {
        let mut registry = ModelRegistry::new();
        for (bit, workload) in self.setting.workloads.iter().enumerate() {
            if models >> bit & 1 == 1 {
                let registered = workload.register(&mut registry);
                registered.map_err(|error| Violation::new(Oracle::Soundness, error.to_string()))?;
            }
        }
        Ok(registry)
    }

    /// Opens a device on what its disk holds.
    pub(crate) fn reopen(&mut self, at: usize) -> Result<(), Violation> {
        let registry = self.registry(self.members[at].device.settings.models)?;
        let member = &mut self.members[at];
        let opened = member.device.open(registry, self.setting.flaws, self.now);
        if member.device.disk.is_dark() {
            return self.recover(at, 0);
        }
        opened.map_err(|error| self.failure(at, "does not open", &error))?;
        self.after(at, None)
    }

    /// The power of a device goes and comes back; the first `kept` unsynced writes had reached the disk.
    pub(crate) fn recover(&mut self, at: usize, kept: u64) -> Result<(), Violation> {
        let member = &mut self.members[at];
        // What it told before it died is still true. Own blocks that were just being written are looked
        // at when it is back.
        let mut seen = member.device.take_seen();
        let records = &self.records;
        seen.retain(|seen| match seen {
            Seen::Message { feed, seq, .. } => *seq < records.length(feed),
            _ => true,
        });
        member.device.close();
        let unsynced = member.device.disk.unsynced();
        let lost = member.device.disk.cycle_power((kept % (unsynced as u64 + 1)) as usize);
        let name = member.name.clone();
        self.counts.crashes += 1;
        self.story.tell(format!("{name} loses power, and {lost} of {unsynced} unsynced writes"));
        self.hear(at, seen)?;
        let registry = self.registry(self.members[at].device.settings.models)?;
        let member = &mut self.members[at];
        let opened = member.device.open(registry, self.setting.flaws, self.now);
        opened.map_err(|error| self.failure(at, "does not open after a crash", &error))?;
        let status = self.members[at].device.status();
        let status = status.map_err(|error| self.failure(at, "has no status", &error))?;
        let member = &mut self.members[at];
        member.watch.reopened(&status.feeds, &self.names)?;
        if let Some((feed, seq, _)) = &member.pending
            && member.watch.last.get(feed).is_some_and(|reach| reach.stored > *seq)
            && self.records.length(feed) > *seq
        {
            let (place, name) = (self.names.position(feed, *seq), &member.name);
            let detail = format!("{name} writes {place}, where another block was written before");
            return Err(Violation::new(Oracle::Fork, detail));
        }
        for feed in status.feeds.iter().filter(|feed| feed.own) {
            self.lose(at, &feed.feed, feed.stored);
        }
        self.after(at, None)?;
        let member = &self.members[at];
        member.ledger.check(&member.device, &self.names)
    }

    /// A device has only `kept` blocks of an own feed left. What others hold exists all the same.
    pub(crate) fn lose(&mut self, at: usize, feed: &FeedKey, kept: u64) {
        self.records.lose(feed, kept.max(self.reaches_elsewhere(at, feed)));
    }

    /// How many blocks of a feed anybody else holds, or was shown.
    pub(crate) fn reaches_elsewhere(&self, at: usize, feed: &FeedKey) -> u64 {
        let others = (0..self.members.len()).filter(|other| *other != at);
        let held = others.map(|other| self.holds(other, feed)).max().unwrap_or(0);
        held.max(self.archive.length(feed))
    }

    /// How many blocks of a feed a device was last seen to hold.
    pub(crate) fn holds(&self, at: usize, feed: &FeedKey) -> u64 {
        self.members[at].watch.last.get(feed).map_or(0, |reach| reach.stored)
    }

    /// Has a device do something, and looks at what came of it. `None` when it was refused.
    pub(crate) fn act<T>(
        &mut self,
        at: usize,
        action: impl FnOnce(&mut Device, u64) -> Result<T, systole::Error>,
    ) -> Result<Option<T>, Violation> {
        let now = self.now;
        let member = &mut self.members[at];
        let past = own_past(&member.watch.last);
        let done = action(&mut member.device, now);
        if member.device.disk.is_dark() {
            let kept = member.kept_when_cut;
            self.recover_in(at, kept, past)?;
            return Ok(None);
        }
        self.after(at, Some(past))?;
        match done {
            Ok(done) => Ok(Some(done)),
            Err(error) => match error.kind() {
                ErrorKind::Corrupt | ErrorKind::Internal if !self.setting.panics => {
                    Err(self.failure(at, "fails", &error))
                }
                kind => {
                    let name = &self.members[at].name;
                    self.story.tell(format!("    {name} refuses ({kind:?}): {}", said(&error)));
                    Ok(None)
                }
            },
        }
    }

    fn recover_in(&mut self, at: usize, kept: u64, past: OwnPast) -> Result<(), Violation> {
        self.members[at].watch.writing = Some(past);
        self.recover(at, kept)
    }

    /// Whether a feed's author keeps the rules.
    pub(crate) fn is_honest(&self, feed: &FeedKey) -> bool {
        !self.hostile_feeds.contains(feed)
    }

    /// Time passes.
    pub(crate) fn tick(&mut self) {
        self.now += STEP_MILLIS;
    }

    pub(crate) fn failure(&self, at: usize, what: &str, error: &systole::Error) -> Violation {
        let detail = format!("device {} {what}: {}", self.members[at].name, said(error));
        Violation::new(Oracle::Soundness, detail)
    }
}

/// An error with its causes.
pub(crate) fn said(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

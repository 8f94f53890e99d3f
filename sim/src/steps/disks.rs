//! What happens to devices and their disks: power cuts, restarts, backups, copies.

use crate::backend::PowerCut;
use crate::oracle::Violation;
use crate::world::{Backup, World};

/// Devices at most, copies included.
const MEMBERS_MAX: usize = 8;

impl World<'_> {
    pub(super) fn cut_power(
        &mut self,
        at: usize,
        call: u64,
        after: bool,
        kept: u64,
    ) -> Result<(), Violation> {
        let member = &mut self.members[at];
        member.kept_when_cut = kept;
        member.device.disk.plan_cut(Some(PowerCut { call, after }));
        self.counts.faults += 1;
        let moment = if after { "after" } else { "before" };
        let name = &member.name;
        self.story
            .tell(format!("the power of {name} will go {moment} its disk's call {call} from here"));
        Ok(())
    }

    /// A device ends without a word and is opened with other settings.
    pub(super) fn restart(&mut self, at: usize, choice: u64) -> Result<(), Violation> {
        let settings = self.settings(choice, false);
        let member = &mut self.members[at];
        member.device.settings = settings;
        self.counts.restarts += 1;
        let models = if settings.models + 1 == 1 << self.setting.workloads.len() {
            "all models known".to_owned()
        } else {
            format!("models {:b} known", settings.models)
        };
        let line = format!(
            "{} restarts: {} batches may wait, a checkpoint every {} messages, {models}",
            member.name, settings.mailbox, settings.checkpoint_messages
        );
        let seen = member.device.take_seen();
        self.story.tell(line);
        self.hear(at, seen)?;
        self.reopen(at)
    }

    pub(super) fn back_up(&mut self, at: usize) -> Result<(), Violation> {
        let backup = self.image(at);
        self.members[at].backup = Some(backup);
        let name = &self.members[at].name;
        self.story.tell(format!("{name} is backed up"));
        Ok(())
    }

    fn image(&self, at: usize) -> Backup {
        let member = &self.members[at];
        let (ledger, watch) = (member.ledger.clone(), member.watch.clone());
        Backup { image: member.device.disk.image(), ledger, watch }
    }

    /// The device is lost and comes back from its backup, on another disk.
    pub(super) fn restore(&mut self, at: usize) -> Result<(), Violation> {
        let Some(backup) = self.members[at].backup.clone() else { return Ok(()) };
        let place = self.place();
        let name = self.members[at].name.clone();
        self.counts.restores += 1;
        self.story.tell(format!("{name} is lost and restored from its backup"));
        self.set_back(at, backup, Some(place))
    }

    /// The device's disk is as it was at its backup, in the same place, and nothing tells: only a peer
    /// that holds more of its feed can. So it must meet one before it writes.
    pub(super) fn roll_back(&mut self, at: usize) -> Result<(), Violation> {
        let Some(backup) = self.members[at].backup.clone() else { return Ok(()) };
        let name = self.members[at].name.clone();
        let witnesses: Vec<_> = backup
            .watch
            .last
            .iter()
            .filter(|(feed, reach)| reach.own && self.reaches_elsewhere(at, feed) > reach.stored)
            .map(|(feed, _)| *feed)
            .collect();
        let mut ranges = Vec::new();
        for feed in witnesses {
            let stored = backup.watch.last[&feed].stored;
            let holder = (0..self.members.len())
                .find(|other| *other != at && self.holds(*other, &feed) > stored);
            // Nobody can show it what it forgot.
            let Some(holder) = holder else { return Ok(()) };
            match self.read(holder, &feed, stored)? {
                Some(range) => ranges.push(range),
                None => return Ok(()),
            }
        }
        self.counts.restores += 1;
        self.story.tell(format!("the disk of {name} is set back to its backup"));
        self.set_back(at, backup, None)?;
        for range in ranges {
            self.ingest(at, range, "")?;
        }
        Ok(())
    }

    fn set_back(
        &mut self,
        at: usize,
        backup: Backup,
        place: Option<Vec<u8>>,
    ) -> Result<(), Violation> {
        let splits = self.setting.splits_positions;
        let member = &mut self.members[at];
        let seen = member.device.take_seen();
        member.device.replace_disk(&backup.image, splits, place);
        // Own blocks that nobody saw are gone with the disk.
        let own = member.watch.last.iter().filter(|(_, reach)| reach.own);
        let own: Vec<_> = own.map(|(feed, _)| *feed).collect();
        for feed in own {
            let kept = backup.watch.last.get(&feed).map_or(0, |reach| reach.stored);
            self.lose(at, &feed, kept);
            self.set_back.insert(feed);
        }
        self.hear(at, seen)?;
        let member = &mut self.members[at];
        (member.ledger, member.watch) = (backup.ledger, backup.watch);
        self.reopen(at)
    }

    /// The directory is copied and opened as one more device.
    pub(super) fn copy(&mut self, at: usize, choice: u64) -> Result<(), Violation> {
        if self.members.len() >= MEMBERS_MAX {
            return Ok(());
        }
        let backup = self.image(at);
        let place = self.place();
        let member = &self.members[at];
        let name = format!("{}{}", member.name, self.members.len());
        self.story.tell(format!("the disk of {} is copied and opened as {name}", member.name));
        let identity = member.device.identity.clone();
        let settings = self.settings(choice, true);
        let splits = self.setting.splits_positions;
        let disk = crate::backend::Disk::holding(&backup.image, splits);
        let clock_latest = member.device.clock_latest;
        let mut device = crate::device::Device::new(identity, settings, disk, place);
        device.clock_latest = clock_latest;
        let asked = member.asked || at == 0;
        self.counts.restores += 1;
        self.join(device, name, Some(backup), asked).map(drop)
    }
}

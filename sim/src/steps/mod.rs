//! What each step of a plan does to the world.

mod disks;
mod exchange;
mod hostile;
mod writing;

use crate::oracle::Violation;
use crate::plan::Step;
use crate::random::Random;
use crate::world::World;

impl World<'_> {
    /// Does one step. One that finds nothing to act on does nothing.
    pub(crate) fn step(&mut self, step: &Step) -> Result<(), Violation> {
        self.tick();
        self.counts.steps += 1;
        match *step {
            Step::Write { device, operations, choice, synced } => {
                self.write(self.member(device), operations, choice, synced)
            }
            Step::Send { from, to, choice } => self.send(self.member(from), to, choice),
            Step::Deliver { pick } => self.arrive(pick),
            Step::Duplicate { pick } => self.arrive_twice(pick),
            Step::Drop { pick } => {
                self.network.drop_one(pick);
                Ok(())
            }
            Step::Corrupt { pick, at } => self.arrive_damaged(pick, at),
            Step::Exchange { from, to } => {
                let applies = (from ^ to) & 1 == 0;
                let (from, to) = (self.member(from), self.member(to));
                if from == to || !self.network.connects(from, to) {
                    return Ok(());
                }
                self.pull(from, to, applies, true).map(drop)
            }
            Step::Partition { sides } => {
                self.network.partition(sides);
                self.story.tell("the network splits");
                Ok(())
            }
            Step::Reunite => {
                self.network.partition(0);
                self.story.tell("the network heals");
                Ok(())
            }
            Step::Process { device, blocks } => self.process(self.member(device), blocks),
            Step::Apply { device, pick, count } => self.apply(self.member(device), pick, count),
            Step::Look { device, choice } => self.look(self.member(device), choice),
            Step::Checkpoint { device, item } => self.checkpoint(self.member(device), item),
            Step::Evict { device, item } => self.evict(self.member(device), item),
            Step::Crash { device, kept } => self.recover(self.member(device), kept),
            Step::CutPower { device, call, after, kept } => {
                self.cut_power(self.member(device), call, after, kept)
            }
            Step::Restart { device, choice } => self.restart(self.member(device), choice),
            Step::Clock { device, choice } => {
                let at = self.member(device);
                let millis = [-3_600_000, -1_000, 0, 1_000, 400_000][(choice % 5) as usize];
                self.members[at].device.clock_ahead = millis;
                let name = &self.members[at].name;
                self.story.tell(format!("the clock of {name} is {millis} ms ahead"));
                Ok(())
            }
            Step::Admit { device, by } => self.admit_next(device, self.member(by)),
            Step::Renew { device } => self.renew(self.member(device)).map(drop),
            Step::Backup { device } => self.back_up(self.member(device)),
            Step::Restore { device } => self.restore(self.member(device)),
            Step::RollBack { device } => self.roll_back(self.member(device)),
            Step::Copy { device, choice } => self.copy(self.member(device), choice),
            Step::Hostile { choice } => self.misbehave(choice),
            Step::Fork { to, choice } => self.fork(self.member(to), choice),
            Step::Stranger { to, choice } => self.stranger(self.member(to), choice),
        }
    }

    fn member(&self, choice: u64) -> usize {
        (choice % self.members.len() as u64) as usize
    }

    fn process(&mut self, at: usize, blocks: u64) -> Result<(), Violation> {
        let done = self.act(at, |device, now| device.process(blocks as usize, now))?;
        if let Some(done) = done.filter(|done| *done > 0) {
            let name = &self.members[at].name;
            self.story.tell(format!("{name} processes {done} blocks"));
        }
        Ok(())
    }

    fn apply(&mut self, at: usize, pick: u64, count: u64) -> Result<(), Violation> {
        let mut random = Random::new(pick);
        let mut done = 0;
        for _ in 0..count {
            let pick = random.number() as usize;
            let applied = self.act(at, |device, _| Ok(device.apply(pick)))?;
            done += u64::from(applied == Some(true));
        }
        if done > 0 {
            let name = &self.members[at].name;
            self.story.tell(format!("items of {name} apply {done} batches that wait"));
        }
        Ok(())
    }

    /// Users of a device look at its items, which brings them into memory; one of them is held against
    /// the replay of its messages.
    fn look(&mut self, at: usize, choice: u64) -> Result<(), Violation> {
        let Some(items) = self.act(at, |device, _| device.items())? else { return Ok(()) };
        let checked = (choice % items.len().max(1) as u64) as usize;
        for item in &items {
            self.act(at, |device, _| device.digest(&item.id))?;
        }
        if let Some(item) = items.get(checked) {
            self.state(at, &item.id)?;
            let name = &self.members[at].name;
            self.story.tell(format!("the users of {name} look at its {} items", items.len()));
        }
        Ok(())
    }

    fn checkpoint(&mut self, at: usize, pick: u64) -> Result<(), Violation> {
        let Some(item) = self.item_of(at, pick)? else { return Ok(()) };
        if self.act(at, |device, _| device.checkpoint(&item))? == Some(true) {
            let (name, item) = (&self.members[at].name, self.names.item(&item));
            self.story.tell(format!("{name} writes a checkpoint of {item}"));
        }
        Ok(())
    }

    fn evict(&mut self, at: usize, pick: u64) -> Result<(), Violation> {
        let Some(item) = self.item_of(at, pick)? else { return Ok(()) };
        if self.act(at, |device, _| device.evict(&item))? == Some(true) {
            let (name, item) = (&self.members[at].name, self.names.item(&item));
            self.story.tell(format!("{item} leaves the memory of {name}"));
        }
        Ok(())
    }

    fn item_of(&mut self, at: usize, pick: u64) -> Result<Option<systole::ItemId>, Violation> {
        let items = self.members[at].device.items();
        let items = items.map_err(|error| self.failure(at, "cannot list its items", &error))?;
        Ok(items.get((pick % items.len().max(1) as u64) as usize).map(|item| item.id))
    }
}

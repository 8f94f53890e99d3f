//! Those who do not keep the rules: an admitted author, its puppet, and strangers.

use systole::{FeedKey, PublicKey, Signer};
use systole_proto::{Block, Claim};

use crate::byzantine::{Made, Misdeed, RawFeed, Sight, credential};
use crate::network::Packet;
use crate::oracle::Violation;
use crate::random::{Random, derived};
use crate::world::World;

impl World<'_> {
    /// The founder lets in somebody it should not have trusted.
    pub(crate) fn admit_hostile(&mut self) -> Result<(), Violation> {
        self.founder_feed = self.members[0].device.own_feed();
        let mut random = Random::new(derived(self.seed, 4));
        let raw = RawFeed::new(&mut random);
        let puppet = RawFeed::new(&mut random);
        self.names.name_feed(raw.key(), "M");
        self.names.name_feed(puppet.key(), "P");
        self.hostile_feeds.extend([raw.key(), puppet.key()]);
        if let Some(request) = raw.request(self.party)
            && self.act(0, |device, now| device.admit(&request, now))?.is_some()
        {
            self.story.tell("A admits M, who will not keep the rules");
        }
        (self.hostile, self.puppet) = (Some(raw), Some(puppet));
        Ok(())
    }

    /// The hostile author writes something, or shows what it wrote.
    pub(super) fn misbehave(&mut self, choice: u64) -> Result<(), Violation> {
        let mut random = Random::new(choice);
        let Some(mut raw) = self.hostile.take() else { return Ok(()) };
        let Some(mut puppet) = self.puppet.take() else { return Ok(()) };
        let done = match random.below(8) {
            0 | 1 => self.show_raw(&raw, &mut random),
            2 => self.show_raw(&puppet, &mut random),
            3 => self.lead_puppet(&mut raw, &mut puppet, &mut random),
            4 if puppet.length() > 0 => {
                let after = raw.key();
                self.misdeed(&mut puppet, "P", Some(after), &mut random)
            }
            // Who never hears of its own admission has no say.
            _ => {
                let after = self.founder_feed.filter(|_| !random.one_in(6));
                self.misdeed(&mut raw, "M", after, &mut random)
            }
        };
        (self.hostile, self.puppet) = (Some(raw), Some(puppet));
        done
    }

    fn misdeed(
        &mut self,
        raw: &mut RawFeed,
        name: &str,
        after: Option<FeedKey>,
        random: &mut Random,
    ) -> Result<(), Violation> {
        if raw.stuck {
            return Ok(());
        }
        let workload = random.any(&self.setting.workloads);
        let model =
            workload.map_or(("nobody.knows", 1), |known| (known.type_name(), known.version()));
        let sight = Sight { archive: &self.archive, items: &self.items, party: self.party, model };
        let Some(misdeed) = raw.misbehave(random, &sight, after) else { return Ok(()) };
        self.keep(raw, name, misdeed);
        Ok(())
    }

    /// Records the last block of a feed written by hand.
    fn keep(&mut self, raw: &mut RawFeed, name: &str, misdeed: Misdeed) {
        let Misdeed { what, past, messages } = misdeed;
        let (feed, seq) = (raw.key(), raw.length() - 1);
        let linked = past.len();
        let past = raw.close_past(&self.records);
        for (item, _) in &messages {
            if *item == systole::ItemId::of(&feed, seq) {
                self.names.name_item(*item);
                self.items.push(Made { id: *item, feed, seq });
            }
        }
        self.records.push(feed, past, messages, &raw.blocks[seq as usize]);
        self.counts.hostile += 1;
        let place = self.names.position(&feed, seq);
        self.story.note(&linked.to_be_bytes());
        self.story.tell(format!("{name} writes {what}, as {place}"));
    }

    /// Admissions in any order: the puppet's feed, the puppet, the puppet's own word.
    fn lead_puppet(
        &mut self,
        raw: &mut RawFeed,
        puppet: &mut RawFeed,
        random: &mut Random,
    ) -> Result<(), Violation> {
        let (party, key) = (self.party, PublicKey(puppet.device.public_key()));
        let none =
            || Misdeed { what: String::new(), past: Default::default(), messages: Vec::new() };
        if puppet.length() == 0 && random.one_in(2) {
            if puppet.introduce(party).is_some() {
                self.keep(puppet, "P", Misdeed { what: "its own admission".to_owned(), ..none() });
            }
            return Ok(());
        }
        if raw.stuck {
            return Ok(());
        }
        let (body, what) = if random.one_in(2) {
            let claim = Claim::KeyAdmission { party, key };
            (credential(&claim, &[&puppet.device, &raw.device]), "the admission of P")
        } else {
            let claim = Claim::FeedAdmission { party, feed: puppet.key(), key };
            (credential(&claim, &[puppet.signer(), &puppet.device]), "the admission of P's feed")
        };
        let Some(body) = body else { return Ok(()) };
        raw.blocks.push(Block { body, ..Block::default() }.encode());
        self.keep(raw, "M", Misdeed { what: what.to_owned(), ..none() });
        Ok(())
    }

    /// Sends a part of a feed written by hand to some device.
    fn show_raw(&mut self, raw: &RawFeed, random: &mut Random) -> Result<(), Violation> {
        let to = random.below(self.members.len());
        let known = self.members[to].watch.last.get(&raw.key()).map_or(0, |reach| reach.stored);
        if raw.length() == 0 || known >= raw.length() {
            return Ok(());
        }
        let end = known + 1 + random.below((raw.length() - known) as usize) as u64;
        let Some(range) = raw.range(known, end) else { return Ok(()) };
        let (feed, name) = (self.names.feed(&range.feed), &self.members[to].name);
        self.story.tell(format!("{feed}/{known}..{end} is sent to {name}"));
        self.network.send(Packet { from: None, to, range });
        Ok(())
    }

    /// The hostile author signs a second history and shows it to one device.
    pub(super) fn fork(&mut self, to: usize, choice: u64) -> Result<(), Violation> {
        let mut random = Random::new(choice);
        let Some(raw) = self.hostile.take() else { return Ok(()) };
        let mut forked = match self.forked.take() {
            Some(forked) => forked,
            None if raw.length() < 2 => {
                self.hostile = Some(raw);
                return Ok(());
            }
            None => raw.fork(1 + random.below(2)),
        };
        self.archive.two_faced.insert(raw.key());
        let party = self.party;
        let claim = Claim::KeyAdmission { party, key: PublicKey(random.bytes()) };
        if let Some(body) = credential(&claim, &[&forked.device]) {
            forked.blocks.push(Block { body, ..Block::default() }.encode());
        }
        self.counts.hostile += 1;
        if let Some(range) = forked.range(0, forked.length()) {
            let name = &self.members[to].name;
            self.story.tell(format!("M signs a second history and shows it to {name}"));
            self.ingest(to, range, ", of the second history")?;
        }
        (self.hostile, self.forked) = (Some(raw), Some(forked));
        Ok(())
    }

    /// A feed that nobody admitted.
    pub(super) fn stranger(&mut self, to: usize, choice: u64) -> Result<(), Violation> {
        let mut random = Random::new(choice);
        let mut raw = RawFeed::new(&mut random);
        let count = 1 + random.below(3);
        for _ in 0..count {
            match random.below(3) {
                0 => drop(raw.introduce(self.party)),
                1 => raw.blocks.push(Block::default().encode()),
                _ => raw.blocks.push(vec![random.number() as u8; 1 + random.below(30)].into()),
            }
        }
        self.names.name_feed(raw.key(), "S");
        self.counts.hostile += count as u64;
        let Some(range) = raw.range(0, raw.length()) else { return Ok(()) };
        for seq in 0..raw.length() {
            let block = raw.blocks[seq as usize].clone();
            self.records.push(raw.key(), Default::default(), Vec::new(), &block);
        }
        self.hostile_feeds.insert(raw.key());
        let name = &self.members[to].name;
        self.story.tell(format!("a stranger sends {} blocks to {name}", raw.length()));
        self.ingest(to, range, "")?;
        Ok(())
    }
}

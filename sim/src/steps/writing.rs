//! Devices write: items, mutations, moves, admissions.

use systole::{Durability, ItemId, ItemInfo};

use crate::device::Operation;
use crate::oracle::Violation;
use crate::random::Random;
use crate::world::World;

/// Label of messages for an item's model, and for its metadata.
const MODEL: u32 = 0;
const METADATA: u32 = 1;

/// One operation: itself, its messages, and how the story shows it. The messages of a new item are
/// known only by its position.
struct Planned {
    operation: Operation,
    item: Option<ItemId>,
    labels: Vec<u32>,
    shown: String,
}

impl World<'_> {
    pub(super) fn write(
        &mut self,
        at: usize,
        operations: u64,
        choice: u64,
        synced: bool,
    ) -> Result<(), Violation> {
        if self.members[at].device.own_feed().is_none() && !self.renew(at)? {
            return Ok(());
        }
        let Some(feed) = self.members[at].device.own_feed() else { return Ok(()) };
        if !self.members[at].watch.last.get(&feed).is_some_and(|reach| reach.admitted) {
            return Ok(());
        }
        let mut random = Random::new(choice);
        let Some(items) = self.act(at, |device, _| device.items())? else { return Ok(()) };
        let mut planned = Vec::new();
        for _ in 0..operations {
            planned.extend(self.operation(at, &items, &mut random)?);
        }
        if planned.is_empty() {
            return Ok(());
        }
        let seq = self.members[at].watch.last.get(&feed).map_or(0, |reach| reach.stored);
        let (mut messages, mut shown, mut list) = (Vec::new(), Vec::new(), Vec::new());
        for (seq, planned) in (seq..).zip(planned) {
            let item = planned.item.unwrap_or_else(|| ItemId::of(&feed, seq));
            messages.push(planned.labels.into_iter().map(|label| (item, label)).collect());
            shown.push(planned.shown);
            list.push(planned.operation);
        }
        let count = list.len() as u64;
        self.members[at].pending = Some((feed, seq, messages));
        let durability = if synced { Durability::Synced } else { Durability::Buffered };
        let name = self.members[at].name.clone();
        let last = self.names.position(&feed, seq);
        let how = if synced { "synced" } else { "buffered" };
        self.story.tell(format!("{name} {}, {how}, as {last}", shown.join(", and ")));
        let written = self.act(at, |device, now| device.write(list, durability, now))?;
        let Some(receipt) = written else { return Ok(()) };
        self.counts.writes += 1;
        if synced {
            for seq in receipt.seq..receipt.seq + count {
                let member = &mut self.members[at];
                if let Ok(Some(block)) = member.device.block(&receipt.feed, seq) {
                    member.ledger.acknowledge(receipt.feed, seq, block);
                }
            }
        }
        Ok(())
    }

    fn operation(
        &mut self,
        at: usize,
        items: &[ItemInfo],
        random: &mut Random,
    ) -> Result<Option<Planned>, Violation> {
        let structure = self.structure && !items.is_empty();
        Ok(match random.below(20) {
            _ if items.is_empty() => self.creation(at, items, random),
            0 => self.creation(at, items, random),
            1..=2 if items.len() < 3 => self.creation(at, items, random),
            3..=5 if structure => {
                let (Some(item), parent) = (random.any(items), random.any(items)) else {
                    return Ok(None);
                };
                let parent = parent.filter(|_| !random.one_in(4)).map(|parent| parent.id);
                let below = parent.map_or("the top".to_owned(), |parent| self.names.item(&parent));
                let shown = format!("moves {} to {below}", self.names.item(&item.id));
                let operation = Operation::Move { item: item.id, parent };
                Some(Planned { operation, item: Some(item.id), labels: Vec::new(), shown })
            }
            6 if structure => {
                let Some(item) = random.any(items) else { return Ok(None) };
                let name = self.names.item(&item.id);
                let (operation, shown) = if item.deleted {
                    (Operation::Restore { item: item.id }, format!("restores {name}"))
                } else {
                    (Operation::Delete { item: item.id }, format!("deletes {name}"))
                };
                Some(Planned { operation, item: Some(item.id), labels: Vec::new(), shown })
            }
            7 if structure => {
                let Some(item) = random.any(items) else { return Ok(None) };
                let Some(mutation) = crate::workload::object_users(random, &object()) else {
                    return Ok(None);
                };
                let shown = format!("gives {} metadata {mutation:?}", self.names.item(&item.id));
                let operation = Operation::MutateMetadata { item: item.id, mutation };
                Some(Planned { operation, item: Some(item.id), labels: vec![METADATA], shown })
            }
            _ => self.mutation(at, items, random)?,
        })
    }

    fn creation(&mut self, at: usize, items: &[ItemInfo], random: &mut Random) -> Option<Planned> {
        let known = self.members[at].device.settings.models;
        let setting = self.setting;
        let number = random.below(setting.workloads.len());
        let workload = setting.workloads.get(number).filter(|_| known >> number & 1 == 1)?;
        let first = if random.one_in(2) { workload.first(random) } else { None };
        let metadata = self.structure && random.one_in(4);
        let metadata = metadata.then(|| crate::workload::object_users(random, &object())).flatten();
        let parent = random.any(items).filter(|_| self.structure && !random.one_in(3));
        let model = workload.type_name();
        let mut shown = format!("creates an item of {model}");
        if let Some(parent) = parent {
            shown.push_str(&format!(" under {}", self.names.item(&parent.id)));
        }
        if let Some((_, first)) = &first {
            shown.push_str(&format!(" with {first}"));
        }
        let labels = if metadata.is_some() { vec![MODEL, METADATA] } else { vec![MODEL] };
        let operation = Operation::Create {
            model,
            version: workload.version(),
            parent: parent.map(|parent| parent.id),
            init: first.map(|(first, _)| first),
            metadata,
        };
        Some(Planned { operation, item: None, labels, shown })
    }

    fn mutation(
        &mut self,
        at: usize,
        items: &[ItemInfo],
        random: &mut Random,
    ) -> Result<Option<Planned>, Violation> {
        let Some(item) = random.any(items) else { return Ok(None) };
        let setting = self.setting;
        let member = &mut self.members[at];
        let known = member.device.settings.models;
        let workloads = setting.workloads.iter().enumerate();
        let workload = workloads.filter(|(bit, _)| known >> bit & 1 == 1).map(|(_, known)| known);
        let Some(workload) = workload
            .into_iter()
            .find(|known| known.type_name() == item.model && known.version() == item.version)
        else {
            return Ok(None);
        };
        let id = item.id;
        let made = self.act(at, |device, _| workload.next(device, &id, random))?;
        let Some((mutation, shown)) = made.flatten() else { return Ok(None) };
        let shown = format!("writes {shown} to {}", self.names.item(&id));
        let operation = Operation::Mutate { item: id, mutation };
        Ok(Some(Planned { operation, item: Some(id), labels: vec![MODEL], shown }))
    }

    /// `by` lets device `at` in.
    pub(crate) fn admit(&mut self, at: usize, by: usize) -> Result<bool, Violation> {
        let Some(request) = self.act(at, |device, _| device.request())? else { return Ok(false) };
        let (name, admitter) = (self.members[at].name.clone(), self.members[by].name.clone());
        let admitted = self.act(by, |device, now| device.admit(&request, now))?.is_some();
        if admitted {
            self.members[at].asked = true;
            self.story.tell(format!("{admitter} admits {name}"));
        }
        Ok(admitted)
    }

    /// A device that was not let in yet is, if `by` may.
    pub(super) fn admit_next(&mut self, choice: u64, by: usize) -> Result<(), Violation> {
        let waiting: Vec<usize> = (1..self.members.len())
            .filter(|at| *at != by && !self.members[*at].asked && self.speaks(by))
            .collect();
        match waiting.get((choice % waiting.len().max(1) as u64) as usize) {
            Some(at) => self.admit(*at, by).map(drop),
            None => Ok(()),
        }
    }

    /// Whether a device has a feed that it may write to.
    pub(crate) fn speaks(&self, at: usize) -> bool {
        self.members[at]
            .watch
            .last
            .values()
            .any(|reach| reach.own && reach.admitted && !reach.halted)
    }

    /// The device goes on in a fresh feed.
    pub(super) fn renew(&mut self, at: usize) -> Result<bool, Violation> {
        // Who is not let in has nothing to go on with.
        if at != 0 && !self.members[at].asked {
            return Ok(false);
        }
        let renewed = self.act(at, |device, now| device.renew_feed(now))?;
        if let Some(feed) = &renewed {
            let (name, feed) = (&self.members[at].name, self.names.feed(feed));
            self.story.tell(format!("{name} goes on in a fresh feed {feed}"));
        }
        Ok(renewed.is_some())
    }
}

fn object() -> systole_models::Object {
    <systole_models::Object as systole_models::Model>::empty()
}

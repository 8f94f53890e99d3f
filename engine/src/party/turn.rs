//! One turn of a party: everything that is written together, and what is told afterwards.
//!
//! Invariant: the batch holds every storing effect of the turn and the positions they lead to; nobody
//! is told before it is written.

use systole_store::{Batch, CredentialRecord, Durability, FeedNo, ItemKey, PartyNo, Store};

use super::effect::Effect;
use crate::Event;
use crate::item::state::Incoming;

/// What a turn has gathered.
#[derive(Default)]
pub(crate) struct Turn {
    pub(crate) batch: Batch,
    pub(crate) effects: Vec<Effect>,
    pub(crate) durable: bool,
    /// Stored blocks that were processed: their feeds move on, even where they changed nothing else.
    pub(crate) processed: usize,
    /// Answers for whoever waits for the commit.
    pub(crate) answers: Vec<Answer>,
    /// Own feeds that were written to: their messages are applied already.
    pub(crate) written: Vec<FeedNo>,
    /// Items that have applied local mutations of this turn, some more than once.
    pub(crate) mutated: Vec<ItemKey>,
    /// Feeds whose blocks are in the batch and not yet in the store.
    pub(crate) extended: Vec<FeedNo>,
}

/// Tells one waiting caller how the commit went.
pub(crate) type Answer = Box<dyn FnOnce(Result<(), crate::Error>) + Send>;

/// What is told once the batch is written.
#[derive(Default)]
pub(crate) struct Told {
    /// Messages for items, by rising item, those of each in processing order.
    pub(crate) deliveries: Vec<(ItemKey, Vec<Incoming>)>,
    pub(crate) events: Vec<Event>,
    pub(crate) records: Vec<std::sync::Arc<systole_store::ItemRecord>>,
    pub(crate) messages: u64,
    pub(crate) quarantined: u64,
}

impl Turn {
    pub(crate) fn is_empty(&self) -> bool {
        self.batch.is_empty()
            && self.effects.is_empty()
            && self.answers.is_empty()
            && self.processed == 0
    }

    pub(crate) fn durability(&self) -> Durability {
        if self.durable { Durability::Synced } else { Durability::Buffered }
    }

    /// Moves the storing effects into the batch and returns what is told afterwards. `genesis` is set
    /// to the feed of the party's genesis when that was found.
    pub(crate) fn lay_down(
        &mut self,
        store: &Store,
        party: PartyNo,
        next_credential: &mut u64,
        genesis: &mut Option<FeedNo>,
    ) -> Told {
        let mut told = Told::default();
        let (mut places, mut messages) = (Vec::new(), Vec::new());
        let batch = &mut self.batch;
        for effect in std::mem::take(&mut self.effects) {
            match effect {
                Effect::Step { feed, step } => store.feeds().put_step(batch, feed, &step),
                Effect::Alias { feed, alias, target } => {
                    store.feeds().put_alias(batch, feed, alias, target);
                }
                Effect::Credential { feed, seq, bytes } => {
                    let record = CredentialRecord { feed, seq, bytes };
                    store.meta().put_credential(batch, party, *next_credential, &record);
                    *next_credential += 1;
                }
                Effect::Genesis { feed } => *genesis = Some(feed),
                Effect::Item { record, previous } => {
                    store.items().put_item(batch, &record, previous.as_deref());
                    told.records.push(record);
                }
                Effect::Message { item, entry, key, past, payload } => {
                    // An index and not the message, for a turn sorts thousands of them.
                    places.push((item, messages.len()));
                    let applied = self.written.contains(&entry.feed);
                    let incoming = Incoming { entry, key, past, payload };
                    messages.push((entry, (!applied).then_some(incoming)));
                }
                Effect::Quarantine { feed, seq, code, reason } => {
                    told.quarantined += 1;
                    store.meta().put_quarantine(batch, party, feed, seq, code, &reason);
                }
                Effect::Event(event) => told.events.push(event),
            }
        }
        told.messages = messages.len() as u64;
        places.sort_unstable();
        let mut entries = Vec::new();
        for places in places.chunk_by(|(item, _), (next, _)| item == next) {
            let item = places[0].0;
            entries.clear();
            let mut delivered = Vec::new();
            for (_, at) in places {
                let (entry, incoming) = &mut messages[*at];
                entries.push(*entry);
                delivered.extend(incoming.take());
            }
            store.items().put_log(batch, item, &entries);
            if !delivered.is_empty() {
                told.deliveries.push((item, delivered));
            }
        }
        told
    }
}

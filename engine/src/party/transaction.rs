//! Several operations of one author, written together or not at all.

use std::any::Any;
use std::marker::PhantomData;

use systole_models::{Model, ObjectMutation};
use systole_proto::{FeedKey, ItemId};
use systole_store::{Durability, ItemKey};
use tokio::sync::oneshot;

use super::command::{Operation, Receipt, Write, Written};
use super::effect::LocalBody;
use super::handle::Party;
use crate::item::actor::LocalMutation;
use crate::settings::TRANSACTION_OPERATIONS_MAX;
use crate::{Error, Item};

/// An item that is about to be created.
pub struct NewItem<M: Model> {
    parent: Option<ItemKey>,
    init: Option<M::Mutation>,
    metadata: Option<ObjectMutation>,
    model: PhantomData<fn() -> M>,
}

impl<M: Model> NewItem<M> {
    /// An item without content, metadata or parent.
    pub fn new() -> Self {
        Self { parent: None, init: None, metadata: None, model: PhantomData }
    }

    /// With a first mutation.
    pub fn with(mut self, mutation: M::Mutation) -> Self {
        self.init = Some(mutation);
        self
    }

    /// With metadata.
    pub fn metadata(mut self, mutation: ObjectMutation) -> Self {
        self.metadata = Some(mutation);
        self
    }

    /// Under another item.
    pub fn under<P: Model>(mut self, parent: &Item<P>) -> Self {
        self.parent = Some(parent.key());
        self
    }
}

impl<M: Model> Default for NewItem<M> {
    fn default() -> Self {
        Self::new()
    }
}

impl<M: Model> std::fmt::Debug for NewItem<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewItem").field("model", &M::TYPE).finish_non_exhaustive()
    }
}

/// Operations of one author, gathered until [`Transaction::commit`].
///
/// They become consecutive messages under one signed head. When one is refused none is written. An
/// operation on an item sees the operations on it before, but an item must exist before the
/// transaction for the transaction to mutate it.
#[must_use = "nothing is written before the commit"]
pub struct Transaction {
    party: Party,
    author: Option<FeedKey>,
    effective_at: Option<i64>,
    durability: Option<Durability>,
    operations: Vec<Operation>,
}

impl Transaction {
    pub(crate) fn new(party: Party) -> Self {
        let (author, effective_at, durability) = (None, None, None);
        Self { party, author, effective_at, durability, operations: Vec::new() }
    }

    /// Writes to this feed of this device instead of its first one.
    pub fn author(mut self, feed: FeedKey) -> Self {
        self.author = Some(feed);
        self
    }

    /// The time that the user gives for what is written, in milliseconds since the Unix epoch.
    pub fn effective_at(mut self, millis: i64) -> Self {
        self.effective_at = Some(millis);
        self
    }

    /// What the messages survive once the commit is acknowledged, instead of the engine's default.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = Some(durability);
        self
    }

    /// Creates an item.
    pub fn create<M: Model>(self, item: NewItem<M>) -> Self {
        let NewItem { parent, init, metadata, .. } = item;
        let init = init.map(|init| Box::new(init) as Box<dyn Any + Send>);
        let (model, version) = (M::TYPE.to_owned(), M::VERSION);
        self.with(Operation::Create { model, version, parent, init, metadata })
    }

    /// Mutates an item.
    pub fn mutate<M: Model>(self, item: &Item<M>, mutation: M::Mutation) -> Self {
        let mutation = LocalMutation::Model(Box::new(mutation));
        self.with(Operation::Mutate { item: item.key(), id: item.id(), mutation })
    }

    /// Mutates an item's metadata.
    pub fn metadata<M: Model>(self, item: &Item<M>, mutation: ObjectMutation) -> Self {
        let mutation = LocalMutation::Metadata(mutation);
        self.with(Operation::Mutate { item: item.key(), id: item.id(), mutation })
    }

    /// Deletes an item. It can be restored; its content stays.
    pub fn delete<M: Model>(self, item: &Item<M>) -> Self {
        let body = LocalBody::Tombstone { item: item.key(), restore: false };
        self.with(Operation::Plain(body))
    }

    /// Restores a deleted item.
    pub fn restore<M: Model>(self, item: &Item<M>) -> Self {
        let body = LocalBody::Tombstone { item: item.key(), restore: true };
        self.with(Operation::Plain(body))
    }

    /// Puts an item under another parent, or under none.
    pub fn move_to<M: Model, P: Model>(self, item: &Item<M>, parent: Option<&Item<P>>) -> Self {
        let body = LocalBody::Move { item: item.key(), parent: parent.map(Item::key) };
        self.with(Operation::Plain(body))
    }

    /// How many operations there are.
    pub fn len(&self) -> usize {
        self.operations.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// Writes all operations, and tells which items were created, in order.
    ///
    /// Cancelling this does not cancel the write once it has begun.
    ///
    /// # Errors
    /// `Rejected` when a model refuses a mutation: then nothing is written. `Invalid` when there is
    /// nothing to write or too much.
    pub async fn commit(self) -> Result<(Receipt, Vec<ItemId>), Error> {
        self.submit().await?.written().await
    }

    /// Hands all operations over without waiting until they are written. Transactions that one task
    /// submits are written in that order, those that are ready together under one commit; this is how
    /// many small ones are written fast.
    ///
    /// Waits while too many are on their way. A transaction that was submitted is written whether or
    /// not anybody waits for it, and one that is refused does not hold back those behind it.
    ///
    /// # Errors
    /// `Invalid` when there is nothing to write or too much. Whatever else is refused, [`Pending`] tells.
    pub async fn submit(self) -> Result<Pending, Error> {
        Ok(Pending(self.enqueue().await?))
    }

    pub(crate) async fn send(self) -> Result<Written, Error> {
        self.enqueue().await?.written().await
    }

    async fn enqueue(self) -> Result<PendingWrite, Error> {
        let Self { party, author: feed, effective_at, durability, operations } = self;
        if operations.is_empty() || operations.len() > TRANSACTION_OPERATIONS_MAX {
            return Err(Error::invalid(format!(
                "a transaction has between 1 and {TRANSACTION_OPERATIONS_MAX} operations, not {}",
                operations.len()
            )));
        }
        let durability = match durability {
            Some(durability) => durability,
            None => party.durability()?,
        };
        party.submit(|reply| Write { feed, operations, effective_at, durability, reply }).await
    }

    fn with(mut self, operation: Operation) -> Self {
        self.operations.push(operation);
        self
    }
}

/// A transaction on its way; see [`Transaction::submit`].
#[derive(Debug)]
#[must_use = "only the answer tells whether it was written"]
pub struct Pending(PendingWrite);

impl Pending {
    /// Waits until it is written, and tells which items were created, in order.
    ///
    /// # Errors
    /// As of [`Transaction::commit`].
    pub async fn written(self) -> Result<(Receipt, Vec<ItemId>), Error> {
        let written = self.0.written().await?;
        Ok((written.receipt, written.created.into_iter().map(|(_, id)| id).collect()))
    }
}

/// A write on its way to the party.
#[derive(Debug)]
pub(crate) struct PendingWrite {
    pub(super) answer: oneshot::Receiver<Result<Written, Error>>,
}

impl PendingWrite {
    pub(crate) async fn written(self) -> Result<Written, Error> {
        self.answer.await.map_err(|_| Error::closed("the party"))?
    }
}

impl std::fmt::Debug for Transaction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transaction").field("operations", &self.len()).finish_non_exhaustive()
    }
}

//! What a user holds of an item.
//!
//! Invariant: a handle does not keep its item in memory; the item is loaded again when it is asked
//! something and is not there.

use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use systole_models::{Model, Object, ObjectMutation};
use systole_proto::ItemId;
use systole_store::ItemKey;
use tokio::sync::oneshot;

use super::actor::{Command, ItemHandle};
use super::state::ItemState;
use super::subscribe::Subscription;
use crate::party::{ItemInfo, Party, Receipt};
use crate::{Error, ErrorKind};

/// How often an item is looked for again that left memory between being found and being asked.
const ATTEMPTS_MAX: usize = 8;

/// An item of model type `M`. Clones are handles to the same one.
pub struct Item<M: Model> {
    party: Party,
    key: ItemKey,
    id: ItemId,
    resident: Arc<Mutex<Option<ItemHandle>>>,
    model: PhantomData<fn() -> M>,
}

impl<M: Model> Item<M> {
    pub(crate) fn new(party: Party, key: ItemKey, id: ItemId) -> Self {
        Self { party, key, id, resident: Arc::default(), model: PhantomData }
    }

    /// The item's id, its name everywhere.
    pub fn id(&self) -> ItemId {
        self.id
    }

    /// Its party.
    pub fn party(&self) -> &Party {
        &self.party
    }

    /// Its type, parent, and whether it is deleted.
    pub fn info(&self) -> Result<ItemInfo, Error> {
        self.party.info(self.id)
    }

    /// Writes a mutation as one message. When this returns, views show it.
    ///
    /// Cancelling this does not cancel the write once it has begun.
    ///
    /// # Errors
    /// `Rejected` when the model refuses it (see [`Error::rejection`]); nothing is written then.
    pub async fn mutate(&self, mutation: M::Mutation) -> Result<Receipt, Error> {
        Ok(self.party.transaction().mutate(self, mutation).send().await?.receipt)
    }

    /// Writes several mutations, one message each, together or not at all.
    pub async fn mutate_all(
        &self,
        mutations: impl IntoIterator<Item = M::Mutation>,
    ) -> Result<Receipt, Error> {
        let start = self.party.transaction();
        let all = mutations.into_iter().fold(start, |all, mutation| all.mutate(self, mutation));
        Ok(all.send().await?.receipt)
    }

    /// Writes a mutation of the item's metadata.
    pub async fn mutate_metadata(&self, mutation: ObjectMutation) -> Result<Receipt, Error> {
        Ok(self.party.transaction().metadata(self, mutation).send().await?.receipt)
    }

    /// Deletes the item; it can be restored.
    pub async fn delete(&self) -> Result<Receipt, Error> {
        Ok(self.party.transaction().delete(self).send().await?.receipt)
    }

    /// Restores the item.
    pub async fn restore(&self) -> Result<Receipt, Error> {
        Ok(self.party.transaction().restore(self).send().await?.receipt)
    }

    /// Puts the item under another parent, or under none.
    pub async fn move_to<P: Model>(&self, parent: Option<&Item<P>>) -> Result<Receipt, Error> {
        Ok(self.party.transaction().move_to(self, parent).send().await?.receipt)
    }

    /// Runs `look` on the item's state, which holds everything processed before. The item waits
    /// meanwhile: look, do not work.
    pub async fn view<R: Send + 'static>(
        &self,
        look: impl FnOnce(&M) -> R + Send + 'static,
    ) -> Result<R, Error> {
        self.look(|state| {
            let model = state.model()?.as_any().downcast_ref::<M>();
            let model = model.ok_or_else(|| {
                Error::invalid("the item is kept raw, for its model type is not registered")
            })?;
            Ok(look(model))
        })
        .await
    }

    /// Runs `look` on the item's metadata.
    pub async fn view_metadata<R: Send + 'static>(
        &self,
        look: impl FnOnce(&Object) -> R + Send + 'static,
    ) -> Result<R, Error> {
        self.look(|state| Ok(look(state.metadata()?))).await
    }

    /// Every change from now on. A view taken after this call shows at least the state that the first
    /// update starts from.
    pub async fn subscribe(&self) -> Result<Subscription<M>, Error> {
        for _ in 0..ATTEMPTS_MAX {
            let (reply, answer) = oneshot::channel();
            let item = self.resident().await?;
            if item.send(Command::Subscribe(reply)).await.is_ok()
                && let Ok(receiver) = answer.await
            {
                return Ok(Subscription::new(receiver));
            }
            self.forget();
        }
        Err(Error::unavailable("the item keeps leaving memory"))
    }

    pub(crate) fn key(&self) -> ItemKey {
        self.key
    }

    async fn look<R: Send + 'static>(
        &self,
        look: impl FnOnce(&ItemState) -> Result<R, Error> + Send + 'static,
    ) -> Result<R, Error> {
        // An item that leaves memory drops what it was asked: the look is taken out only when it runs.
        let look = Arc::new(Mutex::new(Some(look)));
        for _ in 0..ATTEMPTS_MAX {
            let (reply, answer) = oneshot::channel();
            let look = look.clone();
            let view = Box::new(move |state: Result<&ItemState, &Error>| {
                let Some(look) = look.lock().unwrap_or_else(PoisonError::into_inner).take() else {
                    return;
                };
                let seen = match state {
                    Ok(state) => {
                        catch_unwind(AssertUnwindSafe(|| look(state))).unwrap_or_else(|_| {
                            Err(Error::new(ErrorKind::Invalid, "the view panicked"))
                        })
                    }
                    Err(error) => Err(error.clone()),
                };
                // Whoever looked may have gone.
                drop(reply.send(seen));
            });
            if self.resident().await?.send(Command::View(view)).await.is_ok()
                && let Ok(seen) = answer.await
            {
                return seen;
            }
            self.forget();
        }
        Err(Error::unavailable("the item keeps leaving memory"))
    }

    async fn resident(&self) -> Result<ItemHandle, Error> {
        let known = self.resident.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(item) = known.filter(ItemHandle::is_alive) {
            return Ok(item);
        }
        let item = self.party.resident(self.key, self.id).await?;
        *self.resident.lock().unwrap_or_else(PoisonError::into_inner) = Some(item.clone());
        Ok(item)
    }

    fn forget(&self) {
        *self.resident.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl<M: Model> Clone for Item<M> {
    fn clone(&self) -> Self {
        Self { resident: self.resident.clone(), ..Self::new(self.party.clone(), self.key, self.id) }
    }
}

impl<M: Model> std::fmt::Debug for Item<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Item")
            .field("id", &self.id)
            .field("model", &M::TYPE)
            .finish_non_exhaustive()
    }
}

//! The queue of a party: local writes and ranges of others, committed together.
//!
//! Invariants:
//! - a refused write changes nothing: items that had taken part of it are loaded anew before anything
//!   else is asked of them;
//! - a caller is answered after the commit.

use std::collections::BTreeMap;

use systole_proto::{Ed25519Signer, FeedKey};
use systole_store::{Durability, ItemKey};
use tokio::sync::oneshot;

use super::command::{Command, Ingest, Operation, Write, Written};
use super::core::{Ask, Laid, Preparing};
use super::effect::LocalBody;
use super::processor::{Beginning, PartyProcessor};
use super::turn::{Answer, Turn};
use crate::Error;
use crate::shared::Shared;

impl PartyProcessor {
    /// Does what is queued, in order, and commits it together.
    pub(super) async fn run_queue(&mut self) {
        self.core.tell_time(Shared::now_millis());
        let mut turn = Turn::default();
        for command in std::mem::take(&mut self.queue) {
            match command {
                Command::Write(write) => turn = self.write(write, turn).await,
                Command::Credentials { bytes, reply } => {
                    let operations = bytes
                        .into_iter()
                        .map(|bytes| Operation::Plain(LocalBody::Credential(bytes)))
                        .collect();
                    let durability = Durability::Synced;
                    let write =
                        Write { feed: None, operations, effective_at: None, durability, reply };
                    turn = self.write(write, turn).await;
                }
                Command::Ingest(ingest) => turn = self.ingest(ingest, turn).await,
                _ => unreachable!("only writes and ingests are queued"),
            }
        }
        self.commit(turn).await;
        self.end_turn(false).await;
    }

    async fn write(&mut self, write: Write, mut turn: Turn) -> Turn {
        let Write { feed, operations, effective_at, durability, reply } = write;
        let written = match self.core.begin(feed, operations, effective_at) {
            Ok(preparing) => self.prepare(preparing, durability, &mut turn).await,
            Err(error) => Err(error),
        };
        match written {
            Ok(written) => turn.answers.push(answer(written, reply)),
            // The caller may have gone; the write is refused all the same.
            Err(error) => drop(reply.send(Err(error))),
        }
        turn
    }

    /// Has every operation checked and applied, and puts the blocks into the turn. On failure
    /// everything is as before.
    async fn prepare(
        &mut self,
        mut preparing: Preparing,
        durability: Durability,
        turn: &mut Turn,
    ) -> Result<Written, Error> {
        if let Err(error) = self.ask_items(&mut preparing).await {
            let touched = preparing.touched();
            if !touched.is_empty() {
                // What they are loaded from must hold what this turn has written so far.
                self.commit(std::mem::take(turn)).await;
                self.residents.reload(&touched).await?;
            }
            return Err(error);
        }
        let Laid { written, created } = self.core.lay_out(preparing, durability, turn)?;
        for (key, id, state) in created {
            self.residents.bring(key, id, Some(state));
        }
        Ok(written)
    }

    /// Asks items for their mutations. Those that can answer at once do so in the order of the
    /// operations; the others are asked together, and work at the same time.
    async fn ask_items(&mut self, preparing: &mut Preparing) -> Result<(), Error> {
        let mut busy: BTreeMap<ItemKey, Vec<Ask>> = BTreeMap::new();
        while let Some(ask) = self.core.next(preparing)? {
            // Behind what the item has yet to be asked for.
            if !busy.is_empty()
                && let Some(asks) = busy.get_mut(&ask.item)
            {
                asks.push(ask);
                continue;
            }
            let operation = ask.operation;
            match self.residents.mutate_now(ask) {
                Ok(mutated) => preparing.answered(operation, mutated?)?,
                Err(ask) => busy.entry(ask.item).or_default().push(*ask),
            }
        }
        match busy.is_empty() {
            true => Ok(()),
            false => self.ask_busy_items(busy, preparing).await,
        }
    }

    async fn ask_busy_items(
        &mut self,
        busy: BTreeMap<ItemKey, Vec<Ask>>,
        preparing: &mut Preparing,
    ) -> Result<(), Error> {
        let mut asked = Vec::with_capacity(busy.len());
        let mut refused: Option<(usize, Error)> = None;
        let mut refuse = |operation: usize, error: Error| {
            if refused.as_ref().is_none_or(|(first, _)| operation < *first) {
                refused = Some((operation, error));
            }
        };
        for (item, asks) in busy {
            let operations: Vec<usize> = asks.iter().map(|ask| ask.operation).collect();
            let id = asks[0].id;
            let mutations = asks.into_iter().map(|ask| (ask.mutation, ask.at)).collect();
            match self.residents.bring(item, id, None).mutate(mutations).await {
                Ok(answer) => asked.push((item, operations, answer)),
                Err(error) => refuse(operations[0], error),
            }
        }
        // All of them, also when one has refused: the others may have applied theirs.
        for (item, operations, answer) in asked {
            let mutated = answer.await.unwrap_or_else(|_| Err((0, Error::closed("the item"))));
            match mutated {
                Ok(payloads) => {
                    for (operation, payload) in operations.into_iter().zip(payloads) {
                        if let Err(error) = preparing.answered(operation, payload) {
                            refuse(operation, error);
                        }
                    }
                }
                Err((applied, error)) => {
                    if applied > 0 {
                        preparing.touch(item);
                    }
                    refuse(operations[applied], error);
                }
            }
        }
        refused.map_or(Ok(()), |(_, error)| Err(error))
    }

    async fn ingest(&mut self, ingest: Ingest, mut turn: Turn) -> Turn {
        let Ingest { range, reply } = ingest;
        if self.core.must_commit_before(&range.feed(), &turn) {
            self.commit(std::mem::take(&mut turn)).await;
        }
        match self.core.take_range(&range, &mut turn) {
            Ok(ingested) => turn.answers.push(answer(ingested, reply)),
            Err(error) => {
                let _ = reply.send(Err(error));
            }
        }
        turn
    }

    /// Makes a further feed of this device.
    pub(super) async fn create_feed(&mut self, signer: Ed25519Signer) -> Result<FeedKey, Error> {
        self.core.tell_time(Shared::now_millis());
        let mut turn = Turn::default();
        let key = self.core.create_feed(signer, &mut turn)?;
        self.commit(turn).await;
        self.core.failure().map_or(Ok(key), Err)
    }

    /// Writes the first commit of the party on this device.
    pub(super) async fn begin(&mut self, beginning: Beginning) -> Result<(), Error> {
        self.core.tell_time(Shared::now_millis());
        let fresh = Ed25519Signer::generate().map_err(Error::no_randomness)?;
        let mut turn = Turn { batch: beginning.batch, durable: true, ..Turn::default() };
        self.core.keep_up(fresh, &mut turn)?;
        if let Some(founder) = beginning.founder {
            self.core.found(&founder, &mut turn)?;
        }
        self.commit(turn).await;
        self.core.failure().map_or(Ok(()), Err)
    }

    /// Gives this device a feed if it has none that it can write to, and admits it if it may.
    pub(super) async fn keep_up(&mut self) -> Result<(), Error> {
        self.core.tell_time(Shared::now_millis());
        let fresh = Ed25519Signer::generate().map_err(Error::no_randomness)?;
        let mut turn = Turn::default();
        self.core.keep_up(fresh, &mut turn)?;
        self.commit(turn).await;
        self.core.failure().map_or(Ok(()), Err)
    }
}

/// Sends `value` once the commit went well, else its failure.
fn answer<T: Send + 'static>(value: T, reply: oneshot::Sender<Result<T, Error>>) -> Answer {
    // A caller that went away needs no answer.
    Box::new(move |committed| drop(reply.send(committed.map(|()| value))))
}

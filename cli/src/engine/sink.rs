//! What an import writes to: a new party, with one feed per author and one item per file.
//!
//! Invariants:
//! - steps are written in order: transactions that are on their way together were sent in order, and
//!   nothing is sent behind one that could be refused;
//! - a commit is one transaction, unless it is larger than [`OPERATIONS_MAX`] or [`BYTES_MAX`], or an
//!   edit in it is so large that it has to be tried alone;
//! - memory is bounded by [`IN_FLIGHT_MAX`], [`IN_FLIGHT_BYTES_MAX`], the engine's own bounds, and 20
//!   bytes for every file.

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use systole::{
    CheckpointPolicy, Durability, Engine, FeedKey, Item, ItemId, ItemQuery, Model, NewItem, Object,
    ObjectMutation, Party, Pending, Text, TextChange, TextMutation, TextRejection, Transaction,
};

use super::fault::fault;
use super::origin::{self, PATH};
use crate::diff::{Edit, halve};
use crate::error::{Error, Result};
use crate::git::ObjectId;
use crate::import::{AuthorId, Figures, File, FileId, Sink, Step};

/// Operations and bytes of a transaction at which the rest of its commit goes into another one.
const OPERATIONS_MAX: usize = 1024;
const BYTES_MAX: usize = 1 << 20;

/// Transactions that are on their way together, and their bytes.
const IN_FLIGHT_MAX: usize = 128;
const IN_FLIGHT_BYTES_MAX: usize = 4 << 20;

/// What files may hold in memory together. A history edits its files in no order, so one that comes too
/// early out of memory is soon loaded again.
const MEMORY_BUDGET_BYTES: usize = 128 << 20;

/// A file that leaves memory with as many messages since its checkpoint is given another one. Half of
/// what an engine takes by default: loading files is most of an import's work, and its store is meant
/// to be opened quickly.
const CHECKPOINT_MESSAGES_MIN: u64 = 16;

/// Edits within these bounds fit one message whoever wrote what they delete: at worst every code point
/// that goes is an operation of its own, of at most twenty bytes.
const SURE_OPERATIONS_MAX: usize = 16 << 10;
const SURE_BYTES_MAX: usize = 512 << 10;

/// Items listed at a time.
const PAGE_ITEMS: usize = 1024;

/// An import on its way into a store.
pub struct Import {
    directory: PathBuf,
    engine: Engine,
    party: Party,
    /// The first item: says what was imported and who the authors are.
    origin: Item<Object>,
    authors: Vec<FeedKey>,
    files: Vec<ItemId>,
    commit: Option<Commit>,
    draft: Option<Draft>,
    in_flight: VecDeque<InFlight>,
    in_flight_bytes: usize,
}

/// The commit whose steps are being applied.
#[derive(Clone, Copy)]
struct Commit {
    id: ObjectId,
    author: AuthorId,
    time_millis: i64,
}

/// Steps of the commit that have not been sent.
struct Draft {
    transaction: Transaction,
    bytes: usize,
}

/// A transaction that has been sent.
struct InFlight {
    pending: Pending,
    bytes: usize,
}

impl Import {
    /// Makes a store with one party in an empty directory.
    pub(super) async fn begin(directory: &Path, name: &str) -> Result<Self> {
        let fault = fault(directory);
        let engine = Engine::builder(directory)
            .memory_budget_bytes(MEMORY_BUDGET_BYTES)
            .checkpoints(CheckpointPolicy {
                idle_messages_min: CHECKPOINT_MESSAGES_MIN,
                ..CheckpointPolicy::default()
            })
            .open();
        let engine = engine.await.map_err(&fault)?;
        let party = engine.create_party().await.map_err(&fault)?;
        let first = NewItem::<Object>::new().with(origin::begin(name));
        let origin = party.create(first).await.map_err(&fault)?;
        Ok(Self {
            directory: directory.to_owned(),
            engine,
            party,
            origin,
            authors: Vec::new(),
            files: Vec::new(),
            commit: None,
            draft: None,
            in_flight: VecDeque::new(),
            in_flight_bytes: 0,
        })
    }

    /// An author becomes a feed, and introduces themselves in it.
    async fn author(&mut self, name: String, email: String) -> Result<()> {
        let feed = self.party.create_feed().await.map_err(fault(&self.directory))?;
        self.authors.push(feed);
        let introduction = origin::introduce(feed, name, email);
        let transaction = self.party.transaction().author(feed).mutate(&self.origin, introduction);
        self.send(transaction, 0).await
    }

    /// Adds to the transaction of the commit. `bytes` is about what is added.
    async fn add(
        &mut self,
        bytes: usize,
        operation: impl FnOnce(Transaction) -> Transaction,
    ) -> Result<()> {
        let full = |draft: &Draft| {
            draft.transaction.len() >= OPERATIONS_MAX || draft.bytes + bytes > BYTES_MAX
        };
        if self.draft.as_ref().is_some_and(full) {
            self.flush().await?;
        }
        let draft = match self.draft.take() {
            Some(draft) => draft,
            None => Draft { transaction: self.transaction()?, bytes: 0 },
        };
        let transaction = operation(draft.transaction);
        self.draft = Some(Draft { transaction, bytes: draft.bytes + bytes });
        Ok(())
    }

    /// An empty transaction of the commit's author.
    fn transaction(&self) -> Result<Transaction> {
        let commit = self.commit.ok_or_else(|| Error::engine("a change outside a commit"))?;
        let feed = self.authors[commit.author.0 as usize];
        Ok(self.party.transaction().author(feed).effective_at(commit.time_millis))
    }

    /// Sends what is left of the commit.
    async fn flush(&mut self) -> Result<()> {
        match self.draft.take() {
            Some(Draft { transaction, bytes }) => self.send(transaction, bytes).await,
            None => Ok(()),
        }
    }

    /// Sends a transaction that cannot be refused, once there is room for it.
    async fn send(&mut self, transaction: Transaction, bytes: usize) -> Result<()> {
        while self.in_flight.len() >= IN_FLIGHT_MAX
            || (self.in_flight_bytes + bytes > IN_FLIGHT_BYTES_MAX && !self.in_flight.is_empty())
        {
            self.land().await?;
        }
        let transaction = transaction.durability(Durability::Buffered);
        let pending = transaction.submit().await.map_err(fault(&self.directory))?;
        self.in_flight.push_back(InFlight { pending, bytes });
        self.in_flight_bytes += bytes;
        Ok(())
    }

    /// Waits for the transaction that was sent first.
    async fn land(&mut self) -> Result<()> {
        let Some(InFlight { pending, bytes }) = self.in_flight.pop_front() else { return Ok(()) };
        self.in_flight_bytes -= bytes;
        let (_, created) = pending.written().await.map_err(fault(&self.directory))?;
        self.files.extend(created);
        Ok(())
    }

    /// Waits for everything.
    async fn settle(&mut self) -> Result<()> {
        self.flush().await?;
        while !self.in_flight.is_empty() {
            self.land().await?;
        }
        Ok(())
    }

    /// The item of a file, which may have been created by a transaction that is still on its way.
    async fn file(&mut self, file: FileId) -> Result<Item<Text>> {
        while self.files.len() <= file.0 as usize && !self.in_flight.is_empty() {
            self.land().await?;
        }
        self.item(file)
    }

    fn item(&self, file: FileId) -> Result<Item<Text>> {
        let id = self.files.get(file.0 as usize).ok_or_else(|| unknown(file))?;
        self.party.item(*id).map_err(fault(&self.directory))
    }

    async fn edit(&mut self, file: FileId, edits: Vec<Edit>) -> Result<()> {
        let item = self.file(file).await?;
        let (operations, bytes) = at_most(&edits);
        if operations <= SURE_OPERATIONS_MAX && bytes <= SURE_BYTES_MAX {
            return self.add(bytes, |all| all.mutate(&item, mutation(edits))).await;
        }
        // Nothing may stand behind what can be refused.
        self.settle().await?;
        let mut parts = vec![edits];
        while let Some(edits) = parts.pop() {
            let transaction = self.transaction()?.durability(Durability::Buffered);
            let whole = transaction.mutate(&item, mutation(edits.clone()));
            if let Err(error) = whole.commit().await {
                let too_much = matches!(
                    error.rejection(),
                    Some(TextRejection::TooLarge | TextRejection::TooManyOps)
                );
                let (first, second) = Some(edits)
                    .filter(|_| too_much)
                    .and_then(halve)
                    .ok_or_else(|| fault(&self.directory)(error))?;
                parts.extend([second, first]);
            }
        }
        Ok(())
    }

    /// Every item of a model's type that is not deleted.
    fn listed<M: Model>(&self) -> Result<Vec<ItemId>> {
        let mut query =
            ItemQuery { model: Some(M::TYPE.into()), limit: PAGE_ITEMS, ..ItemQuery::default() };
        let mut listed = Vec::new();
        loop {
            let page = self.party.items(&query).map_err(fault(&self.directory))?;
            listed.extend(page.iter().map(|item| item.id));
            if page.len() < PAGE_ITEMS {
                return Ok(listed);
            }
            query.after = listed.last().copied();
        }
    }
}

impl Sink for Import {
    async fn apply(&mut self, step: Step) -> Result<()> {
        let bytes = step.bytes();
        match step {
            Step::Author { name, email, .. } => {
                self.flush().await?;
                self.author(name, email).await
            }
            Step::Commit { id, author, time_millis } => {
                self.flush().await?;
                self.commit = Some(Commit { id, author, time_millis });
                Ok(())
            }
            Step::Create { path, text, .. } => {
                let mut item = NewItem::<Text>::new()
                    .under(&self.origin)
                    .metadata(ObjectMutation::set(PATH, path));
                if !text.is_empty() {
                    item = item.with(TextMutation::insert(0, text));
                }
                self.add(bytes, |all| all.create(item)).await
            }
            Step::Edit { file, edits } => self.edit(file, edits).await,
            Step::Rename { file, path } => {
                let item = self.file(file).await?;
                self.add(bytes, |all| all.metadata(&item, ObjectMutation::set(PATH, path))).await
            }
            Step::Delete { file } => {
                let item = self.file(file).await?;
                self.add(bytes, |all| all.delete(&item)).await
            }
            Step::Restore { file } => {
                let item = self.file(file).await?;
                self.add(bytes, |all| all.restore(&item)).await
            }
        }
    }

    async fn finish(&mut self) -> Result<()> {
        self.settle().await?;
        let Some(commit) = self.commit else { return Ok(()) };
        // In the name of this device, and synced: with it everything before.
        let end = origin::end(&commit.id.to_string());
        let last = self.party.transaction().durability(Durability::Synced);
        let written = last.mutate(&self.origin, end).commit().await;
        written.map_err(fault(&self.directory))?;
        // Closing writes the last checkpoints; without those that they replace the store is smaller.
        self.reopen().await?;
        self.engine.compact().await.map_err(fault(&self.directory))
    }

    async fn reopen(&mut self) -> Result<Duration> {
        let party = self.party.key();
        let fault = fault(&self.directory);
        self.engine.close().await.map_err(&fault)?;
        let closed = Instant::now();
        self.engine = Engine::builder(&self.directory).existing().open().await.map_err(&fault)?;
        self.party = self.engine.party(party).await.map_err(&fault)?;
        self.origin = self.party.item(self.origin.id()).map_err(&fault)?;
        Ok(closed.elapsed())
    }

    async fn figures(&mut self) -> Result<Figures> {
        let fault = fault(&self.directory);
        let feeds = self.party.feeds().await.map_err(&fault)?;
        let counters = self.engine.counters().await.map_err(&fault)?;
        Ok(Figures {
            feeds: feeds.len() as u64,
            blocks: feeds.iter().map(|(_, blocks)| blocks).sum(),
            disk_bytes: self.engine.disk_bytes().await.map_err(&fault)?,
            blocks_read: counters.read,
        })
    }

    async fn live(&mut self) -> Result<Vec<FileId>> {
        let numbers = (0..).map(FileId);
        let numbers: HashMap<ItemId, FileId> = self.files.iter().copied().zip(numbers).collect();
        let number = |item: ItemId| {
            let message = || Error::engine(format!("item {item} is none of the import's"));
            numbers.get(&item).copied().ok_or_else(message)
        };
        self.listed::<Text>()?.into_iter().map(number).collect()
    }

    async fn read(&mut self, file: FileId) -> Result<File> {
        let fault = fault(&self.directory);
        let item = self.item(file)?;
        let text = item.view(Text::to_string).await.map_err(&fault)?;
        let path = item
            .view_metadata(|metadata| metadata.get(PATH).and_then(origin::text).map(str::to_owned));
        let path = path.await.map_err(&fault)?;
        let path = path.ok_or_else(|| Error::engine(format!("item {} has no path", item.id())))?;
        Ok(File { path, text })
    }

    async fn close(self) -> Result<()> {
        self.engine.close().await.map_err(fault(&self.directory))
    }
}

/// How many operations and bytes the edits can become at most.
fn at_most(edits: &[Edit]) -> (usize, usize) {
    let operations = edits.iter().map(|edit| edit.delete + 1).sum();
    let bytes = edits.iter().map(Edit::cost_bytes).sum();
    (operations, bytes)
}

fn mutation(edits: Vec<Edit>) -> TextMutation {
    let ops = edits.into_iter().flat_map(|Edit { at, delete, insert }| {
        [TextChange::Delete { at, len: delete }, TextChange::Insert { at, text: insert }]
    });
    TextMutation::from_ops(ops)
}

fn unknown(file: FileId) -> Error {
    Error::engine(format!("file {} was never created", file.0))
}

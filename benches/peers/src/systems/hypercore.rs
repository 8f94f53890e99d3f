//! Hypercore in Rust: a bare signed log per feed, the state in the application's map.
//!
//! As shipped it stands on its own disk storage, which syncs every write, and that is what `synced`
//! measures. `buffered` is the best that the crate can give: over plain files of ours that are never
//! synced ([`PlainFile`]), with room for the whole tree in memory.
//!
//! It has no transport: a replica asks block by block for proofs, after one for the whole length, and
//! applies them; that is the API below its wire protocol, without the wire.

use std::fs::File;
use std::io;
use std::marker::PhantomData;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use hypercore::{
    CacheOptionsBuilder, Hypercore, HypercoreBuilder, HypercoreError, PartialKeypair, Storage,
    StorageTraits, Store,
};
use hypercore_schema::{RequestBlock, RequestUpgrade};
use random_access_storage::{RandomAccess, RandomAccessError};
use systole_peers_contract::{Arguments, Failure, Message, State, System};

/// As the crate stores by itself.
pub(super) type AsShipped = Hypercores<Shipped>;
/// The same over files that are never synced.
pub(super) type OverPlainFiles = Hypercores<Plain>;

/// Where a core is stored, and how much of its tree it keeps in memory.
pub(super) trait Place {
    /// Bytes of tree nodes; the crate's default is 100 kB.
    const CACHE_BYTES: u64;

    async fn storage(directory: PathBuf) -> Result<Storage, HypercoreError>;

    async fn builder(directory: PathBuf) -> Result<HypercoreBuilder, HypercoreError> {
        let cache = CacheOptionsBuilder::new().max_capacity(Self::CACHE_BYTES);
        Ok(HypercoreBuilder::new(Self::storage(directory).await?).node_cache_options(cache))
    }
}

pub(super) struct Shipped;

impl Place for Shipped {
    const CACHE_BYTES: u64 = 100_000;

    async fn storage(directory: PathBuf) -> Result<Storage, HypercoreError> {
        Storage::new_disk(&directory, false).await
    }
}

pub(super) struct Plain;

impl Place for Plain {
    const CACHE_BYTES: u64 = 16 << 20;

    async fn storage(directory: PathBuf) -> Result<Storage, HypercoreError> {
        std::fs::create_dir_all(&directory)
            .map_err(|source| HypercoreError::IO { context: None, source })?;
        let create = move |store: Store| {
            let name = match store {
                Store::Tree => "tree",
                Store::Data => "data",
                Store::Bitfield => "bitfield",
                Store::Oplog => "oplog",
            };
            let path = directory.join(name);
            let opened: Pin = Box::pin(async move {
                Ok(Box::new(PlainFile::open(&path)?) as Box<dyn StorageTraits + Send>)
            });
            opened
        };
        Storage::open(create, false).await
    }
}

type Opened = Result<Box<dyn StorageTraits + Send>, RandomAccessError>;
type Pin = std::pin::Pin<Box<dyn Future<Output = Opened> + Send>>;

/// One core per feed.
pub(super) struct Hypercores<P> {
    directory: PathBuf,
    cores: Vec<Option<Hypercore>>,
    state: State,
    place: PhantomData<P>,
}

impl<P: Place> Hypercores<P> {
    fn directory(&self, feed: usize) -> PathBuf {
        self.directory.join(format!("feed-{feed}"))
    }

    /// The cores that are stored, opened.
    async fn reopen(&mut self) -> Result<(), Failure> {
        for feed in 0..self.cores.len() {
            let directory = self.directory(feed);
            if self.cores[feed].is_none() && directory.exists() {
                let builder = P::builder(directory).await?;
                self.cores[feed] = Some(builder.open(true).build().await?);
            }
        }
        Ok(())
    }

    fn core(&mut self, feed: usize) -> Result<&mut Hypercore, Failure> {
        self.cores[feed].as_mut().ok_or_else(|| "a core was never made".into())
    }
}

impl<P: Place> System for Hypercores<P> {
    async fn open(directory: &Path, asked: &Arguments) -> Result<Self, Failure> {
        let cores = (0..asked.workload.feeds).map(|_| None).collect();
        let (directory, place) = (directory.to_owned(), PhantomData);
        let mut all = Self { directory, cores, state: State::default(), place };
        all.reopen().await?;
        Ok(all)
    }

    async fn prepare(&mut self) -> Result<(), Failure> {
        for feed in 0..self.cores.len() {
            let builder = P::builder(self.directory(feed)).await?;
            self.cores[feed] = Some(builder.build().await?);
        }
        Ok(())
    }

    async fn append(&mut self, message: &Message) -> Result<(), Failure> {
        self.core(message.feed)?.append(&message.encode()).await?;
        Ok(())
    }

    async fn append_batch(&mut self, batch: &[Message]) -> Result<(), Failure> {
        let blocks: Vec<_> = batch.iter().map(Message::encode).collect();
        self.core(batch[0].feed)?.append_batch(&blocks).await?;
        Ok(())
    }

    async fn load(&mut self, verify: bool) -> Result<(), Failure> {
        if verify {
            return Err("stored blocks cannot be verified again".into());
        }
        let Self { cores, state, .. } = self;
        for core in cores.iter_mut().flatten() {
            for index in 0..core.info().length {
                state.apply(&core.get(index).await?.ok_or("a block is missing")?)?;
            }
        }
        Ok(())
    }

    async fn replicate(&mut self, source: &mut Self) -> Result<(), Failure> {
        for feed in 0..source.cores.len() {
            let theirs = source.core(feed)?;
            let public = theirs.key_pair().public;
            let key_pair = PartialKeypair { public, secret: None };
            let builder = P::builder(self.directory(feed)).await?.key_pair(key_pair);
            let mut ours = builder.build().await?;
            let length = theirs.info().length;
            for index in 0..length {
                let block = RequestBlock { index, nodes: ours.missing_nodes(index).await? };
                let upgrade = (index == 0).then_some(RequestUpgrade { start: 0, length });
                let proof = theirs.create_proof(Some(block), None, None, upgrade).await?;
                let proof = proof.ok_or("a proof is missing")?;
                if !ours.verify_and_apply_proof(&proof).await? {
                    return Err("a proof was not applied".into());
                }
                self.state.apply(&proof.block.ok_or("a proof has no block")?.value)?;
            }
            self.cores[feed] = Some(ours);
        }
        Ok(())
    }

    async fn watch(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    async fn append_visible(&mut self, message: &Message) -> Result<(), Failure> {
        let core = self.cores[message.feed].as_mut().ok_or("a core was never made")?;
        let length = core.append(&message.encode()).await?.length;
        let block = core.get(length - 1).await?.ok_or("a block is missing")?;
        self.state.apply(&block)?;
        if self.state.holds(message) { Ok(()) } else { Err("a message is not visible".into()) }
    }

    async fn state(&mut self) -> Result<State, Failure> {
        Ok(std::mem::take(&mut self.state))
    }

    async fn close(self) -> Result<(), Failure> {
        Ok(())
    }
}

/// A file that is read and written in place, with its length in memory, and never synced.
#[derive(Debug)]
struct PlainFile {
    file: File,
    length: u64,
}

impl PlainFile {
    fn open(path: &Path) -> io::Result<Self> {
        let mut options = File::options();
        let file = options.create(true).truncate(false).read(true).write(true).open(path)?;
        let length = file.metadata()?.len();
        Ok(Self { file, length })
    }
}

#[async_trait::async_trait]
impl RandomAccess for PlainFile {
    async fn write(&mut self, offset: u64, data: &[u8]) -> Result<(), RandomAccessError> {
        self.file.write_all_at(data, offset)?;
        self.length = self.length.max(offset + data.len() as u64);
        Ok(())
    }

    async fn read(&mut self, offset: u64, length: u64) -> Result<Vec<u8>, RandomAccessError> {
        if offset + length > self.length {
            let end = Some(offset + length);
            return Err(RandomAccessError::OutOfBounds { offset, end, length: self.length });
        }
        let mut bytes = vec![0; length as usize];
        self.file.read_exact_at(&mut bytes, offset)?;
        Ok(bytes)
    }

    async fn del(&mut self, offset: u64, length: u64) -> Result<(), RandomAccessError> {
        if offset > self.length {
            return Err(RandomAccessError::OutOfBounds { offset, end: None, length: self.length });
        }
        if offset + length >= self.length {
            return self.truncate(offset).await;
        }
        Ok(self.file.write_all_at(&vec![0; length as usize], offset)?)
    }

    async fn truncate(&mut self, length: u64) -> Result<(), RandomAccessError> {
        self.file.set_len(length)?;
        self.length = length;
        Ok(())
    }

    async fn len(&mut self) -> Result<u64, RandomAccessError> {
        Ok(self.length)
    }

    async fn is_empty(&mut self) -> Result<bool, RandomAccessError> {
        Ok(self.length == 0)
    }

    async fn sync_all(&mut self) -> Result<(), RandomAccessError> {
        Ok(())
    }
}

//! p2panda below its node: operations made as its forge makes them, ingested as its pipeline ingests
//! them, in its SQLite store; no network. The state is the application's map.
//!
//! As shipped its database is in WAL mode and syncs every transaction: that is `synced`. `buffered` is
//! the same over a pool of ours with synchronous NORMAL.
//!
//! Its store has no index by log: the end of a log is found by scanning all operations, so every append
//! and every ingest costs more the more there are. Counts are therefore small, and several.

use std::collections::BTreeMap;
use std::path::Path;

use p2panda_core::cbor::decode_cbor;
use p2panda_core::validate_operation;
use p2panda_core::{Body, Hash, Header, Operation, SigningKey, Timestamp, VerifyingKey};
use p2panda_store::logs::LogStore;
use p2panda_store::operations::OperationStore;
use p2panda_store::topics::TopicStore;
use p2panda_store::{SqliteStore, SqliteStoreBuilder, sqlite, tx};
use p2panda_stream::ingest::ingest_operation;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use systole_peers_contract::{Arguments, Durability, Failure, Message, State, System};

/// What all feeds write to.
const TOPIC: [u8; 32] = [7; 32];
/// Connections of the pool that the builder makes by default.
const CONNECTIONS: u32 = 16;

/// A store with one log per feed.
pub(super) struct P2panda {
    store: SqliteStore,
    keys: Vec<SigningKey>,
    state: State,
}

impl P2panda {
    /// The next operation of a log, signed; its backlink is found as the forge finds it.
    async fn next(&self, message: &Message) -> Result<Operation, Failure> {
        let key = &self.keys[message.feed];
        let last: Option<Operation> =
            latest(&self.store, &key.verifying_key(), message.feed as u64).await?;
        Ok(forge(key, last.as_ref(), message))
    }

    async fn insert(&self, operation: &Operation, log: u64) -> Result<(), Failure> {
        let author = operation.header.verifying_key;
        TopicStore::<[u8; 32], VerifyingKey, u64>::associate(&self.store, &TOPIC, &author, &log)
            .await?;
        self.store.insert_operation(&operation.hash, operation, &log).await?;
        Ok(())
    }

    async fn logs(&self) -> Result<BTreeMap<VerifyingKey, Vec<u64>>, Failure> {
        let logs = TopicStore::<[u8; 32], VerifyingKey, u64>::resolve(&self.store, &TOPIC).await?;
        Ok(logs)
    }

    /// Every operation of a log with its header's bytes.
    async fn entries(
        &self,
        author: &VerifyingKey,
        log: u64,
    ) -> Result<Vec<(Operation, Vec<u8>)>, Failure> {
        let entries = LogStore::<Operation, VerifyingKey, u64, u64, Hash>::get_log_entries(
            &self.store,
            author,
            &log,
            None,
            None,
        )
        .await?;
        Ok(entries.unwrap_or_default())
    }

    fn apply(&mut self, operation: &Operation) -> Result<(), Failure> {
        let body = operation.body.as_ref().ok_or("an operation has no body")?;
        self.state.apply(body.as_bytes())
    }
}

/// The last operation of a log, within a transaction.
async fn latest(
    store: &SqliteStore,
    author: &VerifyingKey,
    log: u64,
) -> Result<Option<Operation>, Failure> {
    let last = LogStore::<Operation, VerifyingKey, u64, u64, Hash>::get_latest_entry_tx(
        store, author, &log,
    )
    .await?;
    Ok(last)
}

fn forge(key: &SigningKey, last: Option<&Operation>, message: &Message) -> Operation {
    let body = Body::from(message.encode());
    let mut header = Header {
        version: 1,
        verifying_key: key.verifying_key(),
        signature: None,
        payload_size: body.size(),
        payload_hash: Some(body.hash()),
        timestamp: Timestamp::now(),
        seq_num: last.map_or(0, |last| last.header.seq_num + 1),
        backlink: last.map(|last| last.hash),
        extensions: (),
    };
    header.sign(key);
    Operation { hash: header.hash(), header, body: Some(body) }
}

impl System for P2panda {
    async fn open(directory: &Path, asked: &Arguments) -> Result<Self, Failure> {
        let path = directory.join("p2panda.sqlite");
        let url = format!("sqlite://{}", path.display());
        let store = match asked.durability {
            Durability::Synced => SqliteStoreBuilder::new().database_url(&url).build().await?,
            Durability::Buffered => {
                sqlite::create_database(&url).await?;
                let options = SqliteConnectOptions::new()
                    .filename(&path)
                    .journal_mode(SqliteJournalMode::Wal)
                    .synchronous(SqliteSynchronous::Normal);
                let pool = SqlitePoolOptions::new().max_connections(CONNECTIONS);
                let pool = pool.connect_with(options).await?;
                sqlite::run_pending_migrations(&pool).await?;
                SqliteStore::from_pool(pool)
            }
        };
        let keys =
            (0..asked.workload.feeds).map(|feed| SigningKey::from_bytes(&[feed as u8 + 1; 32]));
        Ok(Self { store, keys: keys.collect(), state: State::default() })
    }

    async fn prepare(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    async fn append(&mut self, message: &Message) -> Result<(), Failure> {
        tx!(self.store, {
            let operation = self.next(message).await?;
            self.insert(&operation, message.feed as u64).await?;
        });
        Ok(())
    }

    /// One transaction, in which the end of the log is looked for once.
    async fn append_batch(&mut self, batch: &[Message]) -> Result<(), Failure> {
        let (key, log) = (&self.keys[batch[0].feed], batch[0].feed as u64);
        tx!(self.store, {
            let mut last = latest(&self.store, &key.verifying_key(), log).await?;
            for message in batch {
                let operation = forge(key, last.as_ref(), message);
                self.insert(&operation, log).await?;
                last = Some(operation);
            }
        });
        Ok(())
    }

    async fn load(&mut self, verify: bool) -> Result<(), Failure> {
        for (author, logs) in self.logs().await? {
            for log in logs {
                for (operation, _) in self.entries(&author, log).await? {
                    if verify {
                        validate_operation(&operation)?;
                    }
                    self.apply(&operation)?;
                }
            }
        }
        Ok(())
    }

    /// As bytes that travel: header and body, decoded and ingested one by one, as its pipeline does.
    async fn replicate(&mut self, source: &mut Self) -> Result<(), Failure> {
        for (author, logs) in source.logs().await? {
            for log in logs {
                for (sent, header) in source.entries(&author, log).await? {
                    let hash = Hash::digest(&header);
                    let header: Header = decode_cbor(&header[..])?;
                    let operation = Operation { hash, header, body: sent.body };
                    if !ingest_operation(&self.store, &operation, &log, &TOPIC, false).await? {
                        return Err("an operation was there already".into());
                    }
                    self.apply(&operation)?;
                }
            }
        }
        Ok(())
    }

    async fn watch(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    /// What its node does with an own operation: forge it, run it through the ingest, apply it.
    async fn append_visible(&mut self, message: &Message) -> Result<(), Failure> {
        let log = message.feed as u64;
        let operation = tx!(self.store, {
            let operation = self.next(message).await?;
            self.insert(&operation, log).await?;
            operation
        });
        ingest_operation(&self.store, &operation, &log, &TOPIC, false).await?;
        self.apply(&operation)?;
        if self.state.holds(message) { Ok(()) } else { Err("a message is not visible".into()) }
    }

    async fn state(&mut self) -> Result<State, Failure> {
        Ok(std::mem::take(&mut self.state))
    }

    async fn close(self) -> Result<(), Failure> {
        self.store.pool().close().await;
        Ok(())
    }
}

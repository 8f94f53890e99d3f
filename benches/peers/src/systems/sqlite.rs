//! Plain SQLite: an unsigned log in one table, the state in the application's map. What an application
//! gets that needs no signatures, no feeds and no merging.
//!
//! Buffered is WAL with synchronous NORMAL (nothing is synced but at checkpoints), synced is WAL with
//! FULL (one sync per transaction).

use std::path::Path;

use rusqlite::{Connection, params};
use systole_peers_contract::{Arguments, Durability, Failure, Message, State, System};

const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS log (
    feed INTEGER NOT NULL, seq INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (feed, seq)
) WITHOUT ROWID";
const INSERT: &str = "INSERT INTO log (feed, seq, body) VALUES (?1, ?2, ?3)";
const SELECT_ALL: &str = "SELECT feed, seq, body FROM log ORDER BY feed, seq";
/// Rows of one transaction where another store is copied.
const COPIED_TOGETHER: usize = 1_000;

/// A log of all feeds.
pub(super) struct Sqlite {
    connection: Connection,
    lengths: Vec<i64>,
    state: State,
}

impl System for Sqlite {
    async fn open(directory: &Path, asked: &Arguments) -> Result<Self, Failure> {
        let connection = Connection::open(directory.join("log.sqlite"))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        let synchronous = match asked.durability {
            Durability::Buffered => "NORMAL",
            Durability::Synced => "FULL",
        };
        connection.pragma_update(None, "synchronous", synchronous)?;
        connection.execute(SCHEMA, [])?;
        Ok(Self { connection, lengths: vec![0; asked.workload.feeds], state: State::default() })
    }

    async fn prepare(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    async fn append(&mut self, message: &Message) -> Result<(), Failure> {
        let seq = &mut self.lengths[message.feed];
        let mut insert = self.connection.prepare_cached(INSERT)?;
        insert.execute(params![message.feed, *seq, message.encode()])?;
        *seq += 1;
        Ok(())
    }

    async fn append_batch(&mut self, batch: &[Message]) -> Result<(), Failure> {
        let transaction = self.connection.transaction()?;
        {
            let mut insert = transaction.prepare_cached(INSERT)?;
            for message in batch {
                let seq = &mut self.lengths[message.feed];
                insert.execute(params![message.feed, *seq, message.encode()])?;
                *seq += 1;
            }
        }
        Ok(transaction.commit()?)
    }

    async fn load(&mut self, verify: bool) -> Result<(), Failure> {
        if verify {
            return Err("there is nothing to verify".into());
        }
        let mut select = self.connection.prepare(SELECT_ALL)?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            self.state.apply(row.get_ref(2)?.as_blob()?)?;
        }
        Ok(())
    }

    async fn replicate(&mut self, source: &mut Self) -> Result<(), Failure> {
        let mut select = source.connection.prepare(SELECT_ALL)?;
        let mut rows = select.query([])?;
        loop {
            let transaction = self.connection.transaction()?;
            let mut copied = 0;
            {
                let mut insert = transaction.prepare_cached(INSERT)?;
                while copied < COPIED_TOGETHER
                    && let Some(row) = rows.next()?
                {
                    let (feed, seq): (i64, i64) = (row.get(0)?, row.get(1)?);
                    let body = row.get_ref(2)?.as_blob()?;
                    insert.execute(params![feed, seq, body])?;
                    self.state.apply(body)?;
                    copied += 1;
                }
            }
            transaction.commit()?;
            if copied < COPIED_TOGETHER {
                return Ok(());
            }
        }
    }

    async fn watch(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    async fn append_visible(&mut self, message: &Message) -> Result<(), Failure> {
        let at = self.lengths[message.feed];
        self.append(message).await?;
        let mut select =
            self.connection.prepare_cached("SELECT body FROM log WHERE feed = ?1 AND seq = ?2")?;
        let body: Vec<u8> = select.query_row(params![message.feed, at], |row| row.get(0))?;
        self.state.apply(&body)?;
        if self.state.holds(message) { Ok(()) } else { Err("a message is not visible".into()) }
    }

    async fn state(&mut self) -> Result<State, Failure> {
        Ok(std::mem::take(&mut self.state))
    }

    async fn close(self) -> Result<(), Failure> {
        self.connection.close().map_err(|(_, error)| error.into())
    }
}

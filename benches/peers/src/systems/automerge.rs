//! Automerge: unsigned changes, a document per feed, each change appended to a file as it was made. The
//! state is the documents: maps of text registers.
//!
//! The file is never synced when `buffered`, after every write when `synced`. A message is a change;
//! merged is one change with many operations.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;

use automerge::transaction::Transactable as _;
use automerge::{AutoCommit, Change, ROOT, ReadDoc as _};
use systole_peers_contract::{Arguments, Durability, Failure, Message, State, System};

/// A document per feed.
pub(super) struct Automerge {
    durability: Durability,
    documents: Vec<Document>,
}

struct Document {
    document: AutoCommit,
    file: File,
}

impl Document {
    fn open(path: &Path) -> Result<Self, Failure> {
        let mut file = File::options().create(true).read(true).append(true).open(path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let document = if bytes.is_empty() { AutoCommit::new() } else { AutoCommit::load(&bytes)? };
        Ok(Self { document, file })
    }

    fn set(&mut self, message: &Message) -> Result<(), Failure> {
        Ok(self.document.put(ROOT, key(message.item, message.field), message.value.as_str())?)
    }

    /// Commits what was set, and writes all changes since the last time.
    fn write(&mut self, durability: Durability) -> Result<(), Failure> {
        let bytes = self.document.save_incremental();
        self.store(&bytes, durability)
    }

    fn store(&mut self, bytes: &[u8], durability: Durability) -> Result<(), Failure> {
        self.file.write_all(bytes)?;
        if durability == Durability::Synced {
            self.file.sync_data()?;
        }
        Ok(())
    }
}

fn key(item: u32, field: u32) -> String {
    format!("{item}:{field}")
}

impl System for Automerge {
    async fn open(directory: &Path, asked: &Arguments) -> Result<Self, Failure> {
        let documents = (0..asked.workload.feeds)
            .map(|feed| Document::open(&directory.join(format!("feed-{feed}.automerge"))))
            .collect::<Result<_, _>>()?;
        Ok(Self { durability: asked.durability, documents })
    }

    async fn prepare(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    async fn append(&mut self, message: &Message) -> Result<(), Failure> {
        let document = &mut self.documents[message.feed];
        document.set(message)?;
        document.write(self.durability)
    }

    async fn append_merged(&mut self, batch: &[Message]) -> Result<(), Failure> {
        let document = &mut self.documents[batch[0].feed];
        for message in batch {
            document.set(message)?;
        }
        document.write(self.durability)
    }

    async fn append_batch(&mut self, batch: &[Message]) -> Result<(), Failure> {
        let document = &mut self.documents[batch[0].feed];
        for message in batch {
            document.set(message)?;
            document.document.commit();
        }
        document.write(self.durability)
    }

    async fn load(&mut self, verify: bool) -> Result<(), Failure> {
        if verify {
            return Err("changes are not signed".into());
        }
        // Opening has read all changes.
        Ok(())
    }

    /// Changes as bytes, each decoded and its hash checked by the receiver, which stores them.
    async fn replicate(&mut self, source: &mut Self) -> Result<(), Failure> {
        for (ours, theirs) in self.documents.iter_mut().zip(&mut source.documents) {
            let mut changes = Vec::new();
            let mut bytes = Vec::new();
            for change in theirs.document.get_changes(&[]) {
                let sent = change.raw_bytes();
                bytes.extend(sent);
                changes.push(Change::from_bytes(sent.to_vec())?);
            }
            ours.document.apply_changes(changes)?;
            ours.store(&bytes, self.durability)?;
        }
        Ok(())
    }

    async fn watch(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    async fn append_visible(&mut self, message: &Message) -> Result<(), Failure> {
        self.append(message).await?;
        let document = &self.documents[message.feed].document;
        let value = document.get(ROOT, key(message.item, message.field))?;
        let visible = value.is_some_and(|(value, _)| value.as_str() == Some(&message.value));
        if visible { Ok(()) } else { Err("a message is not visible".into()) }
    }

    async fn state(&mut self) -> Result<State, Failure> {
        let mut state = State::default();
        for Document { document, .. } in &self.documents {
            for name in document.keys(ROOT) {
                let (item, field) = name.split_once(':').ok_or("a key is not ours")?;
                let (value, _) = document.get(ROOT, &name)?.ok_or("a key has no value")?;
                let value = value.as_str().ok_or("a value is no text")?;
                state.set(item.parse()?, field.parse()?, value.to_owned());
            }
        }
        Ok(state)
    }

    async fn close(self) -> Result<(), Failure> {
        Ok(())
    }
}

//! Recorded editing: what people really typed.
//!
//! The recordings stand in `../shared/data` beside the workspace, or where `SYSTOLE_DATA` says.

use std::io::Read;
use std::path::PathBuf;

use flate2::read::GzDecoder;
use serde_json::Value;
use systole::TextMutation;

/// One recording.
#[derive(Debug)]
pub struct Trace {
    /// The text before the first transaction.
    pub start: String,
    /// The text after the last one.
    pub end: String,
    /// How many people wrote it.
    pub agents: usize,
    /// What they did.
    pub transactions: Vec<Transaction>,
}

/// Edits that one author made at once.
#[derive(Debug)]
pub struct Transaction {
    /// The transactions that its author had seen, without those that these had seen.
    pub parents: Vec<usize>,
    /// Its author.
    pub agent: usize,
    /// Edits, one after the other: position, code points deleted there, text inserted there.
    pub patches: Vec<(usize, usize, String)>,
}

impl Trace {
    /// The recording `name`; `None`, with a notice, where it is not there.
    ///
    /// # Panics
    /// If it is there and cannot be read.
    pub fn load(name: &str) -> Option<Self> {
        let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
        let folder = std::env::var_os("SYSTOLE_DATA").map_or(beside, PathBuf::from);
        let path = folder.join(format!("{name}.json.gz"));
        let Ok(packed) = std::fs::read(&path) else {
            println!("skipped: there is no {}", path.display());
            return None;
        };
        let mut json = String::new();
        GzDecoder::new(packed.as_slice()).read_to_string(&mut json).expect("the file is whole");
        let json: Value = serde_json::from_str(&json).expect("the file is JSON");
        Some(Self::read(&json).expect("the file is a recording"))
    }

    fn read(json: &Value) -> Option<Self> {
        let text = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
        let transactions = json["txns"].as_array()?.iter().map(Transaction::read);
        Some(Self {
            start: text("startContent"),
            end: text("endContent"),
            agents: json["numAgents"].as_u64().unwrap_or(1) as usize,
            transactions: transactions.collect::<Option<_>>()?,
        })
    }
}

impl Transaction {
    fn read(json: &Value) -> Option<Self> {
        let number = |value: &Value| value.as_u64().map(|number| number as usize);
        let parents = json["parents"].as_array().map(Vec::as_slice).unwrap_or_default();
        let patches = json["patches"].as_array()?.iter().map(|patch| {
            Some((number(&patch[0])?, number(&patch[1])?, patch[2].as_str()?.to_owned()))
        });
        Some(Self {
            parents: parents.iter().map(number).collect::<Option<_>>()?,
            agent: number(&json["agent"]).unwrap_or(0),
            patches: patches.collect::<Option<_>>()?,
        })
    }

    /// The mutation that it makes.
    pub fn mutation(&self) -> TextMutation {
        let mut mutation = TextMutation::from_ops([]);
        for (at, deleted, inserted) in &self.patches {
            if *deleted > 0 {
                mutation = mutation.then_delete(*at, *deleted);
            }
            if !inserted.is_empty() {
                mutation = mutation.then_insert(*at, inserted.as_str());
            }
        }
        mutation
    }
}

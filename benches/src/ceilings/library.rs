//! The text library alone: the same keystrokes without a model, a feed or a store around them.

use std::time::Instant;

use loro::{ExportMode, LoroDoc};

use crate::measure::Measured;
use crate::workloads::text::{Patch, Session};
use crate::{Failure, check, per_second};

/// Updates of one batch import.
const BATCH: usize = 1_024;

/// The same keystrokes as the library sends them: one update each, and all as one.
#[derive(Debug)]
pub struct Updates {
    each: Vec<Vec<u8>>,
    whole: Vec<u8>,
    text: String,
}

fn type_into(doc: &LoroDoc, patches: &[Patch]) -> Result<(), Failure> {
    let text = doc.get_text("t");
    for (at, deleted, inserted) in patches {
        if *deleted > 0 {
            text.delete(*at, *deleted)?;
        }
        if !inserted.is_empty() {
            text.insert(*at, inserted)?;
        }
    }
    doc.commit();
    Ok(())
}

impl Updates {
    /// Types the session and keeps what the library would send after each keystroke.
    pub fn of(session: &Session) -> Result<Self, Failure> {
        let doc = LoroDoc::new();
        doc.set_peer_id(1)?;
        let mut each = Vec::with_capacity(session.keystrokes.len());
        let mut before = doc.oplog_vv();
        for patches in &session.keystrokes {
            type_into(&doc, patches)?;
            each.push(doc.export(ExportMode::updates(&before))?);
            before = doc.oplog_vv();
        }
        let whole = doc.export(ExportMode::all_updates())?;
        Ok(Self { each, whole, text: doc.get_text("t").to_string() })
    }

    /// The text in the end.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Updates imported a second, one call each.
    pub fn import_each(&self) -> Measured {
        self.import(|doc| self.each.iter().try_for_each(|update| doc.import(update).map(drop)))
    }

    /// Updates imported a second, many to a call.
    pub fn import_batches(&self) -> Measured {
        self.import(|doc| {
            self.each.chunks(BATCH).try_for_each(|some| doc.import_batch(some).map(drop))
        })
    }

    /// Keystrokes a second where the whole history comes as one update.
    pub fn import_whole(&self) -> Measured {
        self.import(|doc| doc.import(&self.whole).map(drop))
    }

    fn import(&self, work: impl FnOnce(&LoroDoc) -> loro::LoroResult<()>) -> Measured {
        let doc = LoroDoc::new();
        let started = Instant::now();
        work(&doc)?;
        let text = doc.get_text("t").to_string();
        let took = started.elapsed();
        check(text == self.text, || "the library's text differs".to_owned())?;
        Ok(per_second(self.each.len() as u64, took))
    }
}

/// Keystrokes made a second, each committed.
pub fn type_all(session: &Session, text: &str) -> Measured {
    let doc = LoroDoc::new();
    let started = Instant::now();
    for patches in &session.keystrokes {
        type_into(&doc, patches)?;
    }
    let took = started.elapsed();
    check(doc.get_text("t").to_string() == text, || "the library's text differs".to_owned())?;
    Ok(per_second(session.keystrokes.len() as u64, took))
}

//! W4: keystrokes through the engine, beside the text library alone on the same keystrokes.

use std::cell::Cell;
use std::time::Instant;

use systole::{NewItem, Text};

use super::{Context, ROUNDS, size};
use crate::ceilings::library::{Updates, type_all};
use crate::measure::{Passed, in_turn};
use crate::report::{Figure, Report, Row, Stages, Target};
use crate::workloads::buffered;
use crate::workloads::text::{Session, TRANSACTION};
use crate::{Failure, check, per_second};

/// Read beside read, and written beside written.
pub(super) fn rows(context: &Context, report: &mut Report) -> Result<(), Failure> {
    let session = Session::load(&context.run);
    let source = context.runtime.block_on(session.source(&context.run))?;
    let updates = Updates::of(&session)?;
    let spent = [(); 3].map(|()| Cell::default());
    let [each, batches, whole, processed, from_log, typed, written] = in_turn(
        &context.run,
        ROUNDS.min(3),
        [
            &mut || updates.import_each(),
            &mut || updates.import_batches(),
            &mut || updates.import_whole(),
            &mut || Ok(context.replayed::<Text>(&source)?.keep(&spent[0])),
            &mut || Ok(context.rebuilt::<Text>(&source)?.keep(&spent[1])),
            &mut || type_all(&session, updates.text()),
            &mut || {
                let written = write(context, &session, updates.text());
                Ok(context.runtime.block_on(written)?.keep(&spent[2]))
            },
        ],
    )?;
    // Whatever the library does fastest with keystrokes one by one is what the engine stands beside.
    let alone = each.or_greater(&batches).or_greater(&typed);
    let read = ("text library alone, its fastest way to take keystrokes one by one", &alone);
    let wrote = ("text library alone, the same edits, each committed", &typed);
    let target = Target::AtLeast(0.5);
    let note = format!("keystrokes: {}", session.name);
    for (n, (what, value, beside)) in [
        ("W4: stored keystrokes processed into the text", &processed, read),
        ("W4: the text rebuilt from its log", &from_log, read),
        ("W4: keystrokes written here, 64 to a transaction, buffered", &written, wrote),
    ]
    .into_iter()
    .enumerate()
    {
        let row = Row::ratio("text", what, target, ("keystrokes", value), beside, "/s");
        report.rows.push(row.size(size(&source)).note(note.clone()));
        let messages = session.keystrokes.len() as u64;
        report.stages.push(Stages::new(what, messages, value.median(), &spent[n].get()));
    }
    report.ceilings.extend([
        Figure::new("text library: import one update a keystroke, one by one", "/s", &each),
        Figure::new("text library: import one update a keystroke, 1,024 a call", "/s", &batches),
        Figure::new("text library: import the whole history as one update", "/s", &whole),
        Figure::new("text library: make the edits, each committed", "/s", &typed),
    ]);
    Ok(())
}

/// Types the session into a fresh engine; keystrokes a second.
async fn write(context: &Context, session: &Session, text: &str) -> Result<Passed, Failure> {
    let directory = context.run.directory()?;
    let engine = buffered(directory.path()).open().await?;
    let party = engine.create_party().await?;
    let item = party.create(NewItem::<Text>::new()).await?;
    let mutations: Vec<_> = session.keystrokes.iter().map(|one| Session::mutation(one)).collect();
    let count = mutations.len() as u64;
    let mut mutations = mutations.into_iter();
    let before = engine.counters().await?.stages;
    let started = Instant::now();
    while mutations.len() > 0 {
        item.mutate_all(mutations.by_ref().take(TRANSACTION)).await?;
    }
    let took = started.elapsed();
    let here = item.view(|text| text.to_string()).await?;
    check(here == text, || "the text differs from the library's".to_owned())?;
    let spent = engine.counters().await?.stages.since(&before);
    engine.close().await?;
    Ok(Passed { rate: per_second(count, took), spent })
}

//! Doing one step with one system: the one place where clocks are read.

use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};

use crate::process::{cpu_seconds, disk_bytes, peak_bytes, resident_bytes};
use crate::{Arguments, BATCH, Failure, Message, State, Step};

/// A system that can be driven. Nothing here reads a clock.
#[expect(async_fn_in_trait, reason = "drivers run on one runtime of their own and await in place")]
pub trait System: Sized {
    /// Opens a store, or begins one.
    async fn open(directory: &Path, asked: &Arguments) -> Result<Self, Failure>;

    /// Makes what must be there before the first message: feeds, items. Not timed.
    async fn prepare(&mut self) -> Result<(), Failure>;

    /// Writes one message; returns when an application may go on.
    async fn append(&mut self, message: &Message) -> Result<(), Failure>;

    /// Writes messages of one feed together; each stays a message of its own.
    async fn append_batch(&mut self, batch: &[Message]) -> Result<(), Failure>;

    /// Writes messages of one feed together as one message of many writes, where there is such a thing.
    async fn append_merged(&mut self, _batch: &[Message]) -> Result<(), Failure> {
        Err("a batch cannot be one message here".into())
    }

    /// Brings the whole state to memory from what is stored, every message applied.
    async fn load(&mut self, verify: bool) -> Result<(), Failure>;

    /// Takes everything that `source` has, verifies and stores it, and brings the whole state to memory.
    async fn replicate(&mut self, source: &mut Self) -> Result<(), Failure>;

    /// What follows a first message before live ones can be timed: subscriptions. Not timed.
    async fn watch(&mut self) -> Result<(), Failure>;

    /// Writes one message and returns when it is visible to who watches the state.
    async fn append_visible(&mut self, message: &Message) -> Result<(), Failure>;

    /// Every register that was written, as the system holds it. Not timed.
    async fn state(&mut self) -> Result<State, Failure>;

    /// Closes the store. Not timed.
    async fn close(self) -> Result<(), Failure>;
}

/// Does the step that is asked for and returns the line of JSON: `seconds` and `cpu_seconds` of what was
/// timed, `messages`, the `state` hash, `disk_bytes` after closing, `peak_bytes` of the process and
/// `start_bytes` before the step, and for `live` `p50_us` and `p99_us`.
pub async fn drive<S: System>(asked: &Arguments) -> Result<String, Failure> {
    std::fs::create_dir_all(&asked.directory)?;
    let workload = &asked.workload;
    let replays = matches!(asked.step, Step::Replay | Step::ReplayVerified);
    let messages =
        if replays || asked.step == Step::Replicate { Vec::new() } else { workload.messages() };
    let start_bytes = resident_bytes()?;
    let mut watch = Watch::default();
    let state = match asked.step {
        Step::Populate => {
            let mut system = S::open(&asked.directory, asked).await?;
            system.prepare().await?;
            for batch in messages.chunks(BATCH) {
                system.append_batch(batch).await?;
            }
            system.close().await?;
            reread::<S>(asked).await?
        }
        Step::Append | Step::AppendBatch | Step::AppendMerged => {
            let mut system = S::open(&asked.directory, asked).await?;
            system.prepare().await?;
            watch.start()?;
            match asked.step {
                Step::Append => {
                    for message in &messages {
                        system.append(message).await?;
                    }
                }
                Step::AppendMerged => {
                    for batch in messages.chunks(BATCH) {
                        system.append_merged(batch).await?;
                    }
                }
                _ => {
                    for batch in messages.chunks(BATCH) {
                        system.append_batch(batch).await?;
                    }
                }
            }
            watch.stop()?;
            system.close().await?;
            reread::<S>(asked).await?
        }
        Step::Replay | Step::ReplayVerified => {
            let source = asked.source()?;
            watch.start()?;
            let mut system = S::open(source, asked).await?;
            system.load(asked.step == Step::ReplayVerified).await?;
            watch.stop()?;
            let state = system.state().await?;
            system.close().await?;
            state
        }
        Step::Replicate => {
            let mut source = S::open(asked.source()?, asked).await?;
            let mut system = S::open(&asked.directory, asked).await?;
            watch.start()?;
            system.replicate(&mut source).await?;
            watch.stop()?;
            let state = system.state().await?;
            source.close().await?;
            system.close().await?;
            state
        }
        Step::Live => {
            let mut system = S::open(&asked.directory, asked).await?;
            system.prepare().await?;
            system.watch().await?;
            watch.start()?;
            for message in &messages {
                let started = Instant::now();
                system.append_visible(message).await?;
                watch.laps.push(started.elapsed().as_secs_f64() * 1e6);
            }
            watch.stop()?;
            let state = system.state().await?;
            system.close().await?;
            state
        }
    };
    let place = if replays { asked.source()? } else { &asked.directory };
    let mut line = json!({
        "system": asked.system,
        "step": asked.step.name(),
        "durability": asked.durability.name(),
        "messages": workload.messages,
        "seconds": watch.seconds,
        "cpu_seconds": watch.cpu_seconds,
        "state": state.hash(),
        "disk_bytes": disk_bytes(place)?,
        "peak_bytes": peak_bytes()?,
        "start_bytes": start_bytes,
    });
    if asked.step == Step::Live {
        watch.laps.sort_by(f64::total_cmp);
        line["p50_us"] = Value::from(quantile(&watch.laps, 0.50));
        line["p99_us"] = Value::from(quantile(&watch.laps, 0.99));
    }
    Ok(line.to_string())
}

/// The state as a store that is opened anew has it.
async fn reread<S: System>(asked: &Arguments) -> Result<State, Failure> {
    let mut system = S::open(&asked.directory, asked).await?;
    system.load(false).await?;
    let state = system.state().await?;
    system.close().await?;
    Ok(state)
}

fn quantile(sorted: &[f64], quantile: f64) -> f64 {
    let at = (sorted.len() as f64 * quantile) as usize;
    sorted.get(at.min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
}

/// Time and computing time between start and stop.
#[derive(Default)]
struct Watch {
    started: Option<(Instant, f64)>,
    seconds: f64,
    cpu_seconds: f64,
    laps: Vec<f64>,
}

impl Watch {
    fn start(&mut self) -> Result<(), Failure> {
        self.started = Some((Instant::now(), cpu_seconds()?));
        Ok(())
    }

    fn stop(&mut self) -> Result<(), Failure> {
        let (at, cpu) = self.started.take().ok_or("a watch is started before it is stopped")?;
        self.seconds = at.elapsed().as_secs_f64();
        self.cpu_seconds = cpu_seconds()? - cpu;
        Ok(())
    }
}

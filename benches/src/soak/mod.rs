//! The soak: two devices on disk, on which parties are founded, filled, used and deleted, so that as
//! much is alive at every moment. Whatever grows over time is a leak, and whatever slows down wears out.
//!
//! ```text
//!   found ─► fill (3 hands at home, 1 away) ─► kept for as many rounds as parties are alive ─► check, delete
//!                 └── carried both ways, changed and missing blocks among them
//!   meanwhile, all the time: views of cold items · subscriptions · samples
//!   now and then: both engines closed and opened in the midst of it
//! ```
//!
//! Invariants:
//! - what is written follows from the seed; in which order tasks get to it does not;
//! - every acknowledged message is noted, and looked for on both devices before its party goes;
//! - the first difference, or two minutes without a write, end the soak with an error.

mod devices;
mod hand;
mod latency;
mod ledger;
mod report;
mod rogue;
mod sampling;
mod settings;
mod story;
mod work;
mod world;

use std::fs::File;
use std::io::BufWriter;
use std::panic;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

pub use settings::{Settings, USAGE};

use crate::{Failure, Random, print_machine, runtime};
use devices::Devices;
use latency::Counts;
use sampling::{Moment, Sampler};
use story::Story;
use world::World;

/// Tasks that look at items, and tasks that watch some.
const VIEWERS: u64 = 2;
const WATCHERS: u64 = 2;

/// Longest time in which nothing is written.
const STALL: Duration = Duration::from_secs(120);

/// Between two looks whether it is time.
const TICK: Duration = Duration::from_millis(50);

/// Runs a soak and prints what it sees; whether memory and disk are flat, where that is asked for.
///
/// # Errors
/// The first thing that is wrong. Files in a temporary directory are kept then.
pub fn soak(settings: &Settings) -> Result<bool, Failure> {
    quiet_expected_panics();
    let temporary = match &settings.directory {
        Some(_) => None,
        None => Some(tempfile::Builder::new().prefix("systole-soak-").tempdir()?),
    };
    let directory = match (&settings.directory, &temporary) {
        (None, Some(temporary)) => temporary.path().to_owned(),
        (directory, _) => directory.clone().unwrap_or_default(),
    };
    print_machine("soak", &directory);
    println!(
        "seed {}: {} s, {} parties of {} items and {} messages; MiB, messages a second, milliseconds",
        settings.seed,
        settings.duration.as_secs(),
        settings.parties,
        settings.items,
        settings.messages,
    );
    let result = runtime()?.block_on(run(settings, &directory));
    if let (Err(_), Some(temporary)) = (&result, temporary) {
        let kept: PathBuf = temporary.keep();
        println!("what it left stands in {}", kept.display());
    }
    result
}

async fn run(settings: &Settings, directory: &Path) -> Result<bool, Failure> {
    let devices = Devices::open(directory, settings.seed).await?;
    let world = Arc::new(World::new(settings.clone(), devices));
    let mut random = Random::new(settings.seed);
    let mut background = JoinSet::new();
    for _ in 0..VIEWERS {
        background.spawn(work::view(world.clone(), Random::new(random.number())));
    }
    for _ in 0..WATCHERS {
        background.spawn(work::watch(world.clone(), Random::new(random.number())));
    }
    let mut sampling = tokio::spawn(sample(world.clone()));
    tokio::select! {
        done = conduct(&world, &mut random) => done?,
        Some(ended) = background.join_next() => {
            ended??;
            return Err("a task ended before the soak".into());
        }
        ended = &mut sampling => {
            ended??;
            return Err("sampling ended before the soak".into());
        }
    }
    world.end();
    while let Some(ended) = background.join_next().await {
        ended??;
    }
    let (moments, total) = sampling.await??;
    world.devices.close().await?;
    tell(&world, &moments, &total)
}

/// The rounds: each founds a party, fills it while the others are kept, and deletes the oldest one.
async fn conduct(world: &Arc<World>, random: &mut Random) -> Result<(), Failure> {
    let settings = &world.settings;
    let mut opened = Instant::now();
    while !world.is_late() {
        let founded = Story::found(&world.devices, settings.items, random, &world.latencies);
        let story = Arc::new(founded.await?);
        let filled: Vec<Arc<Story>> = world.live().iter().cloned().collect();
        world.live().push_back(story.clone());
        let keep = async {
            for story in &filled {
                work::keep(world, story, random).await?;
            }
            Ok(())
        };
        tokio::try_join!(work::fill(world, &story), keep)?;
        if world.live().len() > settings.parties {
            let oldest = world.live().pop_front();
            if let Some(oldest) = oldest {
                oldest.check(&world.devices, &world.latencies).await?;
                oldest.end(&world.devices, &world.latencies).await?;
            }
        }
        if opened.elapsed() >= settings.reopen_after {
            world.devices.reopen(&world.latencies).await?;
            opened = Instant::now();
        }
    }
    let left: Vec<Arc<Story>> = world.live().drain(..).collect();
    for story in left {
        story.check(&world.devices, &world.latencies).await?;
    }
    Ok(())
}

/// Samples until the time is up, and says what it sees.
async fn sample(world: Arc<World>) -> Result<(Vec<Moment>, Vec<Counts>), Failure> {
    let mut sampler = Sampler::new();
    let mut moments: Vec<Moment> = Vec::new();
    let mut progress = (0, Instant::now());
    println!("{}", report::head());
    while !world.is_late() {
        let next = world.settings.interval * (moments.len() as u32 + 1);
        while world.started.elapsed() < next && !world.is_late() {
            tokio::time::sleep(TICK).await;
        }
        let moment = sampler.sample(&world).await?;
        println!("{}", report::line(&moment));
        moments.push(moment);
        let written = world.written.load(Relaxed);
        if written > progress.0 {
            progress = (written, Instant::now());
        } else if progress.1.elapsed() > STALL {
            return Err(format!("nothing was written for {} s", STALL.as_secs()).into());
        }
    }
    while !world.is_over() {
        tokio::time::sleep(TICK).await;
    }
    Ok((moments, sampler.total))
}

fn tell(world: &World, moments: &[Moment], total: &[Counts]) -> Result<bool, Failure> {
    println!("\n{}", report::summary(total));
    println!(
        "{} messages were written and found again; {} operations met what others had closed, {} looks \
         an item that kept leaving memory",
        world.written.load(Relaxed),
        world.overtaken.load(Relaxed),
        world.evicted.load(Relaxed),
    );
    if let Some(path) = &world.settings.csv {
        report::write_csv(&mut BufWriter::new(File::create(path)?), moments)?;
        println!("all samples stand in {}", path.display());
    }
    let (text, flat) = report::verdict(moments);
    println!("\n{text}");
    Ok(flat || !world.settings.strict)
}

/// The poisoned items panic on purpose, often.
fn quiet_expected_panics() {
    let told = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let payload = info.payload();
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let said = payload.downcast_ref::<&str>().copied().or(text);
        if said != Some(ledger::PANIC) {
            told(info);
        }
    }));
}

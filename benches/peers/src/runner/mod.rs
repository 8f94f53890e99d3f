//! The runner: starts every driver by turns, checks what it tells, and prints the comparison.
//!
//! Invariants:
//! - a run whose state is not the workload's own has no speed: it is an error, and the runner fails;
//! - what could not be measured is named with its reason, never left out;
//! - a ratio compares runs of one step with one count and one durability, taken by turns.

mod chart;
mod figures;
mod machine;
mod plan;
mod process;
mod settings;
mod syncs;
mod table;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use systole_peers_contract::{Failure, Step};

use figures::Figures;
use machine::Machine;
use plan::{Case, Plan};
use process::Drivers;
pub use settings::{Settings, USAGE};

/// Measures everything that was asked for; whether all went well.
pub fn compare(settings: &Settings) -> Result<bool, Failure> {
    let machine = Machine::look();
    println!("{machine}");
    fs::create_dir_all(&settings.files)?;
    let drivers = Drivers::find(settings, &machine.cores)?;
    let mut figures = Figures::new(machine);
    let cases = drivers.usable(&Plan::new(settings), &mut figures);
    let directory = tempfile::Builder::new().prefix("peers-").tempdir_in(&settings.files)?;
    measure(settings, &drivers, &cases, directory.path(), &mut figures)?;
    if settings.smoke {
        table::print_checks(&figures, Plan::steps());
    } else {
        syncs::count(&drivers, &cases, directory.path(), &mut figures)?;
        table::print(&figures, Plan::steps());
        report(settings, &figures)?;
    }
    Ok(figures.all_went_well())
}

/// Populates the sources, then does step by step and round by round one case after the other.
fn measure(
    settings: &Settings,
    drivers: &Drivers,
    cases: &[Case],
    directory: &Path,
    figures: &mut Figures,
) -> Result<(), Failure> {
    let mut expected = Expected::default();
    let source = |case: &Case| directory.join("sources").join(case.to_string());
    for case in cases {
        eprintln!("populating {case}");
        let told = drivers.run(case, Step::Populate, &source(case), None);
        figures.take(case, Step::Populate, told, expected.state(case.messages));
    }
    for step in Plan::steps() {
        let cases = Plan::asked(cases, *step);
        for round in 0..settings.rounds {
            for case in &cases {
                if figures.has_failed(case, Step::Populate) || figures.has_failed(case, *step) {
                    continue;
                }
                eprintln!("{} of {case}, round {} of {}", step.name(), round + 1, settings.rounds);
                let written = tempfile::tempdir_in(directory)?;
                let told = drivers.run(case, *step, written.path(), Some(&source(case)));
                figures.take(case, *step, told, expected.state(case.messages));
            }
        }
    }
    Ok(())
}

/// Writes what was measured as JSON and as a page.
fn report(settings: &Settings, figures: &Figures) -> Result<(), Failure> {
    fs::create_dir_all(&settings.report)?;
    let json = settings.report.join("peers.json");
    fs::write(&json, figures.json())?;
    let html = settings.report.join("peers.html");
    fs::write(&html, chart::page(figures, Plan::steps()))?;
    println!("\nreport: {} and {}", html.display(), json.display());
    Ok(())
}

/// The state that so many messages of the workload lead to.
#[derive(Default)]
struct Expected(BTreeMap<usize, String>);

impl Expected {
    fn state(&mut self, messages: usize) -> &str {
        self.0.entry(messages).or_insert_with(|| plan::workload(messages).state().hash())
    }
}

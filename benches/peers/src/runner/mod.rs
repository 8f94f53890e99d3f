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
mod table;

use std::collections::BTreeMap;
use std::fs;

use systole_peers_contract::{Failure, Step};

use figures::Figures;
use machine::Machine;
use plan::Plan;
use process::Drivers;
pub use settings::{Settings, USAGE};

/// Measures everything that was asked for; whether all went well.
pub fn compare(settings: &Settings) -> Result<bool, Failure> {
    let machine = Machine::look();
    println!("{machine}");
    fs::create_dir_all(&settings.files)?;
    let drivers = Drivers::find(settings, &machine.cores)?;
    let mut figures = Figures::new(machine);
    let plan = Plan::new(settings);
    let cases = drivers.usable(&plan, &mut figures);
    let mut expected = Expected::default();

    let directory = tempfile::Builder::new().prefix("peers-").tempdir_in(&settings.files)?;
    let sources = directory.path().join("sources");
    for case in &cases {
        eprintln!("populating {case}");
        let source = sources.join(case.to_string());
        let told = drivers.run(case, Step::Populate, &source, None);
        figures.take(case, Step::Populate, told, expected.state(case.messages));
    }
    for step in Plan::steps() {
        for round in 0..settings.rounds {
            for case in cases.iter().filter(|case| case.system.does(*step)) {
                if figures.has_failed(case, Step::Populate) || figures.has_failed(case, *step) {
                    continue;
                }
                eprintln!("{} of {case}, round {} of {}", step.name(), round + 1, settings.rounds);
                let written = tempfile::tempdir_in(directory.path())?;
                let source = sources.join(case.to_string());
                let asked = case.counted(*step);
                let told = drivers.run(&asked, *step, written.path(), Some(&source));
                figures.take(case, *step, told, expected.state(asked.messages));
            }
        }
    }
    if settings.smoke {
        table::print_checks(&figures, Plan::steps());
    } else {
        table::print(&figures, Plan::steps());
        fs::create_dir_all(&settings.report)?;
        let json = settings.report.join("peers.json");
        fs::write(&json, figures.json())?;
        let html = settings.report.join("peers.html");
        fs::write(&html, chart::page(&figures, Plan::steps()))?;
        println!("\nreport: {} and {}", html.display(), json.display());
    }
    Ok(figures.all_went_well())
}

/// The state that so many messages of the workload lead to.
#[derive(Default)]
struct Expected(BTreeMap<usize, String>);

impl Expected {
    fn state(&mut self, messages: usize) -> &str {
        self.0.entry(messages).or_insert_with(|| plan::workload(messages).state().hash())
    }
}

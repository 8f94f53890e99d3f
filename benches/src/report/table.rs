//! The table on the terminal.

use super::{Report, Row, Target, grouped, quantity};

/// Prints everything that has no chart.
pub fn print(report: &Report) {
    println!(
        "\nsystole: what was measured beside what; medians, in brackets the least and the greatest round, then how many"
    );
    println!("{}", report.machine.line());
    println!("scale {}, {:.0} s in all", report.scale, report.seconds);
    if !report.ceilings.is_empty() {
        println!("\nwhat the machine allows, in the same run");
        for figure in &report.ceilings {
            println!("  {:62} {}", figure.what, figure.spread.text(figure.unit));
        }
    }
    if !report.rows.is_empty() {
        println!(
            "\n{:66} {:>9} {:>23}  {:9} met",
            "what", "measured", "[from – to] rounds", "target"
        );
    }
    let mut group = "";
    for row in &report.rows {
        if row.group != group {
            group = row.group;
            println!("{group}");
        }
        line(row);
    }
    for stages in &report.stages {
        let (clock, threads) = (stages.by_the_clock, stages.of_threads());
        println!("\nwhere the time goes: {}", stages.workload);
        println!(
            "  {clock:.0} ns a message by the clock, {threads:.0} ns in the stages of all threads"
        );
        for stage in &stages.stages {
            let each = stage.nanoseconds / stages.messages as f64;
            let (name, share) = (stage.name, each / threads * 100.0);
            let count = grouped(stage.count as i64);
            println!("  {name:12} {each:>8.0} ns {share:>5.1} %   {count:>12} passed");
        }
    }
    if !report.instructions.is_empty() {
        println!("\ninstructions a message, of two runs each (callgrind)");
        for counted in &report.instructions {
            let each: Vec<_> =
                counted.per_message.iter().map(|count| format!("{count:>9.0}")).collect();
            let (least, most) = counted.sizes;
            println!("  {:48} {}   ({least} and {most} messages)", counted.phase, each.join(" "));
        }
    }
    if !report.notes.is_empty() {
        println!();
    }
    for note in &report.notes {
        println!("note: {note}");
    }
    let judged = report.rows.iter().filter_map(|row| row.met);
    let met = judged.clone().filter(|met| *met).count();
    println!("\n{met} of {} targets are met", judged.count());
}

fn line(row: &Row) {
    let measured = quantity(row.measured.median, row.unit);
    let range = row.measured.range(row.unit);
    println!("  {:64} {measured:>9} {range:>23}  {:9} {}", row.what, target(row), verdict(row.met));
    for figure in &row.figures {
        println!("      {:60} {}", figure.what, figure.spread.text(figure.unit));
    }
    for text in [&row.size, &row.note].into_iter().filter(|text| !text.is_empty()) {
        println!("      {text}");
    }
}

/// The target as people write it.
pub(super) fn target(row: &Row) -> String {
    match row.target {
        Target::AtLeast(least) => format!("≥ {}", quantity(least, row.unit)),
        Target::AtMost(most) => format!("≤ {}", quantity(most, row.unit)),
        Target::None => String::new(),
    }
}

/// Whether the target is met, in a word.
pub(super) fn verdict(met: Option<bool>) -> &'static str {
    match met {
        Some(true) => "yes",
        Some(false) => "NO",
        None => "",
    }
}

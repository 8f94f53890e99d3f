//! The comparison as text.

use systole_peers_contract::Step;

use super::figures::{Figures, Line};
use super::machine;

/// What a step's section says above its lines.
pub(super) fn title(step: Step) -> &'static str {
    match step {
        Step::Populate => "populating",
        Step::Append => "append, one by one, each awaited: messages/s",
        Step::AppendBatch => "append, batches of 256, each awaited: messages/s",
        Step::AppendMerged => {
            "append, batches of 256 as one message of many writes, beside those of Systole that stay \
             messages: messages/s"
        }
        Step::Replay => {
            "replay: from opening a store to its whole state, stored data trusted: messages/s"
        }
        Step::ReplayVerified => {
            "replay, everything that is stored checked again before or on the way: messages/s"
        }
        Step::Replicate => {
            "replicate: to the state of a receiver that verifies and stores: messages/s"
        }
        Step::Live => {
            "live: from the call to visible in the state, one after the other: microseconds"
        }
    }
}

/// Everything, with the ratios.
pub(super) fn print(figures: &Figures, steps: &[Step]) {
    for step in steps {
        let lines = figures.of(*step);
        if lines.is_empty() {
            continue;
        }
        println!("\n{}", title(*step));
        println!(
            "  {:16} {:9} {:>8} {:>11} {:>25} {:>8} {:>13} {:>8} {:>7} {:>7}",
            "",
            "survives",
            "messages",
            "median",
            "least - greatest",
            "systole",
            "target",
            "cpu us",
            "peak",
            "disk"
        );
        for line in lines {
            print_line(figures, line);
        }
    }
    if !figures.syncs.is_empty() {
        println!("\nsyncs of a thousand single appends, opening and closing included");
        for (case, syncs) in &figures.syncs {
            println!("  {:26} {syncs:>10}", case.name());
        }
    }
    println!(
        "\nsystole: how many times as fast it is with the same count and durability; survives: what a \
         write survives, buffered the process, synced the machine;\ncpu us: computing time of a message; \
         peak: most memory, MiB; disk: bytes of a message."
    );
    println!("load after {}", machine::load());
    print_missing(figures);
}

fn print_line(figures: &Figures, line: &Line) {
    let figure = line.figure();
    let spread = format!("{} - {}", number(figure.least), number(figure.greatest));
    let ratio = figures.ratio(line);
    let target = line.case.target(line.step).filter(|_| ratio.is_some());
    println!(
        "  {:16} {:9} {:>8} {:>11} {:>25} {:>8} {:>13} {:>8.1} {:>7.0} {:>7.0}{}",
        line.case.system.name,
        line.case.durability.name(),
        line.case.messages,
        number(figure.median),
        spread,
        ratio.map_or_else(String::new, |ratio| format!("{ratio:.2} x")),
        verdict(ratio, target),
        line.cpu_micros(),
        line.peak_mib(),
        line.disk_bytes(),
        line.latency_99()
            .map_or_else(String::new, |high| format!("   99 %: {}", number(high.median))),
    );
}

/// The target, and whether it is reached.
pub(super) fn verdict(ratio: Option<f64>, target: Option<f64>) -> String {
    match (ratio, target) {
        (Some(ratio), Some(target)) => {
            format!(">= {target:.0} {}", if ratio >= target { "yes" } else { "MISSED" })
        }
        _ => String::new(),
    }
}

/// Of a small run: what agreed.
pub(super) fn print_checks(figures: &Figures, steps: &[Step]) {
    for step in steps {
        let lines = figures.of(*step);
        let names: Vec<_> = lines.iter().map(|line| line.case.to_string()).collect();
        println!("{}: the same state in {}", step.name(), names.join(", "));
    }
    print_missing(figures);
}

fn print_missing(figures: &Figures) {
    for (system, why) in figures.lacking() {
        println!("not measured: {system}: {why}");
    }
    for failure in figures.failed() {
        println!("FAILED: {failure}");
    }
}

/// With a comma at the thousands; small ones with a decimal.
pub(super) fn number(value: f64) -> String {
    if value < 100.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{value:.0}");
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(number(1_234_567.0), "1,234,567");
        assert_eq!(number(123.4), "123");
        assert_eq!(number(12.34), "12.3");
    }

    #[test]
    fn a_missed_target_says_so() {
        assert_eq!(verdict(Some(9.9), Some(10.0)), ">= 10 MISSED");
        assert_eq!(verdict(Some(10.0), Some(10.0)), ">= 10 yes");
        assert_eq!(verdict(Some(2.0), None), "");
    }
}

//! Saying what was seen: a line a sample, a file to be plotted, and whether it is flat.

use std::fmt::Write as _;
use std::io;

use super::latency::{Counts, Kind, Latency};
use super::sampling::Moment;
use crate::Sample;

const MIB: f64 = (1 << 20) as f64;

/// Flat is what stays within this share.
const TOLERANCE: f64 = 0.1;

/// Samples after the warm-up that a verdict takes at least.
const SAMPLES_MIN: usize = 10;

/// Latencies with a place in each line.
const SHOWN: [Kind; 4] = [Kind::Synced, Kind::Buffered, Kind::View, Kind::Ingest];

/// The head of the lines.
pub(super) fn head() -> String {
    let mut line = format!(
        "{:>7} {:>6} {:>6} {:>5} {:>4} {:>6} {:>4} {:>5} {:>5} {:>8} {:>8} {:>8} {:>5}",
        "seconds",
        "rss",
        "peak",
        "files",
        "thr",
        "disk",
        "tab",
        "log",
        "debt",
        "written",
        "applied",
        "ingested",
        "items"
    );
    for kind in SHOWN {
        let _ = write!(line, "  {:>19}", format!("{} p50/p99/max", short(kind)));
    }
    line
}

fn short(kind: Kind) -> &'static str {
    &kind.name()[..kind.name().len().min(6)]
}

/// One sample: MiB, counts, messages a second, milliseconds.
pub(super) fn line(moment: &Moment) -> String {
    let mib = |bytes: u64| bytes as f64 / MIB;
    let mut line = format!(
        "{:>7.0} {:>6.1} {:>6.1} {:>5} {:>4} {:>6.1} {:>4} {:>5.1} {:>5.1} {:>8.0} {:>8.0} {:>8.0} {:>5}",
        moment.seconds,
        mib(moment.resident_bytes),
        mib(moment.peak_bytes),
        moment.open_files,
        moment.threads,
        mib(moment.used.disk_bytes),
        moment.used.files,
        mib(moment.used.log_bytes),
        mib(moment.used.pending_compaction_bytes),
        moment.written,
        moment.applied,
        moment.ingested,
        moment.passed.resident,
    );
    for kind in SHOWN {
        let _ = write!(line, "  {:>19}", milliseconds(&moment.latencies[kind as usize]));
    }
    line
}

fn milliseconds(latency: &Latency) -> String {
    let millis = |micros: u64| micros as f64 / 1e3;
    let Latency { half, most, longest, .. } = *latency;
    format!("{:.2} {:.1} {:.0}", millis(half), millis(most), millis(longest))
}

/// Writes all samples as comma-separated values.
pub(super) fn write_csv(out: &mut impl io::Write, moments: &[Moment]) -> io::Result<()> {
    write!(
        out,
        "seconds,rss_bytes,peak_bytes,open_files,threads,disk_bytes,table_files,log_bytes,\
         pending_compaction_bytes,cache_bytes,parties,written_per_second,applied_per_second,ingested_per_second,checkpoints,syncs,items_resident,\
         items_resident_bytes"
    )?;
    for kind in Kind::ALL {
        let name = kind.name();
        write!(out, ",{name}_count,{name}_p50_us,{name}_p99_us,{name}_max_us")?;
    }
    writeln!(out)?;
    for moment in moments {
        let (used, passed) = (&moment.used, &moment.passed);
        write!(
            out,
            "{:.1},{},{},{},{},{},{},{},{},{},{},{:.0},{:.0},{:.0},{},{},{},{}",
            moment.seconds,
            moment.resident_bytes,
            moment.peak_bytes,
            moment.open_files,
            moment.threads,
            used.disk_bytes,
            used.files,
            used.log_bytes,
            used.pending_compaction_bytes,
            used.cache_bytes,
            moment.parties,
            moment.written,
            moment.applied,
            moment.ingested,
            passed.checkpointed,
            passed.syncs,
            passed.resident,
            passed.resident_bytes,
        )?;
        for Latency { count, half, most, longest } in &moment.latencies {
            write!(out, ",{count},{half},{most},{longest}")?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// How long each kind of operation took over the whole soak.
pub(super) fn summary(total: &[Counts]) -> String {
    let mut text = format!(
        "{:12} {:>12} {:>10} {:>10} {:>10}\n",
        "milliseconds", "count", "p50", "p99", "max"
    );
    for kind in Kind::ALL {
        let Latency { count, half, most, longest } = total[kind as usize].latency();
        let millis = |micros: u64| micros as f64 / 1e3;
        let (half, most, longest) = (millis(half), millis(most), millis(longest));
        let _ = writeln!(
            text,
            "{:12} {count:>12} {half:>10.2} {most:>10.2} {longest:>10.1}",
            kind.name()
        );
    }
    text
}

/// How a value went over time, after the warm-up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Course {
    /// Median of the first fifth.
    first: f64,
    /// Median of the last fifth.
    last: f64,
    least: f64,
    greatest: f64,
}

impl Course {
    /// `None` where there are too few samples to tell.
    fn of(values: &[f64]) -> Option<Self> {
        // The first third is the warm-up.
        let rest = &values[values.len() / 3..];
        if rest.len() < SAMPLES_MIN {
            return None;
        }
        let fifth = rest.len() / 5;
        let median = |part: &[f64]| part.iter().copied().collect::<Sample>().median();
        let all: Sample = rest.iter().copied().collect();
        Some(Self {
            first: median(&rest[..fifth]),
            last: median(&rest[rest.len() - fifth..]),
            least: all.quantile(0.0),
            greatest: all.greatest(),
        })
    }

    fn ratio(&self) -> f64 {
        // Nothing stays nothing.
        if self.last == self.first { 1.0 } else { self.last / self.first }
    }

    fn is_flat(&self) -> bool {
        (self.ratio() - 1.0).abs() <= TOLERANCE
    }
}

/// The verdict as text, and whether what must be flat is.
pub(super) fn verdict(moments: &[Moment]) -> (String, bool) {
    let mut flat = true;
    let mut text = format!(
        "{:21} {:>12} {:>12} {:>7} {:>12} {:>12}\n",
        "after the warm-up", "first fifth", "last fifth", "ratio", "least", "greatest"
    );
    let mut row = |name: &str, must: bool, of: &dyn Fn(&Moment) -> f64| {
        let values: Vec<f64> = moments.iter().map(of).collect();
        let Some(course) = Course::of(&values) else {
            let _ = writeln!(text, "{name:21} too few samples");
            flat &= !must;
            return;
        };
        flat &= !must || course.is_flat();
        let Course { first, last, least, greatest } = course;
        let word = if course.is_flat() { "flat" } else { "not flat" };
        let _ = writeln!(
            text,
            "{name:21} {first:>12.2} {last:>12.2} {:>7.3} {least:>12.2} {greatest:>12.2}  {word}",
            course.ratio()
        );
    };
    row("RSS, MiB", true, &|moment| moment.resident_bytes as f64 / MIB);
    row("disk, MiB", true, &|moment| moment.used.disk_bytes as f64 / MIB);
    row("table files", false, &|moment| moment.used.files as f64);
    row("compaction debt, MiB", false, &|moment| moment.used.pending_compaction_bytes as f64 / MIB);
    row("open files", false, &|moment| moment.open_files as f64);
    row("threads", false, &|moment| moment.threads as f64);
    row("written a second", false, &|moment| moment.written);
    for kind in SHOWN {
        let name = format!("{} p99, ms", kind.name());
        row(&name, false, &|moment| moment.latencies[kind as usize].most as f64 / 1e3);
    }
    (text, flat)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_grows_after_the_warm_up_is_not_flat() {
        let warm = |at: u32| f64::from(at.min(30));
        let flat: Vec<f64> = (0..90).map(|at| 100.0 + warm(at)).collect();
        let course = Course::of(&flat).unwrap();
        assert!(course.is_flat() && course.ratio() == 1.0, "{course:?}");

        let leak: Vec<f64> = (0..90).map(|at| 100.0 + warm(at) + f64::from(at) * 0.4).collect();
        let course = Course::of(&leak).unwrap();
        assert!(!course.is_flat(), "{course:?}");
        assert_eq!(course.least, 142.0);

        assert_eq!(Course::of(&flat[..9]), None);
    }
}

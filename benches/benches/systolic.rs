//! `make bench`: everything that is measured, in one run.

use std::path::PathBuf;
use std::time::Instant;

use systole_benches::report::{Report, html, json, print};
use systole_benches::rows::{Context, measure, names, serve};
use systole_benches::{Child, Failure, Run};

fn main() -> Result<(), Failure> {
    if let Some(child) = Child::this() {
        return serve(&child);
    }
    let run = Run::new(env!("CARGO_TARGET_TMPDIR"))?;
    if !names().any(|name| run.wants(name)) {
        return Err(format!("groups of rows: {}", names().collect::<Vec<_>>().join(", ")).into());
    }
    let started = Instant::now();
    let mut report = Report::new(&run);
    let context = Context::new(run, env!("CARGO_BIN_EXE_instructions"))?;
    measure(&context, &mut report)?;
    report.seconds = started.elapsed().as_secs_f64();
    report.machine.end();
    let folder = folder(&context.run)?;
    std::fs::write(folder.join("report.json"), json(&report)?)?;
    std::fs::write(folder.join("report.html"), html(&report))?;
    if context.run.smoke {
        println!(
            "every result is right, in {:.0} s; times of a small run mean nothing",
            report.seconds
        );
    } else {
        print(&report);
        println!("{}", folder.join("report.json").display());
        println!("{}", folder.join("report.html").display());
    }
    Ok(())
}

/// Where the report goes: that of a small run is nobody's to keep.
fn folder(run: &Run) -> Result<PathBuf, Failure> {
    let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let target = target.parent().ok_or("the target folder has a parent")?;
    let folder = target.join(if run.smoke { "bench-smoke" } else { "bench" });
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

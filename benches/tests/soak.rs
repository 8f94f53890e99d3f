//! The soak's program: that it can be run, finds everything again, and says what it saw. Times, memory
//! and disk are not looked at here: a few seconds say nothing of them.
//!
//! Planted: a hand that notes one entry of a ledger more than it writes makes the soak fail.

use std::process::Command;

#[test]
fn a_short_soak_finds_again_what_it_wrote() {
    let directory = tempfile::tempdir().unwrap();
    let csv = directory.path().join("samples.csv");
    let mut soak = Command::new(env!("CARGO_BIN_EXE_soak"));
    soak.args(["--seconds", "5", "--seed", "3", "--parties", "2", "--items", "12"])
        .args(["--messages", "1000", "--reopen-after", "2"])
        .arg("--directory")
        .arg(directory.path().join("devices"))
        .arg("--csv")
        .arg(&csv);
    let output = soak.output().unwrap();
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}\n{complained}");
    assert!(said.contains("messages were written and found again"), "{said}");
    assert!(said.contains("seed 3"), "{said}");
    let samples = std::fs::read_to_string(&csv).unwrap();
    assert!(samples.starts_with("seconds,rss_bytes") && samples.lines().count() > 3, "{samples}");
}

//! A second process: this test binary again, told by a variable what to do.

use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use systole_store::{Batch, Durability, FeedNo, Store};

use crate::support::options;

const ROLE: &str = "SYSTOLE_STORE_TEST_ROLE";
const PATH: &str = "SYSTOLE_STORE_TEST_PATH";
const READY: &str = "ready";

/// What the other process does with the store.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Role {
    /// Opens it, says so, and holds it until its input ends.
    Hold,
    /// Commits a hundred blocks, buffered, and aborts without closing.
    CommitAndAbort,
}

pub(crate) fn spawn(role: Role, path: &Path) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", "process::other_process", "--nocapture"])
        .env(ROLE, format!("{role:?}"))
        .env(PATH, path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Waits until the other process has the store open.
pub(crate) fn wait_until_ready(child: &mut Child) {
    let output = BufReader::new(child.stdout.as_mut().unwrap());
    assert!(output.lines().any(|line| line.unwrap().contains(READY)), "the child opened the store");
}

/// Not a test by itself: what the child of [`spawn`] runs.
#[test]
fn other_process() {
    let Ok(role) = env::var(ROLE) else { return };
    let path = PathBuf::from(env::var_os(PATH).unwrap());
    let store = Store::open(&path, &options()).unwrap();
    if role == format!("{:?}", Role::CommitAndAbort) {
        for seq in 0..100 {
            let mut batch = Batch::new();
            store.feeds().put_block(&mut batch, FeedNo(1), seq, &[1; 100]);
            store.commit(batch, Durability::Buffered).unwrap();
        }
        std::process::abort();
    }
    println!("\n{READY}");
    std::io::stdout().flush().unwrap();
    let _ = std::io::stdin().read(&mut [0]).unwrap();
}

//! Processes that a test starts to see them end: the test's own executable again, running one ignored test.
//!
//! Invariants:
//! - a child speaks in whole lines that begin with `SIGN`, so nothing else on its output is taken for them;
//! - a child never outlives the test: what is dropped is killed.

use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

/// What begins a line that a child says.
const SIGN: char = '@';

/// A running child.
#[derive(Debug)]
pub struct Process {
    child: Child,
    lines: Receiver<String>,
}

impl Process {
    /// Runs the ignored test `test` of this executable with these variables.
    ///
    /// # Panics
    /// If the system starts no process.
    pub fn start(test: &str, variables: &[(&str, String)]) -> Self {
        Self::spawn(
            Command::new(std::env::current_exe().expect("tests have a path")),
            test,
            variables,
        )
    }

    /// The same, and no file that it writes may grow beyond `blocks` of 512 bytes: a write is cut short
    /// there, the next one fails.
    ///
    /// # Panics
    /// If the system starts no process.
    pub fn start_limited(test: &str, variables: &[(&str, String)], blocks: u64) -> Self {
        let mut shell = Command::new("sh");
        // The signal would kill it; ignored, writing fails instead, as on a full disk.
        shell.arg("-c").arg(format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\""));
        shell.arg(std::env::current_exe().expect("tests have a path"));
        Self::spawn(shell, test, variables)
    }

    fn spawn(mut command: Command, test: &str, variables: &[(&str, String)]) -> Self {
        command.args(["--exact", test, "--ignored", "--nocapture", "--test-threads", "1"]);
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("a process starts");
        let output = child.stdout.take().expect("its output is a pipe");
        let (said, lines) = mpsc::channel();
        // Ends with the child: then the pipe does.
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let told = line.strip_prefix(SIGN).map(|line| said.send(line.to_owned()));
                if told.is_some_and(|told| told.is_err()) {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    /// Waits until it says `line`; false if it ends or the time does.
    pub fn wait_for(&self, line: &str, at_most: Duration) -> bool {
        let end = Instant::now() + at_most;
        loop {
            match self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(said) if said == line => return true,
                Ok(_) => {}
                Err(_) => return false,
            }
        }
    }

    /// Lets it run for this long, unless it ends before.
    pub fn run_for(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while self.lines.recv_timeout(end.saturating_duration_since(Instant::now())).is_ok() {}
        thread::sleep(end.saturating_duration_since(Instant::now()));
    }

    /// Kills it as it is.
    ///
    /// # Panics
    /// If it had ended by itself: it is meant to work until it is killed.
    pub fn kill(mut self) {
        let ended = self.child.try_wait().expect("a child can be waited for");
        assert!(ended.is_none(), "the child ended by itself: {ended:?}; see what it says above");
        self.child.kill().expect("a child can be killed");
        let status = self.child.wait().expect("a child can be waited for");
        assert!(!status.success() && status.code().is_none(), "it was killed: {status:?}");
    }

    /// Waits until it ends by itself; all that it said, and how it ended.
    ///
    /// # Panics
    /// If it says nothing for `silence`.
    pub fn output(mut self, silence: Duration) -> (Vec<String>, ExitStatus) {
        let mut said = Vec::new();
        loop {
            match self.lines.recv_timeout(silence) {
                Ok(line) => said.push(line),
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => panic!("it hangs after {said:?}"),
            }
        }
        let status = self.child.wait().expect("a child can be waited for");
        (said, status)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Fails only for one that ended.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Says a line to the parent.
///
/// # Panics
/// If the parent does not listen.
pub fn say(line: &str) {
    let line = format!("\n{SIGN}{line}\n");
    let mut output = io::stdout().lock();
    output.write_all(line.as_bytes()).and_then(|()| output.flush()).expect("the parent listens");
}

/// What the parent set; `None` where no parent started this.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

//! Measuring in a process of its own: the bench starts itself again, and the child reports values by
//! name on its standard output.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use crate::Failure;

/// First argument of a child, before the name of what it does.
const CHILD: &str = "--child";

/// What a process was started for.
#[derive(Debug)]
pub struct Child {
    /// The name of what it does.
    pub task: String,
    /// What it needs to know.
    pub arguments: Vec<String>,
}

impl Child {
    /// This process, if it is a child.
    pub fn this() -> Option<Self> {
        let mut arguments = std::env::args().skip(1);
        let is_child = arguments.next()? == CHILD;
        is_child.then(|| Self {
            task: arguments.next().unwrap_or_default(),
            arguments: arguments.collect(),
        })
    }

    /// An argument that must be there.
    pub fn argument(&self, at: usize) -> Result<&str, Failure> {
        let argument = self.arguments.get(at).map(String::as_str);
        argument.ok_or_else(|| format!("child {} lacks argument {at}", self.task).into())
    }
}

/// Runs `task` in a child and returns what it reported.
pub fn run_child(task: &str, arguments: &[&str]) -> Result<BTreeMap<String, f64>, Failure> {
    run(Command::new(std::env::current_exe()?), task, arguments)
}

/// The same in an environment with these variables.
pub fn run_child_with(
    variables: &[(&str, &str)],
    task: &str,
    arguments: &[&str],
) -> Result<BTreeMap<String, f64>, Failure> {
    let mut command = Command::new(std::env::current_exe()?);
    command.envs(variables.iter().copied());
    run(command, task, arguments)
}

/// The same on some processors only, as `taskset` names them: 0 or 0,1.
pub fn run_child_on(
    processors: &str,
    task: &str,
    arguments: &[&str],
) -> Result<BTreeMap<String, f64>, Failure> {
    let mut command = Command::new("taskset");
    command.arg("--cpu-list").arg(processors).arg(std::env::current_exe()?);
    run(command, task, arguments)
}

fn run(
    mut command: Command,
    task: &str,
    arguments: &[&str],
) -> Result<BTreeMap<String, f64>, Failure> {
    command.args([CHILD, task]).args(arguments).stdin(Stdio::null()).stderr(Stdio::inherit());
    let output = command.output()?;
    let text = String::from_utf8(output.stdout)?;
    if !output.status.success() {
        return Err(format!("child {task} failed ({}): {text}", output.status).into());
    }
    let mut values = BTreeMap::new();
    for line in text.lines() {
        let (name, value) = line.split_once(' ').ok_or_else(|| format!("child said {line:?}"))?;
        values.insert(name.to_owned(), value.parse()?);
    }
    Ok(values)
}

/// Tells the parent a value.
pub fn report(name: &str, value: f64) {
    println!("{name} {value}");
}

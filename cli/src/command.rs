//! Running one command: directories checked first, then the work, then the answer.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;

use crate::arguments::{Arguments, Command, Source};
use crate::backend::Backend;
use crate::error::{Error, Exit, Result};
use crate::git::Repository;
use crate::import::{Sink, import};
use crate::progress::Progress;
use crate::view::{Form, print};

/// Runs a command, and writes its answer to `out`.
pub async fn run(
    arguments: &Arguments,
    backend: &impl Backend,
    out: &mut impl Write,
) -> Result<Exit> {
    let form = arguments.form();
    let mut progress = Progress::new(arguments.progress());
    match &arguments.command {
        Command::Import { source: Source::Git { repository, into } } => {
            let repository = Repository::open(repository)?;
            prepare(into)?;
            let report =
                fill(&repository, into, backend, &mut progress).await.map_err(|source| {
                    Error::Unfinished { directory: into.clone(), source: Box::new(source) }
                })?;
            print(out, form, &report)?;
            Ok(if report.check.is_clean() { Exit::Success } else { Exit::Damage })
        }
        Command::Status(store) => {
            must_exist(&store.directory)?;
            print(out, form, &backend.status(&store.directory).await?)?;
            Ok(Exit::Success)
        }
        Command::Feeds(store) => {
            must_exist(&store.directory)?;
            print(out, form, &backend.feeds(&store.directory).await?)?;
            Ok(Exit::Success)
        }
        Command::Items { store, deleted } => {
            must_exist(&store.directory)?;
            print(out, form, &backend.items(&store.directory, *deleted).await?)?;
            Ok(Exit::Success)
        }
        Command::Show { item, store } => {
            must_exist(&store.directory)?;
            print(out, form, &backend.show(&store.directory, item).await?)?;
            Ok(Exit::Success)
        }
        Command::Verify(store) => {
            must_exist(&store.directory)?;
            let verification = backend.verify(&store.directory, &mut progress).await?;
            print(out, form, &verification)?;
            Ok(if verification.is_clean() { Exit::Success } else { Exit::Damage })
        }
        Command::Backup { store, to } => {
            must_exist(store)?;
            print(out, form, &backend.backup(store, to).await?)?;
            Ok(Exit::Success)
        }
        Command::Restore { backup, to } => {
            must_exist(backup)?;
            let restored = backend.restore(backup, to, &mut progress).await?;
            print(out, form, &restored)?;
            Ok(if restored.is_done() { Exit::Success } else { Exit::Damage })
        }
    }
}

async fn fill(
    repository: &Repository,
    into: &Path,
    backend: &impl Backend,
    progress: &mut Progress,
) -> Result<crate::import::Report> {
    let mut sink = backend.create(into, &name(repository.path())).await?;
    let report = import(repository, &mut sink, progress).await?;
    sink.close().await?;
    Ok(report)
}

/// The repository's name: its folder's, without the ending of a bare one.
fn name(path: &Path) -> String {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    folder.strip_suffix(".git").filter(|name| !name.is_empty()).unwrap_or(&folder).to_owned()
}

/// Makes sure that there is an empty directory.
fn prepare(directory: &Path) -> Result<()> {
    let failed = |source| Error::io(format!("preparing {}", directory.display()), source);
    match fs::read_dir(directory) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(Error::NotEmpty { path: directory.to_owned() }),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(directory).map_err(failed)
        }
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            Err(Error::NotEmpty { path: directory.to_owned() })
        }
        Err(error) => Err(failed(error)),
    }
}

fn must_exist(directory: &Path) -> Result<()> {
    match fs::metadata(directory) {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => Err(Error::NotAStore { path: directory.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(Error::NoSuchDirectory { path: directory.to_owned() })
        }
        Err(error) => Err(Error::io(format!("reading {}", directory.display()), error)),
    }
}

/// Writes an error: what happened, what caused it, what to do.
pub fn print_error(out: &mut impl Write, form: Form, error: &Error) -> io::Result<()> {
    let causes: Vec<String> =
        std::iter::successors(std::error::Error::source(error), |cause| cause.source())
            .map(ToString::to_string)
            .collect();
    let (message, advice) = (error.to_string(), error.advice());
    if form == Form::Json {
        let json = serde_json::to_string(&Failure { error: message, causes, advice })?;
        return writeln!(out, "{json}");
    }
    writeln!(out, "error: {message}")?;
    for cause in causes {
        writeln!(out, "  because: {cause}")?;
    }
    match advice {
        Some(advice) => writeln!(out, "  what to do: {advice}"),
        None => Ok(()),
    }
}

#[derive(Serialize)]
struct Failure {
    error: String,
    causes: Vec<String>,
    advice: Option<String>,
}

//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::progress::Mode;
use crate::view::Form;

/// Inspects, verifies and backs up Systole data, and imports Git repositories into it.
///
/// Exit status: 0 if all is well; 1 if there is damage, or an import that differs from Git; 2 for wrong arguments, a wrong directory, or one that another process holds; 3 if Git, the
/// disk or the engine failed.
#[derive(Debug, Parser)]
#[command(name = "systole", version)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Answer with one JSON document; errors are JSON too, on the error output.
    #[arg(long, global = true)]
    pub json: bool,
    /// Show no progress.
    #[arg(long, global = true)]
    pub quiet: bool,
}

impl Arguments {
    /// How the answer is written.
    pub fn form(&self) -> Form {
        if self.json { Form::Json } else { Form::Text }
    }

    /// Where progress is shown.
    pub fn progress(&self) -> Mode {
        if self.quiet { Mode::Quiet } else { Mode::Shown }
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Turn something else into a store.
    Import {
        /// What it is.
        #[command(subcommand)]
        source: Source,
    },
    /// What a store holds: parties, feeds, items, and what it waits for.
    Status(Store),
    /// Every feed of a store.
    Feeds(Store),
    /// Every item of a store.
    Items {
        /// The store.
        #[command(flatten)]
        store: Store,
        /// Deleted items too.
        #[arg(long)]
        deleted: bool,
    },
    /// One item: what it holds, and who wrote it.
    Show {
        /// Its id, or as much of its beginning as no other item has.
        item: String,
        /// The store.
        #[command(flatten)]
        store: Store,
    },
    /// Check everything in a store: every block against its author's signature, and whatever is kept
    /// beside the blocks against them.
    Verify(Store),
    /// Copy a store, even while an application has it open and writes to it.
    ///
    /// Everything that was written before is in the copy. It gets its name when it is complete, on the
    /// disk, and read once from end to end; until then its name ends in ".partial". A backup holds the
    /// device's key if the store does: keep it as secret as the store, and on another disk.
    Backup {
        /// Directory of the store.
        #[arg(value_name = "STORE")]
        store: PathBuf,
        /// Where the backup goes; there must be nothing yet.
        #[arg(value_name = "TO")]
        to: PathBuf,
    },
    /// Make a store of a backup, after everything in it is verified.
    ///
    /// The device goes on in a fresh feed of its own in each party: the old ones may have grown since,
    /// where others have seen it. The backup stays as it is.
    Restore {
        /// Directory of the backup.
        #[arg(value_name = "BACKUP")]
        backup: PathBuf,
        /// Directory for the store; it must not exist yet, or be empty.
        #[arg(value_name = "TO")]
        to: PathBuf,
    },
}

/// What can be imported.
#[derive(Debug, Subcommand)]
pub enum Source {
    /// A Git repository: authors become feeds, text files items, commits messages.
    ///
    /// History is followed along first parents up to HEAD, and the result is compared with Git byte
    /// for byte. Binary files, files that are not UTF-8, files above 512 KiB, symbolic links and
    /// submodules are left out, counted and named.
    Git {
        /// The checkout or bare repository.
        repository: PathBuf,
        /// Directory for the new store; it must not exist yet, or be empty.
        #[arg(long, value_name = "DIR")]
        into: PathBuf,
    },
}

/// Which store.
#[derive(Args, Debug)]
pub struct Store {
    /// Directory of the store.
    #[arg(value_name = "DIR", default_value = ".")]
    pub directory: PathBuf,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn global_options_stand_anywhere() {
        let line = ["systole", "import", "git", "repo", "--into", "data", "--json"];
        let arguments = Arguments::try_parse_from(line).unwrap();
        assert_eq!((arguments.form(), arguments.progress()), (Form::Json, Mode::Shown));
        assert!(Arguments::try_parse_from(["systole", "import", "git", "repo"]).is_err());
    }

    #[test]
    fn the_help_names_the_limits_that_hold() {
        let limit = crate::view::bytes(crate::import::class::TEXT_BYTES_MAX);
        let mut command = Arguments::command();
        let import = command.find_subcommand_mut("import").unwrap();
        let git = import.find_subcommand_mut("git").unwrap();
        let help = git.render_long_help().to_string().replace('\n', " ");
        assert!(help.contains(&limit.replace(".0", "")), "{help}");
    }
}

//! Stores that do not do what they are told.

use std::time::Duration;

use systole_cli::import::check::Problem;
use systole_cli::import::memory::Memory;
use systole_cli::import::{Figures, File, FileId, Sink, Step, import};
use systole_cli::progress::{Mode, Progress};
use systole_cli::{Error, Result};

use crate::builder::{Builder, import_into, runtime};

/// What a store makes of a file.
type Fault = fn(FileId, File) -> Option<File>;

/// A store that loses, alters and invents.
struct Faulty {
    memory: Memory,
    fault: Fault,
}

impl Sink for Faulty {
    async fn apply(&mut self, step: Step) -> Result<()> {
        self.memory.apply(step).await
    }

    async fn finish(&mut self) -> Result<()> {
        self.memory.finish().await
    }

    async fn reopen(&mut self) -> Result<Duration> {
        self.memory.reopen().await
    }

    async fn figures(&mut self) -> Result<Figures> {
        self.memory.figures().await
    }

    async fn live(&mut self) -> Result<Vec<FileId>> {
        let mut live = self.memory.live().await?;
        live.retain(|file| (self.fault)(*file, self.memory.file(*file).unwrap().clone()).is_some());
        Ok(live)
    }

    async fn read(&mut self, file: FileId) -> Result<File> {
        let held = self.memory.read(file).await?;
        Ok((self.fault)(file, held).unwrap())
    }

    async fn close(self) -> Result<()> {
        self.memory.close().await
    }
}

#[test]
fn a_store_that_differs_from_git_in_any_way_is_found_out() {
    let mut builder = Builder::new();
    builder.commit("Ann").put("a", "one\n").put("b", "two\n").put("c", b"\0");
    let built = builder.build();
    let faults: [(Fault, &[(&str, Problem)]); 4] = [
        (|_, file| Some(file), &[]),
        (|file, held| (file.0 > 0).then_some(held), &[("a", Problem::Missing)]),
        (
            |_, held| Some(File { text: held.text.replace('w', "v"), ..held }),
            &[("b", Problem::Content { at: 1 })],
        ),
        (
            |file, held| Some(if file.0 == 0 { File { path: "c".into(), ..held } } else { held }),
            &[("c", Problem::Extra), ("a", Problem::Missing)],
        ),
    ];
    for (fault, expected) in faults {
        let mut sink = Faulty { memory: Memory::default(), fault };
        let check = import_into(&built.open(), &mut sink).check;
        let found: Vec<_> = check
            .differences
            .iter()
            .map(|difference| (difference.path.as_str(), difference.problem))
            .collect();
        assert_eq!(found, expected);
        assert_eq!(check.is_clean(), expected.is_empty());
    }
}

#[test]
fn a_sink_that_fails_stops_the_import_with_its_error() {
    struct Full;
    impl Sink for Full {
        async fn apply(&mut self, _: Step) -> Result<()> {
            Err(Error::engine("disk full"))
        }
        async fn finish(&mut self) -> Result<()> {
            unreachable!("a failed import is not finished")
        }
        async fn reopen(&mut self) -> Result<Duration> {
            unreachable!("a failed import is not opened again")
        }
        async fn figures(&mut self) -> Result<Figures> {
            Ok(Figures::default())
        }
        async fn live(&mut self) -> Result<Vec<FileId>> {
            unreachable!("a failed import is not compared")
        }
        async fn read(&mut self, _: FileId) -> Result<File> {
            unreachable!("a failed import is not compared")
        }
        async fn close(self) -> Result<()> {
            Ok(())
        }
    }
    let mut builder = Builder::new();
    builder.commit("Ann").put("a", "one\n");
    let repository = builder.build();
    let mut progress = Progress::new(Mode::Quiet);
    let outcome = runtime().block_on(import(&repository.open(), &mut Full, &mut progress));
    assert!(matches!(outcome, Err(Error::Engine { .. })));
}

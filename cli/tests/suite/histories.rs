//! Generated histories: whatever happened in a repository, the import ends with what a checkout holds.

use std::collections::BTreeMap;

use crate::builder::{Builder, files};
use proptest::prelude::*;
use proptest::sample::Index;

/// What may happen to the files of a commit. Files are picked by index among those that are there.
#[derive(Clone, Debug)]
enum Happening {
    Add(u8, Content),
    Rewrite(Index, Content),
    Edit(Index, Index, String),
    Rename(Index, u8),
    Swap(Index, Index),
    Copy(Index, u8),
    Delete(Index),
    Link(Index),
}

#[derive(Clone, Debug)]
enum Content {
    Text(String),
    Bytes(Vec<u8>),
    Large(u8),
}

impl Content {
    fn bytes(self) -> Vec<u8> {
        match self {
            Self::Text(text) => text.into_bytes(),
            Self::Bytes(bytes) => bytes,
            Self::Large(byte) => [b'x', byte].repeat(300 * 1024),
        }
    }
}

/// Names that are folders of each other are kept apart: Git cannot hold both.
fn name(number: u8) -> Vec<u8> {
    let folder = ["", "d/", "d/e e/", "ü/"][usize::from(number) % 4];
    let mut name = format!("{folder}{}", number / 4 % 8).into_bytes();
    match number / 32 {
        0 => name.push(0xe9),
        1 => name.push(b'\n'),
        2 => name.push(b'"'),
        _ => {}
    }
    name
}

fn text() -> impl Strategy<Value = String> {
    let line = prop_oneof![3 => "[a-d]{0,2}\n", 2 => "\\PC{0,20}\r?\n?"];
    prop::collection::vec(line, 0..30).prop_map(|lines| lines.concat())
}

fn content() -> impl Strategy<Value = Content> {
    prop_oneof![
        12 => text().prop_map(Content::Text),
        2 => prop::collection::vec(any::<u8>(), 0..40).prop_map(Content::Bytes),
        1 => any::<u8>().prop_map(Content::Large),
    ]
}

fn happening() -> impl Strategy<Value = Happening> {
    let index = any::<Index>;
    prop_oneof![
        4 => (any::<u8>(), content()).prop_map(|(name, content)| Happening::Add(name, content)),
        2 => (index(), content()).prop_map(|(file, content)| Happening::Rewrite(file, content)),
        6 => (index(), index(), "\\PC{0,9}\n?").prop_map(|(file, at, new)| Happening::Edit(file, at, new)),
        3 => (index(), any::<u8>()).prop_map(|(file, name)| Happening::Rename(file, name)),
        1 => (index(), index()).prop_map(|(one, other)| Happening::Swap(one, other)),
        1 => (index(), any::<u8>()).prop_map(|(file, name)| Happening::Copy(file, name)),
        2 => index().prop_map(Happening::Delete),
        1 => index().prop_map(Happening::Link),
    ]
}

type Files = BTreeMap<Vec<u8>, (&'static str, Vec<u8>)>;

fn happen(files: &mut Files, happening: Happening) {
    let pick = |files: &Files, index: Index| -> Option<Vec<u8>> {
        (!files.is_empty()).then(|| index.get(&files.keys().collect::<Vec<_>>()).to_vec())
    };
    match happening {
        Happening::Add(number, content) => {
            files.insert(name(number), ("100644", content.bytes()));
        }
        Happening::Rewrite(file, content) => {
            if let Some(path) = pick(files, file) {
                files.insert(path, ("100755", content.bytes()));
            }
        }
        Happening::Edit(file, at, new) => {
            if let Some((_, content)) = pick(files, file).and_then(|path| files.get_mut(&path)) {
                let at = at.index(content.len() + 1);
                let end = content.len().min(at + new.len() / 2);
                content.splice(at..end, new.into_bytes());
            }
        }
        Happening::Rename(file, number) => {
            if let Some(held) = pick(files, file).and_then(|path| files.remove(&path)) {
                files.insert(name(number), held);
            }
        }
        Happening::Swap(one, other) => {
            if let (Some(one), Some(other)) = (pick(files, one), pick(files, other)) {
                let (held, held_other) = (files[&one].clone(), files[&other].clone());
                files.insert(one, held_other);
                files.insert(other, held);
            }
        }
        Happening::Copy(file, number) => {
            if let Some(path) = pick(files, file) {
                let held = files[&path].clone();
                files.insert(name(number), held);
            }
        }
        Happening::Delete(file) => {
            if let Some(path) = pick(files, file) {
                files.remove(&path);
            }
        }
        Happening::Link(file) => {
            if let Some(path) = pick(files, file) {
                files.insert(path, ("120000", b"somewhere".to_vec()));
            }
        }
    }
}

fn write(builder: &mut Builder, before: &Files, after: &Files) {
    for path in before.keys().filter(|path| !after.contains_key(*path)) {
        builder.delete(path);
    }
    for (path, (mode, content)) in after {
        builder.put_mode(mode, path, content);
    }
}

/// Commits by several authors; some on a side branch, which is merged now and then.
#[derive(Clone, Debug)]
struct Commit {
    author: u8,
    aside: bool,
    happenings: Vec<Happening>,
}

fn commit() -> impl Strategy<Value = Commit> {
    let happenings = prop::collection::vec(happening(), 0..6);
    (0..4_u8, prop::bool::weighted(0.2), happenings)
        .prop_map(|(author, aside, happenings)| Commit { author, aside, happenings })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn generated_histories_end_with_what_a_checkout_holds(
        commits in prop::collection::vec(commit(), 1..30)
    ) {
        let mut builder = Builder::new();
        let mut main = Files::new();
        for Commit { author, aside, happenings } in commits {
            let before = main.clone();
            for happening in happenings {
                happen(&mut main, happening);
            }
            let author = ["Ann", "Bob", "Cid", "Dörte"][usize::from(author)];
            if aside && builder.has_commits() {
                let branch = builder.fresh_branch();
                builder.commit_on(&branch, "Side").from("main");
                write(&mut builder, &before, &main);
                builder.commit(author).merge(&branch);
            } else {
                builder.commit(author);
            }
            write(&mut builder, &before, &main);
        }
        let built = builder.build();
        let (memory, report) = built.import();
        let mut expected: Vec<Vec<u8>> = files(built.checkout().path())
            .into_iter()
            .map(|(_, content)| content)
            .filter(|content| content.len() <= 512 * 1024 && !content.contains(&0))
            .filter(|content| std::str::from_utf8(content).is_ok())
            .collect();
        let mut found: Vec<Vec<u8>> = (0..report.counts.created)
            .map(|file| systole_cli::import::FileId(u32::try_from(file).unwrap()))
            .filter(|file| !memory.is_deleted(*file))
            .map(|file| memory.file(file).unwrap().text.clone().into_bytes())
            .collect();
        expected.sort();
        found.sort();
        prop_assert_eq!(found, expected);
        prop_assert_eq!(report.counts.live(), report.check.same);
    }
}

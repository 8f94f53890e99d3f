//! What an import makes of a history.

use crate::builder::{self, Builder, Built, import_into};
use systole_cli::Error;
use systole_cli::diff::Edit;
use systole_cli::import::class::TEXT_BYTES_MAX;
use systole_cli::import::memory::Memory;
use systole_cli::import::reader::Reader;
use systole_cli::import::{AuthorId, FileId, Step};

fn steps(built: &Built) -> Vec<Step> {
    let mut reader = Reader::open(&built.open()).unwrap();
    let mut steps = Vec::new();
    loop {
        match reader.next_batch().unwrap() {
            batch if batch.is_empty() => return steps,
            batch => steps.extend(batch),
        }
    }
}

/// The steps that are not about authors and commits.
fn changes(built: &Built) -> Vec<Step> {
    let mut steps = steps(built);
    steps.retain(|step| !matches!(step, Step::Author { .. } | Step::Commit { .. }));
    steps
}

fn create(file: u32, path: &str, text: &str) -> Step {
    Step::Create { file: FileId(file), path: path.into(), text: text.into() }
}

fn text(memory: &Memory, path: &str) -> String {
    memory.file(memory.at(path).unwrap()).unwrap().text.clone()
}

#[test]
fn a_history_becomes_authors_commits_and_small_changes() {
    let mut builder = Builder::new();
    builder.commit("Ann").put("a.txt", "one\ntwo words\nthree\n");
    builder.commit("Bob").put("a.txt", "one\ntwo more words\nthree\n").put("b.txt", "");
    builder.commit("Ann").rename("a.txt", "c.txt").delete("b.txt");
    let built = builder.build();
    let steps = steps(&built);
    let author = |author, name: &str, email: &str| Step::Author {
        author: AuthorId(author),
        name: name.into(),
        email: email.into(),
    };
    let edit = Edit { at: 8, delete: 0, insert: "more ".into() };
    let commit = |index: usize| match &steps[index] {
        Step::Commit { author, time_millis, .. } => (author.0, *time_millis),
        other => panic!("{other:?}"),
    };
    assert_eq!(steps[0], author(0, "Ann", "ann@example.org"));
    assert_eq!(commit(1), (0, 1_000_001_000));
    assert_eq!(steps[2], create(0, "a.txt", "one\ntwo words\nthree\n"));
    assert_eq!(steps[3], author(1, "Bob", "bob@example.org"));
    assert_eq!(commit(4), (1, 1_000_002_000));
    assert_eq!(steps[5], Step::Edit { file: FileId(0), edits: vec![edit] });
    assert_eq!(steps[6], create(1, "b.txt", ""));
    assert_eq!(commit(7), (0, 1_000_003_000));
    assert_eq!(steps[8], Step::Delete { file: FileId(1) });
    assert_eq!(steps[9], Step::Rename { file: FileId(0), path: "c.txt".into() });
    assert_eq!(steps.len(), 10);
    let (_, report) = built.import();
    assert_eq!((report.counts.commits, report.counts.authors), (3, 2));
    assert_eq!(report.head.to_string(), built.git(&["rev-parse", "HEAD"]));
}

#[test]
fn a_rename_with_changes_is_one_new_path_and_one_edit() {
    let body: String = (0..50).map(|line| format!("line {line}\n")).collect();
    let mut builder = Builder::new();
    builder.commit("Ann").put("old/name", &body);
    builder
        .commit("Ann")
        .rename("old/name", "new/place/name")
        .put("new/place/name", body.replace("line 7\n", "line seven\n"));
    let changes = changes(&builder.build());
    let edit = Edit { at: body.find("7\n").unwrap(), delete: 1, insert: "seven".into() };
    assert_eq!(changes[1], Step::Rename { file: FileId(0), path: "new/place/name".into() });
    assert_eq!(changes[2], Step::Edit { file: FileId(0), edits: vec![edit] });
    assert_eq!(changes.len(), 3);
}

#[test]
fn a_copy_is_an_item_of_its_own() {
    let body: String = (0..50).map(|line| format!("line {line}\n")).collect();
    let mut builder = Builder::new();
    builder.commit("Ann").put("a", &body);
    builder.commit("Ann").put("b", &body);
    // Two copies and no original: one of them is the original's rename.
    builder.commit("Ann").delete("a").put("c", &body).put("d", &body);
    let (memory, report) = builder.build().import();
    assert_eq!((report.counts.created, report.counts.renamed), (3, 1));
    assert_eq!(report.counts.live(), 3);
    assert_eq!(text(&memory, "b"), body);
}

#[test]
fn a_merge_is_its_authors_change_and_side_branches_stay_out() {
    let mut builder = Builder::new();
    builder.commit("Ann").put("a", "base\n");
    builder.commit_on("side", "Bob").from("main").put("b", "from the side\n");
    builder.commit_on("side", "Bob").put("b", "from the side, twice\n");
    builder.commit("Ann").put("a", "base\nmain\n");
    builder.commit("Cid").merge("side").put("b", "from the side, twice\n");
    let (memory, report) = builder.build().import();
    assert_eq!((report.counts.commits, report.counts.authors), (3, 2));
    let writers = &memory.writers[&memory.at("b").unwrap()];
    assert_eq!(writers.iter().collect::<Vec<_>>(), [&AuthorId(1)]);
}

#[test]
fn texts_of_every_kind_arrive_byte_for_byte() {
    let mut builder = Builder::new();
    let kinds = [
        ("empty", ""),
        ("no last line end", "a\nb"),
        ("crlf", "a\r\nb\r\n"),
        ("mixed", "a\rb\n\r\n\n\r"),
        ("bom", "\u{feff}x\n"),
        ("wide", "日本語 ☃ 👍🏽 e\u{301}\n"),
    ];
    builder.commit("Ann");
    for (path, text) in kinds {
        builder.put(path, text);
    }
    builder.commit("Bob");
    for (path, text) in kinds {
        builder.put(path, text.replace('a', "ä").replace('\n', "\r\n") + "more");
    }
    builder.commit("Ann");
    for (path, text) in kinds {
        builder.put(path, text);
    }
    let (memory, _) = builder.build().import();
    for (path, expected) in kinds {
        assert_eq!(text(&memory, path), expected);
    }
}

#[test]
fn names_of_every_kind_arrive() {
    let mut builder = Builder::new();
    let names: [&[u8]; 7] = [
        b"with space",
        b"new\nline",
        b"tab\tand \\ back",
        "größe/日本.txt".as_bytes(),
        b"caf\xe9",
        br#""quoted""#,
        b"-dash",
    ];
    builder.commit("Ann");
    for name in names {
        builder.put(name, name.escape_ascii().to_string());
    }
    builder.commit("Bob").rename(names[4], b"caf\xe8").put(names[1], "changed");
    let (memory, _) = builder.build().import();
    let expected = [
        "with space",
        "new\nline",
        "tab\tand \\ back",
        "größe/日本.txt",
        r#""caf\350""#,
        r#""\"quoted\"""#,
        "-dash",
    ];
    for path in expected {
        assert!(memory.at(path).is_some(), "{path}");
    }
}

#[test]
fn what_is_no_text_is_left_out_counted_and_named() {
    let mut builder = Builder::new();
    let limit = TEXT_BYTES_MAX as usize;
    builder
        .commit("Ann")
        .put("a.bin", b"\x7fELF\0\0")
        .put("latin", b"caf\xe9")
        .put("largest", "x".repeat(limit))
        .put("too large", "x".repeat(limit + 1))
        .put_mode("120000", "link", "a.bin")
        .submodule("sub");
    let (memory, report) = builder.build().import();
    assert_eq!(report.counts.created, 1);
    assert!(memory.at("largest").is_some());
    let skipped = &report.skipped;
    let kinds = [
        (&skipped.binary, "a.bin"),
        (&skipped.not_utf8, "latin"),
        (&skipped.over_large, "too large"),
        (&skipped.symlink, "link"),
        (&skipped.submodule, "sub"),
    ];
    for (left, name) in kinds {
        assert_eq!((left.files, left.at_head, left.names.as_slice()), (1, 1, &[name.into()][..]));
    }
    let told = report.to_string();
    assert!(told.contains("above 512.0 KiB"), "{told}");
    assert!(kinds.iter().all(|(_, name)| told.contains(name)), "{told}");
}

#[test]
fn a_file_that_is_binary_for_a_while_keeps_its_item() {
    let mut builder = Builder::new();
    builder.commit("Ann").put("a", "some text\n");
    builder.commit("Bob").put("a", b"\0binary");
    builder.commit("Ann").rename("a", "b");
    builder.commit("Bob").put("b", "some other text\n");
    let built = builder.build();
    let changes = changes(&built);
    let file = FileId(0);
    assert_eq!(changes[1], Step::Delete { file });
    assert_eq!(changes[2], Step::Restore { file });
    assert_eq!(changes[3], Step::Rename { file, path: "b".into() });
    assert!(matches!(changes[4], Step::Edit { .. }));
    let (_, report) = built.import();
    assert_eq!((report.skipped.binary.files, report.skipped.binary.at_head), (1, 0));
}

#[test]
fn an_address_is_one_author_whatever_the_name() {
    let mut builder = Builder::new();
    builder.commit("Ann").put("a", "1");
    builder.commit("ANN").put("a", "2");
    let (_, report) = builder.build().import();
    assert_eq!(report.counts.authors, 1);
}

#[test]
fn a_mailmap_makes_two_addresses_one_author() {
    let mut builder = Builder::new();
    builder.commit("Ann").put("a", "1");
    builder.commit("Anna").put("a", "2");
    let map = "Ann <ann@example.org> <anna@example.org>\n";
    builder.commit("Bob").put(".mailmap", map);
    let (_, report) = builder.build().import();
    assert_eq!(report.counts.authors, 2);
}

#[test]
fn a_repository_of_long_ids_is_imported() {
    let mut builder = Builder::of_format("sha256");
    builder.commit("Ann").put("a", "one\n");
    builder.commit("Bob").put("a", "two\n").put("b", "");
    let (memory, report) = builder.build().import();
    assert_eq!(report.head.as_bytes().len(), 32);
    assert_eq!(text(&memory, "a"), "two\n");
}

#[test]
fn the_settings_of_a_repository_change_nothing() {
    let body: String = (0..50).map(|line| format!("line {line}\n")).collect();
    let mut builder = Builder::new();
    builder.commit("Ann").put("d/a", &body).put("b", "x\n").submodule("sub");
    builder.commit("Bob").rename("d/a", "c").put("b", "y\n").delete("sub");
    let built = builder.build();
    let before = steps(&built);
    for (name, value) in [
        ("color.ui", "always"),
        ("diff.ignoreSubmodules", "all"),
        ("diff.noprefix", "true"),
        ("diff.orderFile", "/nowhere"),
        ("diff.relative", "true"),
        ("diff.renameLimit", "1"),
        ("diff.renames", "false"),
        ("format.pretty", "full"),
        ("log.diffMerges", "off"),
        ("log.showRoot", "false"),
        ("log.showSignature", "true"),
        ("gpg.program", "false"),
    ] {
        built.git(&["config", name, value]);
    }
    assert_eq!(steps(&built), before);
}

#[test]
fn a_replaced_commit_is_imported_as_it_was_made() {
    let mut builder = Builder::new();
    builder.commit("Ann").put("a", "made\n");
    builder.commit_on("other", "Eve").put("a", "replaced\n");
    let built = builder.build();
    built.git(&["replace", "main", "other"]);
    let (memory, _) = built.import();
    assert_eq!(text(&memory, "a"), "made\n");
}

#[test]
fn a_shallow_clone_is_imported_from_where_it_begins() {
    let mut builder = Builder::new();
    for version in 0..5 {
        builder.commit("Ann").put("a", format!("version {version}\n"));
    }
    let origin = builder.build();
    let folder = tempfile::TempDir::new().unwrap();
    let url = format!("file://{}", origin.path().display());
    let to = folder.path().to_str().unwrap();
    builder::git(origin.path(), &["clone", "--quiet", "--bare", "--depth=2", &url, to]);
    let (memory, report) = Built { folder }.import();
    assert_eq!((report.counts.commits, report.shallow), (2, true));
    assert_eq!(text(&memory, "a"), "version 4\n");
}

#[test]
fn a_checkout_its_git_folder_and_a_detached_head_are_imported() {
    let mut builder = Builder::new();
    builder.commit("Ann").put("a", "1\n");
    builder.commit("Ann").put("a", "2\n");
    let checkout = Built { folder: builder.build().checkout() };
    std::fs::write(checkout.path().join("a"), "not committed").unwrap();
    let (memory, _) = checkout.import();
    assert_eq!(text(&memory, "a"), "2\n");
    checkout.git(&["checkout", "--quiet", "--force", "--detach", "HEAD^"]);
    let (memory, _) = checkout.import();
    assert_eq!(text(&memory, "a"), "1\n");
    let inside = systole_cli::git::Repository::open(&checkout.path().join(".git")).unwrap();
    assert!(import_into(&inside, &mut Memory::default()).check.is_clean());
}

#[test]
fn a_content_that_is_not_there_is_named() {
    let mut builder = Builder::new();
    builder.commit("Ann").put("a", "this one is lost\n");
    let built = builder.build();
    let object = built.git(&["rev-parse", "HEAD:a"]);
    let loose = built.path().join("objects").join(&object[..2]).join(&object[2..]);
    std::fs::remove_file(loose).unwrap();
    let outcome = Reader::open(&built.open()).and_then(|mut reader| reader.next_batch());
    match outcome {
        Err(Error::MissingObject { object: missing }) => assert_eq!(missing, object),
        other => panic!("{other:?}"),
    }
}

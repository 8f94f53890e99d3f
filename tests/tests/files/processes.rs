//! Two processes on one directory.

use std::time::Duration;

use systole::{Engine, ErrorKind};
use systole_tests::child::{Process, say, variable};

const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_directory_that_another_process_has_open_is_refused_until_that_ends() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().display().to_string();
    let variables = [("SYSTOLE_FILES_HELD", path)];
    let holder = Process::start("processes::the_holder", &variables);
    assert!(holder.wait_for("opened", PATIENCE), "it opens");
    for _ in 0..3 {
        let refused = Engine::builder(directory.path()).open().await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused}");
        assert!(refused.to_string().contains("is open elsewhere"), "says why: {refused}");
    }
    holder.kill();

    let engine = Engine::builder(directory.path()).open().await.unwrap();
    assert!(!engine.was_copied());
    let (said, status) = Process::start("processes::the_holder", &variables).output(PATIENCE);
    assert!(status.success());
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].starts_with("Unavailable") && said[0].contains("is open elsewhere"),
        "{said:?}"
    );
    engine.create_party().await.unwrap();
    engine.close().await.unwrap();
}

#[tokio::test]
#[ignore = "the process that has a directory open; another test starts it"]
async fn the_holder() {
    let Some(path) = variable("SYSTOLE_FILES_HELD") else { return };
    match Engine::builder(path).open().await {
        Ok(_engine) => {
            say("opened");
            // Until it is killed.
            std::future::pending::<()>().await;
        }
        Err(refused) => say(&format!("{:?} {refused}", refused.kind())),
    }
}

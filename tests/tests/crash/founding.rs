//! A party is founded in one commit: with its feed and its genesis, or not at all.

use std::sync::Arc;

use systole::Engine;
use systole_store::{Call, Fault, Faulty, Memory};

#[tokio::test]
async fn a_party_whose_founding_was_cut_off_is_founded_or_unknown() {
    for commit in 1..4 {
        let memory = Arc::new(Memory::new());
        Engine::on_backend(memory.clone()).open().await.unwrap().close().await.unwrap();
        let faulty = Arc::new(Faulty::new(memory.clone()));
        let engine = Engine::on_backend(faulty.clone()).open().await.unwrap();
        faulty.fail(Call::Write, commit, Fault::Error);
        let founded = engine.create_party().await.is_ok();
        faulty.cut();
        drop(engine);
        let again = Engine::on_backend(memory).open().await.unwrap();
        let parties = again.parties().await.unwrap();
        assert!(!founded || parties.len() == 1, "commit {commit}: an acknowledged party is lost");
        for (key, _) in parties {
            let status = again.party(key).await.unwrap().status().await.unwrap();
            assert!(status.founded, "commit {commit}: a party is left that nobody can found");
        }
        again.close().await.unwrap();
    }
}

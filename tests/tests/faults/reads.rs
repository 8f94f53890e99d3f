//! A read that fails in the middle of a step: what was half done must never be written.

use std::sync::Arc;

use systole::{CheckpointPolicy, Engine, EngineBuilder, NewItem, Text, TextMutation};
use systole_store::{Call, Fault, Faulty, Memory, Store};
use systole_tests::{Group, oracle, within};

/// More reads than any step here makes.
const READS_MAX: u64 = 40;

fn on(disk: &Arc<Faulty>) -> EngineBuilder {
    let checkpoints = CheckpointPolicy { idle_messages_min: 1, ..Default::default() };
    Engine::on_backend(disk.clone()).checkpoints(checkpoints)
}

/// Own blocks are processed as they are composed. When one of them cannot be, the position has moved on
/// already, and the next commit writes it without the block.
#[tokio::test]
async fn a_read_that_fails_while_a_block_is_composed_leaves_no_position_without_its_block() {
    for nth in 1..READS_MAX {
        let memory = Arc::new(Memory::new());
        let disk = Arc::new(Faulty::new(memory.clone()));
        let engine = on(&disk).open().await.unwrap();
        let party = engine.create_party().await.unwrap();
        let (key, note) = (party.key(), party.create(NewItem::<Text>::new()).await.unwrap());
        engine.close().await.unwrap();

        // Nothing is at hand: the deletion looks up the item that it deletes.
        let engine = on(&disk).open().await.unwrap();
        let party = engine.party(key).await.unwrap();
        let note = party.item::<Text>(note.id()).unwrap();
        disk.fail(Call::Read, nth, Fault::Error);
        let deleted = within("a deletion", note.delete()).await.is_ok();
        disk.heal();
        // Whether or not the party still writes: whatever it writes must be whole.
        let written = within("a mutation", note.mutate(TextMutation::insert(0, "x"))).await.is_ok();
        let _ = within("the end", engine.close()).await;

        let what = format!("read {nth} of a deletion");
        oracle::check_sound(Store::with_backend(memory.clone()).unwrap(), &what);
        let engine = Engine::on_backend(memory.clone()).open().await.unwrap();
        let party = engine.party(key).await.unwrap();
        oracle::check_replica(&party, &what).await;
        let note = party.item::<Text>(note.id()).unwrap();
        assert!(!deleted || note.info().unwrap().deleted, "{what}");
        assert_eq!(note.view(Text::len).await.unwrap(), usize::from(written), "{what}");
        note.mutate(TextMutation::insert(0, "y")).await.unwrap();
        engine.close().await.unwrap();
    }
}

/// Blocks are processed many to a turn. When a read fails between two of them, the first ones have been
/// processed, and what they did is thrown away: so must be the positions.
#[tokio::test]
async fn a_read_that_fails_between_two_blocks_leaves_no_position_without_its_effects() {
    let group = Group::in_memory(1).await;
    let peer = &group.parties[0];
    let own = peer.own_feed().unwrap();
    let mut notes = Vec::new();
    for _ in 0..3 {
        notes.push(peer.create(NewItem::<Text>::new()).await.unwrap());
    }
    let first = peer.read(own, 0).await.unwrap().unwrap();
    for note in &notes {
        note.mutate(TextMutation::insert(0, "x")).await.unwrap();
        note.delete().await.unwrap();
    }
    let more = peer.read(own, first.end()).await.unwrap().unwrap();

    for nth in 1..READS_MAX {
        let memory = Arc::new(Memory::new());
        let disk = Arc::new(Faulty::new(memory.clone()));
        let engine = on(&disk).open().await.unwrap();
        let party = engine.join(peer.key()).await.unwrap();
        party.ingest(first.clone()).await.unwrap();
        party.settle().await.unwrap();
        engine.close().await.unwrap();

        let engine = on(&disk).open().await.unwrap();
        let party = engine.party(peer.key()).await.unwrap();
        // Somebody has looked at an item without a checkpoint, so the end has something to write.
        party.item::<Text>(notes[0].id()).unwrap().view(Text::len).await.unwrap();
        disk.fail(Call::Read, nth, Fault::Error);
        let _ = within("blocks", party.ingest(more.clone())).await;
        let _ = within("processing", party.settle()).await;
        let _ = within("the end", engine.close()).await;

        let what = format!("read {nth} of processing");
        oracle::check_sound(Store::with_backend(memory.clone()).unwrap(), &what);
        let engine = Engine::on_backend(memory.clone()).open().await.unwrap();
        let party = engine.party(peer.key()).await.unwrap();
        oracle::check_replica(&party, &what).await;
        engine.close().await.unwrap();
    }
    group.close().await;
}

//! A small party with a bit of everything: two devices, items of both built-in models, checkpoints,
//! moves, a deletion, a feed whose author wrote nonsense and then a second history.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use systole::{
    CheckpointPolicy, Ed25519Signer, Engine, EngineBuilder, FeedKey, Ingested, NewItem, Object,
    ObjectMutation, Party, PartyKey, PublicKey, Range, Signer, Text, TextMutation,
};
use systole_proto::merkle::leaf_hash;
use systole_proto::{Block, Body, Claim, Credential, Head, ItemRef, Mutation, Peaks, SignedHead};
use systole_store::{Backend, Memory};

/// Long messages after which a head is kept: together they have more than 100 KB.
pub(crate) const UNTIL_HEAD: usize = 270;

pub(crate) fn policy() -> CheckpointPolicy {
    CheckpointPolicy {
        messages_max: 8,
        bytes_max: u64::MAX,
        idle_after: Duration::from_secs(3_600),
        idle_messages_min: 1,
    }
}

/// The party in memory.
pub(crate) async fn in_memory(long_messages: usize) -> Arc<Memory> {
    let memory = Arc::new(Memory::new());
    let backend: Arc<dyn Backend> = memory.clone();
    fill(Engine::on_backend(backend), long_messages).await;
    memory
}

/// Writes the party into an engine and closes it. With so many messages of some hundred bytes each.
pub(crate) async fn fill(builder: EngineBuilder, long_messages: usize) -> PartyKey {
    let device: Arc<Ed25519Signer> = Arc::new(Ed25519Signer::from_seed(&[7; 32]));
    let here = builder.checkpoints(policy()).device(device.clone()).open().await.unwrap();
    let there = Engine::in_memory().checkpoints(policy()).open().await.unwrap();
    let party = here.create_party().await.unwrap();
    let copy = there.join(party.key()).await.unwrap();
    party.admit(copy.admission_request().unwrap()).await.unwrap();

    let folder = party.create(NewItem::<Object>::new()).await.unwrap();
    let named = ObjectMutation::set(["name"], "notes");
    let note = NewItem::<Text>::new().with(TextMutation::insert(0, "first")).metadata(named);
    let note = party.create(note.under(&folder)).await.unwrap();
    let other = party.create(NewItem::<Object>::new()).await.unwrap();
    exchange(&party, &copy).await;

    let note_there = copy.item::<Text>(note.id()).unwrap();
    let object_there = copy.item::<Object>(other.id()).unwrap();
    for round in 0..20 {
        note.mutate(TextMutation::insert(0, "here ")).await.unwrap();
        note_there.mutate(TextMutation::insert(0, "there ")).await.unwrap();
        for n in 0..3 {
            let key = format!("{n}");
            object_there.mutate(ObjectMutation::set([&key], round)).await.unwrap();
        }
        if round % 4 == 0 {
            exchange(&party, &copy).await;
        }
    }
    let long = (0..=long_messages).map(|n| ObjectMutation::set(["long"], format!("{n:0400}")));
    other.mutate_all(long).await.unwrap();
    folder.mutate_metadata(ObjectMutation::set(["name"], "folder")).await.unwrap();
    other.move_to(Some(&folder)).await.unwrap();
    note.delete().await.unwrap();
    let fresh = copy.create(NewItem::<Object>::new()).await.unwrap();
    fresh.mutate(ObjectMutation::set(["k"], 1)).await.unwrap();
    let backdated = party.transaction().effective_at(5);
    backdated.metadata(&other, ObjectMutation::set(["at"], 5)).commit().await.unwrap();
    exchange(&party, &copy).await;
    nonsense(&party, &*device).await;
    here.close().await.unwrap();
    there.close().await.unwrap();
    party.key()
}

/// Admits a feed that writes to an item that does not exist, then bytes that are no block, and then
/// turns out to have two histories.
async fn nonsense(party: &Party, device: &dyn Signer) {
    let signer = Ed25519Signer::from_seed(&[9; 32]);
    let feed = FeedKey(signer.public_key());
    let key = PublicKey(device.public_key());
    let mut credential = Credential::new(&Claim::FeedAdmission { party: party.key(), feed, key });
    credential.sign(&signer).unwrap();
    credential.sign(device).unwrap();
    let of = |body| Block { body, ..Block::default() }.encode();
    let item = ItemRef { feed: 0, seq: 0 };
    let mutation = Mutation { item, label: 0, payload: Bytes::from_static(b"nothing") };
    let blocks = vec![
        of(Body::Credential(credential.encode())),
        of(Body::Mutation(mutation)),
        Bytes::from_static(b"\x01no block"),
    ];
    let other = vec![blocks[0].clone(), of(Body::Empty), of(Body::Empty)];
    assert!(matches!(ingest(party, &signer, blocks).await, Ingested::Added { .. }));
    party.settle().await.unwrap();
    assert_eq!(ingest(party, &signer, other).await, Ingested::Equivocation);
}

async fn ingest(party: &Party, signer: &Ed25519Signer, blocks: Vec<Bytes>) -> Ingested {
    let mut tree = Peaks::new();
    blocks.iter().for_each(|block| tree.append(leaf_hash(block), |_, _, _| {}));
    let feed = FeedKey(signer.public_key());
    let head = Head { feed, length: tree.length(), root: tree.root() };
    let head = SignedHead::sign(&head, signer).unwrap();
    party.ingest(Range { feed, start: 0, blocks, head, peaks: Vec::new() }).await.unwrap()
}

/// Brings two replicas of a party to the same blocks.
pub(crate) async fn exchange(a: &Party, b: &Party) {
    for (from, to) in [(a, b), (b, a)] {
        let held = to.feeds().await.unwrap();
        for (feed, length) in from.feeds().await.unwrap() {
            let mut at = held.iter().find(|(known, _)| *known == feed).map_or(0, |(_, held)| *held);
            while at < length {
                let Some(range) = from.read(feed, at).await.unwrap() else { break };
                match to.ingest(range).await.unwrap() {
                    Ingested::Added { to, .. } => at = to,
                    Ingested::Duplicate => break,
                    other => panic!("an honest peer is not refused: {other:?}"),
                }
            }
        }
        to.settle().await.unwrap();
    }
}

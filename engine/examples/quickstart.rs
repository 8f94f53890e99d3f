//! The example of the crate's front page, run.

use systole::{Engine, NewItem, Text, TextMutation};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;

    let engine = Engine::builder(dir.path()).open().await?;
    let party = engine.create_party().await?;

    // One signed message creates the item with its first words.
    let note = party.create(NewItem::<Text>::new().with(TextMutation::insert(0, "Hello"))).await?;
    let mut updates = note.subscribe().await?;
    note.mutate(TextMutation::insert(5, ", world")).await?;
    println!("{:?}", updates.next().await);
    println!("{}", note.view(|text| text.to_string()).await?);

    // Closing frees the directory; opening reads the item's checkpoint and what came after it.
    engine.close().await?;
    let engine = Engine::builder(dir.path()).open().await?;
    let party = engine.party(party.key()).await?;
    let note = party.item::<Text>(note.id())?;
    assert_eq!(note.view(|text| text.to_string()).await?, "Hello, world");
    engine.close().await?;
    Ok(())
}

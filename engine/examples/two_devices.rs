//! Two devices in one process exchange ranges of blocks, edit the same note while apart, and
//! converge. An application does the same over its own network.

use systole::{Engine, Ingested, NewItem, Party, Text, TextMutation};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let laptop = Engine::in_memory().open().await?;
    let phone = Engine::in_memory().open().await?;

    // The laptop founds a party; the phone asks to be admitted, and the laptop admits it.
    let here = laptop.create_party().await?;
    let there = phone.join(here.key()).await?;
    here.admit(there.admission_request()?).await?;
    let note = here.create(NewItem::<Text>::new().with(TextMutation::insert(0, "milk"))).await?;
    exchange(&here, &there).await?;
    let copy = there.item::<Text>(note.id())?;
    assert_eq!(copy.view(|text| text.to_string()).await?, "milk");

    // Offline: both edit what they have.
    note.mutate(TextMutation::insert(4, ", bread")).await?;
    copy.mutate(TextMutation::insert(0, "oat ")).await?;

    // Back online: whatever the order, both end with the same text.
    exchange(&here, &there).await?;
    let texts = [&note, &copy].map(|item| item.view(|text| text.to_string()));
    let [on_laptop, on_phone] = texts;
    let (on_laptop, on_phone) = (on_laptop.await?, on_phone.await?);
    println!("laptop: {on_laptop}\nphone:  {on_phone}");
    assert_eq!(on_laptop, "oat milk, bread");
    assert_eq!(on_laptop, on_phone);

    laptop.close().await?;
    phone.close().await?;
    Ok(())
}

/// Brings two replicas of a party to the same blocks.
async fn exchange(a: &Party, b: &Party) -> Result<(), systole::Error> {
    for (from, to) in [(a, b), (b, a)] {
        let held = to.feeds().await?;
        for (feed, length) in from.feeds().await? {
            let mut at = held.iter().find(|(known, _)| *known == feed).map_or(0, |(_, held)| *held);
            while at < length {
                let Some(range) = from.read(feed, at).await? else { break };
                match to.ingest(range).await? {
                    Ingested::Added { to, .. } => at = to,
                    Ingested::Duplicate => break,
                    other => panic!("an honest peer is not refused: {other:?}"),
                }
            }
        }
        to.settle().await?;
    }
    Ok(())
}

//! Engines, parties and items come and go while data flow.
#![allow(clippy::unwrap_used)]

mod engines;
mod items;
mod parties;

use systole::{Item, NewItem, Party, Text};
use systole_tests::Journal;

async fn text(item: &Item<Text>) -> String {
    item.view(|text| text.to_string()).await.unwrap()
}

async fn journal(party: &Party, lines: &[&str]) -> Item<Journal> {
    let item = party.create(NewItem::<Journal>::new()).await.unwrap();
    for line in lines {
        item.mutate((*line).to_owned()).await.unwrap();
    }
    item
}

//! What an application does over its network, without the network.

use systole::{Ingested, Party, Range};

/// Gives `to` everything that `from` holds and `to` lacks, and waits until it is processed.
///
/// # Panics
/// If `to` refuses a range: `from` is honest.
pub async fn pull(from: &Party, to: &Party) {
    let held = to.feeds().await.expect("the reader is open");
    for (feed, length) in from.feeds().await.expect("the source is open") {
        let mut at = held.iter().find(|(known, _)| *known == feed).map_or(0, |(_, held)| *held);
        while at < length {
            let range = from.read(feed, at).await.expect("the source can be read");
            at = offer(to, range.expect("the source holds what it said")).await;
        }
    }
    to.settle().await.expect("the reader is open");
}

/// Gives `to` one range that continues what it holds; the length of the feed there afterwards.
///
/// # Panics
/// If `to` refuses it.
pub async fn offer(to: &Party, range: Range) -> u64 {
    let end = range.end();
    match to.ingest(range).await.expect("an honest range is not refused") {
        Ingested::Added { to, .. } => to,
        Ingested::Duplicate => end,
        other => panic!("an honest peer is not refused: {other:?}"),
    }
}

/// Brings both to the same blocks.
pub async fn exchange(a: &Party, b: &Party) {
    pull(a, b).await;
    pull(b, a).await;
}

/// Brings all of them to the same blocks: around once, and around again.
pub async fn spread(parties: &[Party]) {
    for _ in 0..2 {
        for (at, to) in parties.iter().enumerate() {
            let from = &parties[(at + parties.len() - 1) % parties.len()];
            pull(from, to).await;
        }
    }
}

//! Devices of one party.

use systole::{Engine, EngineBuilder, Party};

use crate::exchange::{pull, spread};

/// Engines that share one party; the first founded it and admitted the others.
#[derive(Debug)]
pub struct Group {
    /// The devices.
    pub engines: Vec<Engine>,
    /// The party as each device holds it.
    pub parties: Vec<Party>,
}

impl Group {
    /// `count` devices in memory.
    pub async fn in_memory(count: usize) -> Self {
        Self::build((0..count).map(|_| Engine::in_memory())).await
    }

    /// A device for each builder. All of them know who is admitted.
    pub async fn build(builders: impl IntoIterator<Item = EngineBuilder>) -> Self {
        let mut engines = Vec::new();
        for builder in builders {
            engines.push(builder.open().await.expect("the engine opens"));
        }
        let founded = engines[0].create_party().await.expect("a party can be founded");
        let mut parties = vec![founded];
        for engine in &engines[1..] {
            let joined = engine.join(parties[0].key()).await.expect("the party is new to it");
            admit(&parties[0], &joined).await;
            parties.push(joined);
        }
        for joined in &parties[1..] {
            pull(&parties[0], joined).await;
        }
        Self { engines, parties }
    }

    /// Brings all devices to the same blocks.
    pub async fn spread(&self) {
        spread(&self.parties).await;
    }

    /// Ends all devices.
    pub async fn close(self) {
        for engine in self.engines {
            engine.close().await.expect("what is left can be written");
        }
    }
}

/// `member` admits the device behind `joined`.
pub async fn admit(member: &Party, joined: &Party) {
    let request = joined.admission_request().expect("a joined device can ask");
    member.admit(request).await.expect("a member admits");
}

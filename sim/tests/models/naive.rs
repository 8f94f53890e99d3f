//! A register that believes the last message it got: the most natural wrong model there is.

use bytes::Bytes;
use systole::{CorruptCheckpoint, Message, Model, Order, Origin, Outcome};
use systole_sim::Random;

use super::journal::Never;

/// One value; whoever is heard last is right.
#[derive(Default)]
pub(crate) struct LastHeard(Bytes);

/// What users do: they set it.
pub(crate) fn users(random: &mut Random, _: &LastHeard) -> Option<u64> {
    Some(random.below(1_000) as u64)
}

impl Model for LastHeard {
    const TYPE: &'static str = "test.last-heard";
    const VERSION: u32 = 1;
    const ORDER: Order = Order::Causal;
    type Mutation = u64;
    type Change = ();
    type Rejection = Never;

    fn empty() -> Self {
        Self::default()
    }

    fn mutate(&mut self, value: u64, _: &Origin, _: &mut Outcome<()>) -> Result<Bytes, Never> {
        self.0 = Bytes::copy_from_slice(&value.to_be_bytes());
        Ok(self.0.clone())
    }

    fn apply(&mut self, batch: &[Message], _: &mut Outcome<()>) {
        if let Some(last) = batch.last() {
            self.0 = last.payload.clone();
        }
    }

    fn checkpoint(&self) -> Vec<u8> {
        self.0.to_vec()
    }

    fn restore(bytes: &[u8]) -> Result<Self, CorruptCheckpoint> {
        Ok(Self(Bytes::copy_from_slice(bytes)))
    }

    fn memory_bytes(&self) -> usize {
        64
    }
}

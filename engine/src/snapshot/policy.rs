//! When an item is due for a checkpoint. Pure: numbers in, a decision out.

use std::time::Duration;

/// When items are checkpointed. An item is due as soon as one of the limits is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckpointPolicy {
    /// After this many messages. Bounds how much an opening has to replay.
    pub messages_max: u64,
    /// After this many payload bytes.
    pub bytes_max: u64,
    /// When nothing was asked of the item for this long and it has messages since its checkpoint.
    pub idle_after: Duration,
    /// An idle item with fewer messages than this since its checkpoint is left to its tail.
    pub idle_messages_min: u64,
}

impl Default for CheckpointPolicy {
    fn default() -> Self {
        Self {
            messages_max: 1_024,
            bytes_max: 256 << 10,
            idle_after: Duration::from_secs(5),
            idle_messages_min: 32,
        }
    }
}

impl CheckpointPolicy {
    /// Whether an item with this tail is due while it is in use.
    pub fn is_due(&self, messages: u64, bytes: u64) -> bool {
        messages >= self.messages_max || bytes >= self.bytes_max
    }

    /// Whether an item that has been idle this long is due.
    pub fn is_due_idle(&self, messages: u64, idle: Duration) -> bool {
        idle >= self.idle_after && messages >= self.idle_messages_min.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_alone_makes_an_item_due() {
        let policy = CheckpointPolicy::default();
        assert!(!policy.is_due(policy.messages_max - 1, policy.bytes_max - 1));
        assert!(policy.is_due(policy.messages_max, 0));
        assert!(policy.is_due(1, policy.bytes_max));
        assert!(policy.is_due_idle(policy.idle_messages_min, policy.idle_after));
        assert!(!policy.is_due_idle(policy.idle_messages_min - 1, policy.idle_after));
        assert!(!policy.is_due_idle(policy.messages_max, Duration::ZERO));
    }
}

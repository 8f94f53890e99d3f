//! What is on its way between devices. Nothing arrives unless a step says so; what arrives may come
//! late, twice, out of order, damaged, or never.

use bytes::Bytes;
use systole::Range;

/// Packets on their way at most; the oldest is lost when another one comes.
const PACKETS_MAX: usize = 48;

/// Blocks on their way.
#[derive(Clone)]
pub(crate) struct Packet {
    /// The sender; `None` if it is no device.
    pub(crate) from: Option<usize>,
    pub(crate) to: usize,
    pub(crate) range: Range,
}

/// The network between all devices.
#[derive(Default)]
pub(crate) struct Network {
    packets: Vec<Packet>,
    /// A bit for each device: those with equal bits reach each other.
    sides: u64,
}

impl Network {
    pub(crate) fn send(&mut self, packet: Packet) {
        if self.packets.len() >= PACKETS_MAX {
            self.packets.remove(0);
        }
        self.packets.push(packet);
    }

    /// Takes a packet that can arrive.
    pub(crate) fn take(&mut self, pick: u64) -> Option<Packet> {
        let at = self.arriving(pick)?;
        Some(self.packets.remove(at))
    }

    /// A packet that can arrive, and stays on its way all the same.
    pub(crate) fn peek(&self, pick: u64) -> Option<Packet> {
        Some(self.packets[self.arriving(pick)?].clone())
    }

    pub(crate) fn drop_one(&mut self, pick: u64) -> Option<Packet> {
        let at = usize::try_from(pick % self.packets.len().max(1) as u64).ok()?;
        (at < self.packets.len()).then(|| self.packets.remove(at))
    }

    pub(crate) fn partition(&mut self, sides: u64) {
        self.sides = sides;
    }

    pub(crate) fn clear(&mut self) {
        (self.packets, self.sides) = (Vec::new(), 0);
    }

    /// Whether two devices reach each other.
    pub(crate) fn connects(&self, a: usize, b: usize) -> bool {
        (self.sides >> (a % 64)) & 1 == (self.sides >> (b % 64)) & 1
    }

    fn arriving(&self, pick: u64) -> Option<usize> {
        let connected =
            |packet: &Packet| packet.from.is_none_or(|from| self.connects(from, packet.to));
        let ready: Vec<usize> =
            (0..self.packets.len()).filter(|at| connected(&self.packets[*at])).collect();
        ready.get((pick % ready.len().max(1) as u64) as usize).copied()
    }
}

/// The range with one bit of its blocks or its head turned.
pub(crate) fn damaged(mut range: Range, at: u64) -> Range {
    let turned = |bytes: &Bytes| {
        let mut bytes = bytes.to_vec();
        if let Some(byte) =
            (at as usize / 8).checked_rem(bytes.len()).map(|place| &mut bytes[place])
        {
            *byte ^= 1 << (at % 8);
        }
        Bytes::from(bytes)
    };
    match (at >> 32) % 3 {
        0 => range.head.bytes = turned(&range.head.bytes),
        _ => {
            let block = (at >> 40) as usize % range.blocks.len();
            range.blocks[block] = turned(&range.blocks[block]);
        }
    }
    range
}

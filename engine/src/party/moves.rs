//! Where items lie: the greatest move wins, and no move closes a cycle.
//!
//! Invariant: every item's `moved_to` is what its greatest move names, and its `parent` is the same,
//! except for one item of each cycle among the `moved_to`: the one whose move is the greatest lies
//! under nothing. Both are functions of the set of moves, so every replica has the same tree in
//! whatever order the moves come; and following `parent` always ends.

use std::collections::BTreeSet;
use std::sync::Arc;

use systole_proto::FeedKey;
use systole_store::{ItemKey, ItemRecord};

use super::effect::Effect;
use super::state::{Host, PartyState};
use crate::Error;

impl PartyState {
    /// Moves an item by the rules above. A move that is not the item's greatest changes nothing.
    pub(super) fn move_item(
        &mut self,
        host: &mut dyn Host,
        item: ItemKey,
        parent: Option<ItemKey>,
        rank: (u64, FeedKey),
        effects: &mut Vec<Effect>,
    ) -> Result<(), Error> {
        let previous = self.existing_record(host, item)?;
        if rank <= previous.parent_rank {
            return Ok(());
        }
        // The cycle that the item's last move closed is open again: whoever gave way lies where it
        // was moved to.
        if let Some(given_way) = self.greatest_of_cycle(host, item)? {
            let restored = ItemRecord { parent: given_way.moved_to, ..(*given_way).clone() };
            self.put(restored, Some(given_way), effects);
        }
        let previous = self.existing_record(host, item)?;
        let moved =
            ItemRecord { parent, moved_to: parent, parent_rank: rank, ..(*previous).clone() };
        self.put(moved, Some(previous), effects);
        if let Some(gives_way) = self.greatest_of_cycle(host, item)? {
            let detached = ItemRecord { parent: None, ..(*gives_way).clone() };
            self.put(detached, Some(gives_way), effects);
        }
        Ok(())
    }

    /// Whether `item` is `ancestor` or lies under it.
    pub(super) fn lies_under(
        &self,
        host: &mut dyn Host,
        item: Option<ItemKey>,
        ancestor: ItemKey,
    ) -> Result<bool, Error> {
        let mut next = item;
        while let Some(item) = next {
            if item == ancestor {
                return Ok(true);
            }
            next = self.existing_record(host, item)?.parent;
        }
        Ok(false)
    }

    /// The item with the greatest move in the cycle of moves that `item` is part of.
    fn greatest_of_cycle(
        &self,
        host: &mut dyn Host,
        item: ItemKey,
    ) -> Result<Option<Arc<ItemRecord>>, Error> {
        let mut seen = BTreeSet::new();
        let mut at = self.existing_record(host, item)?;
        let mut greatest = at.clone();
        while let Some(next) = at.moved_to {
            if next == item {
                return Ok(Some(greatest));
            }
            // Another cycle further up, of which the item is no part.
            if !seen.insert(next) {
                return Ok(None);
            }
            at = self.existing_record(host, next)?;
            if at.parent_rank > greatest.parent_rank {
                greatest = at.clone();
            }
        }
        Ok(None)
    }

    fn existing_record(
        &self,
        host: &mut dyn Host,
        item: ItemKey,
    ) -> Result<Arc<ItemRecord>, Error> {
        let record = self.record(host, item)?;
        record.ok_or_else(|| Error::corrupt(format!("the record of {item} is missing")))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use systole_proto::{Hash, ItemId, PartyKey};
    use systole_store::{FeedNo, PartyNo};

    use super::*;
    use crate::party::causal::Step;

    /// Records alone.
    #[derive(Default)]
    struct Records(BTreeMap<ItemKey, Arc<ItemRecord>>);

    impl Host for Records {
        fn number(&mut self, _: &FeedKey) -> Result<FeedNo, Error> {
            unreachable!("moves look up records only")
        }
        fn key(&mut self, _: FeedNo) -> Result<FeedKey, Error> {
            unreachable!("moves look up records only")
        }
        fn step(&mut self, _: FeedNo, _: u64) -> Result<Option<(Step, u8)>, Error> {
            unreachable!("moves look up records only")
        }
        fn aliases(&mut self, _: FeedNo) -> Result<Vec<FeedNo>, Error> {
            unreachable!("moves look up records only")
        }
        fn root(&mut self, _: FeedNo, _: u64) -> Result<Hash, Error> {
            unreachable!("moves look up records only")
        }
        fn item(&mut self, key: ItemKey) -> Result<Option<Arc<ItemRecord>>, Error> {
            Ok(self.0.get(&key).cloned())
        }
    }

    const ITEMS: u64 = 7;

    fn key(seq: u64) -> ItemKey {
        ItemKey { feed: FeedNo(1), seq }
    }

    fn rank(n: u64) -> (u64, FeedKey) {
        (n, FeedKey([n as u8; 32]))
    }

    /// The parents after these moves in this order.
    fn tree(moves: &[(u64, Option<u64>, u64)]) -> Vec<Option<ItemKey>> {
        let mut host = Records::default();
        for seq in 0..ITEMS {
            let record = ItemRecord {
                id: ItemId::of(&FeedKey([0; 32]), seq),
                key: key(seq),
                party: PartyNo(1),
                model: "test".into(),
                version: 1,
                algorithm: 0,
                parent: None,
                moved_to: None,
                parent_rank: rank(0),
                deleted: false,
                deleted_rank: rank(0),
                ordinal: 1,
            };
            host.0.insert(key(seq), Arc::new(record));
        }
        let mut state = PartyState::new(PartyKey([1; 32]), PartyNo(1), 0);
        for (item, parent, at) in moves {
            let mut effects = Vec::new();
            let parent = parent.map(key);
            state.move_item(&mut host, key(*item), parent, rank(*at), &mut effects).unwrap();
        }
        let parent = |seq| state.record(&mut host, key(seq)).unwrap().unwrap().parent;
        (0..ITEMS).map(parent).collect()
    }

    proptest! {
        #[test]
        fn the_tree_is_the_same_in_every_order_and_has_no_cycle(
            moves in prop::collection::vec((0..ITEMS, prop::option::of(0..ITEMS)), 1..24),
            shuffles in prop::collection::vec(any::<u64>(), 6),
        ) {
            let moves: Vec<_> =
                moves.into_iter().enumerate().map(|(n, (i, p))| (i, p, n as u64 + 1)).collect();
            let expected = tree(&moves);
            for start in 0..ITEMS {
                let mut at = Some(key(start));
                for _ in 0..=ITEMS {
                    at = at.and_then(|item| expected[item.seq as usize]);
                }
                prop_assert_eq!(at, None, "a cycle under {}", start);
            }
            for shuffle in shuffles {
                let mut shuffled = moves.clone();
                shuffled.sort_by_key(|(_, _, n)| (n ^ shuffle).wrapping_mul(0x9e37_79b9_7f4a_7c15));
                prop_assert_eq!(&tree(&shuffled), &expected);
            }
        }
    }

    #[test]
    fn two_items_moved_under_each_other_end_with_the_earlier_move() {
        let moves = [(1, Some(2), 1), (2, Some(1), 2)];
        let tree = tree(&moves);
        assert_eq!((tree[1], tree[2]), (Some(key(2)), None));
    }
}

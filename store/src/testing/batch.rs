//! What a batch does, and what is read afterwards.

use std::sync::Arc;

use super::{delete, delete_range, fill, keys, put, value, write};
use crate::backend::Backend;
use crate::batch::Batch;
use crate::family::Family;

pub(super) fn what_was_put_is_read(backend: &Arc<dyn Backend>) {
    assert_eq!(value(backend, Family::Meta, b"a"), None, "a fresh backend is empty");
    fill(backend, Family::Meta, &[b"a"]);
    assert_eq!(value(backend, Family::Meta, b"a").as_deref(), Some(b"a".as_slice()));
    let mut batch = Batch::new();
    put(&mut batch, Family::Meta, b"a", b"second");
    write(backend, &batch);
    let found = value(backend, Family::Meta, b"a");
    assert_eq!(found.as_deref(), Some(b"second".as_slice()), "a put replaces");
    let mut batch = Batch::new();
    delete(&mut batch, Family::Meta, b"a");
    delete(&mut batch, Family::Meta, b"never there");
    write(backend, &batch);
    assert_eq!(value(backend, Family::Meta, b"a"), None, "a deletion removes");
}

pub(super) fn families_are_apart(backend: &Arc<dyn Backend>) {
    let mut batch = Batch::new();
    for family in Family::ALL {
        put(&mut batch, family, b"key", family.name().as_bytes());
    }
    write(backend, &batch);
    let mut batch = Batch::new();
    delete(&mut batch, Family::Log, b"key");
    write(backend, &batch);
    for family in Family::ALL {
        let expected = (family != Family::Log).then(|| family.name().as_bytes().to_vec());
        assert_eq!(value(backend, family, b"key"), expected, "family {}", family.name());
    }
}

pub(super) fn keys_and_values_may_be_any_bytes(backend: &Arc<dyn Backend>) {
    let large = vec![0xa5; 1 << 20];
    let mut batch = Batch::new();
    put(&mut batch, Family::Item, &[0], b"");
    put(&mut batch, Family::Item, &[0, 0, 255], &[0]);
    put(&mut batch, Family::Item, &[255, 255], &large);
    put(&mut batch, Family::Checkpoint, &[255, 255], &large);
    write(backend, &batch);
    assert_eq!(value(backend, Family::Item, &[0]), Some(Vec::new()), "an empty value is a value");
    assert_eq!(value(backend, Family::Item, &[0, 0, 255]), Some(vec![0]));
    assert!(value(backend, Family::Item, &[255, 255]).as_ref() == Some(&large));
    assert!(value(backend, Family::Checkpoint, &[255, 255]).as_ref() == Some(&large));
}

pub(super) fn later_operations_win(backend: &Arc<dyn Backend>) {
    let mut batch = Batch::new();
    put(&mut batch, Family::Meta, b"put twice", b"1");
    put(&mut batch, Family::Meta, b"put twice", b"2");
    put(&mut batch, Family::Meta, b"put, deleted", b"1");
    delete(&mut batch, Family::Meta, b"put, deleted");
    delete(&mut batch, Family::Meta, b"deleted, put");
    put(&mut batch, Family::Meta, b"deleted, put", b"2");
    write(backend, &batch);
    assert_eq!(value(backend, Family::Meta, b"put twice"), Some(b"2".to_vec()));
    assert_eq!(value(backend, Family::Meta, b"put, deleted"), None);
    assert_eq!(value(backend, Family::Meta, b"deleted, put"), Some(b"2".to_vec()));
}

pub(super) fn a_range_deletion_is_half_open(backend: &Arc<dyn Backend>) {
    fill(backend, Family::Log, &[b"a", b"b", b"ba", b"c", b"d"]);
    let mut batch = Batch::new();
    delete_range(&mut batch, Family::Log, b"b", b"c");
    delete_range(&mut batch, Family::Log, b"d", b"d");
    delete_range(&mut batch, Family::Log, b"d", b"a");
    write(backend, &batch);
    let left = keys(backend, Family::Log, b"", b"z");
    assert_eq!(
        left,
        [b"a", b"c", b"d"],
        "[b, c) is removed; empty and reversed ranges are nothing"
    );
}

pub(super) fn a_range_deletion_spares_what_follows_it(backend: &Arc<dyn Backend>) {
    let mut batch = Batch::new();
    put(&mut batch, Family::Log, b"b", b"before");
    delete_range(&mut batch, Family::Log, b"a", b"z");
    put(&mut batch, Family::Log, b"c", b"after");
    write(backend, &batch);
    assert_eq!(value(backend, Family::Log, b"b"), None);
    assert_eq!(value(backend, Family::Log, b"c"), Some(b"after".to_vec()));
    assert_eq!(keys(backend, Family::Log, b"a", b"z"), [b"c"]);
}

pub(super) fn several_reads_answer_in_order(backend: &Arc<dyn Backend>) {
    fill(backend, Family::Block, &[b"a", b"b", b"c"]);
    let wanted: [&[u8]; 5] = [b"c", b"missing", b"a", b"c", b"b"];
    let found = backend.multi_get(Family::Block, &wanted).expect("a sound backend reads");
    let found: Vec<_> = found.iter().map(|value| value.as_deref()).collect();
    let expected: [Option<&[u8]>; 5] = [Some(b"c"), None, Some(b"a"), Some(b"c"), Some(b"b")];
    assert_eq!(found, expected);
    let none = backend.multi_get(Family::Block, &[]).expect("a sound backend reads");
    assert!(none.is_empty());
}

pub(super) fn syncing_and_compacting_change_nothing(backend: &Arc<dyn Backend>) {
    fill(backend, Family::Block, &[b"a", b"b", b"c"]);
    let mut batch = Batch::new();
    delete_range(&mut batch, Family::Block, b"b", b"c");
    write(backend, &batch);
    backend.sync().expect("a sound backend syncs");
    backend.sync().expect("a sound backend syncs twice");
    backend.compact().expect("a sound backend compacts");
    assert!(backend.disk_bytes().expect("a sound backend measures itself") > 0);
    assert_eq!(keys(backend, Family::Block, b"", b"z"), [b"a", b"c"]);
}

//! The contract of a [`Backend`], as checks that any implementation can be run against.
//!
//! A check panics with what it expected; use it in a test:
//!
//! ```
//! use std::sync::Arc;
//! use systole_store::{Memory, testing};
//!
//! testing::check_backend(|| Arc::new(Memory::new()));
//! ```

mod atomic;
mod batch;
mod scan;

use std::sync::Arc;

use crate::backend::Backend;
use crate::batch::Batch;
use crate::family::Family;

/// Runs every check, each against a fresh and empty backend from `make`.
///
/// # Panics
/// If the backend breaks the contract.
pub fn check_backend(make: impl Fn() -> Arc<dyn Backend>) {
    let checks: [fn(&Arc<dyn Backend>); 15] = [
        batch::what_was_put_is_read,
        batch::families_are_apart,
        batch::keys_and_values_may_be_any_bytes,
        batch::later_operations_win,
        batch::a_range_deletion_is_half_open,
        batch::a_range_deletion_spares_what_follows_it,
        batch::several_reads_answer_in_order,
        batch::syncing_and_compacting_change_nothing,
        scan::scans_are_ordered_and_half_open,
        scan::scans_stop_when_told,
        scan::ranges_are_scanned_one_by_one,
        scan::the_last_key_is_the_greatest_below_the_end,
        scan::a_scan_sees_one_moment,
        scan::a_visitor_may_use_the_backend,
        atomic::no_reader_sees_half_a_batch,
    ];
    for check in checks {
        check(&make());
    }
}

/// Puts a raw value. For backends and their tests: data of a store goes through its typed functions.
pub fn put(batch: &mut Batch, family: Family, key: &[u8], value: &[u8]) {
    batch.put(family, key, value);
}

/// Deletes a raw key. For backends and their tests.
pub fn delete(batch: &mut Batch, family: Family, key: &[u8]) {
    batch.delete(family, key);
}

/// Deletes the raw keys in `[from, to)`. For backends and their tests.
pub fn delete_range(batch: &mut Batch, family: Family, from: &[u8], to: &[u8]) {
    batch.delete_range(family, from, to);
}

/// Writes the keys, each with itself as its value.
fn fill(backend: &Arc<dyn Backend>, family: Family, keys: &[&[u8]]) {
    let mut batch = Batch::new();
    for key in keys {
        put(&mut batch, family, key, key);
    }
    write(backend, &batch);
}

fn write(backend: &Arc<dyn Backend>, batch: &Batch) {
    backend.write(batch).expect("a sound backend writes");
}

fn value(backend: &Arc<dyn Backend>, family: Family, key: &[u8]) -> Option<Vec<u8>> {
    backend.get(family, key).expect("a sound backend reads").map(|value| value.to_vec())
}

fn keys(backend: &Arc<dyn Backend>, family: Family, from: &[u8], to: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let scanned = backend.scan(family, from, to, &mut |key, _| {
        found.push(key.to_vec());
        std::ops::ControlFlow::Continue(())
    });
    scanned.expect("a sound backend scans");
    found
}

fn keys_back(backend: &Arc<dyn Backend>, family: Family, from: &[u8], to: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let scanned = backend.scan_back(family, from, to, &mut |key, _| {
        found.push(key.to_vec());
        std::ops::ControlFlow::Continue(())
    });
    scanned.expect("a sound backend scans");
    found
}

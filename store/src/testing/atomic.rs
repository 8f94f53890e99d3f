//! That a batch appears at once.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::{put, value, write};
use crate::backend::Backend;
use crate::batch::Batch;
use crate::family::Family;

const KEYS: [&[u8]; 4] = [b"a", b"b", b"c", b"d"];
const GENERATIONS: u32 = 500;

/// One thread writes generations, the same number under every key; another scans and must never see
/// two generations at once. Nor may it see the batch's first operation without its last, which lies in
/// another family.
pub(super) fn no_reader_sees_half_a_batch(backend: &Arc<dyn Backend>) {
    write_generation(backend, 0);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for generation in 1..=GENERATIONS {
                write_generation(backend, generation);
            }
            done.store(true, Ordering::Release);
        });
        while !done.load(Ordering::Acquire) {
            let seen = scan_generations(backend);
            assert_eq!(seen.len(), KEYS.len(), "every key is always there");
            assert!(seen.iter().all(|generation| *generation == seen[0]), "half a batch: {seen:?}");
            let first = number(value(backend, Family::Log, b"first"));
            let last = number(value(backend, Family::Meta, b"last"));
            assert!(last >= first, "half a batch: first operation {first}, last {last}");
        }
    });
}

fn write_generation(backend: &Arc<dyn Backend>, generation: u32) {
    let bytes = generation.to_be_bytes();
    let mut batch = Batch::new();
    put(&mut batch, Family::Log, b"first", &bytes);
    for key in KEYS {
        put(&mut batch, Family::Item, key, &bytes);
    }
    put(&mut batch, Family::Meta, b"last", &bytes);
    write(backend, &batch);
}

fn scan_generations(backend: &Arc<dyn Backend>) -> Vec<u32> {
    let mut seen = Vec::new();
    let scanned = backend.scan(Family::Item, b"a", b"z", &mut |_, value| {
        seen.push(number(Some(value.to_vec())));
        ControlFlow::Continue(())
    });
    scanned.expect("a sound backend scans");
    seen
}

fn number(value: Option<Vec<u8>>) -> u32 {
    let bytes = value.and_then(|value| value.try_into().ok());
    u32::from_be_bytes(bytes.expect("a generation is four bytes"))
}

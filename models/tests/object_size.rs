//! What an object costs: memory measured by a counting allocator, bytes of messages and checkpoints.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic")]
#![allow(unsafe_code, reason = "an allocator that counts can only be written so")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use systole_models::object::Value;
use systole_models::{Model, Object, ObjectMutation, Origin, Outcome};
use systole_proto::{FeedKey, Stamp, Timeframe};

struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size(), Relaxed);
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller keeps the contract.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn origin(seq: u64) -> Origin {
    let feed = FeedKey([1; 32]);
    let past = Timeframe::from_iter([(feed, seq)]);
    let stamp = Stamp::default();
    Origin { feed, seq, lamport: seq + 1, stamp, effective_at: None, past: past.into() }
}

fn write(object: &mut Object, seq: u64, mutation: ObjectMutation) -> usize {
    object.mutate(mutation, &origin(seq), &mut Outcome::default()).unwrap().len()
}

/// Eight short fields by nine sets, as in a list of contacts or tasks.
fn small() -> (Object, usize) {
    let mut object = Object::empty();
    let fields: [(&str, Value); 8] = [
        ("title", "Buy some milk".into()),
        ("done", false.into()),
        ("priority", 3i64.into()),
        ("owner", "ada@example".into()),
        ("due", Value::Timestamp(1_700_000_000_000)),
        ("color", "green".into()),
        ("effort", 1.5.into()),
        ("list", "groceries".into()),
    ];
    for (seq, (key, value)) in fields.into_iter().enumerate() {
        write(&mut object, seq as u64, ObjectMutation::set(key, value));
    }
    let message = write(&mut object, 8, ObjectMutation::set("title", "Buy more milk"));
    (object, message)
}

#[test]
fn a_small_object_is_small_everywhere() {
    const OBJECTS: usize = 1_000;
    let start = LIVE.load(Relaxed);
    let objects: Vec<Object> = (0..OBJECTS).map(|_| small().0).collect();
    let live = (LIVE.load(Relaxed) - start) / OBJECTS;
    let told = objects[0].memory_bytes();
    let checkpoint = objects[0].checkpoint().len();
    let (_, message) = small();
    println!(
        "8 fields: {live} B live, {told} B told, checkpoint {checkpoint} B, message {message} B"
    );
    assert!(live <= 1_300, "{live}");
    assert!(told.abs_diff(live) <= live / 4, "{told} told, {live} live");
    assert!(checkpoint <= 300 && message <= 32);

    // Whatever the number of messages, the state is what counts.
    let mut object = Object::empty();
    for seq in 0..200_000 {
        let key = format!("field {}", seq % 4);
        write(&mut object, seq, ObjectMutation::set(key, seq as i64));
    }
    let checkpoint = object.checkpoint().len();
    println!(
        "200,000 sets of 4 fields: checkpoint {checkpoint} B, {} B told",
        object.memory_bytes()
    );
    assert!(checkpoint <= 160);

    let start = LIVE.load(Relaxed);
    let mut object = Object::empty();
    for seq in 0..10_000 {
        write(&mut object, seq, ObjectMutation::set(format!("field {seq}"), seq as i64));
    }
    let (live, told) = (LIVE.load(Relaxed) - start, object.memory_bytes());
    println!("10,000 fields: {live} B live, {told} B told");
    assert!(told.abs_diff(live) <= live / 4, "{told} told, {live} live");
}

//! The Object model keeps every law, in thousands of histories with few keys and so with many conflicts.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic")]

use proptest::prelude::*;
use systole_models::object::{Conflict, Object, ObjectMutation, Path, Value};
use systole_models::testing::ModelCheck;
use systole_proto::FeedKey;

fn values() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-2..2i64).prop_map(Value::from),
        any::<u64>().prop_map(|bits| Value::F64(f64::from_bits(bits))),
        "[x-z]{0,3}".prop_map(Value::from),
    ]
}

fn paths() -> impl Strategy<Value = Vec<String>> {
    proptest::collection::vec("[a-b]", 1..4)
}

/// One to four operations; the empty path and other flaws are among them.
fn mutations() -> impl Strategy<Value = ObjectMutation> {
    let operation = prop_oneof![
        20 => (paths(), proptest::option::weighted(0.7, values())),
        1 => Just((vec![], None)),
        1 => Just((vec![String::new()], Some(Value::Null))),
    ];
    proptest::collection::vec(operation, 1..4).prop_map(|operations| {
        operations.into_iter().fold(ObjectMutation::new(), |mutation, (path, value)| match value {
            Some(value) => mutation.then_set(path, value),
            None => mutation.then_delete(path),
        })
    })
}

type Seen = (Vec<(Path, Value)>, Vec<(Path, Vec<(Option<Value>, FeedKey, u64)>)>);

/// All that users can see: values, and conflicts at every path there can be.
fn observe(object: &Object) -> Seen {
    let values: Vec<_> =
        object.entries().map(|(path, value)| (path.clone(), value.clone())).collect();
    for (path, value) in &values {
        assert_eq!(object.get(path), Some(value), "entries and get tell the same");
    }
    let mut conflicts = Vec::new();
    for depth in 1..4usize {
        for bits in 0..1usize << depth {
            let keys = (0..depth).map(|at| if bits >> at & 1 == 0 { "a" } else { "b" });
            let path = Path::from_keys(keys).unwrap();
            let siblings = object.conflicts(&path).into_iter();
            let siblings =
                siblings.map(|Conflict { value, feed, seq, .. }| (value.cloned(), feed, seq));
            conflicts.push((path.clone(), siblings.collect()));
        }
    }
    (values, conflicts)
}

#[test]
fn object_keeps_every_law() {
    let report = ModelCheck::<Object, _, _>::new(mutations(), observe)
        .histories(4_000)
        .steps_max(40)
        .run()
        .unwrap();
    println!("Object: {report}");
    assert!(report.histories >= 3_000 && report.orders >= 6 * 3_000);
}

#[test]
fn object_keeps_every_law_with_many_writers() {
    let check = ModelCheck::<Object, _, _>::new(mutations(), observe);
    let report = check.histories(300).replicas(8).steps_max(60).seed(8).run().unwrap();
    println!("Object, 8 writers: {report}");
}

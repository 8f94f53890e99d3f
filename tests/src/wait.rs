//! Waiting for something that must happen.

use std::time::{Duration, Instant};

/// How long something that must happen may take. Far below the test runner's own limit, so that the
/// test says what it waited for.
pub const DEADLINE: Duration = Duration::from_secs(25);

/// What `future` gives, before the deadline.
///
/// # Panics
/// If the deadline passes.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(DEADLINE, future).await;
    done.unwrap_or_else(|_| panic!("{what}: not within {DEADLINE:?}"))
}

/// Waits until `check` says yes.
///
/// # Panics
/// If the deadline passes.
pub async fn eventually(what: &str, mut check: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !check().await {
        assert!(start.elapsed() < DEADLINE, "{what}: not within {DEADLINE:?}");
        // A pause between two looks, not a guess how long it takes.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

//! Panics of what is under check are caught in silence: a check may meet thousands of them while it looks for the
//! smallest history. Panics of other threads are shown as ever. For harnesses; not a part of the API.

use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    /// Of this thread, while it is watched: the message of its last panic, with the place.
    static WATCHED: RefCell<Option<String>> = const { RefCell::new(None) };
}

static HOOK: Once = Once::new();

/// What `work` gives, or the message of its panic.
pub fn caught<R>(work: impl FnOnce() -> R) -> Result<R, String> {
    HOOK.call_once(|| {
        let shown = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let watched = WATCHED.with_borrow_mut(|message| {
                message.as_mut().map(|message| *message = info.to_string()).is_some()
            });
            if !watched {
                shown(info);
            }
        }));
    });
    WATCHED.set(Some(String::new()));
    let result = panic::catch_unwind(AssertUnwindSafe(work));
    let message = WATCHED.take();
    result.map_err(|_| message.unwrap_or_default())
}

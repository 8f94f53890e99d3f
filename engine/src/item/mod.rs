//! An item: one convergent object. Its state ([`state`], pure), its actor ([`actor`]), and the handle
//! that a user holds.

pub(crate) mod actor;
pub(crate) mod gauge;
mod handle;
mod inbox;
pub(crate) mod loads;
mod memory;
pub(crate) mod state;
mod subscribe;

pub use actor::{BYTES_IN_FLIGHT_MAX, MAILBOX_COMMANDS};
pub use handle::Item;
pub use subscribe::{Subscription, UPDATES_KEPT, UPDATES_KEPT_BYTES, Update};

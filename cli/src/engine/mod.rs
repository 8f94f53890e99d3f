//! The commands on the real engine.
//!
//! ```text
//!   Import ── transactions ──►  Engine  ◄── views ── Directories
//!   (Sink)                     (systole)               (Backend)
//! ```
//!
//! What an import writes is an ordinary party: its first item is an [`Object`](systole::Object) that
//! says what was imported and who the authors are (`Origin`), and under it lies one
//! [`Text`](systole::Text) per file, whose metadata hold the path.
//!
//! Invariant: nothing but this folder names the engine.

mod copies;
mod directories;
mod fault;
mod inspect;
mod origin;
mod sink;
mod verify;

pub use directories::Directories;
pub use sink::Import;

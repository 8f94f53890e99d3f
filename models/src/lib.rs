//! Systole's models: what an item's state is, and how messages change it.

mod feeds;
pub mod model;
pub mod object;
mod registry;
mod scan;
pub mod testing;
pub mod text;
mod unknown;

pub use model::{CorruptCheckpoint, Message, Model, Order, Origin, Outcome};
pub use object::{Object, ObjectChange, ObjectMutation, ObjectRejection, Value};
pub use registry::{AnyModel, AnyOutcome, ModelFactory, ModelRegistry, MutateError, RegistryError};
pub use text::{Text, TextChange, TextMutation, TextRejection};
pub use unknown::UnknownModel;

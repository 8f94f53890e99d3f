//! The model types an application knows, and models without their type: [`AnyModel`], [`ModelFactory`].
//!
//! Invariants: a type name stands for one Rust type and one version; what is registered can be built.

use std::any::{Any, TypeId};
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use bytes::Bytes;
use systole_proto::limits::MODEL_TYPE_BYTES_MAX;

use crate::model::{CorruptCheckpoint, Message, Model, Order, Origin, Outcome};

/// The model types that an application registered.
#[derive(Clone, Default)]
pub struct ModelRegistry {
    factories: BTreeMap<&'static str, Arc<dyn ModelFactory>>,
}

impl ModelRegistry {
    /// A registry that knows no type.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes items of type `M` come to life. Registering the same type again changes nothing.
    pub fn register<M: Model>(&mut self) -> Result<(), RegistryError> {
        let name = M::TYPE;
        if name.is_empty() {
            return Err(RegistryError::Unnamed);
        }
        if name.len() > MODEL_TYPE_BYTES_MAX {
            return Err(RegistryError::NameTooLong { name, bytes: name.len() });
        }
        if M::ORDER == Order::Total {
            return Err(RegistryError::TotalOrder { name });
        }
        if let Some(known) = self.factories.get(name) {
            if known.version() != M::VERSION {
                let (registered, refused) = (known.version(), M::VERSION);
                return Err(RegistryError::OtherVersion { name, registered, refused });
            }
            if known.rust_type() != TypeId::of::<M>() {
                return Err(RegistryError::OtherType { name });
            }
            return Ok(());
        }
        self.factories.insert(name, Arc::new(Factory::<M>(PhantomData)));
        Ok(())
    }

    /// What builds models of this type and version, if it is registered.
    pub fn model(&self, type_name: &str, version: u32) -> Option<Arc<dyn ModelFactory>> {
        self.factories.get(type_name).filter(|factory| factory.version() == version).cloned()
    }

    /// Every registered type, by rising name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn ModelFactory>> {
        self.factories.values()
    }
}

impl fmt::Debug for ModelRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let types = self.iter().map(|factory| (factory.type_name(), factory.version()));
        f.debug_map().entries(types).finish()
    }
}

/// Why a model type is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegistryError {
    /// The type's name is empty.
    Unnamed,
    /// The type's name is longer than an item's genesis may carry.
    NameTooLong {
        /// The name.
        name: &'static str,
        /// Its length in bytes.
        bytes: usize,
    },
    /// The name is registered with another version. Versions do not live side by side.
    OtherVersion {
        /// The name.
        name: &'static str,
        /// The version that is registered.
        registered: u32,
        /// The version that is refused.
        refused: u32,
    },
    /// The name is registered for another Rust type.
    OtherType {
        /// The name.
        name: &'static str,
    },
    /// The model asks for [`Order::Total`], which this release does not deliver.
    TotalOrder {
        /// The name.
        name: &'static str,
    },
}

impl fmt::Display for RegistryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unnamed => write!(f, "the model type has no name"),
            Self::NameTooLong { name, bytes } => {
                write!(f, "model type {name:?} takes {bytes} bytes, {MODEL_TYPE_BYTES_MAX} fit")
            }
            Self::OtherVersion { name, registered, refused } => write!(
                f,
                "model type {name:?} is registered as version {registered}, so version {refused} is refused"
            ),
            Self::OtherType { name } => {
                write!(f, "model type {name:?} is registered for another Rust type")
            }
            Self::TotalOrder { name } => write!(
                f,
                "model type {name:?} needs Order::Total, which is built by a later release; declare Order::Causal"
            ),
        }
    }
}

impl std::error::Error for RegistryError {}

/// Builds models of one type.
pub trait ModelFactory: Send + Sync {
    /// The state before any message.
    fn empty(&self) -> Box<dyn AnyModel>;
    /// The state that a checkpoint of this type describes.
    fn restore(&self, bytes: &[u8]) -> Result<Box<dyn AnyModel>, CorruptCheckpoint>;
    /// The order in which the type needs its messages.
    fn order(&self) -> Order;
    /// Name of the type.
    fn type_name(&self) -> &'static str;
    /// Version of the type.
    fn version(&self) -> u32;
    /// See [`Model::ALGORITHM`].
    fn algorithm(&self) -> u32;
    /// The Rust type that [`AnyModel::as_any`] of its models holds.
    fn rust_type(&self) -> TypeId;
}

/// A [`Model`] whose Rust type only its user knows.
pub trait AnyModel: Send {
    /// See [`Model::apply`]. Unless `heard`, nobody will read the changes.
    fn apply(&mut self, batch: &[Message], heard: bool) -> AnyOutcome;
    /// See [`Model::mutate`]; `mutation` holds the `Mutation` of the model's type. On `Err` the state is
    /// untouched. Unless `heard`, nobody will read the changes.
    fn mutate(
        &mut self,
        mutation: Box<dyn Any + Send>,
        origin: &Origin,
        heard: bool,
    ) -> Result<(Bytes, AnyOutcome), MutateError>;
    /// See [`Model::checkpoint`].
    fn checkpoint(&self) -> Vec<u8>;
    /// See [`Model::digest`].
    fn digest(&self) -> Vec<u8>;
    /// See [`Model::memory_bytes`].
    fn memory_bytes(&self) -> usize;
    /// The order in which the model needs its messages.
    fn order(&self) -> Order;
    /// Name of the type that the item's genesis carries.
    fn type_name(&self) -> &str;
    /// Version of that type.
    fn version(&self) -> u32;
    /// The model itself: downcasts to the registered type, or to [`UnknownModel`](crate::UnknownModel).
    fn as_any(&self) -> &dyn Any;
    /// The model itself, by value.
    fn into_any(self: Box<Self>) -> Box<dyn Any + Send>;
}

/// [`Outcome`] without its type.
pub struct AnyOutcome {
    /// A `Vec` of the model's `Change`, in the order the changes happened; `None` if there are none.
    pub changes: Option<Arc<dyn Any + Send + Sync>>,
    /// Messages that every replica ignores: index in the batch, and why.
    pub refused: Vec<(usize, String)>,
}

impl AnyOutcome {
    /// The outcome of a batch that a model of type `M` applied; `None` if it was another type.
    pub fn downcast<M: Model>(self) -> Option<Outcome<M::Change>> {
        let changes = match self.changes {
            Some(changes) => Arc::unwrap_or_clone(changes.downcast::<Vec<M::Change>>().ok()?),
            None => Vec::new(),
        };
        Some(Outcome::of(changes, self.refused))
    }
}

impl<C: Send + Sync + 'static> From<Outcome<C>> for AnyOutcome {
    fn from(outcome: Outcome<C>) -> Self {
        let Outcome { changes, refused, .. } = outcome;
        let some = !changes.is_empty();
        Self { changes: some.then(|| Arc::new(changes) as Arc<_>), refused }
    }
}

impl fmt::Debug for AnyOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnyOutcome")
            .field("changes", &self.changes.is_some())
            .field("refused", &self.refused)
            .finish_non_exhaustive()
    }
}

/// Why a local mutation did not happen.
#[derive(Debug)]
#[non_exhaustive]
pub enum MutateError {
    /// The mutation is not of the type that this model takes.
    WrongType,
    /// The model refuses the mutation; the source is the model's `Rejection`.
    Rejected(Box<dyn std::error::Error + Send + Sync>),
    /// The item's model type is not registered, so the item cannot be changed here.
    Unregistered,
}

impl fmt::Display for MutateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongType => write!(f, "the mutation is for another model type"),
            Self::Rejected(_) => write!(f, "the model refuses the mutation"),
            Self::Unregistered => write!(f, "the item's model type is not registered"),
        }
    }
}

impl std::error::Error for MutateError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Rejected(rejection) => Some(rejection.as_ref()),
            Self::WrongType | Self::Unregistered => None,
        }
    }
}

struct Factory<M>(PhantomData<fn() -> M>);

impl<M: Model> ModelFactory for Factory<M> {
    fn empty(&self) -> Box<dyn AnyModel> {
        Box::new(Typed(M::empty()))
    }

    fn restore(&self, bytes: &[u8]) -> Result<Box<dyn AnyModel>, CorruptCheckpoint> {
        Ok(Box::new(Typed(M::restore(bytes)?)))
    }

    fn order(&self) -> Order {
        M::ORDER
    }

    fn type_name(&self) -> &'static str {
        M::TYPE
    }

    fn version(&self) -> u32 {
        M::VERSION
    }

    fn algorithm(&self) -> u32 {
        M::ALGORITHM
    }

    fn rust_type(&self) -> TypeId {
        TypeId::of::<M>()
    }
}

struct Typed<M>(M);

fn outcome<C>(heard: bool) -> Outcome<C> {
    if heard { Outcome::default() } else { Outcome::unheard() }
}

impl<M: Model> AnyModel for Typed<M> {
    fn apply(&mut self, batch: &[Message], heard: bool) -> AnyOutcome {
        let mut outcome = outcome(heard);
        self.0.apply(batch, &mut outcome);
        outcome.into()
    }

    fn mutate(
        &mut self,
        mutation: Box<dyn Any + Send>,
        origin: &Origin,
        heard: bool,
    ) -> Result<(Bytes, AnyOutcome), MutateError> {
        let mutation = mutation.downcast::<M::Mutation>().map_err(|_| MutateError::WrongType)?;
        let mut outcome = outcome(heard);
        match self.0.mutate(*mutation, origin, &mut outcome) {
            Ok(payload) => Ok((payload, outcome.into())),
            Err(rejection) => Err(MutateError::Rejected(Box::new(rejection))),
        }
    }

    fn checkpoint(&self) -> Vec<u8> {
        self.0.checkpoint()
    }

    fn digest(&self) -> Vec<u8> {
        self.0.digest()
    }

    fn memory_bytes(&self) -> usize {
        self.0.memory_bytes()
    }

    fn order(&self) -> Order {
        M::ORDER
    }

    fn type_name(&self) -> &str {
        M::TYPE
    }

    fn version(&self) -> u32 {
        M::VERSION
    }

    fn as_any(&self) -> &dyn Any {
        &self.0
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        Box::new(self.0)
    }
}

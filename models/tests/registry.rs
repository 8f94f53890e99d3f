//! What may be registered, and models behind their registered types.

use bytes::Bytes;
use systole_models::*;
use systole_proto::{FeedKey, Stamp};

/// A model that does nothing, under any name.
macro_rules! model {
    ($name:ident, $type:expr, $version:expr, $order:expr) => {
        struct $name;

        impl Model for $name {
            const TYPE: &'static str = $type;
            const VERSION: u32 = $version;
            const ORDER: Order = $order;
            type Mutation = ();
            type Change = ();
            type Rejection = std::convert::Infallible;

            fn empty() -> Self {
                Self
            }

            fn mutate(
                &mut self,
                (): (),
                _: &Origin,
                _: &mut Outcome<()>,
            ) -> Result<Bytes, std::convert::Infallible> {
                Ok(Bytes::new())
            }

            fn apply(&mut self, _: &[Message], _: &mut Outcome<()>) {}

            fn checkpoint(&self) -> Vec<u8> {
                Vec::new()
            }

            fn restore(_: &[u8]) -> Result<Self, CorruptCheckpoint> {
                Ok(Self)
            }

            fn memory_bytes(&self) -> usize {
                1
            }
        }
    };
}

const LONG: &str = match std::str::from_utf8(&[b'n'; 129]) {
    Ok(name) => name,
    Err(_) => "",
};

model!(Note, "example.note", 1, Order::Causal);
model!(OtherNote, "example.note", 1, Order::Causal);
model!(NextNote, "example.note", 2, Order::Causal);
model!(Reducer, "example.reducer", 1, Order::Total);
model!(Unnamed, "", 1, Order::Causal);
model!(Named, LONG, 1, Order::Causal);

fn origin() -> Origin {
    Origin {
        feed: FeedKey([1; 32]),
        seq: 0,
        lamport: 1,
        stamp: Stamp::default(),
        effective_at: None,
        past: Default::default(),
    }
}

#[test]
fn a_registered_type_is_found_by_name_and_version() {
    let mut registry = ModelRegistry::new();
    registry.register::<Object>().unwrap();
    registry.register::<Object>().unwrap();
    let factory = registry.model("systole.object", 1).unwrap();
    assert_eq!((factory.type_name(), factory.version()), (Object::TYPE, 1));
    assert_eq!((factory.order(), factory.algorithm()), (Order::Causal, Object::ALGORITHM));
    assert_eq!(factory.rust_type(), std::any::TypeId::of::<Object>());
    assert!(registry.model("systole.object", 2).is_none());
    assert!(registry.model("systole.unheard", 1).is_none());
    assert_eq!(format!("{registry:?}"), r#"{"systole.object": 1}"#);
}

#[test]
fn a_name_stands_for_one_type_and_one_version() {
    let mut registry = ModelRegistry::new();
    registry.register::<Note>().unwrap();
    let name = "example.note";
    assert_eq!(registry.register::<OtherNote>(), Err(RegistryError::OtherType { name }));
    let refused = RegistryError::OtherVersion { name, registered: 1, refused: 2 };
    assert_eq!(registry.register::<NextNote>(), Err(refused));
    assert_eq!(registry.iter().count(), 1);
}

#[test]
fn a_type_without_a_fitting_name_is_refused() {
    let mut registry = ModelRegistry::new();
    assert_eq!(registry.register::<Unnamed>(), Err(RegistryError::Unnamed));
    let refused = RegistryError::NameTooLong { name: LONG, bytes: 129 };
    assert_eq!(registry.register::<Named>(), Err(refused));
}

#[test]
fn a_total_order_is_refused_with_the_reason() {
    let error = ModelRegistry::new().register::<Reducer>().unwrap_err();
    assert_eq!(error, RegistryError::TotalOrder { name: "example.reducer" });
    assert!(error.to_string().contains("built by a later release"), "{error}");
}

#[test]
fn a_model_behind_its_type_works_like_the_model() {
    let mut registry = ModelRegistry::new();
    registry.register::<Object>().unwrap();
    let factory = registry.model(Object::TYPE, 1).unwrap();

    let mut writer = factory.empty();
    let mutation = Box::new(ObjectMutation::set("title", "x"));
    let (payload, outcome) = writer.mutate(mutation, &origin(), true).unwrap();
    assert!(outcome.changes.is_some());
    assert_eq!(outcome.downcast::<Object>().unwrap().changes[0].after, Some("x".into()));

    let mut reader = factory.empty();
    let batch = [
        Message { origin: origin(), payload },
        Message { origin: Origin { seq: 1, lamport: 2, ..origin() }, payload: Bytes::new() },
    ];
    let outcome = reader.apply(&batch, true);
    assert!(outcome.changes.is_some());
    assert_eq!((outcome.refused.len(), outcome.refused[0].0), (1, 1));
    assert!(outcome.downcast::<Note>().is_none());

    let restored = factory.restore(&reader.checkpoint()).unwrap();
    assert_eq!(restored.digest(), reader.digest());
    let object = restored.as_any().downcast_ref::<Object>().unwrap();
    assert_eq!(object.get("title"), Some(&"x".into()));
    assert_eq!((restored.type_name(), restored.version()), (Object::TYPE, 1));
    assert!(restored.into_any().downcast::<Object>().is_ok());
    assert!(factory.restore(b"?").is_err());
}

#[test]
fn a_mutation_that_cannot_happen_says_why() {
    let mut registry = ModelRegistry::new();
    registry.register::<Object>().unwrap();
    let mut model = registry.model(Object::TYPE, 1).unwrap().empty();
    let before = model.checkpoint();
    let error = model.mutate(Box::new("text"), &origin(), true).unwrap_err();
    assert!(matches!(error, MutateError::WrongType));
    let error = model.mutate(Box::new(ObjectMutation::set("", 1i64)), &origin(), true).unwrap_err();
    let rejection = std::error::Error::source(&error).unwrap();
    assert_eq!(rejection.downcast_ref(), Some(&ObjectRejection::EmptyKey));
    assert_eq!(model.checkpoint(), before);
}

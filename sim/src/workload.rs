//! What users do to their items: a model, and a function that makes mutations of its states.

use std::any::Any;
use std::fmt::Debug;
use std::marker::PhantomData;

use systole::{Error, ItemId};
use systole_models::{
    Model, ModelRegistry, Object, ObjectMutation, RegistryError, Text, TextMutation,
};

use crate::device::Device;
use crate::random::Random;

/// A mutation whose type only its model knows, and how a story shows it.
pub(crate) type AnyMutation = (Box<dyn Any + Send>, String);

/// One model and its users.
pub(crate) trait Workload {
    fn type_name(&self) -> &'static str;
    fn version(&self) -> u32;
    fn register(&self, registry: &mut ModelRegistry) -> Result<(), RegistryError>;
    /// What a user does first to an item that is being created.
    fn first(&self, random: &mut Random) -> Option<AnyMutation>;
    /// What a user does to an item as the device shows it.
    fn next(
        &self,
        device: &mut Device,
        item: &ItemId,
        random: &mut Random,
    ) -> Result<Option<AnyMutation>, Error>;
}

pub(crate) struct Typed<M, F> {
    users: F,
    model: PhantomData<fn() -> M>,
}

impl<M, F> Typed<M, F> {
    pub(crate) fn new(users: F) -> Self {
        Self { users, model: PhantomData }
    }
}

impl<M, F> Workload for Typed<M, F>
where
    M: Model,
    M::Mutation: Debug,
    F: Fn(&mut Random, &M) -> Option<M::Mutation>,
{
    fn type_name(&self) -> &'static str {
        M::TYPE
    }

    fn version(&self) -> u32 {
        M::VERSION
    }

    fn register(&self, registry: &mut ModelRegistry) -> Result<(), RegistryError> {
        registry.register::<M>()
    }

    fn first(&self, random: &mut Random) -> Option<AnyMutation> {
        (self.users)(random, &M::empty()).map(any::<M>)
    }

    fn next(
        &self,
        device: &mut Device,
        item: &ItemId,
        random: &mut Random,
    ) -> Result<Option<AnyMutation>, Error> {
        Ok(device.view::<M, _>(item, |state| (self.users)(random, state))?.map(any::<M>))
    }
}

fn any<M: Model>(mutation: M::Mutation) -> AnyMutation
where
    M::Mutation: Debug,
{
    let mut shown = format!("{mutation:?}");
    if shown.len() > 96 {
        let end = (0..=93).rev().find(|at| shown.is_char_boundary(*at)).unwrap_or(0);
        shown.truncate(end);
        shown.push_str("...");
    }
    (Box::new(mutation), shown)
}

/// Users of an [`Object`]: they set and delete fields on a few paths, one below the other.
pub fn object_users(random: &mut Random, _: &Object) -> Option<ObjectMutation> {
    const PATHS: [&[&str]; 5] = [&["a"], &["b"], &["a", "x"], &["a", "y"], &["a", "x", "z"]];
    let mut mutation = ObjectMutation::new();
    for _ in 0..1 + random.below(2) {
        let path = PATHS[random.below(PATHS.len())];
        mutation = match random.below(5) {
            0 => mutation.then_delete(path),
            _ => mutation.then_set(path, random.below(100) as i64),
        };
    }
    Some(mutation)
}

/// Users of a [`Text`]: they insert words and delete pieces where the text they see has them.
pub fn text_users(random: &mut Random, text: &Text) -> Option<TextMutation> {
    const WORDS: [&str; 6] = ["a", "milk ", "é", "🍞", "two\n", "bread, butter"];
    let length = text.len();
    if length > 0 && random.one_in(3) {
        let at = random.below(length);
        return Some(TextMutation::delete(at, 1 + random.below((length - at).min(6))));
    }
    Some(TextMutation::insert(random.below(length + 1), WORDS[random.below(WORDS.len())]))
}

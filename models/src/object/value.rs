//! `Value`: what a field holds. `Node`: a field together with everything below it.

use std::collections::BTreeMap;
use std::fmt;

use systole_proto::{ItemId, PartyKey};

/// What a field holds. Two values are equal when their bits are: a NaN equals itself, 0.0 and -0.0 differ.
#[derive(Clone)]
#[non_exhaustive]
pub enum Value {
    /// Nothing, said on purpose. A deleted field holds no value at all.
    Null,
    /// Yes or no.
    Bool(bool),
    /// An integer.
    I64(i64),
    /// A floating point number; every bit is kept.
    F64(f64),
    /// Text that is replaced as a whole. Text edited together is an item of its own.
    String(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A point in time, in milliseconds since the Unix epoch.
    Timestamp(i64),
    /// Another item. Boxed, because it is seldom and would double the size of every value.
    Reference(Box<ItemReference>),
}

/// Names an item, possibly of another party. The item need not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ItemReference {
    /// The item's party; `None` means the party that holds the reference.
    pub party: Option<PartyKey>,
    /// The item.
    pub item: ItemId,
}

/// A field with everything below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// A field that holds a value.
    Value(Value),
    /// A field with fields below it.
    Map(BTreeMap<String, Self>),
}

impl Value {
    /// Memory outside of the value itself, in bytes.
    pub(super) fn heap_bytes(&self) -> usize {
        match self {
            Self::String(text) => text.capacity(),
            Self::Bytes(bytes) => bytes.capacity(),
            Self::Reference(_) => size_of::<ItemReference>(),
            _ => 0,
        }
    }

    /// Bytes of the content alone.
    pub(super) fn content_bytes(&self) -> usize {
        match self {
            Self::String(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
            _ => 0,
        }
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(left), Self::Bool(right)) => left == right,
            (Self::I64(left), Self::I64(right)) => left == right,
            (Self::F64(left), Self::F64(right)) => left.to_bits() == right.to_bits(),
            (Self::String(left), Self::String(right)) => left == right,
            (Self::Bytes(left), Self::Bytes(right)) => left == right,
            (Self::Timestamp(left), Self::Timestamp(right)) => left == right,
            (Self::Reference(left), Self::Reference(right)) => left == right,
            _ => false,
        }
    }
}

impl Eq for Value {}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::I64(value) => write!(f, "{value}"),
            Self::F64(value) => write!(f, "{value:?}"),
            Self::String(text) => write!(f, "{text:?}"),
            Self::Bytes(bytes) => {
                f.write_str("0x")?;
                bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
            Self::Timestamp(millis) => write!(f, "{millis} ms"),
            Self::Reference(reference) => match reference.party {
                Some(party) => write!(f, "{party}/{}", reference.item),
                None => write!(f, "{}", reference.item),
            },
        }
    }
}

/// The value as a person reads it: text in quotes, bytes in hexadecimal.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// The node on one line, like JSON.
impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(value) => write!(f, "{value}"),
            Self::Map(fields) => {
                f.write_str("{")?;
                for (index, (key, node)) in fields.iter().enumerate() {
                    let comma = if index > 0 { ", " } else { "" };
                    write!(f, "{comma}{key:?}: {node}")?;
                }
                f.write_str("}")
            }
        }
    }
}

macro_rules! from {
    ($($given:ty => |$name:ident| $value:expr;)*) => {
        $(impl From<$given> for Value {
            fn from($name: $given) -> Self {
                $value
            }
        })*
    };
}

from! {
    bool => |value| Self::Bool(value);
    i64 => |value| Self::I64(value);
    i32 => |value| Self::I64(value.into());
    u32 => |value| Self::I64(value.into());
    f64 => |value| Self::F64(value);
    &str => |text| Self::String(text.to_owned());
    String => |text| Self::String(text);
    &String => |text| Self::String(text.clone());
    &[u8] => |bytes| Self::Bytes(bytes.to_vec());
    Vec<u8> => |bytes| Self::Bytes(bytes);
    ItemReference => |reference| Self::Reference(Box::new(reference));
    ItemId => |item| Self::from(ItemReference { party: None, item });
    &Value => |value| value.clone();
}

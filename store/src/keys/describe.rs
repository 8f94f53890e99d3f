//! Keys in words: an error names what is damaged as people call it, not as bytes.

use std::fmt::Write;

use crate::keys::{FEED, ITEM_ID, Kind, PARTY, PUBLIC_KEY};

/// A key in words, for errors and the inspector.
pub(crate) fn describe(key: &[u8]) -> String {
    let mut fields = key.get(1..).unwrap_or_default();
    let Some(layout) = key.first().and_then(|kind| layout(*kind)) else {
        return format!("unknown key {}", hex(key));
    };
    let mut words = layout.0.to_owned();
    for field in layout.1 {
        match field.describe(&mut fields) {
            Some(text) => words.push_str(&text),
            None => {
                let _ = write!(words, " (short key {})", hex(key));
                return words;
            }
        }
    }
    words
}

/// Fields by which [`describe`] reads a key.
#[derive(Clone, Copy)]
enum Field {
    Party,
    Feed,
    U8(&'static str),
    U32(&'static str),
    U64(&'static str),
    Name,
    Text,
    Hex(&'static str, usize),
}

impl Field {
    fn describe(self, rest: &mut &[u8]) -> Option<String> {
        let mut take = |count: usize| {
            let (head, tail) = rest.split_at_checked(count)?;
            *rest = tail;
            Some(head)
        };
        let number =
            |bytes: &[u8]| bytes.iter().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
        Some(match self {
            Self::Party => format!(" party {}", number(take(PARTY)?)),
            Self::Feed => format!(" feed {}", number(take(FEED)?)),
            Self::U8(name) => format!(" {name} {}", number(take(1)?)),
            Self::U32(name) => format!(" {name} {}", number(take(4)?)),
            Self::U64(name) => format!(" {name} {}", number(take(8)?)),
            Self::Name => {
                let length = usize::from(*take(1)?.first()?);
                format!(" {}", String::from_utf8_lossy(take(length)?))
            }
            Self::Text => format!(" {}", String::from_utf8_lossy(std::mem::take(rest))),
            Self::Hex(name, count) => format!(" {name} {}", hex(take(count)?)),
        })
    }
}

fn layout(kind: u8) -> Option<(&'static str, &'static [Field])> {
    use Field::{Feed, Hex, Name, Party, Text, U8, U32, U64};
    Some(match kind {
        k if k == Kind::Block as u8 => ("block:", &[Feed, U64("seq")]),
        k if k == Kind::Node as u8 => ("tree node:", &[Feed, U8("level"), U64("index")]),
        k if k == Kind::Head as u8 => ("head:", &[Feed, U64("length")]),
        k if k == Kind::LatestHead as u8 => ("latest head:", &[Feed]),
        k if k == Kind::Step as u8 => ("causal step:", &[Feed, U64("seq")]),
        k if k == Kind::Alias as u8 => ("alias:", &[Feed, U32("alias")]),
        k if k == Kind::Equivocation as u8 => ("equivocation:", &[Feed]),
        k if k == Kind::Format as u8 => ("format", &[]),
        k if k == Kind::Counter as u8 => ("counter:", &[U8("counter")]),
        k if k == Kind::PartyByNo as u8 => ("party:", &[Party]),
        k if k == Kind::PartyByKey as u8 => ("party by key:", &[Hex("key", PUBLIC_KEY)]),
        k if k == Kind::FeedByNo as u8 => ("feed:", &[Feed]),
        k if k == Kind::FeedByKey as u8 => ("feed by key:", &[Hex("key", PUBLIC_KEY)]),
        k if k == Kind::FeedOfParty as u8 => ("feed of party:", &[Party, Feed]),
        k if k == Kind::Position as u8 => ("position:", &[Feed]),
        k if k == Kind::Credential as u8 => ("credential:", &[Party, U64("number")]),
        k if k == Kind::Quarantine as u8 => ("quarantine:", &[Party, Feed, U64("seq")]),
        k if k == Kind::Place as u8 => ("place", &[]),
        k if k == Kind::Preference as u8 => ("preference:", &[Text]),
        k if k == Kind::Item as u8 => ("item:", &[Feed, U64("seq")]),
        k if k == Kind::ItemById as u8 => ("item by id:", &[Party, Hex("id", ITEM_ID)]),
        k if k == Kind::ItemByModel as u8 => ("item by model:", &[Party, Name, Feed, U64("seq")]),
        k if k == Kind::ItemByParent as u8 => {
            ("item by parent:", &[Party, U8("with parent"), Feed, U64("seq"), Feed, U64("seq")])
        }
        k if k == Kind::ProcessingLog as u8 => {
            ("item log:", &[Feed, U64("seq"), U64("from ordinal")])
        }
        k if k == Kind::Checkpoint as u8 => ("checkpoint:", &[Feed, U64("seq")]),
        k if k == Kind::VaultHeader as u8 => ("vault header", &[]),
        k if k == Kind::Secret as u8 => ("secret:", &[Hex("of", PUBLIC_KEY)]),
        k if k == Kind::KnownKey as u8 => ("known key:", &[Hex("key", PUBLIC_KEY)]),
        _ => return None,
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

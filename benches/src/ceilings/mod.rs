//! What the machine allows: the same bytes without the engine around them.
//!
//! | file | what it does with them |
//! | --- | --- |
//! | `blocks` | reads and decodes them, hashes them, writes them |
//! | `signatures` | signs and verifies |
//! | `library` | gives them to the text library |

pub mod blocks;
pub mod library;
pub mod signatures;

//! The generated protobuf types. They never leave this crate: the types beside this module are what
//! the rest of Systole sees.
#![allow(missing_docs, unreachable_pub, reason = "generated code for this crate only")]
#![allow(clippy::all, clippy::use_self, reason = "generated code")]

include!(concat!(env!("OUT_DIR"), "/systole.v1.rs"));

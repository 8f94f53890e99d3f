//! Models for the simulation's own tests: one sound, the others with a bug that it must find.

#![allow(dead_code, reason = "each test binary uses some of them")]

pub(crate) mod journal;
pub(crate) mod naive;

//! Systole.

//! The command-line inspector.
fn main() {}

//! Compiles every `.proto` file in `proto/` with a compiler written in Rust, so that nobody needs protoc.

use std::error::Error;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir("proto")? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "proto") {
            files.push(path);
        }
    }
    files.sort();
    println!("cargo::rerun-if-changed=proto");

    let descriptors = protox::compile(&files, [PathBuf::from("proto")])?;
    let mut config = prost_build::Config::new();
    // Payloads stay slices of the block they came in.
    config.bytes([".systole.unknown.v1.Message.payload"]);
    config.compile_fds(descriptors)?;
    Ok(())
}

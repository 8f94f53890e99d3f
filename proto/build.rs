//! Generates the protobuf types. The definitions are compiled in Rust: no protoc is needed.

use std::error::Error;

const FILES: [&str; 4] =
    ["defs/feed.proto", "defs/item.proto", "defs/party.proto", "defs/checkpoint.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=defs");
    let descriptors = protox::compile(FILES, ["defs"])?;
    prost_build::Config::new().bytes(["."]).compile_fds(descriptors)?;
    Ok(())
}

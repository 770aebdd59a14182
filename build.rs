//! Turns the Protobuf schema into Rust types, by libraries alone: no `protoc` is needed.

use std::fs::File;
use std::path::PathBuf;
use std::time::SystemTime;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    const SCHEMA: &str = "longwire/v1/longwire.proto";
    println!("cargo::rerun-if-changed=proto/{SCHEMA}");
    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_source_info(true).open_file(SCHEMA)?;
    let descriptors =
        PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?).join("schema.bin");
    std::fs::write(&descriptors, compiler.encode_file_descriptor_set())?;
    // What follows asks cargo to watch this file: new at each run, it would have everything built again each time.
    File::options().write(true).open(&descriptors)?.set_modified(SystemTime::UNIX_EPOCH)?;
    buffa_build::Config::new()
        .descriptor_set(descriptors)
        .files(&[SCHEMA])
        // Unknown fields are ignored, so nothing has to keep them.
        .preserve_unknown_fields(false)
        .unbox_oneof()
        .compile()
}

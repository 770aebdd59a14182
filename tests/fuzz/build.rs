//! Turns the Protobuf schema into prost's types.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    const ROOT: &str = "../../proto";
    println!("cargo::rerun-if-changed={ROOT}/longwire/v1/longwire.proto");
    let files = protox::compile(["longwire/v1/longwire.proto"], [ROOT])?;
    prost_build::compile_fds(files)?;
    Ok(())
}

//! The `longwire` binary: hands its arguments to `cli`. Knows nothing else.

fn main() -> std::process::ExitCode {
    longwire::cli::run()
}

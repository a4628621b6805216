//! The thin binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    platformctl::cmd::main()
}

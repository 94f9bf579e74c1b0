//! The `mwt-train` program; everything it does is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    mwt_train::cli::run()
}

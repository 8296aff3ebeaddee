//! `ssp-run`: brings the data products of a pipeline up to date.

use std::process::ExitCode;

fn main() -> ExitCode {
    ssp::cli::run::main()
}

//! `ssp-build-ssobject`: the SSObject table from SSSource, DiaSource and orbits.

use std::process::ExitCode;

use clap::Parser;
use ssp::cli::build_ssobject::{Cli, execute};
use ssp::cli::failure::finish;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let reraise = cli.reraise();
    finish(execute(&cli), reraise)
}

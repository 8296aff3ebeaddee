//! `ssp-build-ssobject`: the SSObject table from SSSource, DiaSource and orbits.

use std::process::ExitCode;

use clap::Parser;
use ssp::cli::build_ssobject::{Cli, execute};
use ssp::cli::failure::{answer, finish};
use ssp::cli::messages::to_standard_error;

fn main() -> ExitCode {
    to_standard_error();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return answer(&error),
    };
    finish(cli.reraise(), |signals| execute(&cli, signals))
}

//! Datasets of a Butler repository to one Parquet file.

use std::process::ExitCode;

use clap::Parser;
use ssp::cli::extract_catalog::{Args, run};
use ssp::cli::failure::{answer, finish};
use ssp::cli::messages::to_standard_error;

fn main() -> ExitCode {
    to_standard_error();
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return answer(&error),
    };
    finish(args.reraise(), |signals| run(&args, signals))
}

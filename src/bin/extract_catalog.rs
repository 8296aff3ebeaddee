//! Datasets of a Butler repository to one Parquet file.

use std::process::ExitCode;

use clap::Parser;
use ssp::cli::extract_catalog::{Args, run};
use ssp::cli::failure::finish;

fn main() -> ExitCode {
    let args = Args::parse();
    finish(run(&args), args.reraise())
}

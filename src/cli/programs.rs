//! The five programs. They are one, `ssp-run`, which acts by the name it is started with: a package carries it once, and the
//! other names are links to it, or launchers where links cannot be packed (a Python wheel).

use std::ffi::OsStr;
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use super::failure::{Exit, Failure, answer, finish};
use super::messages::to_standard_error;
use super::signals::Signals;
use super::{build_ssobject, build_sssource, extract_catalog, fast_export, run};

/// The command lines as clap describes them, the pipeline's first.
#[must_use]
pub fn programs() -> [clap::Command; 5] {
    [
        run::flags::Flags::command(),
        fast_export::command(),
        extract_catalog::Args::command(),
        build_sssource::Cli::command(),
        build_ssobject::Cli::command(),
    ]
}

/// Acts as the program of the name that this process was started with; as `ssp-run` by a name that is no program's.
#[must_use]
pub fn main() -> ExitCode {
    to_standard_error();
    let started_as = std::env::args_os().next().unwrap_or_default();
    match Path::new(&started_as).file_name().and_then(OsStr::to_str) {
        Some("fast-export") => fast_export::main(),
        Some("extract-catalog") => act(extract_catalog::Args::reraise, extract_catalog::run),
        Some("ssp-build-sssource") => act(build_sssource::Cli::reraise, build_sssource::execute),
        Some("ssp-build-ssobject") => act(build_ssobject::Cli::reraise, build_ssobject::execute),
        _ => run::main(),
    }
}

fn act<Flags: Parser>(
    reraise: fn(&Flags) -> bool,
    work: fn(&Flags, &Signals) -> Result<Exit, Failure>,
) -> ExitCode {
    match Flags::try_parse() {
        Ok(flags) => finish(reraise(&flags), |signals| work(&flags, signals)),
        Err(error) => answer(&error),
    }
}

//! All programs as clap describes them: for manuals, completions and the reference.

use clap::{Command, CommandFactory};

/// The command lines, the pipeline's first.
#[must_use]
pub fn programs() -> [Command; 5] {
    [
        super::run::flags::Flags::command(),
        super::fast_export::command(),
        super::extract_catalog::Args::command(),
        super::build_sssource::Cli::command(),
        super::build_ssobject::Cli::command(),
    ]
}

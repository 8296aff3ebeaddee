//! `man` and `completions`: what a shell knows about the programs.

use std::path::Path;

use anyhow::anyhow;
use clap_complete::Shell;

use super::super::failure::{Exit, Failure};
use super::super::programs::programs;
use super::print;

/// Prints the manual page of `ssp-run`, or writes those of all programs and subcommands into a folder.
pub fn man(dir: Option<&Path>) -> Result<Exit, Failure> {
    let failed =
        |error: std::io::Error| Failure::new(Exit::Failed, anyhow!(error).context("cannot write the manual"));
    let Some(dir) = dir else {
        let mut page = Vec::new();
        clap_mangen::Man::new(super::command()).render(&mut page).map_err(failed)?;
        return Ok(print(&String::from_utf8_lossy(&page)));
    };
    std::fs::create_dir_all(dir).map_err(failed)?;
    for program in programs() {
        clap_mangen::generate_to(program, dir).map_err(failed)?;
    }
    Ok(Exit::Done)
}

/// Prints the completion script of a program.
pub fn completions(shell: Shell, program: &str) -> Result<Exit, Failure> {
    let found = programs().into_iter().find(|command| command.get_name() == program);
    let mut command =
        found.ok_or_else(|| Failure::new(Exit::Usage, anyhow!("there is no program `{program}`")))?;
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, program, &mut script);
    Ok(print(&String::from_utf8_lossy(&script)))
}

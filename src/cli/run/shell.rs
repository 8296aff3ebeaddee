//! `man` and `completions`: what a shell knows about the programs.

use std::path::Path;

use anyhow::anyhow;
use clap::CommandFactory as _;
use clap_complete::Shell;
use clap_mangen::Man;

use super::super::failure::{Exit, Failure};
use super::super::programs::programs;
use super::super::targets::check_folder;
use super::flags::Flags;
use super::print;
use crate::durable;

/// Prints the manual page of `ssp-run`, or writes those of all programs and subcommands into a folder.
pub(super) fn man(dir: Option<&Path>) -> Result<Exit, Failure> {
    let failed = |error: anyhow::Error| Failure::fault(error.context("cannot write the manual"));
    let Some(dir) = dir else {
        let mut page = Vec::new();
        Man::new(Flags::command()).render(&mut page).map_err(|error| failed(error.into()))?;
        return Ok(print(&String::from_utf8_lossy(&page)));
    };
    check_folder(dir)?;
    for program in programs() {
        let mut program = program.disable_help_subcommand(true);
        program.build();
        write_pages(&program, dir).map_err(failed)?;
    }
    Ok(Exit::Done)
}

/// Writes the page of a command and those of its subcommands.
fn write_pages(command: &clap::Command, dir: &Path) -> anyhow::Result<()> {
    for command in command.get_subcommands().filter(|command| !command.is_hide_set()) {
        write_pages(command, dir)?;
    }
    let page = Man::new(command.clone());
    let mut text = Vec::new();
    page.render(&mut text)?;
    Ok(durable::write(&dir.join(page.get_filename()), &text)?)
}

/// Prints the completion script of a program.
pub(super) fn completions(shell: Shell, program: &str) -> Result<Exit, Failure> {
    let found = programs().into_iter().find(|command| command.get_name() == program);
    let mut command = found.ok_or_else(|| Failure::usage(anyhow!("there is no program `{program}`")))?;
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, program, &mut script);
    Ok(print(&String::from_utf8_lossy(&script)))
}

//! `ssp-run head`, `describe` and `diff`: what is in the outputs. Reading only: no lock, no connection, no file is written.

mod compared;
mod describe;
mod diff;
mod diff_text;
pub(in crate::cli) mod flags;
mod grid;
mod head;

use std::io::ErrorKind;
use std::path::Path;

use anyhow::anyhow;

use crate::cli::failure::Failure;
use crate::environment::Environment;
use crate::parquet::{Error, read::TableReader};
use crate::pipeline::{Pipeline, Stage, did_you_mean, plain};
use crate::plan::Graph;
use crate::run::{Found, Store};

use super::flags::PipelineFlags;
use super::stages::stage_of;
use super::{command, load};

pub(super) use describe::describe;
pub(super) use diff::diff;
pub(super) use head::head;

/// A pipeline that is looked at, and how its file was named.
pub(super) struct Place {
    pipeline: Pipeline,
    graph: Graph,
    flags: PipelineFlags,
}

impl Place {
    /// The pipeline that is meant.
    pub(super) fn of(flags: PipelineFlags, environment: &Environment) -> Result<Self, Failure> {
        let (pipeline, graph) = load(&flags, environment)?;
        Ok(Self { pipeline, graph, flags })
    }

    /// A command on this pipeline.
    fn command(&self, words: &[&str]) -> String {
        command(words, &self.flags, &self.pipeline)
    }

    /// The stage with a name.
    fn stage(&self, name: &str) -> Result<&Stage, Failure> {
        stage_of(&self.graph, name).map(|id| self.graph.stage(id))
    }

    /// Opens the file of a stage.
    fn open(&self, stage: &Stage) -> Result<TableReader, Failure> {
        let path = plain(output(stage)?);
        TableReader::open(&path).map_err(|error| match error {
            Error::Open { source, .. } if source.kind() == ErrorKind::NotFound => {
                let never = matches!(Store::new(&self.pipeline.out_dir).record(&stage.name), Found::Nothing);
                let name = &stage.name;
                let what = if never {
                    format!("stage `{name}` has no output yet")
                } else {
                    format!("the output of stage `{name}` is missing")
                };
                let error = anyhow!("{what}: `{}` does not exist", path.display());
                let again = self.command(&["--stage", stage.name.as_str()]);
                Failure::fault(error).hint(format!("make it: `{again}`"))
            }
            error => Failure::fault(error),
        })
    }

    /// Refuses a column that the output of a stage does not have.
    fn check_columns(&self, stage: &Stage, reader: &TableReader, names: &[&str]) -> Result<(), Failure> {
        let Some(name) = names.iter().find(|name| reader.field(name).is_err()) else { return Ok(()) };
        let all = reader.schema().fields().iter().map(|field| field.name().as_str());
        let hint = did_you_mean(name, all);
        let error = anyhow!("the output of `{}` has no column `{name}`{hint}", stage.name);
        let list = self.command(&["describe", stage.name.as_str(), "-p"]);
        Err(Failure::usage(error).hint(format!("`{list}` lists all columns")))
    }
}

/// The file of a stage.
fn output(stage: &Stage) -> Result<&Path, Failure> {
    let none = || Failure::usage(anyhow!("stage `{}` writes no file", stage.name));
    stage.out.as_deref().ok_or_else(none)
}

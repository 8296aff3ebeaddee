//! `ssp-run head`, `describe` and `diff`: what is in the outputs. Reading only: no lock, no connection, no file is written.

mod compared;
mod describe;
mod diff;
mod diff_text;
pub(in crate::cli) mod flags;
mod grid;
mod head;
mod width;

use std::io::ErrorKind;
use std::path::Path;

use anyhow::anyhow;

use crate::cli::failure::{Exit, Failure};
use crate::parquet::{Error, read::TableReader};
use crate::pipeline::{Stage, did_you_mean, plain};
use crate::plan::Graph;

pub(super) use describe::describe;
pub(super) use diff::diff;
pub(super) use head::head;

/// The stage of a name.
fn stage<'g>(graph: &'g Graph, name: &str) -> Result<&'g Stage, Failure> {
    graph.find(name).map(|id| graph.stage(id)).ok_or_else(|| {
        let hint = did_you_mean(name, graph.ids().map(|id| graph.stage(id).name.as_str()));
        Failure::new(Exit::Usage, anyhow!("there is no stage `{name}`{hint}")).hint(stages(graph))
    })
}

/// The names of all stages, as a hint.
fn stages(graph: &Graph) -> String {
    let names: Vec<&str> = graph.ids().map(|id| graph.stage(id).name.as_str()).collect();
    format!("the stages are {}", names.join(", "))
}

/// The file of a stage.
fn output(stage: &Stage) -> Result<&Path, Failure> {
    let none = || Failure::new(Exit::Usage, anyhow!("stage `{}` writes no file", stage.name));
    stage.out.as_deref().ok_or_else(none)
}

/// Opens the file of a stage.
fn open(stage: &Stage) -> Result<TableReader, Failure> {
    let path = plain(output(stage)?);
    TableReader::open(&path).map_err(|error| match error {
        Error::Open { source, .. } if source.kind() == ErrorKind::NotFound => {
            let error =
                anyhow!("stage `{}` has no output yet: `{}` does not exist", stage.name, path.display());
            Failure::new(Exit::Failed, error).hint(format!("make it: `ssp-run --stage {}`", stage.name))
        }
        error => Failure::new(Exit::Failed, error),
    })
}

//! `ssp-run report`: where the report page of a run is.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};

use crate::pipeline::plain;
use crate::run::Store;
use crate::run::report::{self, Error, run_ids};
use crate::stages::Environment;

use super::super::failure::{Exit, Failure};
use super::flags::PipelineFlags;
use super::{load, print};

/// Prints the path of a run's report, made anew if it is missing, and opens it if that is asked for.
pub fn report(
    run: Option<&str>,
    pipeline: &PipelineFlags,
    open: bool,
    environment: &Environment,
) -> Result<Exit, Failure> {
    let (pipeline, _) = load(pipeline, environment)?;
    let store = Store::new(&pipeline.out_dir);
    let run = match run {
        // What people type is a run, never a path that leads elsewhere: it must be one of those that there are.
        Some(run) if run != "latest" => run.to_owned(),
        _ => run_ids(&store).pop().ok_or_else(|| {
            let message = anyhow!("there are no runs in `{}`", plain(&store.path("runs")).display());
            Failure::new(Exit::Usage, message).hint("run the pipeline first: ssp-run")
        })?,
    };
    let path = page(&store, &run)?;
    print(&format!("{}\n", plain(&path).display()));
    if open {
        show(&path)?;
    }
    Ok(Exit::Done)
}

fn page(store: &Store, run: &str) -> Result<PathBuf, Failure> {
    let path = report::path(store, run);
    if run_ids(store).iter().any(|known| known == run) && path.exists() {
        return Ok(path);
    }
    report::write(store, run).map_err(|error| match &error {
        Error::NoRun { .. } => Failure::new(Exit::Usage, error),
        _ => Failure::new(Exit::Failed, error),
    })
}

fn show(path: &Path) -> Result<(), Failure> {
    open::that_detached(path)
        .with_context(|| format!("cannot open `{}` in a browser", path.display()))
        .map_err(|error| Failure::new(Exit::Failed, error).hint("open the file that was printed by hand"))
}

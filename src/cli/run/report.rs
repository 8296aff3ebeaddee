//! `ssp-run report`: where the report page of a run is.

use std::path::Path;

use anyhow::anyhow;

use crate::cli::failure::{Exit, Failure};
use crate::pipeline::{Pipeline, plain};
use crate::run::{History, Store, report};

use super::{print, records, refused};

/// Prints the path of a run's report, made anew if it is missing, and opens it if that is asked for.
pub(super) fn report(pipeline: &Pipeline, run: &str, open: bool) -> Result<Exit, Failure> {
    let store = Store::new(&pipeline.out_dir);
    let history = History::of(&store).map_err(refused)?;
    let run = records::find(&history, run)?;
    let mut path = report::path(&store, run);
    if !path.exists() {
        path = report::write(&store, run).map_err(|error| Failure::new(Exit::Failed, error))?;
    }
    print(&format!("{}\n", plain(&path).display()));
    if open {
        show(&path)?;
    }
    Ok(Exit::Done)
}

fn show(path: &Path) -> Result<(), Failure> {
    open::that_detached(path).map_err(|_| {
        let error = anyhow!("no browser can be started on this machine");
        Failure::new(Exit::Failed, error)
            .hint("copy the printed file to a machine with a browser, and open it there")
    })
}

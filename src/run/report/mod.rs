//! The report page of a run: one self-contained HTML file, made from what the run left and nothing else.
//!
//! Not a place for what is recorded (see `journal`); the same records make the same page.

mod changes;
mod checks;
mod dag;
mod failures;
mod histogram;
mod index;
mod objects;
mod offsets;
mod outputs;
mod page;
mod plot;
mod reasons;
mod records;
mod tables;
mod text;
mod timeline;

use std::path::PathBuf;

pub(crate) use dag::standalone as drawing;
pub(crate) use index::write as write_index;
pub(crate) use page::page;
pub(crate) use records::Input;

use super::store::Store;
use crate::durable;

/// Why there is no report of a run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("there is no run `{run}` in `{}`{}", folder.display(), newest_said(newest))]
    NoRun {
        run: String,
        folder: PathBuf,
        /// The newest runs that there are, newest first.
        newest: Vec<String>,
    },
    /// The folder of runs could not be read.
    #[error(transparent)]
    History(#[from] super::Error),
    #[error("cannot read `{}`", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("`{}` is not the record of a run that this version of ssp can read: {why}", path.display())]
    Form { path: PathBuf, why: String },
    #[error(transparent)]
    Write(#[from] durable::Error),
}

fn newest_said(newest: &[String]) -> String {
    if newest.is_empty() {
        return "; there are no runs at all".to_owned();
    }
    format!("; the newest are {}", newest.join(", "))
}

/// Where the report of a run is.
pub(crate) fn path(store: &Store, run: &str) -> PathBuf {
    store.path(&format!("runs/{run}/report.html"))
}

/// Writes the report of a run, and says where.
pub(crate) fn write(store: &Store, run: &str) -> Result<PathBuf, Error> {
    let input = Input::gather(store, run)?;
    let path = path(store, run);
    durable::write(&path, page(&input).as_bytes())?;
    Ok(path)
}

//! Where outputs go, looked at before anything is read or connected to.
//!
//! `durable` decides which file a path leads to; this compares these files with each other.

use std::fs;
use std::path::{Path, PathBuf};

use super::failure::{Exit, Failure};
use super::messages::OTHER_OUTPUT;
use crate::durable;
use crate::pipeline::plain;

/// What tells the file that a path leads to from every other: its name in its folder, whatever links and `..` lead there.
///
/// # Errors
/// Those of [`durable::target`], for what is not a file to write.
pub fn place(path: &Path) -> Result<PathBuf, durable::Error> {
    let failed = |source| durable::Error::Look { path: path.to_owned(), source };
    let path = std::path::absolute(durable::target(path)?).map_err(failed)?;
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return Ok(plain(&path)) };
    // A folder that is to be made is not there to be asked.
    Ok(fs::canonicalize(folder).unwrap_or_else(|_| plain(folder)).join(name))
}

/// Refuses an output of the command line that is not a file to write.
///
/// # Errors
/// A [`Failure`] of the command line.
pub fn check(output: &Path) -> Result<(), Failure> {
    let refused = |error: durable::Error| Failure::new(Exit::Usage, error).hint(OTHER_OUTPUT);
    durable::target(output).map(drop).map_err(refused)
}

//! Parquet files: [`read`] and [`write`](mod@write), the only users of the `parquet` crate.
//!
//! Not a place for what the columns mean.

pub(crate) mod copy;
mod encoding;
mod files;
mod groups;
pub mod read;
mod remote;
mod rows;
pub(crate) mod source;
pub(crate) mod statistics;
pub mod write;

use std::fmt;
use std::path::PathBuf;

use parquet::errors::ParquetError;

pub use files::{files, other_format};
pub(crate) use remote::Admit;

use crate::errors;

/// What the `parquet` crate says; of an error that is not its own, that error alone.
#[derive(Debug)]
pub struct Cause(ParquetError);

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            ParquetError::External(error) => error.fmt(f),
            error => error.fmt(f),
        }
    }
}

impl std::error::Error for Cause {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0 {
            ParquetError::External(error) => Some(error.as_ref()),
            _ => None,
        }
    }
}

impl From<ParquetError> for Cause {
    fn from(error: ParquetError) -> Self {
        Self(error)
    }
}

/// Why a Parquet file could not be read or written.
#[expect(missing_docs, reason = "the messages say what the fields are")]
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file could not be opened.
    #[error("cannot open `{}`", path.display())]
    Open { path: PathBuf, source: std::io::Error },
    /// The file is not Parquet, or is damaged.
    #[error("cannot read `{}` as Parquet", path.display())]
    Read { path: PathBuf, source: Cause },
    /// A column that was asked for is not in the file.
    #[error("`{}` has no column `{column}` (it has: {})", path.display(), found.join(", "))]
    NoColumn { path: PathBuf, column: String, found: Vec<String> },
    /// A part of a table has other columns than the first part.
    #[error("column {number} of `{}` is {found}, but {wanted} in `{}`: all parts of a table must have the same columns",
        path.display(), first.display())]
    Part { path: PathBuf, first: PathBuf, number: usize, found: String, wanted: String },
    /// Encoding or compressing failed.
    #[error("cannot write `{}` as Parquet", path.display())]
    Encode { path: PathBuf, source: Cause },
    /// The file below could not be written.
    #[error(transparent)]
    File(#[from] crate::durable::Error),
}

/// The result of reading: some damaged files make the `parquet` crate panic, which is an error as any other.
fn sound<T>(read: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, ParquetError> {
    errors::quietly(read).unwrap_or_else(|panic| {
        Err(ParquetError::General(format!("reading it panicked, so it must be damaged: {panic}")))
    })
}

//! Why a delivery failed.

use std::io;
use std::path::PathBuf;

use crate::errors::{Class, Classified};
use crate::store::{self, Url};
use crate::{durable, parquet};

/// Why a delivery failed.
#[expect(missing_docs, reason = "the messages say what the fields are")]
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The stage is not part of a run.
    #[error("only a run can deliver")]
    NoRun,
    /// The target is not one.
    #[error("cannot deliver to `{to}`: {why}")]
    Target { to: String, why: String },
    /// No table is left.
    #[error("no table can be delivered: the stages of all tables failed")]
    NoTable,
    /// An input cannot be read.
    #[error("cannot read table `{table}`: `{}`", path.display())]
    Input { table: String, path: PathBuf, source: io::Error },
    #[error(transparent)]
    Parquet(#[from] parquet::Error),
    /// Two files of a table have one name.
    #[error("table `{table}` has two files with the name `{name}`")]
    Twice { table: String, name: String },
    /// A file of a table has other columns than the first one.
    #[error("`{}` has other columns than the first file of table `{table}`", path.display())]
    Columns { table: String, path: PathBuf },
    /// The name of a part cannot be a key.
    #[error("the name of a file of table `{table}` is not UTF-8: `{}`", path.display())]
    Name { table: String, path: PathBuf },
    /// A file was changed while it was read.
    #[error("`{}` was changed while the delivery read it; run again", path.display())]
    Changed { path: PathBuf },
    /// Another delivery, or a stranger, has the prefix.
    #[error(
        "`{0}` exists already and is not part of this delivery: no object was replaced; run again for a new prefix"
    )]
    Taken(Url),
    /// What the delivery has put was removed by another program.
    #[error(
        "`{0}` was removed while the delivery ran, so its files may be gone too: run again for a new prefix"
    )]
    Lost(Url),
    /// An object is not what was sent.
    #[error("`{0}` does not contain the bytes that were sent")]
    NotProven(Url),
    /// It is not known whether the manifest is there.
    #[error("`{url}` may exist: the store did not answer; the next run finishes the delivery")]
    Unsure { url: Url, source: store::Error },
    /// What was put could not be removed.
    #[error("the delivery failed, and `{}` could not be removed: the next run finishes or removes the delivery", left.join("`, `"))]
    Left { left: Vec<String>, source: Box<Self> },
    /// The file in which the stage keeps what it does cannot be written.
    #[error("cannot write the record of the delivery")]
    State(#[from] durable::Error),
    /// The manifest could not be put into words.
    #[error("cannot write the manifest as JSON")]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Classified for Error {
    fn class(&self) -> Class {
        match self {
            Self::Store(error) | Self::Unsure { source: error, .. } => error.class(),
            Self::Left { source, .. } => source.class(),
            Self::Target { .. } => Class::Usage,
            _ => Class::Fault,
        }
    }
}

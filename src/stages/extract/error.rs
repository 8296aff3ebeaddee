//! Why an extract failed.

use std::fmt::Write as _;
use std::path::PathBuf;

use crate::butler;
use crate::errors::{Class, Classified};

/// Datasets that an error lists; a line counts the rest.
const MOST_LISTED: usize = 1_000;

/// Why an extract failed.
#[expect(missing_docs, reason = "the messages say what the fields are")]
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The repository or one of its datasets.
    #[error(transparent)]
    Butler(#[from] butler::Error),
    #[error(transparent)]
    Parquet(#[from] crate::parquet::Error),
    /// There is nothing to take columns from.
    #[error(
        "there is no dataset of type `{dataset_type}`{condition} in `{collections}`: no output was written"
    )]
    NoDatasets { dataset_type: String, collections: String, condition: String },
    /// Some datasets cannot be read.
    #[error("{} of {total} datasets cannot be read; no output was written{}", problems.len(), listed(problems))]
    Unreadable { total: usize, problems: Vec<String> },
    /// The output is there already, and the extract would read it.
    #[error("`{}` is {what}: it would be replaced", path.display())]
    Replaces { path: PathBuf, what: String },
    /// Datasets are filtered, but no file of ids was given, or the other way round.
    #[error("a filter needs a file of ids")]
    NoIds,
    #[error("stopped")]
    Stopped,
}

impl Classified for Error {
    fn class(&self) -> Class {
        match self {
            Self::Butler(error) => error.class(),
            Self::Stopped => Class::Stopped,
            Self::Replaces { .. } => Class::Usage,
            _ => Class::Fault,
        }
    }
}

fn listed(problems: &[String]) -> String {
    let mut text = String::new();
    for problem in problems.iter().take(MOST_LISTED) {
        let _ = write!(text, "\n  {problem}");
    }
    if problems.len() > MOST_LISTED {
        let _ = write!(text, "\n  and {} more", problems.len() - MOST_LISTED);
    }
    text
}

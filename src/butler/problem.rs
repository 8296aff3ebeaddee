//! What can be wrong with one dataset of a repository.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::errors;

/// Any cause, of whatever database or library.
pub(super) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why a dataset that is registered cannot be read.
#[derive(Debug)]
pub enum Problem {
    /// The registry knows it, but no datastore has a record of it.
    NotStored,
    /// There is a record, but no file.
    Missing(PathBuf),
    /// The file has another size than the record says.
    Size {
        /// The file.
        path: PathBuf,
        /// Bytes that the record says.
        recorded: u64,
        /// Bytes that the file has.
        found: u64,
    },
    /// The file is in a zip file that cannot be read, or does not hold it.
    Zip {
        /// The zip file.
        path: PathBuf,
        /// The member.
        member: String,
        /// The cause.
        source: Cause,
    },
    /// The file is not Parquet.
    NotParquet {
        /// The class that wrote it.
        formatter: String,
        /// The cause.
        source: crate::parquet::Error,
    },
    /// The file cannot be opened.
    Open {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotStored => f.write_str("not stored: the registry has it, but no datastore does"),
            Self::Missing(path) => write!(f, "its file is missing: `{}`", path.display()),
            Self::Size { path, recorded, found } => {
                write!(f, "`{}` has {found} bytes, but {recorded} were recorded", path.display())
            }
            Self::Zip { path, member, source } => {
                write!(f, "cannot read `{member}` in `{}`: {source}", path.display())
            }
            Self::NotParquet { formatter, source } => {
                f.write_str(&errors::chain(source).join(": "))?;
                let class = formatter.rsplit('.').next().unwrap_or_default();
                if class == "ParquetFormatter" { Ok(()) } else { write!(f, " (it was written by `{class}`)") }
            }
            Self::Open { path, source } => write!(f, "cannot open `{}`: {source}", path.display()),
        }
    }
}

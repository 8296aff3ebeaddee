//! What can be wrong with one dataset of a repository.

use std::fmt;
use std::io;

use super::place::Place;
use crate::errors;

/// Any cause, of any database or library.
pub(super) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why a dataset that is registered cannot be read.
#[derive(Debug)]
pub enum Problem {
    /// The registry knows it, but no datastore has a record of it.
    NotStored,
    /// There is a record, but no file.
    Missing(Place),
    /// The file has another size than the record says.
    Size {
        /// The file, and the member of it.
        name: String,
        /// Bytes that the record says.
        recorded: u64,
        /// Bytes that the file has.
        found: u64,
    },
    /// The file is in a zip file that cannot be read, or does not hold it.
    Zip {
        /// The zip file.
        place: Place,
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
        place: Place,
        /// The cause.
        source: io::Error,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotStored => f.write_str("not stored: the registry has it, but no datastore does"),
            Self::Missing(place) => write!(f, "its file is missing: `{place}`"),
            Self::Size { name, recorded, found } => {
                write!(f, "`{name}` has {found} bytes, but {recorded} were recorded")
            }
            Self::Zip { place, member, source } => write!(f, "cannot read `{member}` in `{place}`: {source}"),
            Self::NotParquet { formatter, source } => {
                f.write_str(&errors::chain(source).join(": "))?;
                let class = formatter.rsplit('.').next().unwrap_or_default();
                if class == "ParquetFormatter" { Ok(()) } else { write!(f, " (it was written by `{class}`)") }
            }
            Self::Open { place, source } => write!(f, "cannot open `{place}`: {source}"),
        }
    }
}

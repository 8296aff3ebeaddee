//! Why an export failed.

use crate::errors::{Class, Classified};
use crate::{parquet, postgres};

/// Why an export failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database.
    #[error(transparent)]
    Postgres(#[from] postgres::Error),
    /// The file.
    #[error(transparent)]
    Parquet(#[from] parquet::Error),
}

impl Classified for Error {
    fn class(&self) -> Class {
        match self {
            Self::Postgres(error) => error.class(),
            Self::Parquet(_) => Class::Fault,
        }
    }

    fn key(&self) -> Option<&'static str> {
        match self {
            Self::Postgres(error) => error.key(),
            Self::Parquet(_) => None,
        }
    }
}

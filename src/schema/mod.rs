//! Declared tables: `schemas/*.yaml` to columns, types and units, to Arrow, and declared against found.
//!
//! Not a place for data.

mod column_type;
mod compare;
mod table;

use std::path::PathBuf;

pub(crate) use column_type::{ColumnType, type_name};
pub(crate) use compare::difference;
pub(crate) use table::{Column, DESCRIPTION, TableSchema, UNIT};

/// Why a schema file could not be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file could not be read.
    #[error("cannot read schema file `{}`", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    /// The text is not a schema.
    #[error("`{origin}` is not a table schema: {message}")]
    Parse { origin: String, message: String },
    /// Two columns have one name.
    #[error("`{origin}` declares column `{column}` twice")]
    DuplicateColumn { origin: String, column: String },
}

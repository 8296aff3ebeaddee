//! Declared tables: `schemas/*.yaml` and Felis schemas to columns, types and units, to Arrow, and declared against found.
//!
//! Not a place for data.

mod column_type;
mod compare;
mod felis;
mod named;
mod table;

use std::path::PathBuf;

pub(crate) use column_type::{ColumnType, type_name};
pub(crate) use compare::Mismatch;
pub(crate) use named::{Declared, NamedSchema};
pub(crate) use table::{Column, DESCRIPTION, TableSchema, UNIT};

/// Why a schema file could not be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read schema file `{}`", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("`{origin}` is not a table schema: {message}")]
    Parse { origin: String, message: String },
    #[error("`{origin}` declares column `{column}` twice")]
    DuplicateColumn { origin: String, column: String },
    #[error("`{}` is not a Felis schema: {message}", path.display())]
    Felis { path: PathBuf, message: String },
    #[error("Felis schema `{}` has no table `{table}`{hint}", path.display())]
    NoTable { path: PathBuf, table: String, hint: String },
    /// A schema that a Felis schema names cannot be used.
    #[error("resource `{resource}` of Felis schema `{}`", path.display())]
    Resource { resource: String, path: PathBuf, source: Box<Error> },
    /// A schema that a Felis schema names is not a file.
    #[error("`{uri}` is not a path: copy the schema to a file and write its path")]
    Uri { uri: String },
    #[error("`{}` is a resource of itself", path.display())]
    Circular { path: PathBuf },
    /// A Felis table takes columns from where there are none.
    #[error("table `{table}` of Felis schema `{}`: `columnRefs` names {message}", path.display())]
    ColumnRefs { path: PathBuf, table: String, message: String },
}

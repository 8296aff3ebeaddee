//! What can be wrong with an input of any table.

use std::path::PathBuf;

use super::Offenders;

/// Why an input could not be read, or rows could not be put aside.
#[expect(missing_docs, reason = "the messages say what the fields are")]
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An input is not there.
    #[error(
        "{table}: `{}` names no Parquet file: give a file, a folder that holds `*.parquet`, or a pattern in quotes",
        path.display()
    )]
    Files { table: &'static str, path: PathBuf, source: std::io::Error },
    /// A file could not be read.
    #[error(transparent)]
    Parquet(#[from] crate::parquet::Error),
    /// A column is not there.
    #[error("{table}: `{}` has no column `{column}` (it has: {})", path.display(), found.join(", "))]
    NoColumn { table: &'static str, path: PathBuf, column: String, found: Vec<String> },
    /// A column has a type that cannot be used.
    #[error("{table}: column `{column}` of `{}` is {found}, and must be {wanted}", path.display())]
    ColumnType { table: &'static str, path: PathBuf, column: String, found: String, wanted: &'static str },
    /// A column that must hold a value in each row does not.
    #[error("{table}: column `{column}` of `{}` has no value in row {row}: each row must have one", path.display())]
    NoValue { table: &'static str, path: PathBuf, column: &'static str, row: u64 },
    /// A text is longer than the tables can hold.
    #[error("{table}: column `{column}` of `{}` has a text of {} bytes in row {row} (`{text}`): at most {most} are possible", path.display(), text.len())]
    LongText { table: &'static str, path: PathBuf, column: &'static str, row: u64, text: String, most: usize },
    /// An unsigned id beyond the range of a signed one.
    #[error("{table}: column `{column}` of `{}` has {ids} beyond a signed 64-bit integer: ids must be below 2^63", path.display())]
    IdRange { table: &'static str, path: PathBuf, column: &'static str, ids: Offenders },
    /// Rows that do not fit in memory could not be put aside.
    #[error("cannot write temporary files to folder `{}`, which needs as much space as the inputs", folder.display())]
    Spill { folder: PathBuf, source: std::io::Error },
    /// Arrow refused a column.
    #[error("cannot convert column `{column}`")]
    Convert { column: String, source: arrow_schema::ArrowError },
    /// The monitor asked for a stop.
    #[error("stopped")]
    Stopped,
}

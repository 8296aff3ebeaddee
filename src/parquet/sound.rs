//! What the `parquet` crate makes of damaged files.

use parquet::errors::ParquetError;

use crate::errors;

/// The result of reading: some damaged files make the `parquet` crate panic, which is an error as any other.
pub(super) fn sound<T>(read: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, ParquetError> {
    errors::quietly(read).unwrap_or_else(|panic| {
        Err(ParquetError::General(format!("reading it panicked, so it must be damaged: {panic}")))
    })
}

//! The rows of the table from the files of its slices.

use std::path::Path;

use arrow_array::{ArrayRef, RecordBatch};
use rayon::prelude::*;

use super::Error;
use super::options::Options;
use super::table::{Sink, schema};
use crate::monitor::Monitor;
use crate::parquet::read::TableReader;
use crate::tables::{self, BATCH_ROWS};

/// More than one for each thread, since some columns take longer than others.
const GROUPS_PER_THREAD: usize = 4;

/// Reads the files of all slices in their order; `sink` gets the batches. One batch is held at a time.
///
/// # Errors
/// [`Error::NoSlice`]; what is wrong with the files; those of `sink`.
pub(crate) fn merge<'a>(
    files: impl Iterator<Item = &'a Path>,
    options: &Options,
    monitor: &Monitor,
    sink: Sink<'_>,
) -> Result<(), Error> {
    let schema = schema(options).arrow();
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let group = names.len().div_ceil(GROUPS_PER_THREAD * rayon::current_num_threads());
    for path in files {
        let file = TableReader::open(path).map_err(tables::Error::Parquet)?;
        if file.schema().fields() != schema.fields() {
            return Err(Error::NoSlice { path: path.to_owned() });
        }
        let readers = names.chunks(group).map(|names| file.batches(names, None, BATCH_ROWS));
        let mut readers = readers.collect::<Result<Vec<_>, _>>().map_err(tables::Error::Parquet)?;
        loop {
            tables::check_stop(monitor)?;
            let decoded = readers.par_iter_mut().map(|batches| batches.next().transpose());
            let decoded: Vec<Option<RecordBatch>> =
                decoded.collect::<Result<_, _>>().map_err(tables::Error::Parquet)?;
            let columns: Vec<ArrayRef> =
                decoded.iter().flatten().flat_map(|batch| batch.columns().to_vec()).collect();
            if columns.is_empty() {
                break;
            }
            let batch = RecordBatch::try_new(schema.clone(), columns)
                .map_err(|source| tables::Error::Convert { column: path.display().to_string(), source })?;
            sink(&batch)?;
            monitor.advance(batch.num_rows() as u64, 0);
        }
    }
    Ok(())
}

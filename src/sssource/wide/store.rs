//! Record batches by partition: in memory if there is one partition, in files without a name if there are several.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Seek};
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{ArrowError, SchemaRef};
use rayon::prelude::*;

use crate::tables;

/// Batches of one schema.
pub(super) struct Store {
    held: Held,
    folder: PathBuf,
}

type Writer = StreamWriter<BufWriter<File>>;

enum Held {
    Memory(Vec<RecordBatch>),
    /// A file for each of several; none when it was taken.
    Disk(Vec<Option<Writer>>),
}

/// Bytes that wait to be written to, or were read from, a partition's file.
const BUFFER_BYTES: usize = 64 << 10;

impl Store {
    /// A number of partitions, with their files in `folder`.
    ///
    /// # Errors
    /// [`tables::Error::Spill`].
    pub(super) fn new(schema: &SchemaRef, partitions: usize, folder: &Path) -> Result<Self, tables::Error> {
        let file = |_| {
            let file = BufWriter::with_capacity(BUFFER_BYTES, tempfile::tempfile_in(folder)?);
            StreamWriter::try_new(file, schema).map(Some).map_err(io_error)
        };
        let held = if partitions == 1 {
            Held::Memory(Vec::new())
        } else {
            Held::Disk((0..partitions).map(file).collect::<io::Result<_>>().map_err(failed(folder))?)
        };
        Ok(Self { held, folder: folder.to_owned() })
    }

    /// Adds rows to each partition (\[partitions\]).
    ///
    /// # Errors
    /// [`tables::Error::Spill`].
    pub(super) fn write(&mut self, batches: Vec<RecordBatch>) -> Result<(), tables::Error> {
        let filled = |batch: &RecordBatch| batch.num_rows() > 0;
        match &mut self.held {
            Held::Memory(held) => held.extend(batches.into_iter().filter(filled)),
            Held::Disk(files) => files
                .par_iter_mut()
                .zip(batches)
                .filter(|(_, batch)| filled(batch))
                .try_for_each(|(file, batch)| match file {
                    Some(file) => file.write(&batch).map_err(io_error),
                    None => Err(io::Error::other("the partition was taken before")),
                })
                .map_err(failed(&self.folder))?,
        }
        Ok(())
    }

    /// The rows of a partition, which are given once.
    ///
    /// # Errors
    /// [`tables::Error::Spill`].
    pub(super) fn take(&mut self, partition: usize) -> Result<Vec<RecordBatch>, tables::Error> {
        let Self { held, folder } = self;
        match held {
            Held::Memory(held) => Ok(std::mem::take(held)),
            Held::Disk(files) => match files.get_mut(partition).and_then(Option::take) {
                Some(file) => read(file).map_err(failed(folder)),
                None => Ok(Vec::new()),
            },
        }
    }
}

fn read(writer: Writer) -> io::Result<Vec<RecordBatch>> {
    let file = writer.into_inner().map_err(io_error)?;
    let mut file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.rewind()?;
    let reader = StreamReader::try_new(BufReader::with_capacity(BUFFER_BYTES, file), None);
    reader.and_then(Iterator::collect::<Result<_, _>>).map_err(io_error)
}

fn io_error(error: ArrowError) -> io::Error {
    match error {
        ArrowError::IoError(_, error) => error,
        other => io::Error::other(other),
    }
}

fn failed(folder: &Path) -> impl Fn(io::Error) -> tables::Error + use<> {
    let folder = folder.to_owned();
    move |source| tables::Error::Spill { folder: folder.clone(), source }
}

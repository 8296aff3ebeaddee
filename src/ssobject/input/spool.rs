//! Rows in partitions: in memory, or on disk when there are more of them than memory may hold.
//!
//! The files have no name, so the system removes them whatever happens.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

use crate::ssobject::Error;

/// A row that has a form on disk.
pub trait Record: Copy + Send {
    /// Bytes of the form.
    const BYTES: usize;
    /// Appends the form.
    fn put(&self, bytes: &mut Vec<u8>);
    /// Reads it back, field by field in the order of [`Record::put`].
    fn get(fields: &mut Fields<'_>) -> Self;
}

/// The fields of a row on disk, one after the other.
pub struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    /// The next field.
    pub fn next<const N: usize>(&mut self) -> [u8; N] {
        let (field, rest) = self.0.split_first_chunk().expect("a record is read whole, and has this field");
        self.0 = rest;
        *field
    }
}

/// Rows by partition.
pub struct Spool<T> {
    partitions: Vec<Partition<T>>,
    folder: PathBuf,
    bytes: Vec<u8>,
}

enum Partition<T> {
    Memory(Vec<T>),
    Disk { file: BufWriter<File>, rows: usize },
}

impl<T: Record> Spool<T> {
    /// So many partitions; a single one is in memory, several are files in `folder`.
    ///
    /// # Errors
    /// [`Error::Spill`].
    pub fn new(partitions: usize, folder: &Path) -> Result<Self, Error> {
        let partition = |_| {
            if partitions == 1 {
                return Ok(Partition::Memory(Vec::new()));
            }
            let file = tempfile::tempfile_in(folder).map_err(|source| failed(folder, source))?;
            Ok(Partition::Disk { file: BufWriter::new(file), rows: 0 })
        };
        let partitions = (0..partitions).map(partition).collect::<Result<_, Error>>()?;
        Ok(Self { partitions, folder: folder.to_owned(), bytes: Vec::with_capacity(T::BYTES) })
    }

    /// Adds rows, each to the partition that `of` gives.
    ///
    /// # Errors
    /// [`Error::Spill`].
    pub fn extend(&mut self, rows: Vec<T>, of: impl Fn(&T) -> usize) -> Result<(), Error> {
        if let [Partition::Memory(held)] = &mut self.partitions[..] {
            if held.is_empty() {
                *held = rows;
            } else {
                held.extend_from_slice(&rows);
            }
            return Ok(());
        }
        for row in rows {
            match &mut self.partitions[of(&row)] {
                Partition::Memory(held) => held.push(row),
                Partition::Disk { file, rows } => {
                    self.bytes.clear();
                    row.put(&mut self.bytes);
                    file.write_all(&self.bytes).map_err(|source| failed(&self.folder, source))?;
                    *rows += 1;
                }
            }
        }
        Ok(())
    }

    /// The rows of each partition in turn; a partition is read when it is its turn.
    pub fn take(self) -> impl Iterator<Item = Result<Vec<T>, Error>> {
        let Self { partitions, folder, .. } = self;
        partitions.into_iter().map(move |partition| match partition {
            Partition::Memory(held) => Ok(held),
            Partition::Disk { file, rows } => read(file, rows).map_err(|source| failed(&folder, source)),
        })
    }
}

fn read<T: Record>(file: BufWriter<File>, rows: usize) -> std::io::Result<Vec<T>> {
    let mut file = file.into_inner().map_err(std::io::IntoInnerError::into_error)?;
    file.rewind()?;
    let mut file = BufReader::with_capacity(1 << 20, file);
    let mut bytes = vec![0; T::BYTES];
    let mut held = Vec::with_capacity(rows);
    for _ in 0..rows {
        file.read_exact(&mut bytes)?;
        held.push(T::get(&mut Fields(&bytes)));
    }
    Ok(held)
}

fn failed(folder: &Path, source: std::io::Error) -> Error {
    Error::Spill { folder: folder.to_owned(), source }
}

/// The partition of an id among several, by a multiplicative hash (Knuth 1998, section 6.4).
#[must_use]
pub fn by_hash(id: i64, partitions: usize) -> usize {
    let hash = id.cast_unsigned().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    // The product of 32 bits and a small number fits, and its upper part is below that number.
    usize::try_from((hash * partitions as u64) >> 32).unwrap_or(0)
}

//! Rows in partitions: in memory, or on disk when there are more of them than memory may hold.
//!
//! The files have no name, so the system removes them, however the program ends.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::Error;

/// A row that has a form on disk.
pub(crate) trait Record: Copy + Send + Sync {
    /// Bytes of the form.
    const BYTES: usize;
    fn put(&self, bytes: &mut Vec<u8>);
    /// Reads it back.
    fn get(fields: &mut Fields<'_>) -> Self;
}

/// Makes a struct a [`Record`]: its fields, one after the other.
macro_rules! record {
    ($record:ident $(<$real:ident: $bound:ident>)? { $($field:ident: $kind:ty),+ $(,)? }) => {
        impl $(<$real: $bound>)? $crate::tables::Record for $record $(<$real>)? {
            const BYTES: usize = {
                let mut bytes = 0;
                $(bytes += <$kind as $crate::tables::Record>::BYTES;)+
                bytes
            };

            fn put(&self, bytes: &mut Vec<u8>) {
                $($crate::tables::Record::put(&self.$field, bytes);)+
            }

            fn get(fields: &mut $crate::tables::Fields<'_>) -> Self {
                Self { $($field: $crate::tables::Record::get(fields)),+ }
            }
        }
    };
}
pub(crate) use record;

/// Makes numbers records.
macro_rules! numbers {
    ($($number:ty),+) => {$(
        impl Record for $number {
            const BYTES: usize = size_of::<Self>();

            fn put(&self, bytes: &mut Vec<u8>) {
                bytes.extend(self.to_le_bytes());
            }

            fn get(fields: &mut Fields<'_>) -> Self {
                Self::from_le_bytes(fields.next())
            }
        }
    )+};
}

numbers!(u8, u32, u64, i64, f32, f64);

impl Record for bool {
    const BYTES: usize = 1;

    fn put(&self, bytes: &mut Vec<u8>) {
        bytes.push(u8::from(*self));
    }

    fn get(fields: &mut Fields<'_>) -> Self {
        u8::get(fields) != 0
    }
}

impl<const N: usize> Record for [u8; N] {
    const BYTES: usize = N;

    fn put(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self);
    }

    fn get(fields: &mut Fields<'_>) -> Self {
        fields.next()
    }
}

/// The fields of a row on disk, one after the other.
pub(crate) struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn next<const N: usize>(&mut self) -> [u8; N] {
        let (field, rest) = self.0.split_first_chunk().expect("a record is read whole, and has this field");
        self.0 = rest;
        *field
    }
}

pub(crate) struct Spool<T> {
    held: Held<T>,
    folder: PathBuf,
}

/// Rows by batch.
pub(crate) type Parts<T> = Vec<Vec<T>>;

enum Held<T> {
    /// As they came.
    Memory(Parts<T>),
    /// A file for each of several.
    Disk(Vec<BufWriter<File>>),
}

/// Bytes that wait to be written to a partition's file.
const BUFFER_BYTES: usize = 64 << 10;
/// Rows that one thread brings into their form on disk, or back.
const CHUNK_ROWS: usize = 65_536;

impl<T: Record> Spool<T> {
    /// A number of partitions: one is in memory, several are files in `folder`.
    ///
    /// # Errors
    /// [`Error::Spill`].
    pub(crate) fn new(partitions: usize, folder: &Path) -> Result<Self, Error> {
        let held = if partitions == 1 {
            Held::Memory(Vec::new())
        } else {
            let file =
                |_| tempfile::tempfile_in(folder).map(|file| BufWriter::with_capacity(BUFFER_BYTES, file));
            Held::Disk(
                (0..partitions)
                    .map(file)
                    .collect::<io::Result<_>>()
                    .map_err(|source| failed(folder, source))?,
            )
        };
        Ok(Self { held, folder: folder.to_owned() })
    }

    /// Adds rows, each to the partition that `of` gives; the rows of a partition keep their order.
    ///
    /// # Errors
    /// [`Error::Spill`].
    pub(crate) fn extend(&mut self, rows: Vec<T>, of: impl Fn(&T) -> usize + Sync) -> Result<(), Error> {
        self.extend_parts(vec![rows], of)
    }

    /// Adds the rows of several parts.
    ///
    /// # Errors
    /// [`Error::Spill`].
    pub(crate) fn extend_parts(
        &mut self,
        parts: Parts<T>,
        of: impl Fn(&T) -> usize + Sync,
    ) -> Result<(), Error> {
        match &mut self.held {
            Held::Memory(held) => held.extend(parts),
            Held::Disk(files) => write(files, &parts, of).map_err(|source| failed(&self.folder, source))?,
        }
        Ok(())
    }

    /// How many partitions there are.
    pub(crate) fn partitions(&self) -> usize {
        match &self.held {
            Held::Memory(_) => 1,
            Held::Disk(files) => files.len(),
        }
    }

    /// Shows the rows of each partition in turn, some at a time; more may be added afterwards.
    ///
    /// # Errors
    /// [`Error::Spill`].
    pub(crate) fn scan(&mut self, mut visit: impl FnMut(usize, &[T])) -> Result<(), Error> {
        match &mut self.held {
            Held::Memory(parts) => parts.iter().for_each(|rows| visit(0, rows)),
            Held::Disk(files) => {
                for (partition, file) in files.iter_mut().enumerate() {
                    let scanned = file.flush().and_then(|()| {
                        read_some::<T>(file.get_mut(), |forms| {
                            visit(partition, &decoded(forms).collect::<Vec<_>>());
                        })
                    });
                    scanned.map_err(|source| failed(&self.folder, source))?;
                }
            }
        }
        Ok(())
    }

    /// The rows of each partition in turn; a partition is read when it is its turn.
    pub(crate) fn take(self) -> impl Iterator<Item = Result<Vec<T>, Error>> {
        self.take_parts().map(|parts| parts.map(joined))
    }

    /// The rows of each partition in turn, in parts: those in memory as they were added.
    pub(crate) fn take_parts(self) -> impl Iterator<Item = Result<Parts<T>, Error>> {
        let Self { held, folder } = self;
        let (memory, disk) = match held {
            Held::Memory(parts) => (Some(parts), Vec::new()),
            Held::Disk(files) => (None, files),
        };
        let read = move |file| read(file).map_err(|source| failed(&folder, source));
        memory.into_iter().map(Ok).chain(disk.into_iter().map(read))
    }
}

/// The parts as one; each is freed once it is copied.
fn joined<T: Copy>(mut parts: Parts<T>) -> Vec<T> {
    if parts.len() == 1 {
        return parts.swap_remove(0);
    }
    let mut rows = Vec::with_capacity(parts.iter().map(Vec::len).sum());
    for part in parts {
        rows.extend_from_slice(&part);
    }
    rows
}

fn write<T: Record>(
    files: &mut [BufWriter<File>],
    parts: &[Vec<T>],
    of: impl Fn(&T) -> usize + Sync,
) -> io::Result<()> {
    let partitions = files.len();
    let chunks: Vec<&[T]> = parts.iter().flat_map(|rows| rows.chunks(CHUNK_ROWS)).collect();
    for some in chunks.chunks(rayon::current_num_threads()) {
        let forms: Vec<Vec<Vec<u8>>> = some
            .par_iter()
            .map(|rows| {
                let mut forms = vec![Vec::new(); partitions];
                for row in *rows {
                    row.put(&mut forms[of(row)]);
                }
                forms
            })
            .collect();
        for forms in forms {
            for (file, form) in files.iter_mut().zip(forms) {
                file.write_all(&form)?;
            }
        }
    }
    Ok(())
}

fn read<T: Record>(file: BufWriter<File>) -> io::Result<Parts<T>> {
    let mut file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
    let mut parts = Vec::new();
    read_some::<T>(&mut file, |forms| parts.push(decoded::<T>(forms).collect()))?;
    Ok(parts)
}

/// The rows of some forms.
fn decoded<T: Record>(forms: &[u8]) -> impl IndexedParallelIterator<Item = T> {
    forms.par_chunks_exact(T::BYTES).map(|form| T::get(&mut Fields(form)))
}

/// Reads the forms of a file up to where it is, which is its end, some whole ones at a time.
fn read_some<T: Record>(file: &mut File, mut visit: impl FnMut(&[u8])) -> io::Result<()> {
    let length = file.stream_position()?;
    file.rewind()?;
    let mut rows = usize::try_from(length).map_err(io::Error::other)? / T::BYTES;
    let most = rows.min(CHUNK_ROWS * rayon::current_num_threads());
    let mut bytes = vec![0; most * T::BYTES];
    while rows > 0 {
        let some = rows.min(most);
        let forms = &mut bytes[..some * T::BYTES];
        file.read_exact(forms)?;
        visit(forms);
        rows -= some;
    }
    Ok(())
}

fn failed(folder: &Path, source: io::Error) -> Error {
    Error::Spill { folder: folder.to_owned(), source }
}

//! Where the bytes of a Parquet file are: a file, a stretch of one, or memory.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

use crate::regular;

/// A stretch of a file with a position of its own, so that clones can be read at once.
#[derive(Clone, Debug)]
pub struct Section {
    file: Arc<File>,
    start: u64,
    length: u64,
    position: u64,
}

impl Section {
    /// A whole file.
    ///
    /// # Errors
    /// Whatever opening it returns.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = regular::open(path)?;
        let length = file.metadata()?.len();
        Ok(Self { file: Arc::new(file), start: 0, length, position: 0 })
    }

    /// A stretch of this one.
    ///
    /// # Errors
    /// `UnexpectedEof` if this one ends before it.
    pub fn slice(&self, start: u64, length: u64) -> io::Result<Self> {
        match start.checked_add(length) {
            Some(end) if end <= self.length => {
                Ok(Self { file: self.file.clone(), start: self.start + start, length, position: 0 })
            }
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    fn at(&self, position: u64) -> Self {
        Self { position, ..self.clone() }
    }
}

impl Read for Section {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.length.saturating_sub(self.position)).unwrap_or(usize::MAX);
        let wanted = buf.len().min(left);
        let n = self.file.read_at(&mut buf[..wanted], self.start + self.position)?;
        self.position += n as u64;
        Ok(n)
    }
}

impl Seek for Section {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(offset) => self.length.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

/// The bytes of a Parquet file.
#[derive(Clone, Debug)]
pub(super) enum FileBytes {
    File(Section),
    Memory(Bytes),
}

impl Length for FileBytes {
    fn len(&self) -> u64 {
        match self {
            Self::File(section) => section.length,
            Self::Memory(bytes) => bytes.len() as u64,
        }
    }
}

impl ChunkReader for FileBytes {
    type T = Box<dyn Read>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        match self {
            Self::File(section) => Ok(Box::new(BufReader::new(section.at(start)))),
            Self::Memory(bytes) => {
                let start = usize::try_from(start).unwrap_or(usize::MAX).min(bytes.len());
                Ok(Box::new(bytes.slice(start..).reader()))
            }
        }
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        match self {
            Self::File(section) => {
                let part = section.slice(start, length as u64)?;
                let mut bytes = vec![0; length];
                part.file.read_exact_at(&mut bytes, part.start)?;
                Ok(bytes.into())
            }
            Self::Memory(bytes) => {
                let end =
                    usize::try_from(start).ok().and_then(|start| Some((start, start.checked_add(length)?)));
                match end {
                    Some((start, end)) if end <= bytes.len() => Ok(bytes.slice(start..end)),
                    _ => Err(ParquetError::EOF(format!("{length} bytes at {start} are past the end"))),
                }
            }
        }
    }
}

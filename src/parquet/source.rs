//! Where the bytes of a Parquet file are: a file, an object of a store, a stretch of one of these, or memory.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

use crate::regular;
use crate::store::Object;

/// Bytes of an object that are read at once where few are wanted.
const AHEAD: u64 = 64 << 10;

/// A stretch of a file or object with a position of its own, so that clones can be read at once.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    holder: Holder,
    start: u64,
    length: u64,
    position: u64,
    /// Bytes of an object that were read, and where they start.
    ahead: (u64, Bytes),
}

/// What a stretch is of.
#[derive(Clone, Debug)]
enum Holder {
    File(Arc<File>),
    Object(Arc<Object>),
}

impl Section {
    /// A whole object.
    pub(crate) fn of_object(object: Arc<Object>) -> Self {
        let length = object.meta().size;
        Self { holder: Holder::Object(object), start: 0, length, position: 0, ahead: (0, Bytes::new()) }
    }

    /// A whole file.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = regular::open(path)?;
        let length = file.metadata()?.len();
        let holder = Holder::File(Arc::new(file));
        Ok(Self { holder, start: 0, length, position: 0, ahead: (0, Bytes::new()) })
    }

    /// A stretch of this one; `UnexpectedEof` if this one ends before it.
    pub(crate) fn slice(&self, start: u64, length: u64) -> io::Result<Self> {
        match start.checked_add(length) {
            Some(end) if end <= self.length => {
                Ok(Self { start: self.start + start, length, position: 0, ..self.clone() })
            }
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Its length in bytes.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Which version it is of, if it is of an object whose store tells versions apart.
    pub(crate) fn version(&self) -> Option<&str> {
        self.object()?.meta().version.as_deref()
    }

    /// The object that it is of, if it is of one.
    pub(super) fn object(&self) -> Option<&Object> {
        match &self.holder {
            Holder::File(_) => None,
            Holder::Object(object) => Some(object),
        }
    }

    /// Stretches of this one, at once.
    pub(super) fn stretches(&self, wanted: &[Range<u64>]) -> io::Result<Vec<Bytes>> {
        let Holder::Object(object) = &self.holder else {
            return wanted.iter().map(|range| self.stretch(range.start, range.end - range.start)).collect();
        };
        let within = |range: &Range<u64>| range.start <= range.end && range.end <= self.length;
        if !wanted.iter().all(within) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let moved: Vec<_> =
            wanted.iter().map(|range| self.start + range.start..self.start + range.end).collect();
        object.read(&moved).map_err(io::Error::other)
    }

    /// The bytes of a stretch of this one.
    fn stretch(&self, start: u64, length: u64) -> io::Result<Bytes> {
        let part = self.slice(start, length)?;
        match &part.holder {
            Holder::Object(_) => {
                let range = start..start + length;
                let found = self.stretches(std::slice::from_ref(&range))?;
                found.into_iter().next().ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
            }
            Holder::File(file) => {
                let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
                file.read_exact_at(&mut bytes, part.start)?;
                Ok(bytes.into())
            }
        }
    }

    fn at(&self, position: u64) -> Self {
        Self { position, ..self.clone() }
    }

    /// Reads from the bytes that were read ahead, which are read first if they are others.
    fn read_ahead(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        let (start, end) = (self.ahead.0, self.ahead.0 + self.ahead.1.len() as u64);
        if !(start..end).contains(&self.position) {
            let wanted = AHEAD.max(buf.len() as u64).min(self.length - self.position);
            self.ahead = (self.position, self.stretch(self.position, wanted)?);
        }
        let skipped = usize::try_from(self.position - self.ahead.0).map_err(io::Error::other)?;
        let found = &self.ahead.1[skipped..];
        let n = found.len().min(buf.len());
        buf[..n].copy_from_slice(&found[..n]);
        Ok(n)
    }
}

impl Read for Section {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.length.saturating_sub(self.position)).unwrap_or(usize::MAX);
        let wanted = buf.len().min(left);
        let n = match &self.holder {
            Holder::File(file) => file.read_at(&mut buf[..wanted], self.start + self.position)?,
            Holder::Object(_) => self.read_ahead(&mut buf[..wanted])?,
        };
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
            Self::File(section) => Ok(section.stretch(start, length as u64)?),
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

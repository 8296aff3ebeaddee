//! An object of a store that is read in stretches.

use std::fmt;
use std::ops::Range;

use bytes::Bytes;

use super::{Error, Meta, Stores, Url};

/// The bytes at the end that are read first: they hold the footer of most Parquet files.
const TAIL: u64 = 64 << 10;

/// An object as it was when it was opened: a stretch of another version of it is an error.
pub struct Object {
    stores: Stores,
    url: Url,
    meta: Meta,
    /// The last bytes.
    tail: Bytes,
}

impl Object {
    /// Opens an object and reads the end of it: by one request if it has the size that is expected.
    pub(crate) fn open(stores: &Stores, url: &Url, expected: Option<u64>) -> Result<Self, Error> {
        let opened = |(meta, tail)| Self { stores: stores.clone(), url: url.clone(), meta, tail };
        let end = |size: u64| size.saturating_sub(TAIL)..size;
        if let Some(size) = expected.filter(|size| *size > 0) {
            match stores.range(url, end(size)) {
                Ok((meta, tail)) if meta.size == size => return Ok(opened((meta, tail))),
                // It has another size.
                Ok(_) | Err(Error::Answer { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let meta = match stores.head(url) {
            // An answer to HEAD does not say whether the bucket is there.
            Err(error) if error.is_not_found() => stores.range(url, 0..1)?.0,
            found => found?,
        };
        if meta.size == 0 {
            return Ok(opened((meta, Bytes::new())));
        }
        let (found, tail) = stores.range(url, end(meta.size))?;
        if found == meta { Ok(opened((meta, tail))) } else { Err(Error::Changed(url.clone())) }
    }

    /// What the store says of it.
    pub(crate) fn meta(&self) -> &Meta {
        &self.meta
    }

    /// Stretches of it, in the order in which they are given. Those that are near each other are one request; no request is
    /// made for what is in its last bytes. A stretch past its end is an error.
    pub(crate) fn read(&self, wanted: &[Range<u64>]) -> Result<Vec<Bytes>, Error> {
        let size = self.meta.size;
        let start = size - self.tail.len() as u64;
        if let Some(range) = wanted.iter().find(|range| range.start > range.end || range.end > size) {
            return Err(Error::PastEnd { url: self.url.clone(), start: range.start, end: range.end, size });
        }
        let far = wanted.iter().filter(|range| range.start < start);
        let far: Vec<Range<u64>> = far.map(|range| range.start..range.end.min(start)).collect();
        let mut stretches =
            if far.is_empty() { Vec::new() } else { self.stores.stretches(&self.url, &self.meta, &far)? };
        stretches.push((start, self.tail.clone()));
        Ok(wanted.iter().map(|range| cut(&stretches, range)).collect())
    }
}

/// A stretch out of consecutive ones that hold it.
fn cut(stretches: &[(u64, Bytes)], wanted: &Range<u64>) -> Bytes {
    let part = |(start, bytes): &(u64, Bytes)| {
        let (from, to) = (wanted.start.max(*start), wanted.end.min(start + bytes.len() as u64));
        (from < to).then(|| {
            let at = |position: u64| usize::try_from(position - start).unwrap_or(usize::MAX);
            (from, bytes.slice(at(from)..at(to)))
        })
    };
    let mut whole = Vec::new();
    let mut next = wanted.start;
    for (from, bytes) in stretches.iter().filter_map(part) {
        let to = from + bytes.len() as u64;
        if (from, to) == (wanted.start, wanted.end) {
            return bytes;
        }
        if to > next {
            let known = usize::try_from(next.saturating_sub(from)).unwrap_or(usize::MAX);
            whole.extend_from_slice(&bytes[known..]);
            next = to;
        }
    }
    whole.into()
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_past_the_end_is_an_error_without_credentials() {
        let object = Object {
            stores: Stores::default(),
            url: Url::parse("s3://bucket/a.parquet").unwrap(),
            meta: Meta { size: 4, version: None, modified: 0 },
            tail: Bytes::from_static(b"PAR1"),
        };
        assert_eq!(object.read(&[1..4, 0..4]).unwrap()[0], b"AR1"[..]);
        let error = object.read(&[0..4, 2..9]).unwrap_err();
        assert_eq!(error.to_string(), "cannot read bytes 2 to 9 of `s3://bucket/a.parquet`: it has 4 bytes");
    }

    #[test]
    fn a_stretch_is_put_together_from_its_pieces() {
        let all: Vec<u8> = (0..100).collect();
        let piece = |range: Range<usize>| (range.start as u64, Bytes::copy_from_slice(&all[range]));
        let stretches = [piece(10..20), piece(20..30), piece(25..60), piece(90..100)];
        for (start, end) in [(10usize, 20usize), (12, 18), (15, 45), (20, 60), (95, 100), (30, 30)] {
            let wanted = start as u64..end as u64;
            assert_eq!(cut(&stretches, &wanted), all[start..end], "{start}..{end}");
        }
    }
}

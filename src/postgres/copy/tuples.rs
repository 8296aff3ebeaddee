//! The data of a COPY to where its fields lie.

use super::CopyError;

const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";
/// Signature, flags, length of the header's extension.
const HEADER: usize = SIGNATURE.len() + 8;
/// Flags that a reader that does not know them must refuse.
const CRITICAL_FLAGS: u32 = 0xffff_0000;
const TRAILER: i16 = -1;
const NULL: i32 = -1;

/// Rows that are found at once, so that they are still in the cache when they are decoded. Not a power of two: the places
/// where the columns' positions are written would all fall into the same set of the cache.
const SLAB_ROWS: usize = 1000;
/// The bytes after which no further row is added to a slab, for the same reason.
const SLAB_BYTES: usize = 256 * 1024;

/// How many rows, and about how many bytes, may still be taken.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Rows.
    pub rows: usize,
    /// The row that reaches this number is the last.
    pub bytes: usize,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slab {
    /// Whole rows.
    pub rows: usize,
    /// Bytes of those rows.
    pub row_bytes: usize,
    /// Bytes that are done with.
    pub consumed: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TupleState {
    Header,
    Rows,
    Ended,
}

/// Finds the fields of a COPY's rows in its data.
#[derive(Debug)]
pub struct TupleReader {
    columns: usize,
    state: TupleState,
    /// Column by column: where each row's field begins, with its length.
    starts: Vec<u32>,
}

impl TupleReader {
    /// A reader of rows with this number of columns.
    pub fn new(columns: usize) -> Self {
        Self { columns, state: TupleState::Header, starts: vec![0; columns * SLAB_ROWS] }
    }

    /// Makes ready for the data of another COPY.
    pub fn restart(&mut self) {
        self.state = TupleState::Header;
    }

    /// Finds whole rows at the beginning of `data`. No rows and nothing consumed: more data is needed.
    ///
    /// # Errors
    /// [`CopyError`].
    pub fn find(&mut self, data: &[u8], limits: Limits) -> Result<Slab, CopyError> {
        let mut at = 0;
        if self.state == TupleState::Header {
            let Some(length) = header(data)? else { return Ok(Slab { rows: 0, row_bytes: 0, consumed: 0 }) };
            at = length;
            self.state = TupleState::Rows;
        }
        let begin = at;
        let mut rows = 0;
        let most = limits.rows.min(SLAB_ROWS);
        let most_bytes = limits.bytes.min(SLAB_BYTES);
        while self.state == TupleState::Rows && rows < most && at - begin < most_bytes.max(1) {
            let Some(&count) = data[at..].first_chunk::<2>() else { break };
            match i16::from_be_bytes(count) {
                TRAILER => {
                    self.state = TupleState::Ended;
                    let row_bytes = at - begin;
                    at += 2;
                    return ended(data, Slab { rows, row_bytes, consumed: at });
                }
                found if usize::try_from(found) != Ok(self.columns) => {
                    return Err(CopyError::FieldCount { expected: self.columns, found });
                }
                _ => {}
            }
            let Some(end) = self.row(data, at + 2, rows)? else { break };
            at = end;
            rows += 1;
        }
        let slab = Slab { rows, row_bytes: at - begin, consumed: at };
        if self.state == TupleState::Ended { ended(data, slab) } else { Ok(slab) }
    }

    /// Notes where the fields of a row begin; its end, if all of it is there.
    fn row(&mut self, data: &[u8], mut at: usize, row: usize) -> Result<Option<usize>, CopyError> {
        for starts in self.starts.chunks_exact_mut(SLAB_ROWS) {
            let Some(&length) = data.get(at..).and_then(|rest| rest.first_chunk::<4>()) else {
                return Ok(None);
            };
            // A slab is cut long before 4 GiB, and a row that is longer than the server's limit of 1 GiB does not come.
            starts[row] = u32::try_from(at).map_err(|_| CopyError::FieldLength(i32::MAX))?;
            let length = i32::from_be_bytes(length);
            at += 4;
            if let Ok(length) = usize::try_from(length) {
                at += length;
            } else if length != NULL {
                return Err(CopyError::FieldLength(length));
            }
        }
        Ok((at <= data.len()).then_some(at))
    }

    /// The fields of a column in the slab that was found last in `data`.
    pub fn fields<'a>(&'a self, data: &'a [u8], column: usize, rows: usize) -> Fields<'a> {
        let first = column * SLAB_ROWS;
        Fields { data, starts: &self.starts[first..first + rows] }
    }

    /// Checks that the data was complete.
    ///
    /// # Errors
    /// [`CopyError::NoTrailer`].
    pub fn finish(&self) -> Result<(), CopyError> {
        if self.state == TupleState::Ended { Ok(()) } else { Err(CopyError::NoTrailer) }
    }
}

/// Nothing may follow the trailer.
fn ended(data: &[u8], slab: Slab) -> Result<Slab, CopyError> {
    if data.len() > slab.consumed { Err(CopyError::AfterTrailer) } else { Ok(slab) }
}

/// The length of the header, once it is there.
fn header(data: &[u8]) -> Result<Option<usize>, CopyError> {
    let known = data.len().min(SIGNATURE.len());
    if data[..known] != SIGNATURE[..known] {
        return Err(CopyError::Signature);
    }
    let word =
        |at: usize| data.get(at..).and_then(|rest| rest.first_chunk::<4>()).map(|b| u32::from_be_bytes(*b));
    let (Some(flags), Some(extension)) = (word(SIGNATURE.len()), word(SIGNATURE.len() + 4)) else {
        return Ok(None);
    };
    if flags & CRITICAL_FLAGS != 0 {
        return Err(CopyError::Flags(flags));
    }
    let end = HEADER + extension as usize;
    Ok((data.len() >= end).then_some(end))
}

/// The fields of one column in some rows; each is a length and as many bytes, or the length -1 for NULL.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a> {
    data: &'a [u8],
    starts: &'a [u32],
}

impl<'a> Fields<'a> {
    /// Fields at known places, such as the elements of arrays.
    pub(in crate::postgres) fn at(data: &'a [u8], starts: &'a [u32]) -> Self {
        Self { data, starts }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// The data that they are in.
    pub fn data(&self) -> &'a [u8] {
        self.data
    }

    /// Where each begins, with its length.
    pub fn starts(&self) -> &'a [u32] {
        self.starts
    }

    /// The same fields, at most `count` at a time.
    pub fn chunks(&self, count: usize) -> impl Iterator<Item = Self> + use<'a> {
        let data = self.data;
        self.starts.chunks(count).map(move |starts| Self { data, starts })
    }

    /// Each field's bytes; `None` is NULL.
    pub fn iter(&self) -> FieldIter<'a> {
        FieldIter { data: self.data, starts: self.starts.iter() }
    }
}

impl<'a> IntoIterator for &Fields<'a> {
    type Item = Option<&'a [u8]>;
    type IntoIter = FieldIter<'a>;

    fn into_iter(self) -> FieldIter<'a> {
        self.iter()
    }
}

/// Goes through [`Fields`].
#[derive(Clone, Debug)]
pub struct FieldIter<'a> {
    data: &'a [u8],
    starts: std::slice::Iter<'a, u32>,
}

impl<'a> Iterator for FieldIter<'a> {
    type Item = Option<&'a [u8]>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let rest = &self.data[*self.starts.next()? as usize..];
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let length = i32::from_be_bytes(*length);
        Some(usize::try_from(length).ok().map(|length| &rest[..length]))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.starts.size_hint()
    }
}

impl ExactSizeIterator for FieldIter<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Limits = Limits { rows: usize::MAX, bytes: usize::MAX };

    fn header_bytes() -> Vec<u8> {
        [SIGNATURE, &[0; 8][..]].concat()
    }

    fn row(fields: &[Option<&[u8]>]) -> Vec<u8> {
        let mut bytes = i16::try_from(fields.len()).unwrap().to_be_bytes().to_vec();
        for field in fields {
            let length = field.map_or(-1, |field| i32::try_from(field.len()).unwrap());
            bytes.extend(length.to_be_bytes());
            bytes.extend(field.unwrap_or_default());
        }
        bytes
    }

    #[test]
    fn fields_are_found_however_the_data_is_cut() {
        let rows: Vec<Vec<u8>> = (0..2500_u32)
            .map(|n| row(&[Some(&n.to_be_bytes()), None, Some(&vec![1; (n % 7) as usize])]))
            .collect();
        let data = [header_bytes(), rows.concat(), vec![0xff, 0xff]].concat();
        for piece in [1, 13, 4000, data.len()] {
            let mut reader = TupleReader::new(3);
            let (mut pending, mut found) = (Vec::new(), 0_u32);
            for piece in data.chunks(piece) {
                pending.extend_from_slice(piece);
                loop {
                    let slab = reader.find(&pending, Limits { rows: 700, bytes: 10_000 }).unwrap();
                    let first: Vec<_> = reader.fields(&pending, 0, slab.rows).iter().collect();
                    let last: Vec<_> = reader.fields(&pending, 2, slab.rows).iter().collect();
                    assert!(reader.fields(&pending, 1, slab.rows).iter().all(|field| field.is_none()));
                    for (first, last) in first.iter().zip(last) {
                        assert_eq!(first.unwrap(), found.to_be_bytes());
                        assert_eq!(last.unwrap().len(), (found % 7) as usize);
                        found += 1;
                    }
                    pending.drain(..slab.consumed);
                    if slab.consumed == 0 || pending.is_empty() {
                        break;
                    }
                }
            }
            reader.finish().unwrap();
            assert_eq!((found, pending.len()), (2500, 0));
        }
    }

    #[test]
    fn limits_are_kept() {
        let data = [header_bytes(), row(&[Some(b"ab")]).repeat(10)].concat();
        let mut reader = TupleReader::new(1);
        let slab = reader.find(&data, Limits { rows: 3, bytes: 1000 }).unwrap();
        assert_eq!((slab.rows, slab.row_bytes), (3, 24));
        let slab = reader.find(&data[slab.consumed..], Limits { rows: 100, bytes: 9 }).unwrap();
        assert_eq!((slab.rows, slab.row_bytes), (2, 16));
    }

    #[test]
    fn damage_is_an_error() {
        let head = header_bytes();
        for (bytes, expected) in [
            (b"PGCOPY\n\xff\r\r\0".to_vec(), CopyError::Signature),
            ([SIGNATURE, &[0, 1, 0, 0, 0, 0, 0, 0][..]].concat(), CopyError::Flags(0x1_0000)),
            ([head.clone(), row(&[None, None])].concat(), CopyError::FieldCount { expected: 1, found: 2 }),
            ([&head[..], &[0, 1, 0xff, 0xff, 0xff, 0xfe]].concat(), CopyError::FieldLength(-2)),
            ([&head[..], &[0xff, 0xff, 0]].concat(), CopyError::AfterTrailer),
        ] {
            assert_eq!(TupleReader::new(1).find(&bytes, ALL), Err(expected));
        }
    }

    #[test]
    fn missing_trailer_is_an_error() {
        let mut reader = TupleReader::new(1);
        let data = [header_bytes(), row(&[None])].concat();
        assert_eq!(reader.find(&data, ALL).unwrap().rows, 1);
        assert_eq!(reader.finish(), Err(CopyError::NoTrailer));
    }

    #[test]
    fn a_field_longer_than_the_data_waits() {
        let data = [&header_bytes()[..], &[0, 1, 0x7f, 0xff, 0xff, 0xff]].concat();
        let slab = TupleReader::new(1).find(&data, ALL).unwrap();
        assert_eq!(slab.rows, 0);
    }
}

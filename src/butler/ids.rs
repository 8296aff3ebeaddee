//! Sets of ids: exact, compact, quick to ask. Not a place for how ids are used.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow_array::cast::AsArray;
use arrow_array::types::{ArrowPrimitiveType, Int64Type, UInt64Type};
use arrow_array::{Array, ArrayRef, BooleanArray, PrimitiveArray, new_empty_array};
use arrow_cast::cast;
use arrow_schema::{ArrowError, DataType};
use rayon::slice::ParallelSliceMut;

use super::error::Error;
use crate::obssubid;
use crate::parquet::read::TableReader;

/// Rows of the file of ids that are decoded at once.
const BATCH_ROWS: usize = 65_536;
/// Ids that share an entry of the index, on average: fewer make the index larger than it is worth.
const IDS_PER_BUCKET: usize = 4;

/// A set of 64-bit integers: sorted, with an index of where each stretch of the range starts.
///
/// A look-up reads one entry of the index and searches the few ids of its stretch. 8 bytes per id, 2 for the index.
#[derive(Debug, Default)]
pub struct IdSet {
    ids: Vec<i64>,
    /// `starts[b]..starts[b + 1]` are the ids whose distance from the first, shifted, is `b`.
    starts: Vec<usize>,
    shift: u32,
    /// A bit for each id that was asked for and found.
    found: Vec<AtomicU64>,
}

impl IdSet {
    /// The set of some ids, in any order; repeated ones count once.
    #[must_use]
    pub fn new(mut ids: Vec<i64>) -> Self {
        ids.par_sort_unstable();
        ids.dedup();
        let (Some(first), Some(last)) = (ids.first(), ids.last()) else { return Self::default() };
        let (first, range) = (*first, last.abs_diff(*first));
        let wanted = (ids.len() / IDS_PER_BUCKET).max(1) as u64;
        let shift = (u64::BITS - (range / wanted).leading_zeros()).min(u64::BITS - 1);
        let buckets = usize::try_from(range >> shift).unwrap_or(usize::MAX - 1) + 1;
        let mut starts = vec![0; buckets + 1];
        for id in &ids {
            starts[bucket(*id, first, shift) + 1] += 1;
        }
        for bucket in 0..buckets {
            starts[bucket + 1] += starts[bucket];
        }
        let found = (0..ids.len().div_ceil(64)).map(|_| AtomicU64::new(0)).collect();
        Self { ids, starts, shift, found }
    }

    /// Reads the ids of a column of a Parquet file: integers, or texts such as `42` and `LSST-DP1-42`; NULL is none. Another
    /// type of column, or a value that is no id, is an error.
    pub(crate) fn read(path: &Path, column: &str) -> Result<Self, Error> {
        let table = TableReader::open(path)?;
        let mut ids = Vec::new();
        let mut rows = 0;
        for batch in table.batches(&[column], None, BATCH_ROWS)? {
            let batch = batch?;
            append(&mut ids, batch.column(0), rows, path, column)?;
            rows += batch.num_rows() as u64;
        }
        if rows == 0 {
            // A column without values may be of a wrong type, too.
            append(&mut ids, &new_empty_array(table.field(column)?.data_type()), 0, path, column)?;
        }
        Ok(Self::new(ids))
    }

    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// How many were asked for with [`IdSet::matches`].
    pub(crate) fn found(&self) -> u64 {
        self.found.iter().map(|bits| u64::from(bits.load(Ordering::Relaxed).count_ones())).sum()
    }

    /// The first few that were not, in their order.
    pub(crate) fn missing(&self, most: usize) -> Vec<i64> {
        self.not_found().take(most).collect()
    }

    /// Whether an id is in the set.
    pub(crate) fn contains(&self, id: i64) -> bool {
        self.position(id).is_some()
    }

    /// Whether any id lies between two numbers, both included.
    pub(crate) fn any_between(&self, low: i128, high: i128) -> bool {
        self.count_between(low, high) > 0
    }

    /// How many ids lie between two numbers, both included.
    pub(super) fn count_between(&self, low: i128, high: i128) -> usize {
        let from = self.ids.partition_point(|id| i128::from(*id) < low);
        self.ids[from..].partition_point(|id| i128::from(*id) <= high)
    }

    fn position(&self, id: i64) -> Option<usize> {
        let first = *self.ids.first()?;
        if id < first || id > *self.ids.last()? {
            return None;
        }
        let bucket = bucket(id, first, self.shift);
        let (from, to) = (self.starts[bucket], self.starts[bucket + 1]);
        self.ids[from..to].binary_search(&id).ok().map(|offset| from + offset)
    }

    /// Whether ids of this type can be asked for.
    pub(super) fn can_match(target: &DataType) -> bool {
        target.is_integer()
    }

    /// The ids in their order.
    pub(crate) fn as_slice(&self) -> &[i64] {
        &self.ids
    }

    /// Takes note that an id was asked for and found, if it is in the set.
    pub(crate) fn note_found(&self, id: i64) {
        if let Some(position) = self.position(id) {
            self.found[position / 64].fetch_or(1 << (position % 64), Ordering::Relaxed);
        }
    }

    /// All that were not asked for, or not found, in their order.
    pub(crate) fn not_found(&self) -> impl Iterator<Item = i64> {
        let missed = |place: &usize| self.found[place / 64].load(Ordering::Relaxed) >> (place % 64) & 1 == 0;
        (0..self.ids.len()).filter(missed).map(|place| self.ids[place])
    }

    /// Which values of an integer column are in the set. NULL never is; values are compared as the integers they are.
    ///
    /// # Errors
    /// If the column is of another type.
    pub fn matches(&self, column: &ArrayRef) -> Result<BooleanArray, ArrowError> {
        self.matches_with(column, |_| ())
    }

    /// As [`Self::matches`]; each id that is found is told, as often as it is.
    pub(super) fn matches_with(
        &self,
        column: &ArrayRef,
        mut tell: impl FnMut(i64),
    ) -> Result<BooleanArray, ArrowError> {
        let narrow = |column: &ArrayRef| cast(column, &DataType::Int64);
        let tell = &mut tell;
        Ok(match column.data_type() {
            DataType::UInt64 => {
                self.mask(column.as_primitive::<UInt64Type>(), |id| i64::try_from(id).ok(), tell)
            }
            DataType::Int64 => self.mask(column.as_primitive::<Int64Type>(), Some, tell),
            other if other.is_integer() => self.mask(narrow(column)?.as_primitive::<Int64Type>(), Some, tell),
            other => {
                let message = format!("ids are integers, not {other}");
                return Err(ArrowError::InvalidArgumentError(message));
            }
        })
    }

    fn mask<T: ArrowPrimitiveType>(
        &self,
        column: &PrimitiveArray<T>,
        id: impl Fn(T::Native) -> Option<i64>,
        tell: &mut impl FnMut(i64),
    ) -> BooleanArray {
        let mut ask = |value: Option<T::Native>| {
            let position = value.and_then(&id).and_then(|id| self.position(id));
            if let Some(position) = position {
                self.found[position / 64].fetch_or(1 << (position % 64), Ordering::Relaxed);
                tell(self.ids[position]);
            }
            position.is_some()
        };
        column.iter().map(|value| Some(ask(value))).collect()
    }
}

fn bucket(id: i64, first: i64, shift: u32) -> usize {
    usize::try_from(id.abs_diff(first) >> shift).unwrap_or(usize::MAX)
}

/// Appends the ids of a stretch of the file; `rows` were before it.
fn append(ids: &mut Vec<i64>, column: &ArrayRef, rows: u64, path: &Path, name: &str) -> Result<(), Error> {
    let type_error = || Error::IdType {
        origin: format!("`{}`", path.display()),
        column: name.to_owned(),
        found: column.data_type().to_string(),
        texts: true,
    };
    let wrong = |row: usize, value: String| Error::Id {
        path: path.to_owned(),
        column: name.to_owned(),
        row: rows + row as u64 + 1,
        value,
    };
    match column.data_type() {
        DataType::UInt64 => {
            for (row, value) in column.as_primitive::<UInt64Type>().iter().enumerate() {
                let Some(value) = value else { continue };
                ids.push(i64::try_from(value).map_err(|_| wrong(row, value.to_string()))?);
            }
        }
        integer if integer.is_integer() => {
            let wide = cast(column, &DataType::Int64).map_err(|_| type_error())?;
            ids.extend(wide.as_primitive::<Int64Type>().iter().flatten());
        }
        DataType::Null => {}
        text if is_text(text) => {
            let texts = cast(column, &DataType::LargeUtf8).map_err(|_| type_error())?;
            for (row, text) in texts.as_string::<i64>().iter().enumerate() {
                let Some(text) = text else { continue };
                ids.push(id(text).ok_or_else(|| wrong(row, text.to_owned()))?);
            }
        }
        _ => return Err(type_error()),
    }
    Ok(())
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => is_text(values),
        other => other.is_string(),
    }
}

/// The id of a text: decimal digits, with or without a minus before them, or that of an `obssubid`.
fn id(text: &str) -> Option<i64> {
    digits(text).or_else(|| Some(obssubid::parse(text)?.dia_id))
}

fn digits(text: &str) -> Option<i64> {
    let number = text.strip_prefix('-').unwrap_or(text);
    let valid = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    valid.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use arrow_array::{Int16Array, Int64Array, RecordBatch, UInt64Array};
    use proptest::prelude::*;

    use super::*;
    use crate::parquet::write::{TableWriter, WriteOptions};

    proptest! {
        #[test]
        fn a_set_answers_as_a_tree_does(
            ids in prop::collection::vec(prop_oneof![any::<i64>(), 600_000_000_000i64..600_000_001_000], 0..300),
            asked in prop::collection::vec(prop_oneof![any::<i64>(), 600_000_000_000i64..600_000_001_000], 0..300),
        ) {
            let (set, tree) = (IdSet::new(ids.clone()), ids.iter().copied().collect::<BTreeSet<i64>>());
            prop_assert_eq!(set.len(), tree.len());
            for id in asked.iter().chain(&ids) {
                prop_assert_eq!(set.contains(*id), tree.contains(id));
            }
            for pair in asked.windows(2) {
                let (low, high) = (pair[0].min(pair[1]), pair[0].max(pair[1]));
                let any = tree.range(low..=high).next().is_some();
                prop_assert_eq!(set.any_between(low.into(), high.into()), any);
            }
        }
    }

    #[test]
    fn extremes_are_ids() {
        let set = IdSet::new(vec![i64::MAX, i64::MIN, 0, 0]);
        assert_eq!(set.len(), 3);
        assert!(set.contains(i64::MAX) && set.contains(i64::MIN) && set.contains(0) && !set.contains(1));
        assert!(IdSet::new(vec![7]).contains(7) && IdSet::new(Vec::new()).is_empty());
    }

    #[test]
    fn null_never_matches_and_minus_one_does_not_stand_for_it() {
        let set = IdSet::new(vec![-1, 0]);
        let column: ArrayRef = Arc::new(Int64Array::from(vec![None, Some(-1), Some(1)]));
        assert_eq!(set.matches(&column).unwrap(), BooleanArray::from(vec![false, true, false]));
    }

    #[test]
    fn uint64_is_compared_as_the_integer_it_is() {
        let id = 600_000_000_000_000_001;
        let set = IdSet::new(vec![id, -1, i64::MAX]);
        let near = [0, 1, 2, 64, 127].map(|offset| id.cast_unsigned() - 1 + offset);
        let mut values = near.to_vec();
        values.extend([u64::MAX, 1 << 63, i64::MAX.cast_unsigned()]);
        let column: ArrayRef = Arc::new(UInt64Array::from(values));
        let expected = vec![false, true, false, false, false, false, false, true];
        assert_eq!(set.matches(&column).unwrap(), BooleanArray::from(expected));
        assert_eq!((set.found(), set.missing(9)), (2, vec![-1]));
    }

    #[test]
    fn narrow_integers_match_and_others_are_refused() {
        let set = IdSet::new(vec![-3]);
        let narrow: ArrayRef = Arc::new(Int16Array::from(vec![-3, 3]));
        assert_eq!(set.matches(&narrow).unwrap(), BooleanArray::from(vec![true, false]));
        let float: ArrayRef = Arc::new(arrow_array::Float64Array::from(vec![-3.0]));
        assert!(set.matches(&float).is_err());
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test damages a file")]
    fn a_file_that_claims_more_rows_than_it_has_costs_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ids.parquet");
        let ids: ArrayRef = Arc::new(Int64Array::from(vec![7, 8, 9]));
        let batch = RecordBatch::try_from_iter([("id", ids)]).unwrap();
        let mut writer = TableWriter::create(&path, batch.schema(), &WriteOptions::default()).unwrap();
        writer.write(&batch).unwrap();
        writer.seal().unwrap().file.publish().unwrap();
        // The footer's third field, as Thrift writes it: the number of rows, 3, becomes 2^62.
        let mut bytes = std::fs::read(&path).unwrap();
        let end = bytes.len() - 8;
        let length = u32::from_le_bytes(bytes[end..end + 4].try_into().unwrap());
        let footer = end - length as usize;
        let rows = footer + bytes[footer..].windows(2).position(|pair| pair == [0x16, 6]).unwrap() + 1;
        let claim = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1];
        bytes.splice(rows..=rows, claim);
        let end = bytes.len() - 8;
        bytes.splice(end..end + 4, (length + 9).to_le_bytes());
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(TableReader::open(&path).unwrap().rows(), 1 << 62);
        // An error would do as well.
        assert!(IdSet::read(&path, "id").is_ok_and(|ids| ids.len() == 3));
    }

    #[test]
    fn texts_are_ids_as_build_sssource_reads_them_or_negative() {
        for (text, found) in [
            ("600000000000000001", 600_000_000_000_000_001),
            ("-5", -5),
            ("-9223372036854775808", i64::MIN),
            (" 5 ", 5),
            ("LSST-DP2-787707771247132772", 787_707_771_247_132_772),
            ("LSST-AP-2025-11-5-B", 5),
        ] {
            assert_eq!(id(text), Some(found), "{text}");
        }
        for text in [
            "",
            "-",
            "+5",
            "- 5",
            "5.0",
            "1e3",
            "9223372036854775808",
            "٣",
            "DP2-5",
            "LSST-5",
            "LSST-DP2-",
            "LSST-DP2-5-C",
        ] {
            assert_eq!(id(text), None, "{text}");
        }
    }
}

//! One column of two files: in which rows it changed, and by how much.

use super::kinds::Kind;
use super::matching::Matching;
use super::{BATCH_ROWS, Error};
use crate::parquet::read::TableReader;

/// Memory that a column needs for each row: of the old file, a value; of the new file, the number of the row and the size of
/// its change.
pub(super) const BYTES_PER_ROW: u64 = 16;

/// How a column changed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ColumnChange {
    pub column: String,
    /// The rows of both files in which its value changed.
    pub rows: u64,
    /// Those of them in which it was NULL.
    pub from_null: u64,
    /// Those of them in which it is NULL.
    pub to_null: u64,
    /// How much numbers changed; `None` if there are no two numbers.
    pub sizes: Option<Sizes>,
}

/// Sizes of changes: `|new - old|`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sizes {
    pub median: Step,
    /// 99 % are at most this large.
    pub q99: Step,
    pub max: Step,
}

/// The size of a change.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Step {
    /// Of integers.
    Whole(u64),
    /// Of floats.
    Real(f64),
}

/// How a column changed, and the rows of the new file in which it did; `None` if it did not.
pub(super) fn compare(
    old: &TableReader,
    new: &TableReader,
    column: &str,
    kind: &Kind,
    matching: &Matching,
) -> Result<Option<(ColumnChange, Vec<usize>)>, Error> {
    let mut before = Vec::with_capacity(usize::try_from(old.rows()).unwrap_or(0));
    values(old, column, kind, |values| before.extend(values))?;
    let (mut rows, mut sizes) = (Vec::new(), Vec::new());
    let (mut from_null, mut to_null, mut row) = (0, 0, 0);
    values(new, column, kind, |values| {
        for value in values {
            let was = matching.old(row).and_then(|old| before.get(old));
            if let Some(was) = was.filter(|was| **was != value) {
                rows.push(row);
                match (was, value) {
                    (Some(was), Some(value)) => sizes.extend(kind.size(*was, value)),
                    (None, _) => from_null += 1,
                    (_, None) => to_null += 1,
                }
            }
            row += 1;
        }
    })?;
    if rows.is_empty() {
        return Ok(None);
    }
    let sizes = quantiles(kind, &mut sizes);
    let change =
        ColumnChange { column: column.to_owned(), rows: rows.len() as u64, from_null, to_null, sizes };
    Ok(Some((change, rows)))
}

fn values(
    reader: &TableReader,
    column: &str,
    kind: &Kind,
    mut visit: impl FnMut(Vec<Option<u64>>),
) -> Result<(), Error> {
    for batch in reader.batches(&[column], None, BATCH_ROWS)? {
        let values = kind.bits(batch?.column(0));
        visit(values.map_err(|source| Error::Incomparable { column: column.to_owned(), source })?);
    }
    Ok(())
}

/// Exact quantiles: the smallest size that this share of the sizes does not exceed.
fn quantiles(kind: &Kind, sizes: &mut [u64]) -> Option<Sizes> {
    let step = |bits| match kind {
        Kind::Float => Step::Real(f64::from_bits(bits)),
        _ => Step::Whole(bits),
    };
    let last = sizes.len().checked_sub(1)?;
    let mut quantile = |percent: usize| {
        let at = (sizes.len() * percent).div_ceil(100).saturating_sub(1).min(last);
        step(*sizes.select_nth_unstable(at).1)
    };
    Some(Sizes { median: quantile(50), q99: quantile(99), max: quantile(100) })
}

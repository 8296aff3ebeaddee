//! What an output must satisfy before it is published: the stage's `checks` and `schema`.

use std::path::Path;

use arrow_array::Array;
use arrow_row::{RowConverter, SortField};
use rayon::slice::ParallelSliceMut;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::lookup::Lookup;
use crate::parquet::read::TableReader;
use crate::quantity::Share;
use crate::schema::TableSchema;

use super::Product;

/// Checks of the new output. If a check fails, `ssp-run` keeps the last good output.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChecksSpec {
    /// Minimum number of rows in the new output.
    pub min_rows: Option<u64>,
    /// Maximum loss of rows in the new output, compared with the last good output. For example, with `10%`, a new
    /// output with 89 rows fails if the last good output has 100 rows.
    pub max_shrink: Option<Share>,
    /// Minimum share of matches. The check shows whether the inputs of a stage fit together. For `extract`, the check
    /// computes the shares of datasets that the stage can read, and of ids that the datasets contain. For
    /// `build-sssource`, the check computes the shares of observations with a matching detection, of designations that
    /// the stage knows, and of objects with an orbit. For `build-ssobject`, the check computes the shares of
    /// SSSource rows with an object, and of SSSource rows whose detection is in DiaSource. For `build-ssobject`, the
    /// check also computes the shares of objects with an orbit, of complete orbits, and of detections in the six bands.
    /// A share below the minimum causes a warning. With `severity: fail`, the share causes a failure of the stage. If
    /// there is no match at all, the warning appears even if the minimum is `0%`. Default: `50%`.
    pub min_match: Option<MinMatch>,
    /// Columns that must not contain NULL.
    #[serde(default)]
    pub not_null: Vec<String>,
    /// Columns that must not contain the same value twice. NULL can occur several times in these columns.
    #[serde(default)]
    pub unique: Vec<String>,
}

impl ChecksSpec {
    /// The columns that the checks name, each with the key of its check.
    pub fn columns(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let named = [("not_null", &self.not_null), ("unique", &self.unique)];
        named
            .into_iter()
            .flat_map(|(check, columns)| columns.iter().map(move |column| (check, column.as_str())))
    }
}

/// The minimum share of matches: alone, or with a severity.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum MinMatch {
    /// The share alone: less is a warning.
    AtLeast(Share),
    /// With what happens.
    Rule(MatchRule),
}

impl MinMatch {
    /// The rule that a setting stands for.
    #[must_use]
    pub fn rule(setting: Option<Self>) -> MatchRule {
        match setting {
            None => MatchRule::default(),
            Some(Self::AtLeast(share)) => MatchRule { at_least: Some(share), ..MatchRule::default() },
            Some(Self::Rule(rule)) => rule,
        }
    }
}

/// The minimum share of matches, and the effect of a share below this minimum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MatchRule {
    /// The minimum share. Default: `50%`.
    pub at_least: Option<Share>,
    /// The effect of a share below the minimum. Default: `warn`.
    #[serde(default)]
    pub severity: Severity,
}

/// What happens if a check is not satisfied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The run prints a warning.
    #[default]
    Warn,
    /// The stage fails, and `ssp-run` keeps the last good output.
    Fail,
}

/// A check that failed; the last good output is kept.
#[expect(missing_docs, reason = "the messages say what the fields are")]
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    #[error("check `min_rows` failed: {rows} rows, expected at least {min}")]
    MinRows { rows: u64, min: u64 },
    /// Far fewer rows than before.
    #[error(
        "check `max_shrink` failed: {rows} rows, {percent:.1} % fewer than the {before} of the last good output; if that is \
         right, raise `max_shrink` for one run"
    )]
    MaxShrink { rows: u64, before: u64, percent: f64 },
    /// The inputs do not fit together.
    #[error("check `min_match` failed: {lookup}; expected at least {}", String::from(*at_least))]
    MinMatch { lookup: Lookup, at_least: Share },
    /// A NULL where there should be none.
    #[error("check `not_null` failed: column `{column}` has {nulls} NULLs")]
    NotNull { column: String, nulls: usize },
    /// A value twice where there should be none.
    #[error("check `unique` failed: row {row} of column `{column}` repeats the value of an earlier row")]
    Unique { column: String, row: u64 },
    /// Other columns than declared.
    #[error("the output does not fit schema `{path}`: {}", mismatches.join("; "))]
    Schema { path: String, mismatches: Vec<String> },
    /// The schema file cannot be used.
    #[error(transparent)]
    BadSchema(#[from] crate::schema::Error),
    /// The output cannot be read back.
    #[error(transparent)]
    Read(#[from] crate::parquet::Error),
    /// The values of a column cannot be compared.
    #[error("check `unique`: the values of column `{column}` cannot be compared")]
    Incomparable { column: String, source: arrow_schema::ArrowError },
}

/// Rows looked at at once.
const BATCH_ROWS: usize = 65_536;

/// Checks how inputs fit together, and says where they do not. Where there was none to look up, that is told of and no
/// failure: that is for `min_rows`.
///
/// # Errors
/// [`Failed::MinMatch`], if the rule says so.
pub fn check_lookups(lookups: &[Lookup], rule: MatchRule) -> Result<Vec<String>, Failed> {
    let at_least = rule.at_least.unwrap_or(Share::HALF);
    let mut warnings = Vec::new();
    for lookup in lookups.iter().filter(|lookup| lookup.is_doubtful(at_least.fraction())) {
        if rule.severity == Severity::Fail && lookup.is_below(at_least.fraction()) {
            return Err(Failed::MinMatch { lookup: lookup.clone(), at_least });
        }
        warnings.push(lookup.to_string());
    }
    Ok(warnings)
}

/// Checks a product against what its stage asks for; `rows_before` are those of the last good output. What is in doubt and no
/// failure is returned.
///
/// # Errors
/// The first check that fails.
pub fn check(
    checks: &ChecksSpec,
    schema: Option<&Path>,
    product: &Product,
    rows_before: Option<u64>,
) -> Result<Vec<String>, Failed> {
    let rows = product.rows();
    if let Some(min) = checks.min_rows.filter(|min| rows < *min) {
        return Err(Failed::MinRows { rows, min });
    }
    if let (Some(share), Some(before)) = (checks.max_shrink, rows_before.filter(|before| rows < *before)) {
        let lost = (before - rows) as f64 / before as f64;
        if lost > share.fraction() {
            return Err(Failed::MaxShrink { rows, before, percent: lost * 100.0 });
        }
    }
    let warnings = check_lookups(&product.lookups, MinMatch::rule(checks.min_match))?;
    let paths: Vec<&Path> = product.files.iter().map(|table| table.file.temporary()).collect();
    if let Some(schema) = schema {
        let declared = TableSchema::load(schema)?;
        for path in &paths {
            let found = TableReader::open(path)?;
            let mismatches: Vec<String> =
                declared.compare(found.schema()).iter().map(ToString::to_string).collect();
            if !mismatches.is_empty() {
                return Err(Failed::Schema { path: schema.display().to_string(), mismatches });
            }
        }
    }
    for column in &checks.not_null {
        not_null(&paths, column)?;
    }
    for column in &checks.unique {
        unique(&paths, column)?;
    }
    Ok(warnings)
}

fn not_null(paths: &[&Path], column: &str) -> Result<(), Failed> {
    let mut nulls = 0;
    for path in paths {
        for batch in TableReader::open(path)?.batches(&[column], None, BATCH_ROWS)? {
            nulls += batch?.column(0).null_count();
        }
    }
    if nulls > 0 {
        return Err(Failed::NotNull { column: column.to_owned(), nulls });
    }
    Ok(())
}

fn unique(paths: &[&Path], column: &str) -> Result<(), Failed> {
    match first_repeat(paths, column, ROWS_AT_ONCE)? {
        None => Ok(()),
        Some(row) => Err(Failed::Unique { column: column.to_owned(), row }),
    }
}

/// Values that are compared at once: 24 bytes each, whatever they are, and each read of the column takes so many.
const ROWS_AT_ONCE: u64 = 4 << 20;

/// The first row, from 1, with a value of an earlier row. NULL is no value. Values are compared by 128 bits of their digests:
/// among a thousand million different ones, two are taken for equal with a probability of 2e-21.
fn first_repeat(paths: &[&Path], column: &str, rows_at_once: u64) -> Result<Option<u64>, Failed> {
    let readers = paths.iter().map(|path| TableReader::open(path)).collect::<Result<Vec<_>, _>>()?;
    let failed = |source| Failed::Incomparable { column: column.to_owned(), source };
    let passes = readers.iter().map(TableReader::rows).sum::<u64>().div_ceil(rows_at_once);
    let mut first: Option<u64> = None;
    for pass in 0..passes {
        let mut seen: Vec<([u64; 2], u64)> = Vec::new();
        let mut before = 0;
        for reader in &readers {
            for batch in reader.batches(&[column], None, BATCH_ROWS)? {
                let values = batch?.column(0).clone();
                let converter =
                    RowConverter::new(vec![SortField::new(values.data_type().clone())]).map_err(failed)?;
                let rows = converter.convert_columns(std::slice::from_ref(&values)).map_err(failed)?;
                for (index, value) in rows.iter().enumerate() {
                    let half = Digest::of(value.data()).half();
                    if values.is_valid(index) && half[0] % passes == pass {
                        seen.push((half, before + index as u64 + 1));
                    }
                }
                before += values.len() as u64;
            }
        }
        seen.par_sort_unstable();
        let repeats = seen.windows(2).filter(|pair| pair[0].0 == pair[1].0).map(|pair| pair[1].1);
        first = repeats.chain(first).min();
    }
    Ok(first)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};

    use super::*;
    use crate::parquet::write::{TableWriter, WriteOptions};

    #[test]
    fn the_first_repeat_is_the_same_in_any_number_of_passes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.parquet");
        let rows = 90_000;
        let repeats = [(80_000, 7), (70_000, 69_999), (85_000, 85_001)];
        let number = |row| repeats.iter().find(|(at, _)| *at == row).map_or(row, |(_, other)| *other);
        let all: Vec<i64> = (1..=rows).map(number).collect();
        let columns: [(&str, ArrayRef); 3] = [
            ("unique", Arc::new(Int64Array::from_iter_values(1..=rows))),
            ("repeats", Arc::new(StringArray::from_iter_values(all.iter().map(i64::to_string)))),
            // NULL is no value, though it stands in many rows.
            ("null", Arc::new((1..=rows).map(|row| (row % 3 > 0).then_some(row)).collect::<Int64Array>())),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let mut writer = TableWriter::create(&path, batch.schema(), &WriteOptions::default()).unwrap();
        writer.write(&batch).unwrap();
        writer.seal().unwrap().file.publish().unwrap();
        for rows_at_once in [u64::MAX, 40_000] {
            let first = |column| first_repeat(&[&path], column, rows_at_once).unwrap();
            assert_eq!((first("unique"), first("repeats"), first("null")), (None, Some(70_000), None));
        }
    }

    #[test]
    fn an_empty_table_repeats_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.parquet");
        let batch = RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from(vec![0; 0])) as ArrayRef)]);
        let writer = TableWriter::create(&path, batch.unwrap().schema(), &WriteOptions::default());
        writer.unwrap().seal().unwrap().file.publish().unwrap();
        assert_eq!(first_repeat(&[&path], "n", ROWS_AT_ONCE).unwrap(), None);
    }
}

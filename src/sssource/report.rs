//! The report: the observations that are not in the table, or are there without their object, and why.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use arrow_array::{Array, ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};

use super::Error;
use super::association::{Reason, Unmatched};
use crate::monitor::Monitor;
use crate::parquet;
use crate::parquet::write::{TableWriter, WriteOptions};
use crate::schema::TableSchema;
use crate::tables::{self, BATCH_ROWS, Column, Files};

static SCHEMA: LazyLock<TableSchema> = LazyLock::new(|| {
    let text = "
table: unmatched
description: One observation that is not in SSSource, or is there without an object.
columns:
  - {name: obsid, type: string, nullable: false, description: Id of the observation that the MPC gave.}
  - {name: obssubid, type: string, description: The observer's own id of the observation.}
  - {name: reason, type: string, nullable: false, description: 'no_id, other_processing, no_dia_source, no_position, too_far, time_differs or unknown_designation.'}
  - {name: diaSourceId, type: int64, description: The DiaSource that obssubid names.}
  - {name: separation, type: float64, unit: mas, description: Distance of the observation from the DiaSource.}
  - {name: dt, type: float64, unit: ms, description: obstime minus the time of the DiaSource.}
  - {name: band, type: string, description: Passband of mag by the MPC's codes.}
  - {name: mag, type: float64, unit: mag, description: Apparent magnitude.}
  - {name: trksub, type: string, description: Tracklet id that the observer gave.}
  - {name: provid, type: string, description: Provisional designation that the MPC gave.}
  - {name: permid, type: string, description: Permanent designation that the MPC gave.}
";
    TableSchema::parse(text, "the report").expect("the schema is part of the program, and a test reads it")
});

/// The columns of `obs_sbn` that are copied.
const TEXTS: [&str; 6] = ["obsid", "obssubid", "band", "trksub", "provid", "permid"];
const MAG: &str = "mag";

/// A row of the report.
struct Line {
    row: Unmatched,
    texts: [Option<Box<str>>; 6],
    mag: f64,
}

/// Writes the report, its rows by reason and obsid.
///
/// # Errors
/// [`Error::Report`]; what is wrong with `obs_sbn`.
pub(super) fn write(
    target: &Path,
    obs_sbn: &Files,
    unmatched: &mut [Unmatched],
    monitor: &Monitor,
) -> Result<(), Error> {
    unmatched.sort_unstable_by_key(|row| row.obs_row);
    let mut lines = lines(obs_sbn, unmatched, monitor)?;
    let key = |line: &Line| (line.row.reason, line.texts[0].clone());
    lines.sort_by_cached_key(key);
    let failed = |source: parquet::Error| Error::Report { path: target.to_owned(), source };
    let mut writer = TableWriter::create(target, SCHEMA.arrow(), &WriteOptions::default()).map_err(failed)?;
    for some in lines.chunks(BATCH_ROWS) {
        writer.write(&batch(some)?).map_err(failed)?;
    }
    let sealed = writer.seal().map_err(failed)?;
    sealed.file.publish().map_err(|error| failed(error.into()))
}

/// The rows, which are sorted by their places, with their columns of `obs_sbn`.
fn lines(obs_sbn: &Files, unmatched: &[Unmatched], monitor: &Monitor) -> Result<Vec<Line>, tables::Error> {
    let mut lines = Vec::with_capacity(unmatched.len());
    let mut rest = unmatched;
    for part in obs_sbn.parts() {
        let end = part.start().saturating_add(part.rows());
        let (own, others) = rest.split_at(rest.partition_point(|row| row.obs_row < end));
        rest = others;
        if own.is_empty() {
            continue;
        }
        tables::check_stop(monitor)?;
        let mut own = own.iter().peekable();
        let mut columns = part.having(&TEXTS);
        columns.extend(part.having(&[MAG]));
        for batch in part.batches(&columns)? {
            let batch = batch?;
            let text = |name| part.has(name).then(|| Column::of(&batch, name)?.texts()).transpose();
            let texts = TEXTS.map(text);
            let texts = texts.into_iter().collect::<Result<Vec<_>, _>>()?;
            let mag = part.has(MAG).then(|| Column::of(&batch, MAG)?.reals()).transpose()?;
            let rows = batch.rows.num_rows() as u64;
            while let Some(row) = own.next_if(|row| row.obs_row < batch.start() + rows) {
                let place = usize::try_from(row.obs_row - batch.start()).unwrap_or(0);
                let value = |k: usize| {
                    let texts = texts.get(k)?.as_ref()?;
                    texts.is_valid(place).then(|| texts.value(place).into())
                };
                let mag = mag.as_ref().map_or(f64::NAN, |mag| mag.value(place));
                lines.push(Line { row: *row, texts: std::array::from_fn(value), mag });
            }
        }
    }
    Ok(lines)
}

fn batch(lines: &[Line]) -> Result<RecordBatch, Error> {
    let texts = |k: usize| -> ArrayRef {
        Arc::new(lines.iter().map(|line| line.texts[k].as_deref()).collect::<StringArray>())
    };
    let reals = |value: fn(&Line) -> f64| -> ArrayRef {
        let known = |value: f64| (!value.is_nan()).then_some(value);
        Arc::new(lines.iter().map(|line| known(value(line))).collect::<Float64Array>())
    };
    let reason = |line: &Line| Some(Reason::name(line.row.reason));
    let arrays: Vec<ArrayRef> = vec![
        texts(0),
        texts(1),
        Arc::new(lines.iter().map(reason).collect::<StringArray>()),
        Arc::new(lines.iter().map(|line| line.row.dia_id).collect::<Int64Array>()),
        reals(|line| line.row.separation_mas),
        reals(|line| line.row.dt_ms),
        texts(2),
        reals(|line| line.mag),
        texts(3),
        texts(4),
        texts(5),
    ];
    let batch = RecordBatch::try_new(SCHEMA.arrow(), arrays);
    batch.map_err(|source| tables::Error::Convert { column: SCHEMA.table.clone(), source }.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_is_read_and_no_rows_fit_it() {
        assert_eq!(batch(&[]).unwrap().num_columns(), SCHEMA.columns.len());
        for reason in Reason::ALL {
            assert!(SCHEMA.columns[2].description.contains(reason.name()));
        }
    }
}

//! Rows to the columns that `schemas/ssobject.yaml` declares.
//!
//! The schema says which columns there are and of what type; this file says where the value of each comes from. Units
//! change here: radians to degrees.

use std::sync::{Arc, LazyLock};

use arrow_array::{
    ArrayRef, BooleanArray, Float32Array, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
};
use arrow_schema::{ArrowError, SchemaRef};
use arrow_select::concat::concat_batches;

use super::Error;
use super::input::{BANDS, Object};
use super::orbit::OrbitColumns;
use super::photometry::Band;
use crate::schema::{ColumnType, TableSchema};
use crate::science::orbit::moid::Moid;
use crate::tables::{self, Offenders, below_360, single};

/// The table as declared.
pub static SCHEMA: LazyLock<TableSchema> = LazyLock::new(|| {
    TableSchema::parse(include_str!("../../schemas/ssobject.yaml"), "schemas/ssobject.yaml")
        .expect("the schema is part of the program, and a test reads it")
});

/// Whether the column is wide enough for the designation of each object.
///
/// # Errors
/// [`Error::LongDesignation`]: cut off, it would be that of another object.
pub(super) fn check_designations(objects: &[Object]) -> Result<(), Error> {
    let column = SCHEMA.columns.iter().find(|column| column.name == "designation");
    let Some(most) = column.and_then(|column| column.length) else { return Ok(()) };
    let mut long = Offenders::new(["ssObjectId", "ssObjectIds"]);
    for Object { id, designation, .. } in objects {
        if let Some(designation) = designation.as_deref().filter(|text| text.chars().count() > most as usize)
        {
            long.add(format_args!("{id}: `{designation}`"));
        }
    }
    long.none(|objects| Error::LongDesignation { most, objects })
}

#[derive(Debug)]
pub(super) struct Row {
    pub id: i64,
    pub designation: Option<Box<str>>,
    pub n_obs: i32,
    /// The first and the last \[MJD TAI\].
    pub times: [f64; 2],
    /// Least, median and greatest extendedness.
    pub extendedness: Option<[f64; 3]>,
    pub orbit: OrbitColumns,
    pub bands: [Band; BANDS.len()],
}

/// Where the value of a column comes from.
enum ColumnValue {
    Id,
    Designation,
    Int(Getter<i32>),
    Real(Getter<f64>),
    Bool(Getter<bool>),
}

/// The value of a row; `None` is NULL.
type Getter<T> = Box<dyn Fn(&Row) -> Option<T> + Send + Sync>;

fn int(value: impl Fn(&Row) -> Option<i32> + Send + Sync + 'static) -> ColumnValue {
    ColumnValue::Int(Box::new(value))
}

fn real(value: impl Fn(&Row) -> Option<f64> + Send + Sync + 'static) -> ColumnValue {
    ColumnValue::Real(Box::new(value))
}

fn at_moid(value: fn(&Moid) -> f64) -> ColumnValue {
    real(move |row| row.orbit.moid.as_ref().map(value))
}

/// A count as the table has it; there are no more detections in a band than of its object.
fn count(rows: usize) -> Option<i32> {
    i32::try_from(rows).ok()
}

/// The source of a column, by its name.
fn source(name: &str) -> Option<ColumnValue> {
    let object = match name {
        "ssObjectId" => ColumnValue::Id,
        "designation" => ColumnValue::Designation,
        "nObs" => int(|row| Some(row.n_obs)),
        "arc" => real(|row| Some(row.times[1] - row.times[0])),
        "firstObservationMjdTai" => real(|row| Some(row.times[0])),
        "MOIDEarth" => at_moid(|moid| moid.distance_au),
        "MOIDEarthDeltaV" => at_moid(|moid| moid.relative_speed_km_s),
        "MOIDEarthEclipticLongitude" => at_moid(|moid| below_360(moid.longitude_rad)),
        "MOIDEarthTrueAnomaly" => at_moid(|moid| below_360(moid.ellipse_anomaly_rad)),
        "MOIDEarthTrueAnomalyObject" => at_moid(|moid| below_360(moid.orbit_anomaly_rad)),
        "tisserand_J" => real(|row| row.orbit.tisserand),
        "extendednessMin" => real(|row| row.extendedness.map(|[min, _, _]| min)),
        "extendednessMedian" => real(|row| row.extendedness.map(|[_, median, _]| median)),
        "extendednessMax" => real(|row| row.extendedness.map(|[_, _, max]| max)),
        _ => return band_source(name),
    };
    Some(object)
}

fn band_source(name: &str) -> Option<ColumnValue> {
    let (band, quantity) = name.split_once('_')?;
    let k = BANDS.iter().position(|known| *known == band)?;
    let source = match quantity {
        "nObs" => int(move |row| count(row.bands[k].rows)),
        "H" => real(move |row| row.bands[k].fit.h_mag),
        "HErr" => real(move |row| row.bands[k].fit.h_err_mag),
        "G12" => real(move |row| row.bands[k].fit.g12),
        "G12Err" => real(move |row| row.bands[k].fit.g12_err),
        "nObsUsed" => int(move |row| count(row.bands[k].fit.used)),
        "Chi2" => real(move |row| row.bands[k].fit.chi2),
        "phaseAngleMin" => real(move |row| row.bands[k].phase_range_deg.map(|[min, _]| min)),
        "phaseAngleMax" => real(move |row| row.bands[k].phase_range_deg.map(|[_, max]| max)),
        "slope_fit_failed" => ColumnValue::Bool(Box::new(move |row| Some(row.bands[k].fit.failure.any()))),
        _ if quantity == format!("H_{band}_G12_Cov") => real(move |row| row.bands[k].fit.covariance),
        _ => return None,
    };
    Some(source)
}

/// Makes record batches of rows.
pub(super) struct Output {
    schema: SchemaRef,
    columns: Vec<(ColumnType, ColumnValue)>,
}

impl Output {
    /// For the declared table.
    ///
    /// # Errors
    /// [`Error::NoSource`] for a declared column that nothing here gives.
    pub(super) fn new() -> Result<Self, Error> {
        let columns = SCHEMA.columns.iter().map(|column| match source(&column.name) {
            Some(source) => Ok((column.kind, source)),
            None => Err(Error::NoSource { column: column.name.clone() }),
        });
        Ok(Self { schema: SCHEMA.arrow(), columns: columns.collect::<Result<_, _>>()? })
    }

    /// A batch of these rows (\[n\]).
    ///
    /// # Errors
    /// [`tables::Error::Convert`] if a value does not fit its column.
    pub(super) fn batch(&self, rows: &[Row]) -> Result<RecordBatch, Error> {
        let arrays = self.columns.iter().map(|(column_type, source)| array(*column_type, source, rows));
        RecordBatch::try_new(self.schema.clone(), arrays.collect()).map_err(unfit)
    }

    /// The rows of several batches in one.
    ///
    /// # Errors
    /// [`tables::Error::Convert`] if they are too many.
    pub(super) fn concat(&self, batches: &[RecordBatch]) -> Result<RecordBatch, Error> {
        concat_batches(&self.schema, batches).map_err(unfit)
    }
}

fn unfit(source: ArrowError) -> Error {
    tables::Error::Convert { column: SCHEMA.table.clone(), source }.into()
}

fn array(column_type: ColumnType, source: &ColumnValue, rows: &[Row]) -> ArrayRef {
    match source {
        ColumnValue::Id => Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.id))),
        ColumnValue::Designation => {
            Arc::new(rows.iter().map(|row| row.designation.as_deref()).collect::<StringArray>())
        }
        ColumnValue::Int(value) => Arc::new(rows.iter().map(value).collect::<Int32Array>()),
        ColumnValue::Real(value) if column_type == ColumnType::Float64 => {
            Arc::new(rows.iter().map(|row| value(row).filter(|x| x.is_finite())).collect::<Float64Array>())
        }
        ColumnValue::Real(value) => {
            Arc::new(rows.iter().map(|row| value(row).and_then(single)).collect::<Float32Array>())
        }
        ColumnValue::Bool(value) => Arc::new(rows.iter().map(value).collect::<BooleanArray>()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_declared_column_has_a_source() {
        let output = Output::new().unwrap();
        assert_eq!(output.schema.fields().len(), 80);
        let batch = output.batch(&[]).unwrap();
        assert_eq!(SCHEMA.compare(&batch.schema()), []);
    }
}

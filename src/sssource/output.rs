//! Rows to the columns that `schemas/sssource.yaml` declares.
//!
//! The schema says which columns there are and of what type; this file says where the value of each comes from. Units
//! change here: radians to degrees and arc seconds, au and days to kilometres and seconds.

use std::sync::{Arc, LazyLock};

use arrow_array::{ArrayRef, Float32Array, Float64Array, Int16Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::SchemaRef;

use super::computed::{Computed, Predicted};
use super::{Error, Object, Row};
use crate::schema::{ColumnType, TableSchema};
use crate::science::ephemeris::ellipse::Ellipse;
use crate::science::ephemeris::place::{KM_S, Place};
use crate::tables::{self, below_360, single};

/// The narrow table as declared.
pub static SCHEMA: LazyLock<TableSchema> = LazyLock::new(|| {
    TableSchema::parse(include_str!("../../schemas/sssource.yaml"), "schemas/sssource.yaml")
        .expect("the schema is part of the program, and a test reads it")
});

/// A row with all that is known of it.
pub(super) struct Full<'a> {
    pub row: Row,
    pub object: Option<&'a Object>,
    pub computed: Computed,
}

/// The value of a row; `None` is NULL.
type Getter = Box<dyn Fn(&Full<'_>) -> Option<f64> + Send + Sync>;

/// Where the value of a column comes from.
enum ColumnValue {
    DiaSourceId,
    SsObjectId,
    Designation,
    /// Not computed by this program.
    Unknown,
    Real(Getter),
}

fn observed(value: fn(&Computed) -> f64) -> ColumnValue {
    ColumnValue::Real(Box::new(move |full| Some(value(&full.computed))))
}

fn predicted(value: impl Fn(&Predicted) -> Option<f64> + Send + Sync + 'static) -> ColumnValue {
    ColumnValue::Real(Box::new(move |full| full.computed.predicted.as_ref().and_then(&value)))
}

fn placed(value: impl Fn(&Place) -> f64 + Send + Sync + 'static) -> ColumnValue {
    predicted(move |found| Some(value(&found.place)))
}

fn uncertain(value: fn(&Ellipse) -> f64) -> ColumnValue {
    predicted(move |found| found.ellipse.as_ref().map(value))
}

/// A component of a vector, by the name of its axis.
fn component(name: &str) -> Option<usize> {
    ["x", "y", "z"].iter().position(|axis| *axis == name)
}

/// An angle from 0 to 360 deg in double precision.
fn turn(angle_rad: f64) -> f64 {
    let angle_deg = angle_rad.to_degrees();
    if angle_deg >= 360.0 { 0.0 } else { angle_deg }
}

fn arcsec(angle_rad: f64) -> f64 {
    angle_rad.to_degrees() * 3600.0
}

/// The source of a column, by its name.
fn source(name: &str) -> Option<ColumnValue> {
    let source = match name {
        "diaSourceId" => ColumnValue::DiaSourceId,
        "ssObjectId" => ColumnValue::SsObjectId,
        "designation" => ColumnValue::Designation,
        "diaDistanceRank" => ColumnValue::Unknown,
        "eclLambda" => observed(|c| turn(c.ecliptic[0])),
        "eclBeta" => observed(|c| c.ecliptic[1].to_degrees()),
        "galLon" => observed(|c| turn(c.galactic[0])),
        "galLat" => observed(|c| c.galactic[1].to_degrees()),
        "elongation" => ColumnValue::Real(Box::new(|full| full.computed.elongation.map(f64::to_degrees))),
        "phaseAngle" => placed(|p| p.phase_angle.to_degrees()),
        "topoRange" => placed(|p| p.topo_range),
        "topoRangeRate" => placed(|p| p.topo_range_rate * KM_S),
        "helioRange" => placed(|p| p.helio_range),
        "helioRangeRate" => placed(|p| p.helio_range_rate * KM_S),
        "ephRa" => placed(|p| turn(p.ra)),
        "ephDec" => placed(|p| p.dec.to_degrees()),
        "ephVmag" => predicted(|p| Some(p.magnitude)),
        "ephRate" => predicted(|p| Some(p.rate().to_degrees())),
        "ephRateRa" => placed(|p| p.rate_east.to_degrees()),
        "ephRateDec" => placed(|p| p.rate_north.to_degrees()),
        "ephRaErr" => uncertain(|ellipse| ellipse.east.to_degrees()),
        "ephDecErr" => uncertain(|ellipse| ellipse.north.to_degrees()),
        "ephRa_ephDec_Cov" => uncertain(|ellipse| ellipse.covariance.to_degrees().to_degrees()),
        "ephAntiSunPA" => predicted(|p| p.place.anti_sun.map(below_360)),
        "ephAntiMotionPA" => predicted(|p| p.place.anti_motion.map(below_360)),
        "ephOffset" => predicted(|p| Some(arcsec(p.offset))),
        "ephOffsetRa" => predicted(|p| Some(arcsec(p.offset_east))),
        "ephOffsetDec" => predicted(|p| Some(arcsec(p.offset_north))),
        "ephOffsetAlongTrack" => predicted(|p| p.along().map(arcsec)),
        "ephOffsetCrossTrack" => predicted(|p| p.across().map(arcsec)),
        _ => return vector_source(name),
    };
    Some(source)
}

/// The source of a component or the length of a position or velocity.
fn vector_source(name: &str) -> Option<ColumnValue> {
    let (origin, quantity) = name.split_once('_')?;
    let vectors: fn(&Place) -> &[[f64; 3]; 2] = match origin {
        "helio" => |place| &place.helio,
        "topo" => |place| &place.topo,
        _ => return None,
    };
    if quantity == "vtot" {
        return Some(placed(move |place| crate::science::vector::norm(vectors(place)[1]) * KM_S));
    }
    if let Some(axis) = component(quantity) {
        return Some(placed(move |place| vectors(place)[0][axis]));
    }
    let axis = component(quantity.strip_prefix('v')?)?;
    Some(placed(move |place| vectors(place)[1][axis] * KM_S))
}

/// Makes record batches of rows.
pub(super) struct Output {
    schema: SchemaRef,
    columns: Vec<(ColumnType, ColumnValue)>,
}

impl Output {
    /// For a declared table, whose first `copied` columns come from the inputs.
    ///
    /// # Errors
    /// [`Error::NoSource`] for a declared column that nothing here gives.
    pub(super) fn new(table: &TableSchema, copied: usize) -> Result<Self, Error> {
        let columns = table.columns.iter().skip(copied).map(|column| match source(&column.name) {
            Some(source) => Ok((column.kind, source)),
            None => Err(Error::NoSource { column: column.name.clone() }),
        });
        Ok(Self { schema: table.arrow(), columns: columns.collect::<Result<_, _>>()? })
    }

    /// A batch of these rows (\[n\]), after the columns that were copied for them.
    ///
    /// # Errors
    /// [`tables::Error::Convert`] if a value does not fit its column.
    pub(super) fn batch(&self, rows: &[Full<'_>], mut copied: Vec<ArrayRef>) -> Result<RecordBatch, Error> {
        copied.extend(self.columns.iter().map(|(kind, source)| array(*kind, source, rows)));
        RecordBatch::try_new(self.schema.clone(), copied)
            .map_err(|source| tables::Error::Convert { column: SCHEMA.table.clone(), source }.into())
    }
}

fn array(kind: ColumnType, source: &ColumnValue, rows: &[Full<'_>]) -> ArrayRef {
    match source {
        ColumnValue::DiaSourceId => {
            Arc::new(Int64Array::from_iter_values(rows.iter().map(|full| full.row.dia_source_id)))
        }
        ColumnValue::SsObjectId => Arc::new(
            rows.iter()
                .map(|full| full.object.and_then(|object| object.ss_object_id))
                .collect::<Int64Array>(),
        ),
        ColumnValue::Designation => Arc::new(
            rows.iter().map(|full| full.object.map(|object| &*object.designation)).collect::<StringArray>(),
        ),
        ColumnValue::Unknown => Arc::new(Int16Array::new_null(rows.len())),
        ColumnValue::Real(value) if kind == ColumnType::Float32 => {
            Arc::new(rows.iter().map(|full| value(full).and_then(single)).collect::<Float32Array>())
        }
        ColumnValue::Real(value) => Arc::new(
            rows.iter().map(|full| value(full).filter(|value| value.is_finite())).collect::<Float64Array>(),
        ),
    }
}

//! How a column of the wide table is made of the columns of its input.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::builder::Int64Builder;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef, BooleanArray, Float32Array, Float64Array, StringArray, new_null_array};
use arrow_schema::ArrowError;

use super::convert::{Converted, convert};
use super::schema::copied_columns;
use crate::schema::{Column, ColumnType};
use crate::science::photometry::MAG_OF_NJY;
use crate::science::photometry::hg12::MAG_PER_LN;
use crate::sssource::options::MeasuredOn;
use crate::tables::single;

/// What a row has where the input has no column.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Fill {
    Null,
    True,
    /// NULLs of the column are filled too.
    Text(String),
}

impl Fill {
    /// A column of these (\[rows\]).
    pub(super) fn array(&self, column: &Column, rows: usize) -> ArrayRef {
        match self {
            Self::Null => new_null_array(&column.kind.arrow(), rows),
            Self::True => Arc::new(BooleanArray::from(vec![true; rows])),
            Self::Text(text) => Arc::new(StringArray::from_iter_values(std::iter::repeat_n(text, rows))),
        }
    }

    fn over(&self, array: ArrayRef) -> ArrayRef {
        match self {
            Self::Text(text) if array.null_count() > 0 => {
                let texts = array.as_string::<i32>().iter();
                Arc::new(texts.map(|known| Some(known.unwrap_or(text))).collect::<StringArray>())
            }
            _ => array,
        }
    }
}

/// How a column is made.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Recipe {
    /// It is copied.
    Copy(Fill),
    /// It is copied, and has one of two values.
    MeasuredOn(Fill),
    /// One of the four ids, which rows measured on one of the two images have.
    Id,
    /// A magnitude: copied, or made of its flux.
    Mag { flux: String },
    /// The error of one: copied, or made of its flux and the error of that.
    MagErr { flux: String, flux_err: String },
}

pub(super) const MEASURED_ON: &str = "measuredOn";
pub(super) const DIA_SOURCE_ID: &str = "diaSourceId";
const PARENT_DIA_SOURCE_ID: &str = "parentDiaSourceId";
const SOURCE_ID: &str = "sourceId";
const PARENT_SOURCE_ID: &str = "parentSourceId";
/// The four ids.
pub(super) const IDS: [&str; 4] = [DIA_SOURCE_ID, SOURCE_ID, PARENT_DIA_SOURCE_ID, PARENT_SOURCE_ID];

/// Columns of one batch (\[n\]), by name.
pub(super) struct Columns {
    pub arrays: HashMap<&'static str, ArrayRef>,
    pub rows: usize,
    /// What rows were measured on where the input does not say it.
    pub measured_on: MeasuredOn,
}

impl Columns {
    fn get(&self, name: &str) -> Option<&ArrayRef> {
        self.arrays.get(name)
    }

    /// Whether each row was measured on the difference image.
    fn on_difference(&self) -> Result<Vec<bool>, ArrowError> {
        let default = self.measured_on == MeasuredOn::Difference;
        let Some(array) = self.get(MEASURED_ON) else { return Ok(vec![default; self.rows]) };
        let texts = convert(array, ColumnType::String, None)?.array;
        let is_difference =
            |text: Option<&str>| text.map_or(default, |text| text == MeasuredOn::Difference.name());
        Ok(texts.as_string::<i32>().iter().map(is_difference).collect())
    }

    /// Ids of the rows measured on one image, of the first of the columns that the input has.
    fn ids(&self, names: &[&str], difference: bool) -> Result<Converted, ArrowError> {
        let Some(array) = names.iter().find_map(|name| self.get(name)) else {
            return Ok(Converted::whole(new_null_array(&ColumnType::Int64.arrow(), self.rows)));
        };
        let Converted { array, mut unfit } = convert(array, ColumnType::Int64, None)?;
        let on_difference = self.on_difference()?;
        let mut ids = Int64Builder::with_capacity(self.rows);
        for (id, on_difference) in array.as_primitive::<Int64Type>().iter().zip(&on_difference) {
            ids.append_option(id.filter(|_| *on_difference == difference));
        }
        unfit.retain(|row| on_difference[*row] == difference);
        Ok(Converted { array: Arc::new(ids.finish()), unfit })
    }

    fn reals(&self, name: &str) -> Result<Option<Float64Array>, ArrowError> {
        let Some(array) = self.get(name) else { return Ok(None) };
        let converted = convert(array, ColumnType::Float64, None)?;
        Ok(Some(converted.array.as_primitive::<Float64Type>().clone()))
    }

    fn unknown(&self, column: &Column) -> Converted {
        Converted::whole(Fill::Null.array(column, self.rows))
    }
}

impl Recipe {
    /// The columns that it needs of an input that has some, its own first.
    pub(super) fn needs(&self, column: &'static Column, has: impl Fn(&str) -> bool) -> Vec<&'static str> {
        let own = column.name.as_str();
        let there = |names: &[&'static str]| names.iter().copied().filter(|name| has(name)).collect();
        match self {
            Self::Copy(_) | Self::MeasuredOn(_) => there(&[own]),
            Self::Id => there(&[own, MEASURED_ON, DIA_SOURCE_ID, PARENT_DIA_SOURCE_ID]),
            Self::Mag { .. } | Self::MagErr { .. } if has(own) => vec![own],
            Self::Mag { flux } => declared(&[flux]).into_iter().filter(|name| has(name)).collect(),
            Self::MagErr { flux, flux_err } => {
                let names = declared(&[flux, flux_err]);
                if names.iter().all(|name| has(name)) { names } else { Vec::new() }
            }
        }
    }

    /// Makes the column (\[n\]).
    ///
    /// # Errors
    /// What Arrow says of a type that was not checked before.
    pub(super) fn make(&self, column: &Column, columns: &Columns) -> Result<Converted, ArrowError> {
        let own = columns.get(&column.name);
        let copied = |array: &ArrayRef| convert(array, column.kind, column.length);
        match (self, own) {
            (Self::Copy(fill) | Self::MeasuredOn(fill), None) => {
                Ok(Converted::whole(fill.array(column, columns.rows)))
            }
            (Self::Copy(fill), Some(own)) => {
                let Converted { array, unfit } = copied(own)?;
                // A value that does not fit is no NULL; the rows are told of.
                Ok(Converted { array: fill.over(array), unfit })
            }
            (Self::MeasuredOn(fill), Some(own)) => {
                let array = fill.over(copied(own)?.array);
                let is_known = |text: &str| MeasuredOn::ALL.iter().any(|known| known.name() == text);
                let texts = array.as_string::<i32>().iter().enumerate();
                let unfit = texts.filter(|(_, text)| text.is_some_and(|text| !is_known(text)));
                Ok(Converted { unfit: unfit.map(|(row, _)| row).collect(), array })
            }
            (Self::Id, _) => match column.name.as_str() {
                DIA_SOURCE_ID => columns.ids(&[DIA_SOURCE_ID], true),
                PARENT_DIA_SOURCE_ID => columns.ids(&[PARENT_DIA_SOURCE_ID], true),
                // The id by which the row was found is that of its source, in either table.
                SOURCE_ID => columns.ids(&[SOURCE_ID, DIA_SOURCE_ID], false),
                _ => columns.ids(&[PARENT_SOURCE_ID, PARENT_DIA_SOURCE_ID], false),
            },
            (Self::Mag { .. } | Self::MagErr { .. }, Some(own)) => copied(own),
            (Self::Mag { flux }, None) => {
                let Some(flux) = columns.reals(flux)? else { return Ok(columns.unknown(column)) };
                let mags = flux.iter().map(|flux| mag(flux?));
                Ok(Converted::whole(Arc::new(mags.collect::<Float32Array>())))
            }
            (Self::MagErr { flux, flux_err }, None) => {
                let (Some(flux), Some(flux_err)) = (columns.reals(flux)?, columns.reals(flux_err)?) else {
                    return Ok(columns.unknown(column));
                };
                let errors = flux.iter().zip(&flux_err).map(|(flux, flux_err)| mag_err(flux?, flux_err?));
                Ok(Converted::whole(Arc::new(errors.collect::<Float32Array>())))
            }
        }
    }
}

/// The names as the schema has them.
fn declared(names: &[&String]) -> Vec<&'static str> {
    let known = |name: &&String| copied_columns().iter().find(|column| column.name == **name);
    names.iter().filter_map(known).map(|column| column.name.as_str()).collect()
}

/// The AB magnitude of a flux in nJy; none of a flux that has none.
fn mag(flux_njy: f64) -> Option<f32> {
    known(flux_njy, MAG_OF_NJY - 2.5 * flux_njy.log10())
}

/// Its standard error.
fn mag_err(flux_njy: f64, flux_err_njy: f64) -> Option<f32> {
    known(flux_njy, MAG_PER_LN * flux_err_njy / flux_njy)
}

fn known(flux_njy: f64, value: f64) -> Option<f32> {
    single(value).filter(|_| flux_njy > 0.0)
}

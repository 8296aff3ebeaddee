//! Felis schemas, in which Rubin describes its tables (`sdm_schemas`): tables to columns, and declared against found.
//!
//! Not a place for files and what they take from each other (see `file`).

mod file;
#[cfg(test)]
mod real;
#[cfg(test)]
mod tests;
mod unit;

use std::fmt;

use arrow_schema::{DataType, Schema};
use serde::Deserialize;

use super::{Mismatch, UNIT};
pub(crate) use file::FelisSchema;
use unit::same_unit;

/// A table of a Felis schema, with the columns that it takes from other schemas.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Table {
    pub name: String,
    /// The columns, in order.
    pub columns: Vec<Column>,
}

/// A column of a Felis schema.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct Column {
    pub name: String,
    pub datatype: Datatype,
    /// Characters of a text, or bytes of a binary value, at most.
    pub length: Option<u64>,
    #[serde(default = "super::table::yes")]
    pub nullable: bool,
    pub description: Option<String>,
    #[serde(rename = "fits:tunit")]
    fits_unit: Option<String>,
    #[serde(rename = "ivoa:unit")]
    ivoa_unit: Option<String>,
}

/// The type of a column in Felis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Datatype {
    Boolean,
    /// 8 bits; Felis does not say whether they are signed.
    Byte,
    Short,
    Int,
    Long,
    Float,
    Double,
    /// Text of a fixed length.
    Char,
    String,
    Unicode,
    /// Text of any length.
    Text,
    Binary,
    /// A moment; Felis does not give its time zone and, in most cases, not its precision.
    Timestamp,
}

impl fmt::Display for Datatype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format!("{self:?}").to_lowercase())
    }
}

impl Datatype {
    /// Whether a column of Arrow has this type.
    fn is(self, found: &DataType) -> bool {
        match self {
            Self::Boolean => matches!(found, DataType::Boolean),
            Self::Byte => matches!(found, DataType::Int8 | DataType::UInt8),
            Self::Short => matches!(found, DataType::Int16),
            Self::Int => matches!(found, DataType::Int32),
            Self::Long => matches!(found, DataType::Int64),
            Self::Float => matches!(found, DataType::Float32),
            Self::Double => matches!(found, DataType::Float64),
            Self::Char | Self::String | Self::Unicode | Self::Text => {
                matches!(found, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
            }
            Self::Binary => {
                matches!(found, DataType::Binary | DataType::LargeBinary | DataType::BinaryView)
            }
            Self::Timestamp => match found {
                DataType::Timestamp(_, zone) => zone.as_deref().is_none_or(|zone| zone == "UTC"),
                _ => false,
            },
        }
    }

    /// Whether its values have a length.
    fn is_sized(self) -> bool {
        matches!(self, Self::Char | Self::String | Self::Unicode | Self::Binary)
    }
}

impl Column {
    /// Its unit; none for what has none.
    pub(crate) fn unit(&self) -> Option<&str> {
        [&self.fits_unit, &self.ivoa_unit]
            .into_iter()
            .flatten()
            .map(|unit| unit.trim())
            .find(|unit| !unit.is_empty())
    }

    /// The largest length that its values may have.
    pub(crate) fn longest(&self) -> Option<u64> {
        self.length.filter(|_| self.datatype.is_sized())
    }
}

impl Table {
    /// All differences between this table and the columns of a file: in the order of the declaration, then of the file, then the
    /// first that is not in its place. Whether there are NULLs and how long texts are is known from the values only.
    pub(crate) fn compare(&self, found: &Schema) -> Vec<Mismatch> {
        let fields = || found.fields().iter().map(|field| field.name());
        let mut differences = Vec::new();
        for column in &self.columns {
            let name = column.name.clone();
            let Ok(field) = found.field_with_name(&name) else {
                differences.push(Mismatch::Missing { column: name });
                continue;
            };
            if !column.datatype.is(field.data_type()) {
                let (declared, found) = (column.datatype.to_string(), field.data_type().clone());
                differences.push(Mismatch::Type { column: name.clone(), declared, found });
            }
            let (declared, unit) = (column.unit(), field.metadata().get(UNIT));
            if let Some(unit) =
                unit.filter(|unit| !declared.is_some_and(|declared| same_unit(declared, unit)))
            {
                let declared = declared.map(str::to_owned);
                differences.push(Mismatch::Unit { column: name, declared, found: unit.clone() });
            }
        }
        let names = || self.columns.iter().map(|column| &column.name);
        let is_declared = |name: &&String| names().any(|declared| declared == *name);
        let undeclared = fields().filter(|name| !is_declared(name));
        differences.extend(undeclared.map(|name| Mismatch::Undeclared { column: name.clone() }));
        let declared = names().filter(|name| fields().any(|field| field == *name));
        let misplaced =
            declared.zip(fields().filter(is_declared)).find(|(declared, found)| declared != found);
        differences.extend(
            misplaced.map(|(declared, found)| Mismatch::Order {
                column: found.clone(),
                declared: declared.clone(),
            }),
        );
        differences
    }
}

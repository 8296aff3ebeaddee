//! One schema file.

use std::path::Path;
use std::sync::Arc;

use arrow_schema::{Field, Schema, SchemaRef};
use serde::Deserialize;

use super::Error;
use super::column_type::ColumnType;
use crate::regular;

/// The key of a field's metadata that holds its unit.
pub(crate) const UNIT: &str = "unit";
/// The key of a field's metadata that holds its description.
pub(crate) const DESCRIPTION: &str = "description";

/// A table as declared: what its file must hold.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableSchema {
    pub table: String,
    /// What a row is.
    pub description: String,
    /// The columns, in order.
    pub columns: Vec<Column>,
}

/// A column as declared.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: ColumnType,
    /// Whether it may hold NULL. Default: it may.
    #[serde(default = "yes")]
    pub nullable: bool,
    /// Its unit, in the notation of FITS and astropy (`deg`, `nJy`, `mag**2`); none for what has none.
    pub unit: Option<String>,
    /// The width of a text column in a fixed-width archive.
    pub length: Option<u32>,
    pub description: String,
}

pub(super) fn yes() -> bool {
    true
}

impl TableSchema {
    /// Reads a schema file.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let text =
            regular::read_to_string(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
        Self::parse(&text, &path.display().to_string())
    }

    /// Reads the text of a schema; `origin` names it in errors.
    pub fn parse(text: &str, origin: &str) -> Result<Self, Error> {
        let schema: Self = serde_saphyr::from_str(text)
            .map_err(|error| Error::Parse { origin: origin.to_owned(), message: error.to_string() })?;
        for (index, column) in schema.columns.iter().enumerate() {
            if schema.columns[..index].iter().any(|earlier| earlier.name == column.name) {
                return Err(Error::DuplicateColumn {
                    origin: origin.to_owned(),
                    column: column.name.clone(),
                });
            }
        }
        Ok(schema)
    }

    /// The schema in Arrow, with unit and description in each field's metadata.
    pub fn arrow(&self) -> SchemaRef {
        let fields = self.columns.iter().map(|column| {
            let unit = column.unit.iter().map(|unit| (UNIT.to_owned(), unit.clone()));
            let description = [(DESCRIPTION.to_owned(), column.description.clone())];
            let metadata: std::collections::HashMap<_, _> = unit.chain(description).collect();
            Field::new(&column.name, column.kind.arrow(), column.nullable).with_metadata(metadata)
        });
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }
}

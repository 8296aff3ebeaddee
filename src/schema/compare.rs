//! Declared against found.

use std::fmt;
use std::path::Path;

use arrow_schema::{DataType, Schema};

use super::{TableSchema, type_name};

/// A difference between a declared table and a file's columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// A declared column is not there.
    Missing { column: String },
    /// A column has another type.
    Type { column: String, declared: String, found: DataType },
    /// A column that must not hold NULL may.
    Nullable { column: String },
    /// A column that is not declared.
    Undeclared { column: String },
    /// A column has another unit.
    Unit { column: String, declared: Option<String>, found: String },
    /// The first column that is not in its place, and the one that should be there.
    Order { column: String, declared: String },
    /// A column that must not hold NULL does.
    Nulls { column: String, nulls: u64, row: u64 },
    /// A column has a value that is too long.
    Length { column: String, declared: u64, found: u64, row: u64 },
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { column } => write!(f, "column `{column}` is missing"),
            Self::Type { column, declared, found } => {
                write!(f, "column `{column}` is {}, but declared as {declared}", type_name(found))
            }
            Self::Nullable { column } => {
                write!(f, "column `{column}` may hold NULL, but is declared not to")
            }
            Self::Undeclared { column } => write!(f, "column `{column}` is not declared"),
            Self::Unit { column, declared, found } => {
                let declared =
                    declared.as_ref().map_or("no unit".to_owned(), |unit| format!("unit `{unit}`"));
                write!(f, "column `{column}` has unit `{found}`, but is declared with {declared}")
            }
            Self::Order { column, declared } => {
                write!(f, "column `{column}` is in the place of column `{declared}`")
            }
            Self::Nulls { column, nulls, row } => {
                write!(
                    f,
                    "column `{column}` has NULL in row {row} ({nulls} in all), but is declared `nullable: false`"
                )
            }
            Self::Length { column, declared, found, row } => write!(
                f,
                "column `{column}` has length {found} in row {row}, but is declared with at most {declared}"
            ),
        }
    }
}

impl Mismatch {
    /// What to do about the schema if the columns are right.
    fn advice(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "remove the missing column or set `allow_missing: true`",
            Self::Type { .. } => "change the type",
            Self::Nullable { .. } | Self::Nulls { .. } => "remove `nullable: false`",
            Self::Undeclared { .. } => "add the new column",
            Self::Unit { .. } => "change the unit",
            Self::Order { .. } => "change the order",
            Self::Length { .. } => "raise the length",
        }
    }
}

/// Differences in one line, with what to do; `schema` is the declaration, in the file `path`.
pub(super) fn difference(schema: &str, path: &Path, mismatches: &[Mismatch]) -> String {
    let each = |say: &dyn Fn(&Mismatch) -> String| {
        let mut said: Vec<String> = Vec::new();
        for text in mismatches.iter().map(say) {
            if !said.contains(&text) {
                said.push(text);
            }
        }
        said
    };
    format!(
        "{schema}: {}; if that is right, change `{}`: {}",
        each(&ToString::to_string).join("; "),
        path.display(),
        each(&|mismatch| mismatch.advice().to_owned()).join(", ")
    )
}

impl TableSchema {
    /// All differences between this table and the columns of a file, in the order of the declaration, then of the file.
    /// The order of the columns does not matter.
    pub fn compare(&self, found: &Schema) -> Vec<Mismatch> {
        let declared = self.columns.iter().filter_map(|column| {
            let name = column.name.clone();
            match found.field_with_name(&column.name) {
                Err(_) => Some(Mismatch::Missing { column: name }),
                Ok(field) if !field.data_type().equals_datatype(&column.kind.arrow()) => {
                    let (declared, found) = (column.kind.to_string(), field.data_type().clone());
                    Some(Mismatch::Type { column: name, declared, found })
                }
                Ok(field) if field.is_nullable() && !column.nullable => {
                    Some(Mismatch::Nullable { column: name })
                }
                Ok(_) => None,
            }
        });
        let undeclared =
            found.fields().iter().filter(|field| !self.columns.iter().any(|c| c.name == *field.name()));
        declared
            .chain(undeclared.map(|field| Mismatch::Undeclared { column: field.name().clone() }))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use arrow_schema::Field;

    use super::*;

    const TEXT: &str = "
table: t
description: A table.
columns:
  - {name: a, type: int64, nullable: false, description: An id.}
  - {name: b, type: 'list<string>', description: Names.}
  - {name: c, type: float32, unit: mag, description: A magnitude.}
";

    #[test]
    fn a_file_made_from_the_schema_fits_it() {
        let schema = TableSchema::parse(TEXT, "t.yaml").unwrap();
        assert_eq!(schema.compare(&schema.arrow()), []);
        assert_eq!(schema.arrow().field(2).metadata().get("unit").map(String::as_str), Some("mag"));
    }

    #[test]
    fn every_difference_is_named() {
        let schema = TableSchema::parse(TEXT, "t.yaml").unwrap();
        let found = Schema::new(vec![
            Field::new("a", DataType::Int64, true),
            Field::new("c", DataType::Float64, true),
            Field::new("d", DataType::Utf8, true),
        ]);
        let text: Vec<String> = schema.compare(&found).iter().map(ToString::to_string).collect();
        assert_eq!(
            text,
            [
                "column `a` may hold NULL, but is declared not to",
                "column `b` is missing",
                "column `c` is float64, but declared as float32",
                "column `d` is not declared",
            ]
        );
    }

    #[test]
    fn a_list_is_called_as_in_the_schema_file_and_the_advice_is_given_once() {
        let schema = TableSchema::parse(TEXT, "t.yaml").unwrap();
        let names = ["a", "b", "c", "d", "e"];
        let fields = names.map(|name| Field::new(name, DataType::Utf8, false));
        assert_eq!(
            difference(
                "schema `t.yaml`",
                Path::new("t.yaml"),
                &schema.compare(&Schema::new(fields.to_vec()))
            ),
            "schema `t.yaml`: column `a` is string, but declared as int64; column `b` is string, but declared as \
             list<string>; column `c` is string, but declared as float32; column `d` is not declared; column `e` is \
             not declared; if that is right, change `t.yaml`: change the type, add the new column"
        );
    }

    #[test]
    fn mistakes_are_refused() {
        assert!(TableSchema::parse(&TEXT.replace("name: b", "name: a"), "t").is_err());
        assert!(TableSchema::parse(&TEXT.replace("int64", "int65"), "t").is_err());
        assert!(TableSchema::parse(&TEXT.replace("unit:", "units:"), "t").is_err());
    }
}

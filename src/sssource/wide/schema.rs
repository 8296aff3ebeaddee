//! The table as `schemas/sssource_wide.yaml` declares it.

use std::sync::LazyLock;

use crate::schema::{Column, ColumnType, TableSchema};

/// The wide table as declared: blocks 1, 2, 3, 4 and 6, in this order.
pub static SCHEMA: LazyLock<TableSchema> = LazyLock::new(|| {
    TableSchema::parse(include_str!("../../../schemas/sssource_wide.yaml"), "schemas/sssource_wide.yaml")
        .expect("the schema is part of the program, and a test reads it")
});

/// The first column that is computed from the orbit or the position: block 6 starts here.
const FIRST_COMPUTED: &str = "eclLambda";

/// The columns of blocks 1 to 4, in order.
#[must_use]
pub fn copied_columns() -> &'static [Column] {
    let columns = &SCHEMA.columns;
    let end = columns.iter().position(|column| column.name == FIRST_COMPUTED).unwrap_or(columns.len());
    &columns[..end]
}

/// About how many bytes a row takes in memory, all texts as long as they may be.
#[must_use]
pub fn row_bytes() -> u64 {
    SCHEMA.columns.iter().map(bytes).sum()
}

/// Bytes of a value, with where its text begins and whether it is NULL.
fn bytes(column: &Column) -> u64 {
    match column.kind {
        ColumnType::Bool => 1,
        ColumnType::Int16 => 3,
        ColumnType::Int32 | ColumnType::Float32 => 5,
        _ => 9 + u64::from(column.length.unwrap_or(0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_has_the_facts_of_the_list_of_columns() {
        let facts = include_str!("../../../fixtures/sssource_wide_columns.csv");
        let mut computed = 0;
        let mut found = SCHEMA.columns.iter();
        for line in facts.lines().skip(1) {
            let fields: Vec<&str> = line.splitn(6, ',').collect();
            let column = found.next().unwrap();
            let kind = match column.kind {
                ColumnType::String => "string",
                ColumnType::Bool => "bool",
                ColumnType::Int16 => "int16",
                ColumnType::Int32 => "int32",
                ColumnType::Int64 => "int64",
                ColumnType::Float32 => "float32",
                ColumnType::Float64 => "float64",
                other => panic!("{other:?}"),
            };
            let nullable = if column.nullable { "yes" } else { "no" };
            let unit = column.unit.as_deref().unwrap_or("");
            assert_eq!([&*column.name, kind, unit, nullable], fields[..4]);
            assert_eq!(column.length.is_some(), kind == "string", "{}", column.name);
            assert!(column.description.ends_with('.'), "{}", column.description);
            computed += usize::from(fields[4] == "6");
        }
        assert!(found.next().is_none());
        assert_eq!((SCHEMA.columns.len(), copied_columns().len()), (183, 183 - computed));
        assert!((700..1_200).contains(&row_bytes()), "{}", row_bytes());
    }
}

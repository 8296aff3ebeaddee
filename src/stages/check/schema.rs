//! The schema of a stage against its output: the columns, and the values of those that a schema limits.

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_cast::cast;
use arrow_schema::DataType;
use serde_json::json;

use super::table::{Problem, Table};
use super::{Finding, counted, values};
use crate::errors;
use crate::margin::{Margin, Severity};
use crate::schema::{Declared, Error, Mismatch};

/// Compares the output with a schema.
pub(super) fn of_schema(declared: &Result<Declared, Error>, table: &Table, output: &str) -> Margin {
    let unfit = |why: &str| {
        Finding::without_value("not checked", format!("cannot be compared with its schema: {why}"))
    };
    let finding = match declared {
        Err(error) => unfit(&errors::chain(error).join(": ")),
        Ok(declared) => match differences(declared, table) {
            Err(problem) => unfit(&errors::chain(&problem).join(": ")),
            Ok(differences) => {
                let columns = counted(declared.columns().len() as u64, "column");
                let margin = match differences.len() {
                    0 => format!("{columns} as declared"),
                    count => counted(count as u64, "difference"),
                };
                Finding::new(differences.len(), margin).wrong_if(!differences.is_empty(), || {
                    format!("does not fit {}", declared.difference(&differences))
                })
            }
        },
    };
    finding.of("schema", None, Severity::Fail, json!(0), output)
}

fn differences(declared: &Declared, table: &Table) -> Result<Vec<Mismatch>, Problem> {
    let compared = table.readers.iter().flat_map(|reader| declared.compare(reader.schema()));
    let mut differences: Vec<_> = compared.collect();
    differences.dedup();
    for limits in declared.limits() {
        let Some(field) = table.field(limits.column) else { continue };
        let column = limits.column.to_owned();
        if !limits.nullable
            && field.is_nullable()
            && let (nulls, Some(row)) = values::nulls(table, limits.column)?
        {
            differences.push(Mismatch::Nulls { column: column.clone(), nulls, row });
        }
        if let Some(declared) = limits.length
            && let Some((found, row)) = longest(table, limits.column)?.filter(|(found, _)| *found > declared)
        {
            differences.push(Mismatch::Length { column, declared, found, row });
        }
    }
    Ok(differences)
}

/// The largest length in a column of texts (in characters) or of bytes, and the first row that has it, from 1; none for
/// columns of another type.
fn longest(table: &Table, column: &str) -> Result<Option<(u64, u64)>, Problem> {
    let mut longest: Option<(u64, u64)> = None;
    table.each(column, |values, before| {
        let failed = |error| Problem::Unfit(format!("column `{column}` cannot be read: {error}"));
        let lengths: Vec<usize> = match values.data_type() {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                let texts = cast(values, &DataType::LargeUtf8).map_err(failed)?;
                let texts = texts.as_string::<i64>();
                texts.iter().map(|text| text.map_or(0, |text| text.chars().count())).collect()
            }
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView => {
                let values = cast(values, &DataType::LargeBinary).map_err(failed)?;
                values.as_binary::<i64>().iter().map(|value| value.map_or(0, <[u8]>::len)).collect()
            }
            _ => return Ok(()),
        };
        for (index, length) in lengths.into_iter().enumerate().filter(|(index, _)| values.is_valid(*index)) {
            if longest.is_none_or(|(most, _)| length as u64 > most) {
                longest = Some((length as u64, before + index as u64 + 1));
            }
        }
        Ok(())
    })?;
    Ok(longest)
}

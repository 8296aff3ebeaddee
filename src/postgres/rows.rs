//! What the server answers to a small query: its columns and its rows, as text.

use fallible_iterator::FallibleIterator;
use postgres_protocol::message::backend::{DataRowBody, RowDescriptionBody};

use super::error::Error;

/// A column as the server describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FieldDescription {
    pub name: String,
    pub type_oid: u32,
    pub modifier: i32,
    pub table_oid: u32,
    pub attribute: i16,
}

/// The rows of a small query, as text.
#[derive(Debug, Default)]
pub(super) struct TextRows {
    pub names: Vec<String>,
    pub rows: Vec<Vec<Option<String>>>,
}

impl TextRows {
    /// The value of the only row's only column.
    pub(super) fn single(mut self) -> Option<String> {
        self.rows.pop()?.pop()?
    }
}

pub(super) fn fields(doing: &str, body: &RowDescriptionBody) -> Result<Vec<FieldDescription>, Error> {
    let read = body.fields().map(|field| {
        Ok(FieldDescription {
            name: field.name().to_owned(),
            type_oid: field.type_oid(),
            modifier: field.type_modifier(),
            table_oid: field.table_oid(),
            attribute: field.column_id(),
        })
    });
    read.collect().map_err(|error| Error::protocol(doing, &error.to_string()))
}

/// The values of a row; what is damaged is NULL, which only our own small queries could meet.
pub(super) fn texts(body: &DataRowBody) -> Vec<Option<String>> {
    let value = |range: Option<std::ops::Range<usize>>| {
        Ok(range
            .and_then(|range| body.buffer().get(range))
            .map(|value| String::from_utf8_lossy(value).into_owned()))
    };
    body.ranges().map(value).collect().unwrap_or_default()
}

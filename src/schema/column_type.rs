//! The types that a schema file can give a column.

use std::fmt;
use std::sync::Arc;

use arrow_schema::{DataType, Field, TimeUnit};
use serde::Deserialize;

/// The type of a declared column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum ColumnType {
    Bool,
    /// 16 bits, signed.
    Int16,
    /// 32 bits, signed.
    Int32,
    /// 64 bits, signed.
    Int64,
    /// 32 bits, unsigned.
    UInt32,
    /// 64 bits, unsigned.
    UInt64,
    Float32,
    Float64,
    /// UTF-8 text.
    String,
    Binary,
    Date,
    /// A time of day in microseconds.
    Time,
    /// A moment in microseconds without a time zone.
    Timestamp,
    /// A moment in microseconds, in UTC.
    TimestampUtc,
    /// A list, whose items can be NULL.
    List(&'static ColumnType),
}

/// All but lists, by name.
static ITEMS: [(&str, ColumnType); 14] = [
    ("bool", ColumnType::Bool),
    ("int16", ColumnType::Int16),
    ("int32", ColumnType::Int32),
    ("int64", ColumnType::Int64),
    ("uint32", ColumnType::UInt32),
    ("uint64", ColumnType::UInt64),
    ("float32", ColumnType::Float32),
    ("float64", ColumnType::Float64),
    ("string", ColumnType::String),
    ("binary", ColumnType::Binary),
    ("date", ColumnType::Date),
    ("time", ColumnType::Time),
    ("timestamp", ColumnType::Timestamp),
    ("timestamp_utc", ColumnType::TimestampUtc),
];

impl ColumnType {
    /// The type in Arrow.
    pub fn arrow(self) -> DataType {
        match self {
            Self::Bool => DataType::Boolean,
            Self::Int16 => DataType::Int16,
            Self::Int32 => DataType::Int32,
            Self::Int64 => DataType::Int64,
            Self::UInt32 => DataType::UInt32,
            Self::UInt64 => DataType::UInt64,
            Self::Float32 => DataType::Float32,
            Self::Float64 => DataType::Float64,
            Self::String => DataType::Utf8,
            Self::Binary => DataType::Binary,
            Self::Date => DataType::Date32,
            Self::Time => DataType::Time64(TimeUnit::Microsecond),
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::TimestampUtc => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::List(item) => DataType::List(Arc::new(Field::new_list_field(item.arrow(), true))),
        }
    }

    /// The type that is this one in Arrow, if a schema file can name it.
    pub fn of(found: &DataType) -> Option<Self> {
        let item =
            |wanted: &DataType| ITEMS.iter().map(|(_, kind)| kind).find(|kind| kind.arrow() == *wanted);
        match found {
            DataType::List(field) => item(field.data_type()).map(Self::List),
            other => item(other).copied(),
        }
    }
}

/// The name of a type in a schema file; of a type that has none there, its name in Arrow.
pub(crate) fn type_name(found: &DataType) -> String {
    ColumnType::of(found).map_or_else(|| found.to_string(), |kind| kind.to_string())
}

impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::List(item) => write!(f, "list<{item}>"),
            other => f.write_str(ITEMS.iter().find(|(_, kind)| kind == other).map_or("", |(name, _)| name)),
        }
    }
}

impl TryFrom<String> for ColumnType {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let item = |wanted: &str| ITEMS.iter().find(|(name, _)| *name == wanted).map(|(_, kind)| kind);
        let list = text.strip_prefix("list<").and_then(|rest| rest.strip_suffix('>'));
        let found = list.map_or_else(|| item(&text).copied(), |name| item(name).map(Self::List));
        found.ok_or_else(|| {
            let names: Vec<&str> = ITEMS.iter().map(|(name, _)| *name).collect();
            format!("`{text}` is not a type: use one of {}, or `list<...>` of one of these", names.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_is_read_as_it_is_written_and_known_by_its_arrow_type() {
        let lists = ITEMS.iter().map(|(_, kind)| ColumnType::List(kind));
        for kind in ITEMS.iter().map(|(_, kind)| *kind).chain(lists) {
            assert_eq!(ColumnType::try_from(kind.to_string()), Ok(kind));
            assert_eq!(ColumnType::of(&kind.arrow()), Some(kind));
        }
        for text in ["", "int", "list<>", "list<list<string>>", "list<int32", "List<int32>"] {
            assert!(ColumnType::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}

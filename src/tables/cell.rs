//! Single values as people and programs read them: exact, and on one line. Not a place for how a table is laid out.

use std::fmt::{self, Write as _};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float16Type, Float32Type, Float64Type};
use arrow_array::{Array, downcast_integer_array, make_array};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::{ArrowError, DataType};

use crate::characters::escaped;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell {
    /// The value is NULL.
    Null,
    /// A boolean, an integer or a finite float: JSON has the same form.
    Plain(String),
    /// Anything else that is one text: NaN and infinities, texts, times, decimals, bytes.
    Text(String),
    /// A list.
    List(Vec<Self>),
    /// A struct or a map: names and values.
    Fields(Vec<(String, Self)>),
}

impl Cell {
    /// The value in a row of a column.
    pub(crate) fn of(array: &dyn Array, row: usize) -> Self {
        if array.is_null(row) {
            return Self::Null;
        }
        let all = |values: &dyn Array| (0..values.len()).map(|index| Self::of(values, index)).collect();
        downcast_integer_array! {
            array => return Self::Plain(array.value(row).to_string()),
            DataType::Boolean => return Self::Plain(array.as_boolean().value(row).to_string()),
            DataType::Float16 => {
                return Self::float(array.as_primitive::<Float16Type>().value(row).to_f32());
            }
            DataType::Float32 => return Self::float(array.as_primitive::<Float32Type>().value(row)),
            DataType::Float64 => return Self::float(array.as_primitive::<Float64Type>().value(row)),
            DataType::Utf8 => return Self::Text(array.as_string::<i32>().value(row).to_owned()),
            DataType::LargeUtf8 => return Self::Text(array.as_string::<i64>().value(row).to_owned()),
            DataType::Utf8View => return Self::Text(array.as_string_view().value(row).to_owned()),
            DataType::List(_) => return Self::List(all(&array.as_list::<i32>().value(row))),
            DataType::LargeList(_) => return Self::List(all(&array.as_list::<i64>().value(row))),
            DataType::FixedSizeList(..) => {
                return Self::List(all(&array.as_fixed_size_list().value(row)));
            }
            DataType::Struct(_) => {
                let array = array.as_struct();
                let names = array.column_names().into_iter().zip(array.columns());
                return Self::Fields(
                    names.map(|(name, values)| (name.to_owned(), Self::of(values, row))).collect(),
                );
            }
            DataType::Dictionary(..) => {
                let array = array.as_any_dictionary();
                return Self::of(array.values(), array.normalized_keys()[row]);
            }
            _ => {}
        }
        Self::Text(displayed(array, row))
    }

    /// The shortest text from which the float can be read back.
    fn float<F: fmt::Debug + Into<f64> + Copy>(value: F) -> Self {
        let wide: f64 = value.into();
        if wide.is_nan() {
            Self::Text("NaN".to_owned())
        } else if wide.is_infinite() {
            Self::Text(if wide > 0.0 { "Infinity" } else { "-Infinity" }.to_owned())
        } else {
            Self::Plain(format!("{value:?}"))
        }
    }

    /// Appends the value as JSON.
    pub(crate) fn json(&self, text: &mut String) {
        match self {
            Self::Null => text.push_str("null"),
            Self::Plain(value) => text.push_str(value),
            Self::Text(value) => quote(value, text),
            Self::List(items) => {
                text.push('[');
                for (index, item) in items.iter().enumerate() {
                    text.push_str(if index > 0 { "," } else { "" });
                    item.json(text);
                }
                text.push(']');
            }
            Self::Fields(fields) => object(fields.iter().map(|(name, value)| (name.as_str(), value)), text),
        }
    }
}

/// Appends names and values as a JSON object.
pub(crate) fn object<'a>(fields: impl Iterator<Item = (&'a str, &'a Cell)>, text: &mut String) {
    text.push('{');
    for (index, (name, value)) in fields.enumerate() {
        text.push_str(if index > 0 { "," } else { "" });
        quote(name, text);
        text.push(':');
        value.json(text);
    }
    text.push('}');
}

/// Appends a text as JSON has it.
fn quote(value: &str, text: &mut String) {
    let _ = write!(text, "{}", serde_json::Value::from(value));
}

/// On one line, with `NULL` for NULL; characters that cannot be seen are escaped.
impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("NULL"),
            Self::Plain(value) => f.write_str(value),
            Self::Text(value) => f.write_str(&escaped(value)),
            Self::List(items) => {
                let items: Vec<String> = items.iter().map(ToString::to_string).collect();
                write!(f, "[{}]", items.join(", "))
            }
            Self::Fields(fields) => {
                let fields: Vec<String> =
                    fields.iter().map(|(name, value)| format!("{}: {value}", escaped(name))).collect();
                write!(f, "{{{}}}", fields.join(", "))
            }
        }
    }
}

/// Times, decimals, bytes and so on, as Arrow displays them; moments with a time zone in UTC.
fn displayed(array: &dyn Array, row: usize) -> String {
    let shown = || -> Result<String, ArrowError> {
        let options = FormatOptions::default();
        // The formatter knows no time zone by name. The numbers are in UTC for every zone.
        if let DataType::Timestamp(unit, Some(_)) = array.data_type() {
            let data = array.slice(row, 1).to_data().into_builder();
            let moment = make_array(data.data_type(DataType::Timestamp(*unit, None)).build()?);
            return Ok(ArrayFormatter::try_new(&moment, &options)?.value(0).try_to_string()? + "Z");
        }
        ArrayFormatter::try_new(array, &options)?.value(row).try_to_string()
    };
    shown().unwrap_or_else(|error| format!("({error})"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::types::{Int32Type, Int64Type};
    use arrow_array::{
        ArrayRef, BinaryArray, Decimal128Array, DictionaryArray, Float32Array, Float64Array, Int64Array,
        ListArray, StringArray, StructArray, TimestampMicrosecondArray, UInt64Array,
    };

    use super::*;

    /// The text and the JSON of all values.
    fn said(array: impl Array) -> Vec<(String, String)> {
        let both = |row| {
            let (cell, mut json) = (Cell::of(&array, row), String::new());
            cell.json(&mut json);
            (cell.to_string(), json)
        };
        (0..array.len()).map(both).collect()
    }

    fn pairs<const N: usize>(pairs: [(&str, &str); N]) -> Vec<(String, String)> {
        pairs.map(|(text, json)| (text.to_owned(), json.to_owned())).into()
    }

    #[test]
    fn numbers_are_exact_and_short() {
        let singles =
            Float32Array::from(vec![Some(0.1), None, Some(f32::NAN), Some(-f32::INFINITY), Some(1e20)]);
        let expected = [
            ("0.1", "0.1"),
            ("NULL", "null"),
            ("NaN", "\"NaN\""),
            ("-Infinity", "\"-Infinity\""),
            ("1e20", "1e20"),
        ];
        assert_eq!(said(singles), pairs(expected));
        let doubles = Float64Array::from(vec![f64::from(0.1_f32), 0.1 + 0.2, -0.0, 5e-324]);
        let texts = ["0.10000000149011612", "0.30000000000000004", "-0.0", "5e-324"];
        assert_eq!(said(doubles), pairs(texts.map(|text| (text, text))));
        let texts = ["-9223372036854775808", "9007199254740993"];
        let integers = Int64Array::from(vec![i64::MIN, 9_007_199_254_740_993]);
        assert_eq!(said(integers), pairs(texts.map(|text| (text, text))));
        assert_eq!(said(UInt64Array::from(vec![u64::MAX]))[0].1, "18446744073709551615");
        let decimals = Decimal128Array::from(vec![-12_345]).with_precision_and_scale(12, 3).unwrap();
        assert_eq!(said(decimals), pairs([("-12.345", "\"-12.345\"")]));
    }

    #[test]
    fn texts_are_on_one_line_and_harmless() {
        let texts = StringArray::from(vec![Some("a\n\u{1b}[2J\"ü"), Some(""), None, Some("a\u{202e}b\\n")]);
        let expected = [
            ("a\\n\\u{1b}[2J\"ü", "\"a\\n\\u001b[2J\\\"ü\""),
            ("", "\"\""),
            ("NULL", "null"),
            ("a\\u{202e}b\\n", "\"a\u{202e}b\\\\n\""),
        ];
        assert_eq!(said(texts), pairs(expected));
        assert_eq!(said(BinaryArray::from(vec![&b"\x00\xff"[..]])), pairs([("00ff", "\"00ff\"")]));
    }

    #[test]
    fn moments_are_in_utc_whatever_the_zone() {
        for (zone, said_so) in
            [(None, "2026-03-02T06:15:00.000001"), (Some("UTC"), "2026-03-02T06:15:00.000001Z")]
        {
            let moments =
                TimestampMicrosecondArray::from(vec![0, 1_772_432_100_000_001]).with_timezone_opt(zone);
            assert_eq!(said(moments)[1].0, said_so);
        }
    }

    #[test]
    fn nested_values_have_their_parts() {
        let lists = ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1), None]), None]);
        assert_eq!(said(lists), pairs([("[1, NULL]", "[1,null]"), ("NULL", "null")]));
        let words = DictionaryArray::<Int32Type>::from_iter([Some("b"), None, Some("a"), Some("b")]);
        assert_eq!(
            said(words.clone()),
            pairs([("b", "\"b\""), ("NULL", "null"), ("a", "\"a\""), ("b", "\"b\"")])
        );
        let field = arrow_schema::Field::new("w\"", words.data_type().clone(), true);
        let structs = StructArray::from(vec![(Arc::new(field), Arc::new(words) as ArrayRef)]);
        assert_eq!(said(structs)[2], ("{w\": a}".to_owned(), "{\"w\\\"\":\"a\"}".to_owned()));
    }
}

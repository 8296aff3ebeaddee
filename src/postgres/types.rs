//! Which Postgres type becomes what: the defaults, and what `types:` may ask for instead.
//!
//! Not a place for how a value is decoded: see [`super::decode`].

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What becomes of an infinite date or timestamp, which Parquet cannot hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Infinity {
    /// The export fails. The error message names the row and the column.
    #[default]
    Error,
    /// The value becomes NULL.
    Null,
}

/// How the fields of a column are decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is named after the Postgres type whose binary form it reads")]
pub enum Codec {
    Bool,
    Int2,
    Int4,
    Int8,
    /// `oid`, `xid`, `cid`: 32 bits, unsigned.
    Oid,
    Float4,
    Float8,
    /// To the nearest double.
    Numeric,
    /// `numeric`, exactly.
    Decimal {
        precision: u8,
        scale: u8,
    },
    /// All that is sent as it is written.
    Text,
    Jsonb,
    UuidText,
    /// As 16 bytes.
    Uuid,
    Bytea,
    Date(Infinity),
    Timestamp(Infinity),
    Timestamptz(Infinity),
    Time,
    List(Box<Codec>),
}

/// The codec of a type, by its object id; `None`: the server casts it to text.
///
/// The ids are fixed in `pg_type.dat` of Postgres' sources.
pub(super) fn codec(type_oid: u32, infinity: Infinity) -> Option<Codec> {
    Some(match type_oid {
        16 => Codec::Bool,
        17 => Codec::Bytea,
        20 => Codec::Int8,
        21 => Codec::Int2,
        23 => Codec::Int4,
        26 | 28 | 29 => Codec::Oid,
        // name, text, json, char(n), varchar.
        19 | 25 | 114 | 1042 | 1043 => Codec::Text,
        700 => Codec::Float4,
        701 => Codec::Float8,
        1082 => Codec::Date(infinity),
        1083 => Codec::Time,
        1114 => Codec::Timestamp(infinity),
        1184 => Codec::Timestamptz(infinity),
        1700 => Codec::Numeric,
        2950 => Codec::UuidText,
        3802 => Codec::Jsonb,
        _ => return None,
    })
}

/// `"char"` and `xml`: text by their nature, which is not how they are sent.
const CHAR: u32 = 18;
const XML: u32 = 142;

/// A type that `types:` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the Arrow type of that name")]
pub enum Wanted {
    Text,
    Bool,
    Int16,
    Int32,
    Int64,
    Float32,
    Float64,
    Decimal { precision: u8, scale: u8 },
    Uuid,
    Date,
    Timestamp,
    TimestampUtc,
    Time,
}

const WANTED: [(&str, Wanted); 13] = [
    ("text", Wanted::Text),
    ("string", Wanted::Text),
    ("bool", Wanted::Bool),
    ("int16", Wanted::Int16),
    ("int32", Wanted::Int32),
    ("int64", Wanted::Int64),
    ("float32", Wanted::Float32),
    ("float64", Wanted::Float64),
    ("uuid", Wanted::Uuid),
    ("date", Wanted::Date),
    ("timestamp", Wanted::Timestamp),
    ("timestamp_utc", Wanted::TimestampUtc),
    ("time", Wanted::Time),
];

/// What 128 bits hold.
const MOST_DIGITS: u8 = 38;

impl FromStr for Wanted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some((_, wanted)) = WANTED.iter().find(|(name, _)| *name == text.trim()) {
            return Ok(*wanted);
        }
        let names: Vec<&str> = WANTED.iter().map(|(name, _)| *name).collect();
        decimal(text).ok_or_else(|| {
            format!(
                "`{text}` is not a type: use decimal(p, s) with 1 <= p <= {MOST_DIGITS} and 0 <= s <= p, or one of {}",
                names.join(", ")
            )
        })
    }
}

fn decimal(text: &str) -> Option<Wanted> {
    let inner = text.trim().strip_prefix("decimal")?.trim().strip_prefix('(')?.strip_suffix(')')?;
    let (precision, scale) = inner.split_once(',').unwrap_or((inner, "0"));
    let (precision, scale) = (precision.trim().parse().ok()?, scale.trim().parse().ok()?);
    ((1..=MOST_DIGITS).contains(&precision) && scale <= precision)
        .then_some(Wanted::Decimal { precision, scale })
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decimal { precision, scale } => write!(f, "decimal({precision}, {scale})"),
            other => {
                f.write_str(WANTED.iter().find(|(_, wanted)| wanted == other).map_or("", |(name, _)| name))
            }
        }
    }
}

/// How a column is asked of the server, and decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mapping {
    pub codec: Codec,
    /// The type that the server casts it to before it sends it.
    pub cast: Option<&'static str>,
}

impl Mapping {
    /// What a type becomes by default. `element`: the type of an array's elements.
    pub(super) fn usual(type_oid: u32, element: Option<u32>, infinity: Infinity) -> Self {
        let list = |codec| Codec::List(Box::new(codec));
        let elements = || element.and_then(|oid| codec(oid, infinity)).map(list);
        match codec(type_oid, infinity).or_else(elements) {
            Some(codec) => Self { codec, cast: None },
            None if element.is_some_and(|oid| [CHAR, XML].contains(&oid)) => {
                Self { codec: list(Codec::Text), cast: Some("text[]") }
            }
            None => Self { codec: Codec::Text, cast: Some("text") },
        }
    }

    /// What it becomes when `types:` asks for it; `None` where values could be changed on the way. The server casts where
    /// that is exact or fails.
    pub(super) fn wanted(&self, wanted: Wanted, infinity: Infinity) -> Option<Self> {
        use Codec as C;
        use Wanted as W;
        let decimal = |precision, scale| C::Decimal { precision, scale };
        let text = matches!(self.codec, C::Text) && self.cast.is_none();
        let (codec, cast) = match (&self.codec, wanted) {
            (C::Numeric, W::Decimal { precision, scale }) => {
                return Some(Self { codec: decimal(precision, scale), cast: None });
            }
            (C::Int2 | C::Int4 | C::Int8 | C::Oid, W::Decimal { precision, scale }) => (
                decimal(precision, scale),
                if self.codec == C::Oid { "int8::pg_catalog.numeric" } else { "numeric" },
            ),
            (_, W::Decimal { precision, scale }) if text => (decimal(precision, scale), "numeric"),
            (C::Text | C::UuidText | C::Jsonb, W::Text)
            | (C::Numeric | C::Float8, W::Float64)
            | (C::Float4, W::Float32)
            | (C::Int2, W::Int16)
            | (C::Int4, W::Int32)
            | (C::Int8, W::Int64)
            | (C::Bool, W::Bool)
            | (C::Date(_), W::Date)
            | (C::Timestamp(_), W::Timestamp)
            | (C::Timestamptz(_), W::TimestampUtc)
            | (C::Time, W::Time) => return Some(self.clone()),
            (_, W::Text) => (C::Text, "text"),
            (C::UuidText, W::Uuid) => return Some(Self { codec: C::Uuid, cast: None }),
            (C::Int2, W::Int32) => (C::Int4, "int4"),
            (C::Int2 | C::Int4 | C::Oid, W::Int64) => (C::Int8, "int8"),
            (C::Int2 | C::Int4 | C::Float4, W::Float64) => (C::Float8, "float8"),
            (C::Int2, W::Float32) => (C::Float4, "float4"),
            _ if !text => return None,
            (_, W::Bool) => (C::Bool, "bool"),
            (_, W::Int16) => (C::Int2, "int2"),
            (_, W::Int32) => (C::Int4, "int4"),
            (_, W::Int64) => (C::Int8, "int8"),
            (_, W::Float32) => (C::Float4, "float4"),
            (_, W::Float64) => (C::Float8, "float8"),
            (_, W::Uuid) => (C::Uuid, "uuid"),
            (_, W::Date) => (C::Date(infinity), "date"),
            (_, W::Timestamp) => (C::Timestamp(infinity), "timestamp"),
            (_, W::TimestampUtc) => (C::Timestamptz(infinity), "timestamptz"),
            (_, W::Time) => (C::Time, "time"),
            (_, W::Decimal { .. }) => return None,
        };
        Some(Self { codec, cast: Some(cast) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wanted_types_are_read() {
        for (text, expected) in [
            ("decimal(12, 6)", Wanted::Decimal { precision: 12, scale: 6 }),
            ("decimal( 5 )", Wanted::Decimal { precision: 5, scale: 0 }),
            ("text", Wanted::Text),
            (" uuid ", Wanted::Uuid),
        ] {
            assert_eq!(text.parse::<Wanted>().unwrap(), expected);
        }
        for text in [
            "",
            "decimal",
            "decimal()",
            "decimal(39)",
            "decimal(3, 4)",
            "decimal(0)",
            "decimal(3",
            "int",
            "Text",
        ] {
            assert!(text.parse::<Wanted>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_conversion_that_could_change_a_value_is_refused() {
        let usual = |oid| Mapping::usual(oid, None, Infinity::Error);
        for (oid, wanted) in [
            (20, Wanted::Float64),
            (701, Wanted::Float32),
            (1700, Wanted::Int64),
            (23, Wanted::Int16),
            (1114, Wanted::Date),
            (869, Wanted::Int64),
        ] {
            assert_eq!(usual(oid).wanted(wanted, Infinity::Error), None, "{oid} {wanted}");
        }
    }
}

//! Names of tables and columns, in quotes.

use std::fmt;
use std::str::FromStr;

use super::SqlError;

/// A name as the server reads it, with any characters in it.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as the server reads it. Needs `standard_conforming_strings`, which has been on since 9.1.
pub(in crate::postgres) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The name of a table, written in quotes: `"schema"."name"` or `"name"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableName(Vec<String>);

impl FromStr for TableName {
    type Err = SqlError;

    /// Reads `name`, `schema.name` or `database.schema.name`; a part in double quotes may hold dots. Without quotes too,
    /// capital letters stay.
    fn from_str(text: &str) -> Result<Self, SqlError> {
        let wrong = || SqlError::TableName(text.to_owned());
        let mut parts = Vec::new();
        let mut rest = text.trim();
        loop {
            let (part, tail) = match rest.strip_prefix('"') {
                None => rest.split_at(rest.find('.').unwrap_or(rest.len())),
                Some(inner) => {
                    let close = closing_quote(inner).ok_or_else(wrong)?;
                    (&inner[..close], &inner[close + 1..])
                }
            };
            if part.is_empty() || (!rest.starts_with('"') && part.contains('"')) {
                return Err(wrong());
            }
            parts.push(part.replace("\"\"", "\""));
            match tail.strip_prefix('.') {
                Some(more) => rest = more,
                None if tail.is_empty() && parts.len() <= 3 => return Ok(Self(parts)),
                None => return Err(wrong()),
            }
        }
    }
}

/// Where a name in double quotes ends, in the text after the first of them; a doubled quote is a part of the name.
pub(super) fn closing_quote(text: &str) -> Option<usize> {
    let mut bytes = text.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        if byte == b'"' {
            if text.as_bytes().get(at + 1) != Some(&b'"') {
                return Some(at);
            }
            bytes.next();
        }
    }
    None
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = self.0.iter().map(|part| quoted(part)).collect();
        f.write_str(&parts.join("."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted() {
        for (text, expected) in [
            ("obs_sbn", "\"obs_sbn\""),
            ("public.Obs", "\"public\".\"Obs\""),
            ("\"a.b\".\"c\"\"d\"", "\"a.b\".\"c\"\"d\""),
            ("s.\"t\"", "\"s\".\"t\""),
            ("a b", "\"a b\""),
        ] {
            assert_eq!(text.parse::<TableName>().unwrap().to_string(), expected);
        }
        for text in ["", ".", "a.", ".a", "\"a", "\"a\"b", "a\"b", "a.b.c.d", "\"\""] {
            assert!(text.parse::<TableName>().is_err(), "{text}");
        }
    }
}

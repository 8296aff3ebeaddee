//! A dataset: what it is, which collection made it, and what the datastores recorded of it.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The identity of a dataset (a UUID).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, Serialize)]
pub struct DatasetId(u128);

impl DatasetId {
    /// From 32 hexadecimal digits, with or without dashes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits: String = text.chars().filter(|c| *c != '-').collect();
        let valid = digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_hexdigit());
        valid.then(|| u128::from_str_radix(&digits, 16).ok().map(Self)).flatten()
    }
}

impl fmt::Display for DatasetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = format!("{:032x}", self.0);
        write!(f, "{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }
}

/// The value of a dimension.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, Serialize)]
pub enum DataValue {
    /// Such as a visit.
    Integer(i64),
    /// Such as an instrument.
    Text(String),
}

impl fmt::Display for DataValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(number) => write!(f, "{number}"),
            Self::Text(text) => write!(f, "'{text}'"),
        }
    }
}

/// The data ID of a dataset. Data IDs are ordered by the values of their dimensions.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, Serialize)]
pub struct DataId {
    /// The required dimensions with their values, the instrument first.
    pub values: Vec<(Arc<str>, DataValue)>,
    /// The night, if the dimensions imply one.
    pub day_obs: Option<i64>,
    /// The band, if the dimensions imply one.
    pub band: Option<String>,
    /// The physical filter, if the dimensions imply one.
    pub physical_filter: Option<String>,
}

impl fmt::Display for DataId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values: Vec<String> =
            self.values.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        write!(f, "{{{}}}", values.join(", "))
    }
}

/// What a datastore recorded of a dataset.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Record {
    /// Which of the repository's file datastores.
    pub datastore: usize,
    /// The path as it was recorded: relative to the datastore's root, or a URI.
    pub path: String,
    /// The Python class that wrote the file.
    pub formatter: String,
    /// The size of the file, if it is known.
    pub size: Option<u64>,
}

/// A dataset of a repository.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Dataset {
    /// Its identity.
    pub id: DatasetId,
    /// Its data ID.
    pub data_id: DataId,
    /// The RUN collection that it was made in.
    pub run: String,
    /// What the datastores recorded, in the order in which they are searched; nothing if it is not stored.
    pub records: Vec<Record>,
}

impl fmt::Display for Dataset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of run `{}` ({})", self.data_id, self.run, self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_with_and_without_dashes() {
        let id = DatasetId::parse("663ee1459d5251508fef6cb29845e62d").unwrap();
        assert_eq!(id.to_string(), "663ee145-9d52-5150-8fef-6cb29845e62d");
        assert_eq!(DatasetId::parse(&id.to_string()), Some(id));
        for wrong in ["", "663ee1459d5251508fef6cb29845e62", "+63ee1459d5251508fef6cb29845e62d"] {
            assert_eq!(DatasetId::parse(wrong), None);
        }
    }
}

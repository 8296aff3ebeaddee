//! Slices of a table: ranges of its rows that several processes make, each for itself.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One of the slices of a table. They follow each other in the order of the table, and together have each of its rows once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Slice {
    /// Its place among them, from 0.
    pub number: u32,
    /// How many there are.
    pub of: u32,
}

impl Slice {
    /// The only slice of a table that is made in one piece.
    pub const WHOLE: Self = Self { number: 0, of: 1 };

    /// Whether there is such a slice.
    #[must_use]
    pub fn exists(self) -> bool {
        self.number < self.of
    }
}

impl fmt::Display for Slice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "slice {} (of {}, numbered from 0)", self.number, self.of)
    }
}

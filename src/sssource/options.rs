//! How the table is built.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::science::ephemeris::observer::Site;
use crate::tables::Slice;

/// Which observations are used, and how well they must agree with their DiaSource.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// MPC code of the observatory.
    pub station: String,
    /// The processings whose observations are used, by the label in `obssubid`; empty for all. Bare ids are always used.
    pub processing: Vec<String>,
    /// Maximum separation of an observation from its DiaSource \[mas\].
    pub max_sep_mas: f64,
    /// Maximum difference of their times \[ms\].
    pub max_dt_ms: f64,
    /// Maximum share of observations without a DiaSource that agrees, 0 to 1.
    pub max_unmatched: f64,
    /// Whether all rows and the columns of block 2, 3 and 4 are wanted, with error ellipses.
    pub wide: bool,
    /// Where the observatory is.
    pub site: Site,
    /// What the rows of a wide table were measured on, where `dia_sources` does not say it; `None` is difference images.
    pub measured_on: Option<MeasuredOn>,
    /// `processing` of a wide table, where `dia_sources` does not have it.
    pub processing_label: Option<String>,
    /// `processingTable` of a wide table, where `dia_sources` does not have it.
    pub processing_table: Option<String>,
    /// About how many rows a part of the output has; `None` for one file.
    pub part_rows: Option<u64>,
    /// The file to which the rows that were not matched are written.
    pub report: Option<PathBuf>,
    /// The rows that are made.
    pub slice: Slice,
    /// About how much memory rows may take \[bytes\]; more of them go through files.
    pub memory_bytes: u64,
}

/// The columns of the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// 39 columns, and one row for each detection.
    #[default]
    Narrow,
    /// 183 columns, which include the observation, the measurements and error ellipses, and one row for each
    /// observation.
    Wide,
}

/// The image on which a source was measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MeasuredOn {
    /// The difference image.
    #[default]
    Difference,
    /// The science image.
    Science,
}

impl MeasuredOn {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Difference, Self::Science];

    /// The value of column `measuredOn`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Difference => "difference",
            Self::Science => "science",
        }
    }
}

/// MPC code of the Rubin Observatory.
pub const DEFAULT_STATION: &str = "X05";
/// 11 % of the observations of 2025 have 6 decimals, which is 1.8 mas of rounding for each axis.
pub const DEFAULT_MAX_SEP_MAS: f64 = 5.0;
/// Far above the rounding of either time, and far below the time between two exposures.
pub const DEFAULT_MAX_DT_MS: f64 = 10.0;
/// A share above this means that the two inputs are not of the same processing.
pub const DEFAULT_MAX_UNMATCHED: f64 = 0.01;

impl Default for Options {
    fn default() -> Self {
        const MEMORY_BYTES: u64 = 4 << 30;
        Self {
            station: DEFAULT_STATION.to_owned(),
            processing: Vec::new(),
            max_sep_mas: DEFAULT_MAX_SEP_MAS,
            max_dt_ms: DEFAULT_MAX_DT_MS,
            max_unmatched: DEFAULT_MAX_UNMATCHED,
            wide: false,
            site: Site::X05,
            measured_on: None,
            processing_label: None,
            processing_table: None,
            part_rows: None,
            report: None,
            slice: Slice::WHOLE,
            memory_bytes: MEMORY_BYTES,
        }
    }
}

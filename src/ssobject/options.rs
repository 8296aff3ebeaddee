//! How the table is built.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::science::orbit::earth;
use crate::science::orbit::elements::Elements;
use crate::science::photometry::fit::Options as FitOptions;

/// The orbit of the Earth for the MOID.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Earth {
    /// The mean orbit of the Earth and the slow changes of this orbit, for any epoch.
    Secular,
    /// The momentary orbit of the Earth at the epoch of the object's orbit. This orbit comes from JPL's ephemeris
    /// DE440, for epochs in the years 2000 to 2050.
    #[default]
    Osculating,
}

impl Earth {
    pub(super) fn elements(self, epoch_mjd_tdb: f64) -> Option<Elements> {
        match self {
            Self::Secular => Some(earth::secular(epoch_mjd_tdb)),
            Self::Osculating => earth::osculating(epoch_mjd_tdb),
        }
    }
}

/// How the table is built.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// How H and G12 are fitted.
    pub fit: FitOptions,
    /// The orbit of the Earth.
    pub earth: Earth,
    /// Whether rows of SSSource whose DiaSource is not there are left out; else they are an error.
    pub drop_missing: bool,
    /// About how much memory rows may take \[bytes\]; more of them go through files.
    pub memory_bytes: u64,
}

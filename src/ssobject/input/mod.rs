//! The inputs: files to columns to rows, joined and grouped by object.
//!
//! Units change here: degrees to radians, fluxes to magnitudes. Not a place for what is computed from the rows.

mod columns;
mod detection;
mod dia_source;
mod files;
mod join;
mod objects;
mod orbits;
mod spool;
mod sssource;

pub use detection::{BANDS, Detection, NEEDS, Real};
pub use dia_source::{Measurement, measurements};
pub use files::{Batch, Files, Part};
pub use join::{Wrong, join, more_than_once};
pub use objects::{Object, Objects};
pub use orbits::{Orbit, read_orbits};
pub use spool::{Spool, by_hash};
pub use sssource::{Sighting, check_wide, detections, objects, precision_is_single, sightings};

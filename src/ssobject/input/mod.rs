//! The inputs: files to columns to rows, joined and grouped by object.
//!
//! Units change here: degrees to radians, fluxes to magnitudes. Not a place for what is computed from the rows.

mod detection;
mod dia_source;
mod join;
mod objects;
mod orbits;
mod sssource;

pub(crate) use detection::BANDS;
pub(super) use detection::{Detection, NEEDS, Real};
pub(super) use dia_source::{Measurement, measurements};
pub(super) use join::join;
pub(super) use objects::{Object, Objects};
pub(super) use orbits::{Orbit, read_orbits};
pub(super) use sssource::{Sighting, check_wide, detections, objects, precision_is_single, sightings};

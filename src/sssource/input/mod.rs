//! The inputs: files to columns to rows. Not a place for what is made of them.

mod dia_sources;
mod identifications;
mod obs_sbn;
mod orbits;
mod texts;

pub(super) use dia_sources::{ByObsid, Dia, OBSID as DIA_OBSID, dia_rows, dia_rows_by_obsid};
pub(super) use identifications::{CURRENT, NUMBERED, primaries};
pub(super) use obs_sbn::{Kind, NO_NAME, Name, Names, Obs, Observations, observations, text_of};
pub use orbits::Orbit;
pub(super) use orbits::read_orbits;

//! The SSObject table: one row per object, from its detections and its orbit.
//!
//! ```text
//! input: SSSource + DiaSource, joined and grouped -> photometry (six bands) -+
//!        mpc_orbits, by designation              -> orbit (MOID, Tisserand) -+-> output: 80 columns
//! ```
//!
//! [`table::build`] is the whole of it. Not a place for formulas (see `science`), nor for the file that is made (see
//! `stages`).

mod emit;
mod error;
mod figures;
mod input;
pub mod options;
mod orbit;
mod output;
mod photometry;
pub(crate) mod table;

pub use crate::science::photometry::fit;
pub use error::Error;
pub use figures::Figures;
pub(crate) use input::BANDS;
pub use output::SCHEMA;

//! The science: pure functions of `f64`, in au, days and radians.
//!
//! Not a place for Arrow, files, clocks, logs or threads. A crate of its own: so it uses nothing of the rest, and tests run it
//! optimized.

#[cfg(test)]
#[path = "../../tests/support/cases.rs"]
mod cases;

pub mod ephemeris;
pub mod orbit;
pub mod photometry;
pub mod vector;

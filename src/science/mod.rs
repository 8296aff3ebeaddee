//! The science: pure functions of `f64`, in au, days and radians.
//!
//! Not a place for Arrow, files, clocks, logs or threads.

pub mod ephemeris;
pub mod orbit;
pub mod photometry;

//! Photometry of asteroids: the H, G12 phase function ([`hg12`]) and its fit to one band of one object ([`Fitter`]).
//!
//! Not a place for fluxes, bands or tables.

pub mod fit;
mod fitter;
pub mod hg12;
mod loss;
mod minimum;
mod points;
pub mod settings;
mod spline;

pub use fitter::Fitter;

/// AB magnitude of 1 nJy.
pub const MAG_OF_NJY: f64 = 31.4;

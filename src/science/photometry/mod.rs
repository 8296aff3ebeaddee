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

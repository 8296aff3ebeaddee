//! Orbits about the Sun: elements, the Earth's, the Tisserand parameter and the MOID.
//!
//! Not a place for perturbations: an orbit is a conic.

mod conic;
pub mod earth;
pub mod elements;
pub mod moid;
pub mod tisserand;

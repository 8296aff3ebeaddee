//! The orbit of an object against the Earth's and Jupiter's.

use super::input::Orbit;
use crate::science::orbit::elements::Elements;
use crate::science::orbit::moid::{Ellipse, Moid, moid};
use crate::science::orbit::tisserand::tisserand_jupiter;

/// What an orbit gives; `None` is unknown.
#[derive(Clone, Copy, Debug, Default)]
pub struct OrbitColumns {
    /// Whether there is an orbit.
    pub found: bool,
    /// Whether it has all its elements.
    pub known: bool,
    /// The MOID with the Earth.
    pub moid: Option<Moid>,
    /// The Tisserand parameter with respect to Jupiter.
    pub tisserand: Option<f64>,
}

impl OrbitColumns {
    /// Of an orbit, with the orbit of the Earth at an epoch \[MJD TDB\].
    pub fn of(orbit: Option<&Orbit>, earth: impl Fn(f64) -> Option<Elements>) -> Self {
        let Some(known) = orbit.filter(|orbit| orbit.elements.is_orbit()) else {
            return Self { found: orbit.is_some(), ..Self::default() };
        };
        let epoch = Some(known.epoch_mjd_tdb).filter(|epoch| epoch.is_finite());
        let ellipse = epoch.and_then(earth).and_then(Ellipse::new);
        Self {
            found: true,
            known: true,
            moid: ellipse.and_then(|ellipse| moid(&ellipse, &known.elements)),
            tisserand: Some(tisserand_jupiter(&known.elements)),
        }
    }
}

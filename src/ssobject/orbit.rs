//! The orbit of an object against the Earth's and Jupiter's.

use super::input::Orbit;
use super::options::Earth;
use crate::science::orbit::moid::{Ellipse, Moid, moid};
use crate::science::orbit::tisserand::tisserand_jupiter;

/// The orbit of the Earth at the epoch for which it was asked last: most orbits have the same.
pub(super) struct EarthOrbit {
    earth: Earth,
    epoch_mjd_tdb: f64,
    ellipse: Option<Ellipse>,
}

impl EarthOrbit {
    pub(super) fn new(earth: Earth) -> Self {
        Self { earth, epoch_mjd_tdb: f64::NAN, ellipse: None }
    }

    fn at(&mut self, epoch_mjd_tdb: f64) -> Option<Ellipse> {
        if self.epoch_mjd_tdb != epoch_mjd_tdb {
            self.ellipse = self.earth.elements(epoch_mjd_tdb).and_then(Ellipse::new);
            self.epoch_mjd_tdb = epoch_mjd_tdb;
        }
        self.ellipse
    }
}

/// What an orbit gives; `None` is unknown.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct OrbitColumns {
    /// Whether there is an orbit.
    pub found: bool,
    /// Whether it has all its elements.
    pub known: bool,
    pub moid: Option<Moid>,
    pub tisserand: Option<f64>,
}

impl OrbitColumns {
    /// Of an orbit, with the orbit of the Earth at its epoch.
    pub(super) fn of(orbit: Option<&Orbit>, earth: &mut EarthOrbit) -> Self {
        let Some(known) = orbit.filter(|orbit| orbit.elements.is_orbit()) else {
            return Self { found: orbit.is_some(), ..Self::default() };
        };
        let epoch = Some(known.epoch_mjd_tdb).filter(|epoch| epoch.is_finite());
        let ellipse = epoch.and_then(|epoch| earth.at(epoch));
        Self {
            found: true,
            known: true,
            moid: ellipse.and_then(|ellipse| moid(&ellipse, &known.elements)),
            tisserand: Some(tisserand_jupiter(&known.elements)),
        }
    }
}

//! The path of an object: polynomials, one after the other.

use super::bodies::{self, PLUTO};
use super::quadrature::evaluate;
use crate::vector::{Vector, scale};

/// A part of a path.
#[derive(Clone, Debug)]
pub(super) struct Leg {
    /// When it starts \[MJD TDB\], and how long it lasts \[d\]; negative for one that was computed backwards.
    pub start: f64,
    pub length: f64,
    /// Legendre coefficients of the barycentric position \[au\].
    pub coefficients: Vec<Vector>,
}

impl Leg {
    pub(super) fn earliest(&self) -> f64 {
        self.start.min(self.start + self.length)
    }

    fn state(&self, mjd_tdb: f64) -> [Vector; 2] {
        let [position, slope] =
            evaluate(&self.coefficients, 2.0 * (mjd_tdb - self.start) / self.length - 1.0);
        [position, scale(2.0 / self.length, slope)]
    }
}

/// Where an object is, over the time that was asked for.
#[derive(Clone, Debug, Default)]
pub struct Path {
    /// In order of time.
    pub(super) legs: Vec<Leg>,
    /// The object is Pluto, whose path the ephemeris has.
    pub(super) is_pluto: bool,
    pub(super) pieces: u64,
    pub(super) days: f64,
    pub(super) shortest_day: f64,
    pub(super) nearest_planet: f64,
    pub(super) failed: bool,
}

impl Path {
    /// A path that has no part yet.
    pub(super) fn new() -> Self {
        Self { shortest_day: f64::INFINITY, nearest_planet: f64::INFINITY, ..Self::default() }
    }

    /// Barycentric position \[au\] and velocity \[au/d\] in the ICRF; `None` outside the time that was asked for.
    #[must_use]
    pub fn state(&self, mjd_tdb: f64) -> Option<[Vector; 2]> {
        if self.is_pluto {
            let [position, velocity, _] = bodies::state(PLUTO, mjd_tdb)?;
            return Some([position, velocity]);
        }
        let after = self.legs.partition_point(|leg| leg.earliest() <= mjd_tdb);
        let leg = self.legs.get(after.checked_sub(1)?)?;
        (mjd_tdb <= leg.earliest() + leg.length.abs()).then(|| leg.state(mjd_tdb))
    }

    /// Whether the integration ended before the time that was asked for.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.failed
    }

    /// The number of pieces that were integrated, and their days.
    #[must_use]
    pub fn work(&self) -> (u64, f64) {
        (self.pieces, self.days)
    }

    /// The shortest distance from a planet on the way from the epoch, over 0.1 au (1.5 au for Jupiter): below 1, the object
    /// was near one. Accuracy: 1 %, as distances are those at the nodes of the integration.
    #[must_use]
    pub fn nearest_planet(&self) -> f64 {
        self.nearest_planet
    }

    /// The shortest piece \[d\], beside the one from the epoch to the grid; infinite if there is none.
    #[must_use]
    pub fn shortest_day(&self) -> f64 {
        self.shortest_day
    }
}

//! From orbital elements to the start of an integration.

use super::bodies::{self, SPAN_MJD_TDB, SUN};
use super::forces::{LIGHT_AU_DAY, NonGravitational};
use super::integrator::Task;
use super::time::tdb_of_tt;
use super::two_body::Attraction;
use crate::orbit::elements::Elements;
use crate::vector::{Vector, about_x, add, norm, scale};

/// Gauss's constant: the square root of the Sun's GM that orbital elements refer to \[au^1.5/d\].
const GAUSS: f64 = 0.017_202_098_95;
const SUN_OF_ELEMENTS: Attraction = Attraction::new(GAUSS * GAUSS, GAUSS);
/// Obliquity of the ecliptic at J2000 \[rad\]: 84381.448 arc seconds (IAU 1976), as JPL and the MPC use it for orbits.
const OBLIQUITY_RAD: f64 = 84_381.448 / 3600.0 * std::f64::consts::PI / 180.0;

/// The perihelion distance below which an orbit is not followed \[au\]: the Sun's radius is 0.00465.
const LEAST_Q_AU: f64 = 0.005;

/// An orbit at its epoch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Orbit {
    /// Heliocentric, in the ecliptic of J2000.
    pub elements: Elements,
    /// The time of perihelion \[MJD TT\].
    pub perihelion_mjd_tt: f64,
    /// The epoch of the elements \[MJD TT\].
    pub epoch_mjd_tt: f64,
    /// The force beside gravity.
    pub force: Option<NonGravitational>,
}

/// Why an orbit has no positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unusable {
    /// An element is missing or not a finite number.
    NotFinite,
    /// The perihelion distance is not positive, or the eccentricity negative.
    NoOrbit,
    /// The perihelion is inside the Sun.
    InsideSun,
    /// The epoch is outside the ephemerides.
    Epoch,
}

/// From ecliptic to equatorial axes.
pub(crate) fn to_equator(vector: Vector) -> Vector {
    about_x(-OBLIQUITY_RAD, vector)
}

/// From equatorial to ecliptic axes.
#[must_use]
pub fn to_ecliptic(vector: Vector) -> Vector {
    about_x(OBLIQUITY_RAD, vector)
}

impl Orbit {
    /// Heliocentric position \[au\] and velocity \[au/d\] a time after the epoch, by two-body motion; equatorial.
    fn heliocentric(&self, days_after_epoch: f64) -> Option<[Vector; 2]> {
        let Elements { q_au: q, e, .. } = self.elements;
        let [to_perihelion, ahead, _] = self.elements.axes();
        let at_perihelion = [scale(q, to_perihelion), scale(GAUSS * ((1.0 + e) / q).sqrt(), ahead)];
        let time = self.epoch_mjd_tt - self.perihelion_mjd_tt + days_after_epoch;
        Some(SUN_OF_ELEMENTS.propagate(at_perihelion, (1.0 - e) / q, time)?.map(to_equator))
    }

    /// The integration that gives the positions between two times at which light arrives \[MJD TDB\].
    ///
    /// # Errors
    /// [`Unusable`], if the orbit has no positions.
    pub fn task(&self, [first, last]: [f64; 2]) -> Result<Task, Unusable> {
        let Elements { q_au, e, inclination_rad, node_rad, argperi_rad } = self.elements;
        let numbers =
            [q_au, e, inclination_rad, node_rad, argperi_rad, self.perihelion_mjd_tt, self.epoch_mjd_tt];
        if !numbers.iter().all(|number| number.is_finite()) {
            return Err(Unusable::NotFinite);
        }
        if !self.elements.is_orbit() {
            return Err(Unusable::NoOrbit);
        }
        if q_au < LEAST_Q_AU {
            return Err(Unusable::InsideSun);
        }
        let epoch_mjd_tdb = tdb_of_tt(self.epoch_mjd_tt);
        if !(SPAN_MJD_TDB[0]..=SPAN_MJD_TDB[1]).contains(&epoch_mjd_tdb) {
            return Err(Unusable::Epoch);
        }
        let [sun, sun_velocity, _] = bodies::state(SUN, epoch_mjd_tdb).ok_or(Unusable::Epoch)?;
        let [position, velocity] = self.heliocentric(0.0).ok_or(Unusable::NotFinite)?;
        let farthest = [first, last]
            .into_iter()
            .filter_map(|time| self.heliocentric(time - epoch_mjd_tdb))
            .map(|[position, _]| norm(position))
            .fold(0.0, f64::max);
        // The light left before it arrived, from at most a little farther away.
        let first = first - (1.1 * farthest + 2.0) / LIGHT_AU_DAY;
        Ok(Task {
            epoch_mjd_tdb,
            position: add(position, sun),
            velocity: add(velocity, sun_velocity),
            force: self.force,
            wanted: [first, last],
        })
    }
}

//! What is computed for a row: where the detection is, and where the orbit puts its object.

use rayon::prelude::*;

use super::row::Row;
use crate::science::ephemeris::ellipse::Ellipse;
use crate::science::ephemeris::observer::{self, Site};
use crate::science::ephemeris::orbit::to_ecliptic;
use crate::science::ephemeris::path::Path;
use crate::science::ephemeris::place::{
    Place, angle, direction, elongation, magnitude, place, positive, wrapped_deg,
};
use crate::science::ephemeris::time::tdb_of_tai;
use crate::science::vector::{Vector, dot};

/// From the ICRF to galactic axes, row by row: the transformation of astropy, by way of the FK5.
const TO_GALACTIC: [Vector; 3] = [
    [-0.054_875_657_712_59, -0.873_437_051_955_62, -0.483_835_073_616_72],
    [0.494_109_437_192_73, -0.444_829_721_222_05, 0.746_982_183_986_67],
    [-0.867_666_137_559_66, -0.198_076_337_273, 0.455_983_813_687_3],
];

/// Angles in radians, offsets in radians, the rest in au and days.
#[derive(Clone, Debug)]
pub(super) struct Computed {
    /// Longitude and latitude.
    pub ecliptic: [f64; 2],
    pub galactic: [f64; 2],
    pub elongation: Option<f64>,
    pub predicted: Option<Predicted>,
}

/// Where the orbit puts the object.
#[derive(Clone, Debug)]
pub(super) struct Predicted {
    pub place: Place,
    /// V; NaN if H is unknown.
    pub magnitude: f64,
    /// Observed minus predicted: the angle, to the east and to the north.
    pub offset: f64,
    pub offset_east: f64,
    pub offset_north: f64,
    /// The uncertainty of the predicted direction, if it is known.
    pub ellipse: Option<Ellipse>,
}

/// The observer at the times of rows, by the steps of the grid.
pub(super) struct Observers {
    states: Vec<(i64, Option<[Vector; 3]>)>,
}

impl Observers {
    /// For these steps, in order and without repeats.
    pub(super) fn new(steps: Vec<i64>, site: &Site) -> Self {
        let state = |step: i64| (step, observer::state(site, observer::grid_mjd_tai(step)));
        Self { states: steps.into_par_iter().map(state).collect() }
    }

    /// Position and velocity at a time.
    fn at(&self, mjd_tai: f64) -> Option<[Vector; 2]> {
        let step = observer::grid(mjd_tai);
        let found = self.states.binary_search_by_key(&step, |&(step, _)| step).ok()?;
        let state = self.states[found].1.as_ref()?;
        Some(observer::moved(state, mjd_tai - observer::grid_mjd_tai(step)))
    }
}

/// H and G of an object; NaN is unknown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Brightness {
    pub h_mag: f64,
    pub g: f64,
}

impl Brightness {
    /// Of an object without an orbit.
    pub(super) const UNKNOWN: Self = Self { h_mag: f64::NAN, g: f64::NAN };
}

/// G where it is unknown, as the Minor Planet Center assumes it.
const USUAL_G: f64 = 0.15;

impl Computed {
    /// The row of an object with this path; without one only what needs the observation alone.
    pub(super) fn of(row: &Row, path: Option<&Path>, brightness: Brightness, observers: &Observers) -> Self {
        let seen = direction(row.ra_deg.to_radians(), row.dec_deg.to_radians());
        let mjd_tdb = tdb_of_tai(row.mjd_tai);
        let observer = observers.at(row.mjd_tai);
        let predicted = observer.zip(path).and_then(|(observer, path)| place(path, mjd_tdb, &observer));
        Self {
            ecliptic: longitude_latitude(to_ecliptic(seen)),
            galactic: longitude_latitude(TO_GALACTIC.map(|row| dot(row, seen))),
            elongation: observer.and_then(|[position, _]| elongation(seen, mjd_tdb, position)),
            predicted: predicted.map(|place| Predicted::of(row, seen, place, brightness)),
        }
    }
}

impl Predicted {
    fn of(row: &Row, seen: Vector, place: Place, brightness: Brightness) -> Self {
        let g = if brightness.g.is_nan() { USUAL_G } else { brightness.g };
        let east = wrapped_deg(row.ra_deg - place.ra.to_degrees());
        Self {
            magnitude: magnitude(brightness.h_mag, g, &place),
            offset: angle(seen, direction(place.ra, place.dec)),
            offset_east: east.to_radians() * place.dec.cos(),
            offset_north: row.dec_deg.to_radians() - place.dec,
            ellipse: None,
            place,
        }
    }

    /// The motion on the sky.
    pub(super) fn rate(&self) -> f64 {
        self.place.rate_east.hypot(self.place.rate_north)
    }

    /// The offset along the motion; `None` without motion.
    pub(super) fn along(&self) -> Option<f64> {
        let Place { rate_east, rate_north, .. } = self.place;
        let sum = self.offset_east * rate_east + self.offset_north * rate_north;
        Some(sum / self.rate()).filter(|_| self.rate() > 0.0)
    }

    /// The offset across the motion, to its left; `None` without motion.
    pub(super) fn across(&self) -> Option<f64> {
        let Place { rate_east, rate_north, .. } = self.place;
        let sum = self.offset_north * rate_east - self.offset_east * rate_north;
        Some(sum / self.rate()).filter(|_| self.rate() > 0.0)
    }
}

fn longitude_latitude([x, y, z]: Vector) -> [f64; 2] {
    [positive(y.atan2(x)), z.atan2(x.hypot(y))]
}

//! What an observer sees of an object: direction, distance, motion and light.
//!
//! Directions are astrometric: with light time, without aberration and bending of light.

use super::bodies::{self, SUN};
use super::forces::LIGHT_AU_DAY;
use super::path::Path;
use super::time::DAY_S;
use crate::orbit::elements::AU_KM;
use crate::vector::{Vector, add, cross, dot, norm, scale, sub, unit};

/// Kilometres per second in an au per day.
pub const KM_S: f64 = AU_KM / DAY_S;

/// An object as an observer sees it. Angles in radians, distances in au, rates in au and rad per day; axes of the ICRF.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Right ascension, 0 to 2 pi.
    pub ra: f64,
    /// Declination.
    pub dec: f64,
    /// The time that the light needed \[d\].
    pub light_time: f64,
    /// Distance from the observer.
    pub topo_range: f64,
    /// Distance from the Sun.
    pub helio_range: f64,
    /// Change of the distance from the observer.
    pub topo_range_rate: f64,
    /// Change of the distance from the Sun.
    pub helio_range_rate: f64,
    /// The angle at the object between the observer and the sunlight that arrives.
    pub phase_angle: f64,
    /// Motion to the east, times the cosine of the declination.
    pub rate_east: f64,
    /// Motion to the north.
    pub rate_north: f64,
    /// The position angle away from the Sun, from north through east, 0 to 2 pi.
    pub anti_sun: Option<f64>,
    /// The position angle against the motion about the Sun.
    pub anti_motion: Option<f64>,
    /// Position and velocity from the Sun, when sunlight left it.
    pub helio: [Vector; 2],
    /// Position and velocity from the observer.
    pub topo: [Vector; 2],
    /// The unit vector to the east of the object.
    pub east: Vector,
    /// The unit vector to the north of the object.
    pub north: Vector,
}

/// What an observer sees of an object at a time; `None` where its path or the ephemerides have no answer.
///
/// Units: MJD TDB, au and au/d. Source: Murray 1983, Vectorial Astrometry, chapters 1 and 2.
#[must_use]
pub fn place(path: &Path, mjd_tdb: f64, [observer, observer_velocity]: &[Vector; 2]) -> Option<Place> {
    // The light time, by its rate of change: what is left is of the order of the acceleration, and corrected linearly.
    let [now, now_velocity] = path.state(mjd_tdb)?;
    let to_now = sub(now, *observer);
    let receding = dot(unit(to_now), now_velocity) / LIGHT_AU_DAY;
    let guess = norm(to_now) / LIGHT_AU_DAY / (1.0 + receding);
    let [then, velocity] = path.state(mjd_tdb - guess)?;
    let light_time = guess + (norm(sub(then, *observer)) / LIGHT_AU_DAY - guess) / (1.0 + receding);
    let position = sub(then, scale(light_time - guess, velocity));
    let rho = sub(position, *observer);
    let topo_range = norm(rho);
    let direction = scale(1.0 / topo_range, rho);
    let (helio, helio_velocity) = from_sun(position, velocity, mjd_tdb - light_time)?;
    let helio_range = norm(helio);

    let across = direction[0].hypot(direction[1]);
    let (ra, dec) = (direction[1].atan2(direction[0]), direction[2].atan2(across));
    let (east, north) = axes(ra, dec);
    let relative = sub(velocity, *observer_velocity);
    // How fast the distance grows that the light travels.
    let receding = dot(direction, relative) / (1.0 + dot(direction, velocity) / LIGHT_AU_DAY);
    let motion = sub(scale(1.0 - receding / LIGHT_AU_DAY, velocity), *observer_velocity);
    // The light of the Sun, as it arrives in the frame of the object.
    let sunlight = scale(-1.0 / helio_range, helio);
    let aberration = scale(1.0 / LIGHT_AU_DAY, helio_velocity);
    let arriving = sub(add(sunlight, aberration), scale(dot(sunlight, aberration), sunlight));
    Some(Place {
        ra: positive(ra),
        dec,
        light_time,
        topo_range,
        helio_range,
        topo_range_rate: dot(relative, direction),
        helio_range_rate: dot(helio_velocity, helio) / helio_range,
        phase_angle: angle(scale(-1.0, direction), arriving),
        rate_east: dot(motion, east) / topo_range,
        rate_north: dot(motion, north) / topo_range,
        anti_sun: position_angle(helio, east, north),
        anti_motion: position_angle(scale(-1.0, helio_velocity), east, north),
        helio: [helio, helio_velocity],
        topo: [rho, relative],
        east,
        north,
    })
}

/// Position and velocity from the Sun at the time at which the light left it that reaches a place at a time.
fn from_sun(position: Vector, velocity: Vector, mjd_tdb: f64) -> Option<(Vector, Vector)> {
    let [near, near_velocity, _] = bodies::state(SUN, mjd_tdb)?;
    let travel = |sun: Vector| norm(sub(position, sun)) / LIGHT_AU_DAY;
    let first = travel(sub(near, scale(travel(near), near_velocity)));
    let [sun, sun_velocity, _] = bodies::state(SUN, mjd_tdb - first)?;
    Some((sub(position, sun), sub(velocity, sun_velocity)))
}

/// The angle between a direction and that in which an observer sees the Sun, with its light time.
#[must_use]
pub fn elongation(direction: Vector, mjd_tdb: f64, observer: Vector) -> Option<f64> {
    let light_time = norm(sub(bodies::state(SUN, mjd_tdb)?[0], observer)) / LIGHT_AU_DAY;
    let [sun, ..] = bodies::state(SUN, mjd_tdb - light_time)?;
    Some(angle(direction, sub(sun, observer)))
}

/// The unit vector to a right ascension and declination.
#[must_use]
pub fn direction(ra: f64, dec: f64) -> Vector {
    let ((sin_ra, cos_ra), (sin_dec, cos_dec)) = (ra.sin_cos(), dec.sin_cos());
    [cos_dec * cos_ra, cos_dec * sin_ra, sin_dec]
}

/// The angle between two vectors, exact for small ones and near 180 deg too (Kahan 2006).
#[must_use]
pub fn angle(a: Vector, b: Vector) -> f64 {
    norm(cross(a, b)).atan2(dot(a, b))
}

/// Unit vectors to the east and to the north.
fn axes(ra: f64, dec: f64) -> (Vector, Vector) {
    let ((sin_ra, cos_ra), (sin_dec, cos_dec)) = (ra.sin_cos(), dec.sin_cos());
    ([-sin_ra, cos_ra, 0.0], [-sin_dec * cos_ra, -sin_dec * sin_ra, cos_dec])
}

/// From north through east; `None` for a vector along the line of sight.
fn position_angle(vector: Vector, east: Vector, north: Vector) -> Option<f64> {
    let (e, n) = (dot(vector, east), dot(vector, north));
    (e != 0.0 || n != 0.0).then(|| positive(e.atan2(n)))
}

/// A difference of two longitudes, -180 to 180.
///
/// Units: deg.
#[must_use]
pub fn wrapped_deg(difference_deg: f64) -> f64 {
    difference_deg - 360.0 * (difference_deg / 360.0).round()
}

/// The same angle from 0 to 2 pi.
#[must_use]
pub fn positive(angle: f64) -> f64 {
    if angle < 0.0 { angle + std::f64::consts::TAU } else { angle }
}

/// Apparent V magnitude by H and G (Bowell et al. 1989, in Asteroids II, page 524, without its small-angle correction).
///
/// Units: au, rad. `slope` is G.
#[must_use]
pub fn magnitude(h: f64, slope: f64, place: &Place) -> f64 {
    let half = (0.5 * place.phase_angle).tan();
    let phi = |a: f64, b: f64| (-a * half.powf(b)).exp();
    let light = (1.0 - slope) * phi(3.33, 0.63) + slope * phi(1.87, 1.22);
    h + 5.0 * (place.topo_range * place.helio_range).log10() - 2.5 * light.log10()
}

//! MOID: the smallest distance between an ellipse and any confocal orbit.
//!
//! The way: the other orbit, as a curve with one parameter, is moved into the frame of the ellipse; for each of its
//! points the nearest point of the ellipse is known ([`nearest`]), so the distance is a function of one variable. That is
//! tabulated where the orbits can be near at all, cells that cannot hold the minimum are dropped by a bound that holds for
//! every conic, the rest are divided once more ([`scan`]), and each minimum that is left is polished in both variables
//! ([`polish`]).
//!
//! Not a place for where the bodies are: orbits are curves here.

mod nearest;
mod polish;
mod scan;

use std::f64::consts::TAU;

use super::conic::Conic;
use super::elements::{AU_KM, Elements};
use crate::vector::{Vector, dot};

/// GM of the Sun \[km^3/s^2\] (DE405; Standish 1998). That of DE440, which the Earth's osculating orbit is made with, changes a
/// speed by a share of 1e-10.
const GM_SUN_KM3_S2: f64 = 1.327_124_400_18e11;

/// A gradient of half the squared distance \[au^2/rad\] above this leaves a MOID in doubt.
const DOUBT_GRADIENT: f64 = 1e-10;

/// The ellipse of a pair, prepared once for many others.
#[derive(Clone, Copy, Debug)]
pub struct Ellipse {
    elements: Elements,
    axes: [Vector; 3],
    /// Semi-axes \[au\].
    a: f64,
    b: f64,
}

impl Ellipse {
    /// The ellipse with these elements; `None` unless they are an orbit with `e < 1`.
    #[must_use]
    pub fn new(elements: Elements) -> Option<Self> {
        let a = elements.q_au / (1.0 - elements.e);
        let b = a * (1.0 - elements.e * elements.e).sqrt();
        (elements.is_orbit() && elements.e < 1.0).then(|| Self { elements, axes: elements.axes(), a, b })
    }

    /// Distance of the centre from the Sun \[au\].
    fn centre(&self) -> f64 {
        self.a * self.elements.e
    }
}

/// The other orbit of a pair, in the frame of the ellipse's axes with the origin at its centre.
#[derive(Clone, Copy, Debug)]
struct Track {
    conic: Conic,
    /// Towards perihelion, and along the motion there.
    p: Vector,
    q: Vector,
    /// Where the Sun is, on the first axis.
    sun: f64,
}

impl Track {
    fn new(ellipse: &Ellipse, orbit: &Elements) -> Self {
        let [p, q, _] = orbit.axes();
        let turned = |v: Vector| ellipse.axes.map(|axis| dot(axis, v));
        let conic = Conic::new(orbit.q_au, orbit.e);
        Self { conic, p: turned(p), q: turned(q), sun: ellipse.centre() }
    }

    /// A vector in space from its components in the plane of the orbit.
    fn vector(&self, [x, y]: [f64; 2]) -> Vector {
        std::array::from_fn(|k| x * self.p[k] + y * self.q[k])
    }
}

/// The MOID of a pair, and where it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moid {
    /// The distance \[au\].
    pub distance_au: f64,
    /// The relative speed of two bodies that are there \[km/s\].
    pub relative_speed_km_s: f64,
    /// Ecliptic longitude of the point on the ellipse \[rad\], in \[0, 2 pi).
    pub longitude_rad: f64,
    /// True anomaly of the point on the ellipse \[rad\], in \[0, 2 pi).
    pub ellipse_anomaly_rad: f64,
    /// True anomaly of the point on the other orbit \[rad\], in \[0, 2 pi).
    pub orbit_anomaly_rad: f64,
    /// Whether the search for the minimum did not settle.
    pub in_doubt: bool,
}

/// The smallest distance between an ellipse and another orbit about the same Sun.
///
/// ```
/// use ssp_science::orbit::{earth, elements::Elements, moid::{Ellipse, moid}};
///
/// // (433) Eros, whose MOID is 0.149 au.
/// let eros = Elements {
///     q_au: 1.133,
///     e: 0.2228,
///     inclination_rad: 10.83_f64.to_radians(),
///     node_rad: 304.3_f64.to_radians(),
///     argperi_rad: 178.9_f64.to_radians(),
/// };
/// let earth = Ellipse::new(earth::osculating(60_800.0).unwrap()).unwrap();
/// let found = moid(&earth, &eros).unwrap();
/// assert!((found.distance_au - 0.149).abs() < 1e-3 && !found.in_doubt);
/// ```
///
/// Units: au in; au, km/s and radians out.
/// Shape: one pair; callers run many in parallel.
/// Domain: any orbit with `q > 0` and `e >= 0`; what is not an orbit gives `None`.
/// Accuracy: 1e-9 au, held by `tests/oracle/moid.rs`.
#[must_use]
pub fn moid(ellipse: &Ellipse, orbit: &Elements) -> Option<Moid> {
    if !orbit.is_orbit() {
        return None;
    }
    let track = Track::new(ellipse, orbit);
    let pair = scan::closest(ellipse, &track);
    let half = track.conic.half(pair.s);
    let (sin_u, cos_u) = pair.u.sin_cos();
    let on_ellipse = [ellipse.a * cos_u - ellipse.centre(), ellipse.b * sin_u];
    let on_orbit = track.conic.place(half);
    let [p, q, _] = ellipse.axes;
    let ecliptic: Vector = std::array::from_fn(|k| on_ellipse[0] * p[k] + on_ellipse[1] * q[k]);
    Some(Moid {
        distance_au: pair.distance,
        relative_speed_km_s: relative_speed(ellipse, &track, on_ellipse, on_orbit),
        longitude_rad: angle([ecliptic[0], ecliptic[1]]),
        ellipse_anomaly_rad: angle(on_ellipse),
        orbit_anomaly_rad: angle(on_orbit),
        // What overflowed has no gradient.
        in_doubt: pair.gradient.is_nan() || pair.gradient > DOUBT_GRADIENT,
    })
}

/// The direction of a vector in a plane \[rad\], in \[0, 2 pi).
fn angle([x, y]: [f64; 2]) -> f64 {
    let angle = y.atan2(x).rem_euclid(TAU);
    // A tiny negative angle rounds to a full turn.
    if angle >= TAU { 0.0 } else { angle }
}

/// The difference of the Kepler velocities at two places, each given in the plane of its orbit \[km/s\].
fn relative_speed(ellipse: &Ellipse, track: &Track, on_ellipse: [f64; 2], on_orbit: [f64; 2]) -> f64 {
    // sqrt(GM / p) (-sin f, e + cos f): Danby 1988, equation 6.3.15.
    let velocity = |[x, y]: [f64; 2], q: f64, e: f64| {
        let r = x.hypot(y);
        let speed = (GM_SUN_KM3_S2 / AU_KM / (q * (1.0 + e))).sqrt();
        [-speed * y / r, speed * (e + x / r)]
    };
    let [x, y] = velocity(on_ellipse, ellipse.elements.q_au, ellipse.elements.e);
    let other = track.vector(velocity(on_orbit, track.conic.q, track.conic.e));
    (other[0] - x).hypot(other[1] - y).hypot(other[2])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orbit::earth;

    #[test]
    fn an_orbit_that_numbers_cannot_follow_leaves_the_moid_in_doubt() {
        let earth = Ellipse::new(earth::secular(60_800.0)).unwrap();
        let orbit = Elements { q_au: 1e-9, e: 1e300, inclination_rad: 0.3, node_rad: 0.7, argperi_rad: 1.1 };
        let found = moid(&earth, &orbit).unwrap();
        assert!(found.distance_au.is_nan() && found.in_doubt, "{found:?}");
        assert!(!moid(&earth, &Elements { q_au: 1.2, e: 1.2, ..orbit }).unwrap().in_doubt);
    }
}

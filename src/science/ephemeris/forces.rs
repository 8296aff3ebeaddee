//! The accelerations that an object feels, each a function.
//!
//! Units: au and days. `from` is a vector from the attracting body to the object.

#![expect(clippy::inline_always, reason = "the loops over the nodes vectorise only with these in them")]

use super::bodies::{GM, SUN};
use super::lanes::{LaneVector, Lanes, add, dot, minus, scale, splat, sub};
use crate::orbit::elements::AU_KM;
use crate::vector::{self, Vector};

/// The speed of light \[au/d\].
pub(crate) const LIGHT_AU_DAY: f64 = 299_792.458 * 86_400.0 / AU_KM;
const INVERSE_LIGHT_SQUARE: f64 = 1.0 / (LIGHT_AU_DAY * LIGHT_AU_DAY);

/// Newton's attraction by a body, given the inverse of its distance.
#[inline(always)]
pub(super) fn attraction(gm: Lanes, from: LaneVector, inverse: Lanes) -> LaneVector {
    scale(-(gm * inverse * inverse * inverse), from)
}

/// The Sun's state, and the potential of all other bodies at its place.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sun {
    pub velocity: Vector,
    pub acceleration: Vector,
    pub potential: f64,
}

/// Relativity: the Einstein-Infeld-Hoffmann equations with the Sun as the only source, beta = gamma = 1.
///
/// `potential` is the sum of GM/r over Sun and planets. Source: Moyer 2003, Formulation for Observed and Computed Values of
/// Deep Space Network Data Types, equation 4-26.
#[inline(always)]
pub(super) fn relativity(
    sun: &Sun,
    from: LaneVector,
    inverse: Lanes,
    velocity: LaneVector,
    potential: Lanes,
) -> LaneVector {
    let gm = GM[SUN];
    let sun_velocity = splat(sun.velocity);
    let sun_acceleration = splat(sun.acceleration);
    let sun_speed_square = vector::dot(sun.velocity, sun.velocity);
    let along = dot(from, sun_velocity) * inverse;
    let radial = 4.0 * potential + Lanes::splat(sun.potential - 2.0 * sun_speed_square)
        - dot(velocity, velocity)
        + 4.0 * dot(velocity, sun_velocity)
        + 1.5 * along * along
        + 0.5 * dot(from, sun_acceleration);
    let drag = 4.0 * dot(from, velocity) - 3.0 * dot(from, sun_velocity);
    let strength = (gm * INVERSE_LIGHT_SQUARE) * inverse * inverse * inverse;
    let direct = add(scale(strength * radial, from), scale(strength * drag, minus(velocity, sun.velocity)));
    add(direct, scale((3.5 * gm * INVERSE_LIGHT_SQUARE) * inverse, sun_acceleration))
}

/// The pole of the Sun, right ascension 286.13 and declination 63.87 deg (Archinal et al. 2018), in the ICRF.
const SUN_POLE: Vector = [0.122_353_493_472_327_8, -0.423_072_083_647_643_3, 0.897_797_101_060_790_1];
/// J2 of the Sun (DE440), and the radius it refers to \[au\].
const SUN_J2: f64 = 2.196_139_151_652_982_5e-7;
const SUN_RADIUS: f64 = 696_000.0 / AU_KM;

/// The oblateness of the Sun: the second zonal harmonic (Vallado 2013, section 8.6.1).
#[inline(always)]
pub(super) fn sun_oblateness(from: LaneVector, inverse: Lanes) -> LaneVector {
    let height = dot(from, splat(SUN_POLE)) * inverse;
    let square = inverse * inverse;
    let strength = (-1.5 * SUN_J2 * GM[SUN] * SUN_RADIUS * SUN_RADIUS) * square * square;
    let along = strength * (Lanes::splat(1.0) - 5.0 * height * height) * inverse;
    add(scale(along, from), scale(2.0 * strength * height, splat(SUN_POLE)))
}

/// How far from the Earth its oblateness counts \[au\].
pub(super) const EARTH_OBLATENESS_WITHIN: f64 = 0.1;
/// Zonal harmonics of the Earth J2 to J4 (DE440), and the radius they refer to \[au\].
const EARTH_HARMONICS: [f64; 3] = [1.082_625_39e-3, -2.532_41e-6, -1.619_898e-6];
const EARTH_RADIUS: f64 = 6_378.136_6 / AU_KM;

/// The oblateness of the Earth: zonal harmonics 2 to 4 about `pole` (Vallado 2013, section 8.6.1).
///
/// Each is the gradient of `-GM J R^n P_n(u) / r^(n+1)`, with `u` the sine of the latitude.
pub(super) fn earth_oblateness(gm: f64, from: Vector, pole: Vector) -> Vector {
    let r = vector::norm(from);
    let up = vector::scale(1.0 / r, from);
    let u = vector::dot(up, pole);
    // P_n and its derivative.
    let legendre = [
        (0.5 * (3.0 * u * u - 1.0), 3.0 * u),
        (0.5 * u * (5.0 * u * u - 3.0), 0.5 * (15.0 * u * u - 3.0)),
        (0.125 * ((35.0 * u * u - 30.0) * u * u + 3.0), 0.5 * u * (35.0 * u * u - 15.0)),
    ];
    let mut sum = [0.0; 3];
    let mut strength = gm * EARTH_RADIUS / (r * r * r);
    for (n, (harmonic, (p, slope))) in EARTH_HARMONICS.into_iter().zip(legendre).enumerate() {
        strength *= EARTH_RADIUS / r;
        let radial = ((n + 3) as f64) * p + u * slope;
        let pull = vector::sub(vector::scale(radial, up), vector::scale(slope, pole));
        sum = vector::add(sum, vector::scale(strength * harmonic, pull));
    }
    sum
}

/// How a non-gravitational force falls off with the distance from the Sun.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Falloff {
    /// Sublimation of water ice (Marsden, Sekanina & Yeomans 1973, AJ 78, 211).
    Sublimation,
    /// The Yarkovsky effect: the inverse square.
    InverseSquare,
}

/// A non-gravitational force.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NonGravitational {
    /// The radial, transverse and normal component at 1 au \[au/d^2\].
    pub a: [f64; 3],
    /// How it falls off.
    pub falloff: Falloff,
}

impl NonGravitational {
    /// The acceleration at a position and velocity from the Sun.
    pub(super) fn acceleration(&self, position: Vector, velocity: Vector) -> Vector {
        let r = vector::norm(position);
        let g = match self.falloff {
            Falloff::Sublimation => {
                let ratio = r / 2.808;
                0.111_262_042_6 * ratio.powf(-2.15) * (1.0 + ratio.powf(5.093)).powf(-4.6142)
            }
            Falloff::InverseSquare => 1.0 / (r * r),
        };
        let radial = vector::scale(1.0 / r, position);
        let normal = vector::unit(vector::cross(position, velocity));
        let transverse = vector::cross(normal, radial);
        let [a1, a2, a3] = self.a;
        let sum = vector::add(vector::scale(a1, radial), vector::scale(a2, transverse));
        vector::scale(g, vector::add(sum, vector::scale(a3, normal)))
    }
}

/// The square of the length of the change between two vectors.
#[inline(always)]
pub(super) fn change(a: LaneVector, b: LaneVector) -> Lanes {
    let step = sub(a, b);
    dot(step, step)
}

#[cfg(test)]
mod tests {
    use super::super::bodies::EARTH;
    use super::*;

    /// The potential of the harmonics, which the pull is the gradient of.
    fn potential(gm: f64, from: Vector, pole: Vector) -> f64 {
        let r = vector::norm(from);
        let u = vector::dot(from, pole) / r;
        let legendre = [
            0.5 * (3.0 * u * u - 1.0),
            0.5 * (5.0 * u.powi(3) - 3.0 * u),
            (35.0 * u.powi(4) - 30.0 * u * u + 3.0) / 8.0,
        ];
        let terms = EARTH_HARMONICS.iter().zip(legendre).zip(2..);
        terms.map(|((j, p), n)| -gm / r * j * (EARTH_RADIUS / r).powi(n) * p).sum()
    }

    #[test]
    fn the_pull_of_an_oblate_earth_is_the_gradient_of_its_potential() {
        let pole = vector::unit([0.1, -0.2, 0.9]);
        for from in [[2e-4, 1e-4, -3e-4], [1e-5, 9e-5, 4e-5], [0.0, 0.0, 1e-4]] {
            let found = earth_oblateness(GM[EARTH], from, pole);
            let step = 1e-4 * vector::norm(from);
            for axis in 0..3 {
                let at = |sign: f64| {
                    let mut there = from;
                    there[axis] += sign * step;
                    potential(GM[EARTH], there, pole)
                };
                let slope = (at(1.0) - at(-1.0)) / (2.0 * step);
                assert!((found[axis] - slope).abs() < 1e-6 * vector::norm(found), "{from:?}: {found:?}");
            }
        }
    }

    #[test]
    fn the_sun_is_oblate_as_any_body_with_j2() {
        let from: Vector = [0.3, -0.2, 0.4];
        let found = sun_oblateness(splat(from), Lanes::splat(1.0 / vector::norm(from)));
        let potential = |from: Vector| {
            let r = vector::norm(from);
            let u = vector::dot(from, SUN_POLE) / r;
            -GM[SUN] * SUN_J2 * SUN_RADIUS * SUN_RADIUS / r.powi(3) * 0.5 * (3.0 * u * u - 1.0)
        };
        for (axis, found) in found.iter().enumerate() {
            let at =
                |step: f64| potential(std::array::from_fn(|k| from[k] + if k == axis { step } else { 0.0 }));
            let slope = (at(1e-4) - at(-1e-4)) / 2e-4;
            assert!((found.0[3] - slope).abs() < 1e-6 * slope.abs());
        }
        assert!((vector::norm(SUN_POLE) - 1.0).abs() < 1e-15);
    }

    #[test]
    fn relativity_is_schwarzschilds_where_the_sun_stands_still() {
        let (from, velocity) = ([0.5, 0.8, -0.1], [-0.012, 0.009, 0.001]);
        let r = vector::norm(from);
        let found = relativity(
            &Sun::default(),
            splat(from),
            Lanes::splat(1.0 / r),
            splat(velocity),
            Lanes::splat(GM[SUN] / r),
        );
        let strength = GM[SUN] / (LIGHT_AU_DAY * LIGHT_AU_DAY * r.powi(3));
        let along = 4.0 * GM[SUN] / r - vector::dot(velocity, velocity);
        let drag = 4.0 * vector::dot(from, velocity);
        for axis in 0..3 {
            let expected = strength * (along * from[axis] + drag * velocity[axis]);
            assert!((found[axis].0[0] - expected).abs() < 1e-15 * strength);
        }
    }

    #[test]
    fn non_gravitational_forces_have_their_directions() {
        let (position, velocity) = ([2.0, 0.0, 0.0], [0.001, 0.01, 0.0]);
        let force = NonGravitational { a: [1e-8, 2e-8, 3e-8], falloff: Falloff::InverseSquare };
        let found = force.acceleration(position, velocity);
        for (component, expected) in found.into_iter().zip([0.25e-8, 0.5e-8, 0.75e-8]) {
            assert!((component - expected).abs() < 1e-22);
        }
        // Marsden's g is 1 at 1 au.
        let force = NonGravitational { a: [1e-8, 0.0, 0.0], falloff: Falloff::Sublimation };
        assert!((force.acceleration([1.0, 0.0, 0.0], velocity)[0] - 1e-8).abs() < 1e-12);
    }
}

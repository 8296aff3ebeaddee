//! Motion about the Sun alone, in universal variables: one formula for ellipse, parabola and hyperbola.
//!
//! With `alpha = 2/r - v^2/GM` and `s` the universal anomaly (`ds = sqrt(GM) dt / r`), let `U_k = s^k c_k(alpha s^2)`, `c_k`
//! Stumpff's functions. Then `sqrt(GM) t = r0 U_1 + sigma U_2 + U_3` with `sigma = r0.v0 / sqrt(GM)`. Source: Danby 1988,
//! Fundamentals of Celestial Mechanics, section 6.9; Battin 1999, Mathematics and Methods of Astrodynamics, section 4.5.

use std::f64::consts::PI;

use super::lanes::{self, LaneVector, Lanes};
use crate::vector::{Vector, add, dot, norm, scale};

/// `sqrt(GM)` and `GM` for one use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attraction {
    gm: f64,
    root: f64,
}

/// Stumpff's `c_2` and `c_3`.
fn stumpff(z: f64) -> [f64; 2] {
    if z.abs() < 1.0 {
        let series = |first: f64| {
            // 1/n! (1 - z/((n+1)(n+2)) (1 - z/((n+3)(n+4)) (...))), n = first.
            let mut sum = 1.0;
            for k in (0..9).rev() {
                let n = first + 2.0 * f64::from(k);
                sum = 1.0 - z / ((n + 1.0) * (n + 2.0)) * sum;
            }
            sum
        };
        [series(2.0) / 2.0, series(3.0) / 6.0]
    } else if z > 0.0 {
        let root = z.sqrt();
        let half = (0.5 * root).sin();
        [2.0 * half * half / z, (root - root.sin()) / (z * root)]
    } else {
        let root = (-z).sqrt();
        let half = (0.5 * root).sinh();
        [2.0 * half * half / -z, (root.sinh() - root) / (-z * root)]
    }
}

/// Steps of the search for the anomaly; bisection alone would need as many for the last digit.
const MOST_STEPS: usize = 100;

impl Attraction {
    pub(crate) const fn new(gm: f64, root: f64) -> Self {
        Self { gm, root }
    }

    /// Position and velocity after a time, from those at its start; `alpha` is the inverse of the semi-major axis.
    ///
    /// Units: au, days. `None` if numbers overflow.
    pub(crate) fn propagate(
        &self,
        [position, velocity]: [Vector; 2],
        alpha: f64,
        time: f64,
    ) -> Option<[Vector; 2]> {
        let r0 = norm(position);
        let sigma = dot(position, velocity) / self.root;
        // Whole revolutions change nothing.
        let period = if alpha > 0.0 { 2.0 * PI / (self.root * alpha * alpha.sqrt()) } else { f64::INFINITY };
        let time = if period.is_finite() { time - period * (time / period).round() } else { time };
        let wanted = self.root * time;
        // The time, as a function of s, and its derivative, the distance.
        let at = |s: f64| {
            let [c2, c3] = stumpff(alpha * s * s);
            let (u2, u3) = (s * s * c2, s * s * s * c3);
            let u1 = s - alpha * u3;
            let u0 = 1.0 - alpha * u2;
            (r0 * u1 + sigma * u2 + u3, r0 * u0 + sigma * u1 + u2, [u1, u2, u3])
        };
        // A bracket around the answer, then Newton's method in it.
        let (mut low, mut high) = (0.0, wanted / r0.max(1e-3));
        let beyond = |s: f64| if wanted >= 0.0 { at(s).0 >= wanted } else { at(s).0 <= wanted };
        while !beyond(high) {
            if !high.is_finite() || high == 0.0 {
                break;
            }
            (low, high) = (high, 2.0 * high);
        }
        let mut s = 0.5 * (low + high);
        for _ in 0..MOST_STEPS {
            let (found, r, _) = at(s);
            if (found >= wanted) == (wanted >= 0.0) {
                high = s
            } else {
                low = s
            }
            let next = s - (found - wanted) / r;
            let inside = (next - low) * (next - high) <= 0.0;
            let next = if inside { next } else { 0.5 * (low + high) };
            let done = (next - s).abs() <= 1e-16 * s.abs();
            s = next;
            if done {
                break;
            }
        }
        let (_, r, [u1, u2, u3]) = at(s);
        let f = 1.0 - u2 / r0;
        let g = time - u3 / self.root;
        let f_dot = -self.root * u1 / (r * r0);
        let g_dot = 1.0 - u2 / r;
        let state = [
            add(scale(f, position), scale(g, velocity)),
            add(scale(f_dot, position), scale(g_dot, velocity)),
        ];
        state.iter().flatten().all(|value| value.is_finite()).then_some(state)
    }

    /// The inverse of the semi-major axis.
    pub(crate) fn alpha(&self, [position, velocity]: [Vector; 2]) -> f64 {
        2.0 / norm(position) - dot(velocity, velocity) / self.gm
    }

    /// As [`Self::propagate`] for eight objects and a short time, to the accuracy of a first guess.
    #[inline(always)]
    pub(super) fn nearby(&self, arc: &Arc, time: f64) -> [LaneVector; 2] {
        let wanted = Lanes::splat(self.root * time);
        let mut s = wanted * arc.inverse_r;
        let [mut u1, mut u2, mut u3] = [Lanes::splat(0.0); 3];
        for _ in 0..NEWTON_STEPS {
            let z = arc.alpha * s * s;
            let (c2, c3) = series(z);
            u2 = s * s * c2;
            u3 = s * s * s * c3;
            u1 = s - arc.alpha * u3;
            let r = arc.r + arc.sigma * u1 + (Lanes::splat(1.0) - arc.alpha * arc.r) * u2;
            let found = arc.r * u1 + arc.sigma * u2 + u3;
            let ds = (wanted - found) / r;
            s = s + ds;
            // The derivatives of U_1, U_2 and U_3 are U_0, U_1 and U_2.
            u3 = u3 + u2 * ds;
            u2 = u2 + u1 * ds;
            u1 = u1 + (Lanes::splat(1.0) - arc.alpha * u2) * ds;
        }
        let r = arc.r + arc.sigma * u1 + (Lanes::splat(1.0) - arc.alpha * arc.r) * u2;
        let f = Lanes::splat(1.0) - u2 * arc.inverse_r;
        let g = Lanes::splat(time) - (1.0 / self.root) * u3;
        let inverse = Lanes::splat(1.0) / r;
        let f_dot = -(self.root * u1 * inverse * arc.inverse_r);
        let g_dot = Lanes::splat(1.0) - u2 * inverse;
        [
            lanes::add(lanes::scale(f, arc.position), lanes::scale(g, arc.velocity)),
            lanes::add(lanes::scale(f_dot, arc.position), lanes::scale(g_dot, arc.velocity)),
        ]
    }

    /// The start of a short arc.
    pub(super) fn arc(&self, position: LaneVector, velocity: LaneVector) -> Arc {
        let r = lanes::dot(position, position).sqrt();
        let inverse_r = Lanes::splat(1.0) / r;
        let alpha = 2.0 * inverse_r - (1.0 / self.gm) * lanes::dot(velocity, velocity);
        let sigma = (1.0 / self.root) * lanes::dot(position, velocity);
        Arc { position, velocity, r, inverse_r, alpha, sigma }
    }
}

/// Steps of Newton's method on a short arc, from `s = sqrt(GM) t / r`.
const NEWTON_STEPS: usize = 3;

/// The start of a short arc of eight objects.
pub(super) struct Arc {
    position: LaneVector,
    velocity: LaneVector,
    r: Lanes,
    inverse_r: Lanes,
    alpha: Lanes,
    sigma: Lanes,
}

/// Stumpff's `c_2` and `c_3` for small arguments.
#[inline(always)]
fn series(z: Lanes) -> (Lanes, Lanes) {
    let one = Lanes::splat(1.0);
    let sum = |divisors: [f64; 6]| divisors.into_iter().rev().fold(one, |sum, n| one - (1.0 / n) * z * sum);
    (
        0.5 * sum([12.0, 30.0, 56.0, 90.0, 132.0, 182.0]),
        (1.0 / 6.0) * sum([20.0, 42.0, 72.0, 110.0, 156.0, 210.0]),
    )
}

//! A minimum of the distance in both variables, from a guess nearby.

use super::super::elements::{Vector, dot};
use super::{Ellipse, Track};

/// A point on each orbit.
#[derive(Clone, Copy, Debug)]
pub struct Pair {
    /// Eccentric anomaly on the ellipse \[rad\].
    pub u: f64,
    /// Universal anomaly on the other orbit.
    pub s: f64,
    /// Distance \[au\].
    pub distance: f64,
    /// Size of the gradient of half the squared distance.
    pub gradient: f64,
}

/// Steps of Newton's method; 3 or 4 are usual, degenerate minima need more.
const STEPS: usize = 60;
/// A step below this share of its variable changes nothing that is seen.
const LEAST_STEP: f64 = 1e-15;

/// Two squared distances that differ by less than this share may differ by rounding alone.
const LEVEL: f64 = 1e-14;

/// Half the squared distance with its derivatives by `u` and `s`.
struct Local {
    value: f64,
    gradient: [f64; 2],
    /// By uu, us and ss.
    hessian: [f64; 3],
}

impl Local {
    fn steepness(&self) -> f64 {
        self.gradient[0].hypot(self.gradient[1])
    }
}

fn local(ellipse: &Ellipse, track: &Track, u: f64, s: f64) -> Local {
    let (sin_u, cos_u) = u.sin_cos();
    let half = track.conic.half(s);
    let (tangent, bend) = (track.vector(track.conic.tangent(half)), track.vector(track.conic.bend(half)));
    let mut gap: Vector = track.vector(track.conic.place(half));
    gap[0] += track.sun - ellipse.a * cos_u;
    gap[1] -= ellipse.b * sin_u;
    let along = [-ellipse.a * sin_u, ellipse.b * cos_u, 0.0];
    let inward = [-ellipse.a * cos_u, -ellipse.b * sin_u, 0.0];
    Local {
        value: 0.5 * dot(gap, gap),
        gradient: [-dot(gap, along), dot(gap, tangent)],
        hessian: [
            dot(along, along) - dot(gap, inward),
            -dot(along, tangent),
            dot(tangent, tangent) + dot(gap, bend),
        ],
    }
}

/// The minimum near `(u, s)`: Newton's method with the exact Hessian, damped until it is positive definite and the
/// distance falls (Levenberg-Marquardt).
pub fn polish(ellipse: &Ellipse, track: &Track, mut u: f64, mut s: f64) -> Pair {
    let mut here = local(ellipse, track, u, s);
    let mut damping = 0.0;
    for _ in 0..STEPS {
        let [guu, gus, gss] = here.hessian;
        let (duu, dss) = (guu + damping, gss + damping);
        let determinant = duu * dss - gus * gus;
        if !(duu > 0.0 && dss > 0.0 && determinant > 0.0) {
            damping = (2.0 * damping).max(1e-3 * (guu.abs() + gss.abs() + gus.abs()));
            if damping.is_finite() {
                continue;
            }
            break;
        }
        let [gu, gs] = here.gradient;
        let du = (gus * gs - dss * gu) / determinant;
        let ds = (gus * gu - duu * gs) / determinant;
        let there = local(ellipse, track, u + du, s + ds);
        let small = du.abs() <= LEAST_STEP * u.abs().max(1.0) && ds.abs() <= LEAST_STEP * s.abs().max(1.0);
        // Near the minimum the distance no longer tells two points apart, but the gradient does.
        let level = there.value <= here.value * (1.0 + LEVEL);
        if there.value < here.value * (1.0 - LEVEL) || (level && there.steepness() < here.steepness()) {
            (u, s, here) = (u + du, s + ds, there);
            damping = if damping > 1e-12 * guu { 0.1 * damping } else { 0.0 };
        } else if !small {
            damping = (4.0 * damping).max(1e-9 * (guu + gss));
        }
        if small {
            break;
        }
    }
    Pair { u, s, distance: (2.0 * here.value).sqrt(), gradient: here.steepness() }
}

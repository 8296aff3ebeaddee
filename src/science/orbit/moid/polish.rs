//! A minimum of the distance to full precision, once a short stretch is known to hold it.

use super::{Ellipse, Track};
use crate::vector::{Vector, dot, norm};

/// A point on each orbit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair {
    /// Eccentric anomaly on the ellipse \[rad\].
    pub u: f64,
    /// Universal anomaly on the other orbit.
    pub s: f64,
    /// Distance \[au\].
    pub distance: f64,
    /// Size of the gradient of half the squared distance by `u` and `s`.
    pub gradient: f64,
}

/// Steps in `s`: Newton needs 3 or 4, bisection of a stretch at most about this many.
const STEPS: usize = 60;
/// Steps in `u` for each `s`: 1 or 2 are usual.
const INNER_STEPS: usize = 20;
/// A step below this changes nothing that is seen.
const LEAST_STEP: f64 = 4.0 * f64::EPSILON;

/// The other orbit at `s`, and the nearest point of the ellipse.
struct Place {
    u: f64,
    gap: Vector,
    /// Half the slopes of the squared distance by `u` and by `s`.
    gradient: [f64; 2],
    /// Half the second derivative along the valley in which `u` is the best for each `s`.
    curvature: f64,
    /// How the best `u` moves with `s`.
    drift: f64,
}

impl Place {
    fn pair(&self, s: f64) -> Pair {
        let gradient = self.gradient[0].hypot(self.gradient[1]);
        Pair { u: self.u, s, distance: norm(self.gap), gradient }
    }
}

/// Half the squared distance is `g^2 / 2`, `g = r(s) - (a cos u, b sin u, 0)`; Newton's method for its least over `u`, from
/// a guess, and the exact derivatives there.
fn place(ellipse: &Ellipse, track: &Track, s: f64, mut u: f64) -> Place {
    let half = track.conic.half(s);
    let (tangent, bend) = (track.vector(track.conic.tangent(half)), track.vector(track.conic.bend(half)));
    let [mut x, y, z] = track.vector(track.conic.place(half));
    x += track.sun;
    let (a, b) = (ellipse.a, ellipse.b);
    let mut steps = INNER_STEPS;
    loop {
        let (sin, cos) = u.sin_cos();
        let gap = [x - a * cos, y - b * sin, z];
        let along = [-a * sin, b * cos];
        let slope = -(gap[0] * along[0] + gap[1] * along[1]);
        let speed2 = along[0] * along[0] + along[1] * along[1];
        let second = speed2 + gap[0] * a * cos + gap[1] * b * sin;
        // Where the distance curves the wrong way the squared speed alone still leads downhill.
        let step = -slope / if second > 0.0 { second } else { speed2 };
        steps -= 1;
        if step.abs() <= LEAST_STEP * u.abs().max(1.0) || steps == 0 {
            let mixed = -(along[0] * tangent[0] + along[1] * tangent[1]);
            return Place {
                u,
                gap,
                gradient: [slope, dot(gap, tangent)],
                curvature: dot(tangent, tangent) + dot(gap, bend) - mixed * mixed / second,
                drift: -mixed / second,
            };
        }
        u += step;
    }
}

/// The least distance for `s` in `low..high`, across which its slope goes from falling to rising; `s` and `u` are a guess.
///
/// With the best `u` for each `s` the distance is a function of `s` alone: Newton's method for the zero of its slope,
/// within a bracket that shrinks with every step.
pub(super) fn polish(
    ellipse: &Ellipse,
    track: &Track,
    [mut low, mut high]: [f64; 2],
    mut s: f64,
    u: f64,
) -> Pair {
    let mut here = place(ellipse, track, s, u);
    for _ in 0..STEPS {
        if here.gradient[1] > 0.0 {
            high = s;
        } else {
            low = s;
        }
        let newton = s - here.gradient[1] / here.curvature;
        let next = if newton > low && newton < high { newton } else { 0.5 * (low + high) };
        let step = next - s;
        if step.abs() <= LEAST_STEP * s.abs().max(1.0) {
            break;
        }
        here = place(ellipse, track, next, here.u + here.drift * step);
        s = next;
    }
    here.pair(s)
}

/// The least distance in a stretch by its values alone, by golden sections: for where the slope is of no use.
pub(super) fn seek(ellipse: &Ellipse, track: &Track, [mut low, mut high]: [f64; 2], u: f64) -> Pair {
    const SHARE: f64 = 0.618_033_988_749_894_8;
    let at = |s: f64| place(ellipse, track, s, u).pair(s);
    let mut inner = [at(high - SHARE * (high - low)), at(low + SHARE * (high - low))];
    for _ in 0..STEPS {
        if inner[0].distance < inner[1].distance {
            high = inner[1].s;
            inner = [at(high - SHARE * (high - low)), inner[0]];
        } else {
            low = inner[0].s;
            inner = [inner[1], at(low + SHARE * (high - low))];
        }
    }
    if inner[0].distance < inner[1].distance { inner[0] } else { inner[1] }
}

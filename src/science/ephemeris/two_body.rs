//! Motion about the Sun alone, in universal variables: one formula for ellipse, parabola and hyperbola.
//!
//! With `alpha = 2/r - v^2/GM` and `s` the universal anomaly (`ds = sqrt(GM) dt / r`), let `U_k = s^k c_k(alpha s^2)`, `c_k`
//! Stumpff's functions. Then `sqrt(GM) t = r0 U_1 + sigma U_2 + U_3` with `sigma = r0.v0 / sqrt(GM)`. Source: Danby 1988,
//! Fundamentals of Celestial Mechanics, section 6.9; Battin 1999, Mathematics and Methods of Astrodynamics, section 4.5.
//!
//! The derivatives of the position by the start are those of Battin, section 9.7.

#![expect(clippy::inline_always, reason = "the loop over the nodes vectorises only with these in it")]

use std::f64::consts::PI;

use super::lanes::{self, LaneVector, Lanes};
use crate::vector::{Vector, add, dot, norm, scale, sub};

/// `sqrt(GM)` and `GM` for one use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attraction {
    gm: f64,
    root: f64,
}

/// A motion from a start to its end.
struct Solution {
    /// The time without whole periods, and the whole periods that were left out of it \[d\].
    time: f64,
    left_out: f64,
    /// The universal anomaly.
    s: f64,
    /// The distances from the Sun at both ends.
    r0: f64,
    r: f64,
    /// `U_1` to `U_3`.
    u: [f64; 3],
}

/// How the position after a time depends on the state at the start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Transition {
    gm: f64,
    start: [Vector; 2],
    end: [Vector; 2],
    /// The distances from the Sun at the start and the end.
    r0: f64,
    r: f64,
    /// Lagrange's coefficients: the position is `f` times the position and `g` times the velocity at the start.
    f: f64,
    g: f64,
    u2: f64,
    /// Battin's C \[au d\]: what grows with the number of revolutions.
    c: f64,
}

impl Transition {
    /// The derivatives of the component of the position along a direction: by the position and by the velocity at the start.
    ///
    /// With `dr = r - r0` and `dv = v - v0` the matrices are, for the position, `r/GM dv dv' + (U_2 r + C v) r0' / r0^3 + f`,
    /// and for the velocity, `U_2/GM (dr v0' - dv r0') + C/GM v v0' + g`.
    pub(crate) fn gradient(&self, direction: Vector) -> [Vector; 2] {
        let Self { gm, start: [start, start_velocity], end: [end, end_velocity], r0, r, f, g, u2, c } = *self;
        let change = sub(end_velocity, start_velocity);
        let (moved, changed) = (dot(direction, sub(end, start)), dot(direction, change));
        let (along, speed) = (dot(direction, end), dot(direction, end_velocity));
        let by_position =
            add(scale(r / gm * changed, change), scale((u2 * along + c * speed) / (r0 * r0 * r0), start));
        let by_velocity =
            sub(scale((u2 * moved + c * speed) / gm, start_velocity), scale(u2 / gm * changed, start));
        [add(by_position, scale(f, direction)), add(by_velocity, scale(g, direction))]
    }
}

/// Stumpff's `c_n` times `n!` for small arguments.
fn stumpff_series(n: f64, z: f64) -> f64 {
    // 1 - z/((n+1)(n+2)) (1 - z/((n+3)(n+4)) (...)).
    let mut sum = 1.0;
    for k in (0..9).rev() {
        let n = n + 2.0 * f64::from(k);
        sum = 1.0 - z / ((n + 1.0) * (n + 2.0)) * sum;
    }
    sum
}

/// Stumpff's `c_2` and `c_3`.
fn stumpff(z: f64) -> [f64; 2] {
    if z.abs() < 1.0 {
        [stumpff_series(2.0, z) / 2.0, stumpff_series(3.0, z) / 6.0]
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

/// Stumpff's `c_4` and `c_5`, from `c_2` and `c_3`.
fn stumpff_next(z: f64, [c2, c3]: [f64; 2]) -> [f64; 2] {
    if z.abs() < 1.0 {
        [stumpff_series(4.0, z) / 24.0, stumpff_series(5.0, z) / 120.0]
    } else {
        [(1.0 / 2.0 - c2) / z, (1.0 / 6.0 - c3) / z]
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
    pub(crate) fn propagate(&self, start: [Vector; 2], alpha: f64, time: f64) -> Option<[Vector; 2]> {
        let state = self.state(start, &self.solve(start, alpha, time));
        state.iter().flatten().all(|value| value.is_finite()).then_some(state)
    }

    /// The state at the end of a motion.
    fn state(&self, [position, velocity]: [Vector; 2], end: &Solution) -> [Vector; 2] {
        let Solution { time, r0, r, u: [u1, u2, u3], .. } = *end;
        let f = 1.0 - u2 / r0;
        let g = time - u3 / self.root;
        let f_dot = -self.root * u1 / (r * r0);
        let g_dot = 1.0 - u2 / r;
        [add(scale(f, position), scale(g, velocity)), add(scale(f_dot, position), scale(g_dot, velocity))]
    }

    /// How the position after a time depends on the state at its start.
    ///
    /// Units: au, days. `None` if numbers overflow. Source: Battin 1999, section 9.7. Domain: all eccentricities, any
    /// number of revolutions. Accuracy: 1e-9 of the largest derivative, held by the tests.
    pub(crate) fn transition(&self, start: [Vector; 2], alpha: f64, time: f64) -> Option<Transition> {
        let solution = self.solve(start, alpha, time);
        let end = self.state(start, &solution);
        let Solution { time, left_out, s, r0, r, u: [_, u2, u3] } = solution;
        let z = alpha * s * s;
        let [c4, c5] = stumpff_next(z, stumpff(z));
        let fourth = s * s * s * s;
        let (u4, u5) = (fourth * c4, fourth * s * c5);
        let c = (3.0 * u5 - s * u4) / self.root - time * u2;
        // Of the whole periods, -3 P / alpha each remains: the mean motion depends on alpha.
        let c = if left_out == 0.0 { c } else { c - 3.0 * left_out / alpha };
        let (f, g) = (1.0 - u2 / r0, time - u3 / self.root);
        let numbers = [c, u2, r, f, g];
        let is_finite = end.iter().flatten().chain(&numbers).all(|value| value.is_finite());
        is_finite.then_some(Transition { gm: self.gm, start, end, r0, r, f, g, u2, c })
    }

    /// The universal anomaly after a time, and what follows from it.
    fn solve(&self, [position, velocity]: [Vector; 2], alpha: f64, time: f64) -> Solution {
        let r0 = norm(position);
        let sigma = dot(position, velocity) / self.root;
        // Whole revolutions change nothing.
        let period = if alpha > 0.0 { 2.0 * PI / (self.root * alpha * alpha.sqrt()) } else { f64::INFINITY };
        let left_out = if period.is_finite() { period * (time / period).round() } else { 0.0 };
        let time = time - left_out;
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
        // Time grows with s; where it overflows, it is beyond.
        let beyond = |found: f64| !found.is_finite() || (found - wanted) * wanted.signum() >= 0.0;
        while !beyond(at(high).0) {
            if !high.is_finite() || high == 0.0 {
                break;
            }
            (low, high) = (high, 2.0 * high);
        }
        let mut s = 0.5 * (low + high);
        let mut last = (high - low).abs();
        for _ in 0..MOST_STEPS {
            let (found, r, _) = at(s);
            if beyond(found) {
                high = s;
            } else {
                low = s;
            }
            let newton = s - (found - wanted) / r;
            let inside = (newton - low) * (newton - high) <= 0.0;
            // Where time grows exponentially, as on a hyperbola, all of Newton's steps are of the same size.
            let step = (newton - s).abs();
            let creeps = step > 0.5 * last && step > 1e-6 * s.abs();
            let next = if inside && !creeps { newton } else { 0.5 * (low + high) };
            last = (next - s).abs();
            s = next;
            if last <= 1e-16 * s.abs() {
                break;
            }
        }
        let (_, r, u) = at(s);
        Solution { time, left_out, s, r0, r, u }
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
            s += ds;
            // The derivatives of U_1, U_2 and U_3 are U_0, U_1 and U_2.
            u3 += u2 * ds;
            u2 += u1 * ds;
            u1 += (Lanes::splat(1.0) - arc.alpha * u2) * ds;
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ephemeris::collocation::SUN_ONLY;

    /// The state a time after perihelion, on an inclined orbit.
    fn start(q: f64, e: f64, time: f64) -> [Vector; 2] {
        let speed = SUN_ONLY.root * ((1.0 + e) / q).sqrt();
        let at_perihelion = [[0.6 * q, 0.8 * q, 0.0], [-0.48 * speed, 0.36 * speed, 0.8 * speed]];
        SUN_ONLY.propagate(at_perihelion, (1.0 - e) / q, time).unwrap()
    }

    /// The derivative of the position by a parameter, from four points.
    fn difference([position, velocity]: [Vector; 2], parameter: usize, time: f64, step: f64) -> Vector {
        let at = |count: f64| {
            let mut state = [position, velocity];
            state[parameter / 3][parameter % 3] += count * step;
            SUN_ONLY.propagate(state, SUN_ONLY.alpha(state), time).unwrap()[0]
        };
        let (near, far) = (sub(at(1.0), at(-1.0)), sub(at(2.0), at(-2.0)));
        scale(1.0 / (12.0 * step), sub(scale(8.0, near), far))
    }

    /// The largest difference between derivatives and differences, as a share of the largest derivative by position or by
    /// velocity.
    fn off(state: [Vector; 2], time: f64) -> f64 {
        let transition = SUN_ONLY.transition(state, SUN_ONLY.alpha(state), time).unwrap();
        let rows = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]].map(|axis| transition.gradient(axis));
        let mut worst = 0.0_f64;
        for kind in 0..2 {
            let largest = rows.iter().flat_map(|row| row[kind]).fold(0.0, |a: f64, b| a.max(b.abs()));
            // The position is linear in a step that moves it by 1e-3 of the distances.
            let step = 1e-3 * transition.r.min(transition.r0) / largest;
            let step = step.min(1e-3 * norm(state[kind]));
            for axis in 0..3 {
                let differences = difference(state, 3 * kind + axis, time, step);
                for (row, difference) in rows.iter().zip(differences) {
                    worst = worst.max((row[kind][axis] - difference).abs() / largest);
                }
            }
        }
        worst
    }

    #[test]
    fn derivatives_are_those_of_differences() {
        for (q, e) in [
            (1.0, 0.0),
            (2.5, 1e-9),
            (2.3, 0.15),
            (0.4, 0.8),
            (0.2, 0.97),
            (1.5, 1.0 - 1e-7),
            (1.0, 1.0),
            (1.0, 1.0 + 1e-9),
            (2.0, 1.2),
            (0.25, 3.4),
            (30.0, 0.2),
        ] {
            for after_perihelion in [-400.0, -20.0, 0.0, 3.0, 150.0] {
                let state = start(q, e, after_perihelion);
                for time in [-9000.0, -500.0, -3.0, 1.0, 30.0, 365.25, 2000.0] {
                    let off = off(state, time);
                    assert!(off < 1e-8, "q {q} e {e} from {after_perihelion} for {time}: {off:e}");
                }
            }
        }
    }

    #[test]
    fn a_longer_axis_lags_by_revolutions() {
        // Circular: after n whole periods a change da of the radius (and of the velocity with it) is 3 pi n da behind.
        let [position, velocity] = start(1.0, 0.0, 0.0);
        let period = 2.0 * PI / SUN_ONLY.root;
        for revolutions in [1.0, 10.0, 1000.0] {
            let transition = SUN_ONLY.transition([position, velocity], 1.0, revolutions * period).unwrap();
            let [by_position, by_velocity] = transition.gradient(scale(1.0 / norm(velocity), velocity));
            let behind = dot(by_position, position) - 0.5 * dot(by_velocity, velocity);
            let expected = -3.0 * PI * revolutions;
            assert!((behind / expected - 1.0).abs() < 1e-11, "{revolutions} {behind} {expected}");
        }
    }

    #[test]
    fn no_time_changes_nothing() {
        let state = start(1.2, 0.3, 40.0);
        let transition = SUN_ONLY.transition(state, SUN_ONLY.alpha(state), 0.0).unwrap();
        assert_eq!(transition.gradient([0.0, 1.0, 0.0]), [[0.0, 1.0, 0.0], [0.0; 3]]);
    }

    proptest! {
        #[test]
        fn derivatives_hold_for_every_orbit(
            q in 0.1..40.0_f64, e in 0.0..3.0_f64, from in -1000.0..1000.0_f64, days in 5.0..4000.0_f64, back: bool,
        ) {
            let state = start(q, e, from);
            let off = off(state, if back { -days } else { days });
            prop_assert!(off < 1e-7, "{off:e}");
        }
    }
}

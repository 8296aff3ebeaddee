//! Gauss-Legendre collocation: from accelerations at nodes to the path, and to the polynomial between the nodes.
//!
//! On a piece of length `h` the acceleration is the polynomial through its values at `N` nodes. Its first and second
//! integrals are velocity and position. All is in `u`, which runs from -1 to 1 over the piece. Source: Hairer, Norsett &
//! Wanner 1993, Solving Ordinary Differential Equations I, section II.7.

#![expect(clippy::needless_range_loop, reason = "an index is a node or a degree in several arrays")]

use std::sync::LazyLock;

use crate::vector::{Vector, add, scale};

/// The nodes of a rule, and the weights that integrate over a piece of length 1.
#[derive(Debug)]
pub(crate) struct Rule<const N: usize> {
    /// Nodes, from 0 to 1.
    pub nodes: [f64; N],
    /// The integral to each node: velocity.
    pub once: [[f64; N]; N],
    /// The double integral to each node: position.
    pub twice: [[f64; N]; N],
    /// The integral and the double integral over the whole piece.
    pub end_once: [f64; N],
    pub end_twice: [f64; N],
    /// Row `k`: what the accelerations at the nodes add to Legendre coefficient `k` of the position, for a piece of length 1.
    to_path: Vec<[f64; N]>,
}

/// The nodes of all integrations.
pub(crate) const NODES: usize = 16;

/// The rule of all integrations.
///
/// With 12 nodes and looser tolerances the main belt would take 30 % less time; a year forward and back would then be off by
/// 5e-11 au, not by 1e-11.
pub(crate) static RULE: LazyLock<Rule<NODES>> = LazyLock::new(Rule::new);

/// Legendre polynomials `P_0` to `P_count-1` at `u`.
fn legendre(u: f64, count: usize) -> Vec<f64> {
    let mut values = vec![1.0, u];
    for k in 1..count.saturating_sub(1) {
        let n = k as f64;
        values.push(((2.0 * n + 1.0) * u * values[k] - n * values[k - 1]) / (n + 1.0));
    }
    values
}

/// The integral from -1 of a sum of Legendre polynomials, as such a sum.
fn integral(coefficients: &[f64]) -> Vec<f64> {
    let mut sum = vec![0.0; coefficients.len() + 1];
    // P_k = (P_k+1 - P_k-1)' / (2k + 1), and all P_k+1 - P_k-1 vanish at -1 but for P_0 = (P_1 + 1)'.
    sum[0] += coefficients[0];
    sum[1] += coefficients[0];
    for (k, c) in coefficients.iter().enumerate().skip(1) {
        let share = c / (2 * k + 1) as f64;
        sum[k + 1] += share;
        sum[k - 1] -= share;
    }
    sum
}

fn value(coefficients: &[f64], u: f64) -> f64 {
    coefficients.iter().zip(legendre(u, coefficients.len())).map(|(c, p)| c * p).sum()
}

impl<const N: usize> Rule<N> {
    fn new() -> Self {
        // The nodes are the zeros of P_N, by Newton's method (Press et al. 2007, section 4.6).
        let mut zeros = [0.0; N];
        let mut weights = [0.0; N];
        for k in 0..N {
            let mut u = -(std::f64::consts::PI * (k as f64 + 0.75) / (N as f64 + 0.5)).cos();
            let mut slope = 1.0;
            for _ in 0..8 {
                let p = legendre(u, N + 1);
                slope = N as f64 * (u * p[N] - p[N - 1]) / (u * u - 1.0);
                u -= p[N] / slope;
            }
            zeros[k] = u;
            weights[k] = 2.0 / ((1.0 - u * u) * slope * slope);
        }
        let mut to_legendre = [[0.0; N]; N];
        for j in 0..N {
            for (k, p) in legendre(zeros[j], N).into_iter().enumerate() {
                to_legendre[k][j] = (k as f64 + 0.5) * p * weights[j];
            }
        }
        let mut rule = Self {
            nodes: zeros.map(|u| 0.5 * (u + 1.0)),
            once: [[0.0; N]; N],
            twice: [[0.0; N]; N],
            end_once: [0.0; N],
            end_twice: [0.0; N],
            to_path: vec![[0.0; N]; N + 2],
        };
        for j in 0..N {
            // The polynomial that is 1 at node j and 0 at the others. A step in u is twice one in time.
            let cardinal: Vec<f64> = (0..N).map(|k| to_legendre[k][j]).collect();
            let once = integral(&cardinal);
            let twice = integral(&once);
            for i in 0..N {
                rule.once[i][j] = 0.5 * value(&once, zeros[i]);
                rule.twice[i][j] = 0.25 * value(&twice, zeros[i]);
            }
            for (row, coefficient) in rule.to_path.iter_mut().zip(&twice) {
                row[j] = 0.25 * coefficient;
            }
            rule.end_once[j] = 0.5 * value(&once, 1.0);
            rule.end_twice[j] = 0.25 * value(&twice, 1.0);
        }
        rule
    }

    /// The path over a piece as Legendre coefficients, `N + 2` of them, from the state at its start, its length, and the
    /// accelerations at the nodes.
    pub(crate) fn path(
        &self,
        position: Vector,
        velocity: Vector,
        length: f64,
        pull: impl Fn(usize) -> Vector,
    ) -> Vec<Vector> {
        let pulls: [Vector; N] = std::array::from_fn(pull);
        let mut path: Vec<Vector> = self
            .to_path
            .iter()
            .map(|row| {
                let sum = row
                    .iter()
                    .zip(&pulls)
                    .fold([0.0; 3], |sum, (&weight, &pull)| add(sum, scale(weight, pull)));
                scale(length * length, sum)
            })
            .collect();
        // x0 + v0 t, with t = length (u + 1) / 2.
        let drift = scale(0.5 * length, velocity);
        path[0] = add(path[0], add(position, drift));
        path[1] = add(path[1], drift);
        path
    }
}

/// Most coefficients of a path.
const MOST: usize = NODES + 2;

/// The factors of Clenshaw's recurrence for Legendre polynomials: `(2k + 1) / (k + 1)` and `(k + 1) / (k + 2)`.
const FACTORS: [[f64; 2]; MOST] = {
    let mut factors = [[0.0; 2]; MOST];
    let mut k = 0;
    while k < MOST {
        let n = k as f64;
        factors[k] = [(2.0 * n + 1.0) / (n + 1.0), (n + 1.0) / (n + 2.0)];
        k += 1;
    }
    factors
};

/// The value and the derivative by `u` of a sum of Legendre polynomials (Clenshaw 1955).
pub(crate) fn evaluate(coefficients: &[Vector], u: f64) -> [Vector; 2] {
    let (mut b1, mut b2, mut d1, mut d2) = ([0.0; 3], [0.0; 3], [0.0; 3], [0.0; 3]);
    for (k, c) in coefficients.iter().enumerate().rev() {
        let [a, g] = FACTORS[k];
        for axis in 0..3 {
            let d = a * (b1[axis] + u * d1[axis]) - g * d2[axis];
            let b = c[axis] + a * u * b1[axis] - g * b2[axis];
            (d2[axis], d1[axis]) = (d1[axis], d);
            (b2[axis], b1[axis]) = (b1[axis], b);
        }
    }
    [b1, d1]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Polynomials of every degree that the rule must integrate exactly: t^k on 0 to 1.
    fn check<const N: usize>(rule: &Rule<N>) {
        for (k, n) in (0..).zip((0..N).map(|k| k as f64)) {
            let integrals =
                |weights: &[f64; N]| -> f64 { (0..N).map(|j| weights[j] * rule.nodes[j].powi(k)).sum() };
            for i in 0..N {
                let t = rule.nodes[i];
                assert!((integrals(&rule.once[i]) - t.powi(k + 1) / (n + 1.0)).abs() < 1e-15, "{N} {k} {i}");
                let twice = t.powi(k + 2) / ((n + 1.0) * (n + 2.0));
                assert!((integrals(&rule.twice[i]) - twice).abs() < 1e-15, "{N} {k} {i}");
            }
            assert!((integrals(&rule.end_once) - 1.0 / (n + 1.0)).abs() < 1e-15);
            assert!((integrals(&rule.end_twice) - 1.0 / ((n + 1.0) * (n + 2.0))).abs() < 1e-15);
        }
    }

    #[test]
    fn polynomials_are_integrated_exactly() {
        check(&Rule::<8>::new());
        check(&RULE);
    }

    #[test]
    fn the_path_and_its_slope() {
        // x = 2 + 3 t + t^5 / 20 on 0 to 4, so its acceleration is t^3.
        let length = 4.0;
        let path = RULE
            .path([2.0, 0.0, 0.0], [3.0, 0.0, 0.0], length, |j| [(length * RULE.nodes[j]).powi(3), 0.0, 0.0]);
        for t in [0.0, 0.3, 2.0, 4.0] {
            let [value, slope] = evaluate(&path, 2.0 * t / length - 1.0);
            assert!((value[0] - (2.0 + 3.0 * t + t.powi(5) / 20.0)).abs() < 1e-13, "{t}");
            assert!((slope[0] * 2.0 / length - (3.0 + t.powi(4) / 4.0)).abs() < 1e-12, "{t}");
            assert_eq!(value[1], 0.0);
        }
    }
}

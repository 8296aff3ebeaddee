//! The uncertainty of an orbit: a covariance as the sum of the squares of independent errors.
//!
//! Not a place for what an observer sees of it.

use super::forces::Falloff;
use super::orbit::to_equator;
use crate::vector::Vector;

/// The parameters of the state: position and velocity.
const STATE: usize = 6;
/// The most parameters: the state and three of a force.
const MOST: usize = 9;
/// The most negative eigenvalue of the correlations, as a share of the largest, that is taken for rounding.
const ROUNDING: f64 = 1e-9;
/// Sweeps of Jacobi's method. Six are enough for 9 x 9; the rest is reserve.
const MOST_SWEEPS: usize = 30;

type Matrix = [[f64; MOST]; MOST];

/// A parameter that was fitted together with the state, in the unit that the Minor Planet Center gives it in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Term {
    /// Radial, falls off as sublimation \[au/d^2\].
    A1,
    /// Transverse, falls off as sublimation \[au/d^2\].
    A2,
    /// Normal, falls off as sublimation \[au/d^2\].
    A3,
    /// Transverse, falls off as the inverse square \[1e-10 au/d^2\].
    Yarkovsky,
    /// One without an effect on the path here. It is left out; the others keep its part of their uncertainty.
    Other,
}

impl Term {
    /// Which component it is, its unit \[au/d^2\] and how it falls off.
    fn force(self) -> Option<(usize, f64, Falloff)> {
        match self {
            Self::A1 => Some((0, 1.0, Falloff::Sublimation)),
            Self::A2 => Some((1, 1.0, Falloff::Sublimation)),
            Self::A3 => Some((2, 1.0, Falloff::Sublimation)),
            Self::Yarkovsky => Some((1, 1e-10, Falloff::InverseSquare)),
            Self::Other => None,
        }
    }
}

/// One of the independent errors of an orbit: one standard deviation of it, in all parameters.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Axis {
    /// Equatorial \[au\].
    pub position: Vector,
    /// \[au/d\].
    pub velocity: Vector,
    /// Radial, transverse and normal at 1 au \[au/d^2\].
    pub force: Vector,
}

/// The uncertainty of an orbit at its epoch.
///
/// The covariance is the sum of the squares of its axes, so no rounding makes a variance negative.
#[derive(Clone, Debug, PartialEq)]
pub struct Covariance {
    pub(super) axes: Box<[Axis]>,
    /// How the fitted force falls off, if one was fitted.
    pub(super) falloff: Option<Falloff>,
}

impl Covariance {
    /// The uncertainty by a matrix: `entry(i, j)` is that of the parameters `i <= j`, which are x, y, z, vx, vy, vz
    /// (heliocentric, ecliptic of J2000) and the terms.
    ///
    /// Units: au, au/d, and those of [`Term`]. `None` if it is not usable: an entry that is not finite, a variance that is
    /// not positive, an eigenvalue of the correlations below -1e-9 of the largest, or terms of two kinds of force.
    #[must_use]
    pub fn new(terms: &[Term], entry: impl Fn(usize, usize) -> f64) -> Option<Self> {
        let mut parameters: Vec<usize> = (0..STATE).collect();
        let mut forces = Vec::new();
        for (k, force) in terms.iter().enumerate().filter_map(|(k, term)| Some((k, term.force()?))) {
            parameters.push(STATE + k);
            forces.push(force);
        }
        let falloff = forces.first().map(|(_, _, falloff)| *falloff);
        let size = parameters.len();
        if size > MOST || forces.iter().any(|(_, _, other)| Some(*other) != falloff) {
            return None;
        }
        let mut matrix = [[0.0; MOST]; MOST];
        for (i, &row) in parameters.iter().enumerate() {
            for (j, &column) in parameters.iter().enumerate().skip(i) {
                matrix[i][j] = entry(row.min(column), row.max(column));
                matrix[j][i] = matrix[i][j];
            }
        }
        let axes = square_root(&matrix, size)?.map(|column| {
            let mut axis = Axis {
                position: to_equator([column[0], column[1], column[2]]),
                velocity: to_equator([column[3], column[4], column[5]]),
                force: [0.0; 3],
            };
            for (value, (component, unit, _)) in column[STATE..].iter().zip(&forces) {
                axis.force[*component] += value * unit;
            }
            axis
        });
        Some(Self { axes: axes.collect(), falloff })
    }
}

/// Columns whose squares add up to a covariance; `None` if it is not usable.
fn square_root(matrix: &Matrix, size: usize) -> Option<impl Iterator<Item = [f64; MOST]>> {
    let mut sigma = [0.0; MOST];
    for k in 0..size {
        let variance = matrix[k][k];
        if !(variance > 0.0 && variance.is_finite()) {
            return None;
        }
        sigma[k] = variance.sqrt();
    }
    let mut correlation = [[0.0; MOST]; MOST];
    for i in 0..size {
        for j in 0..size {
            correlation[i][j] = if i == j { 1.0 } else { matrix[i][j] / sigma[i] / sigma[j] };
        }
    }
    if !correlation.iter().flatten().all(|value| value.is_finite()) {
        return None;
    }
    let (values, vectors) = eigen(correlation, size);
    let largest = values[..size].iter().copied().fold(0.0, f64::max);
    // Not a number is not usable either.
    if !values[..size].iter().all(|&value| value >= -ROUNDING * largest) {
        return None;
    }
    let columns = (0..size).filter(move |&k| values[k] > 0.0).map(move |k| {
        let length = values[k].sqrt();
        std::array::from_fn(|i| sigma[i] * length * vectors[i][k])
    });
    Some(columns)
}

/// Eigenvalues of the symmetric matrix of the first `size` rows and columns, and its eigenvectors as columns.
///
/// Source: Golub & Van Loan 1996, Matrix Computations, section 8.4: Jacobi's cyclic method.
fn eigen(mut a: Matrix, size: usize) -> ([f64; MOST], Matrix) {
    let mut vectors = [[0.0; MOST]; MOST];
    for (k, row) in vectors.iter_mut().enumerate() {
        row[k] = 1.0;
    }
    for _ in 0..MOST_SWEEPS {
        let mut turned = false;
        for p in 0..size {
            for q in p + 1..size {
                turned |= rotate(&mut a, &mut vectors, p, q, size);
            }
        }
        if !turned {
            break;
        }
    }
    (std::array::from_fn(|k| a[k][k]), vectors)
}

/// Makes the entry (p, q) zero by a rotation in the plane of p and q; says whether one was needed.
fn rotate(a: &mut Matrix, vectors: &mut Matrix, p: usize, q: usize, size: usize) -> bool {
    let off = a[p][q];
    let scale = (a[p][p] * a[q][q]).abs().sqrt();
    if off.abs() <= 0.25 * f64::EPSILON * scale || off == 0.0 {
        return false;
    }
    let tau = (a[q][q] - a[p][p]) / (2.0 * off);
    let tan = tau.signum() / (tau.abs() + 1.0_f64.hypot(tau));
    let cos = 1.0 / 1.0_f64.hypot(tan);
    let sin = tan * cos;
    let turn = |x: f64, y: f64| (cos * x - sin * y, sin * x + cos * y);
    for row in a.iter_mut().take(size).chain(vectors.iter_mut().take(size)) {
        (row[p], row[q]) = turn(row[p], row[q]);
    }
    let (row_p, row_q) = (a[p], a[q]);
    for (k, (x, y)) in row_p.into_iter().zip(row_q).enumerate() {
        (a[p][k], a[q][k]) = turn(x, y);
    }
    a[p][q] = 0.0;
    a[q][p] = 0.0;
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The largest entry of `V diag(values) V' - matrix` and of `V' V - 1`.
    fn residual(matrix: &Matrix, size: usize) -> [f64; 2] {
        let (values, vectors) = eigen(*matrix, size);
        let mut worst = [0.0_f64; 2];
        for i in 0..size {
            for j in 0..size {
                let product: f64 = (0..size).map(|k| vectors[i][k] * values[k] * vectors[j][k]).sum();
                let square: f64 = (0..size).map(|k| vectors[k][i] * vectors[k][j]).sum();
                worst[0] = worst[0].max((product - matrix[i][j]).abs());
                worst[1] = worst[1].max((square - f64::from(u8::from(i == j))).abs());
            }
        }
        worst
    }

    fn sorted(matrix: &Matrix, size: usize) -> Vec<f64> {
        let mut values = eigen(*matrix, size).0[..size].to_vec();
        values.sort_by(f64::total_cmp);
        values
    }

    #[test]
    fn eigenvalues_of_known_matrices() {
        // The second difference has the eigenvalues 2 - 2 cos(k pi / (n + 1)).
        for size in [1, 2, 6, 9] {
            let mut matrix = [[0.0; MOST]; MOST];
            for k in 0..size {
                matrix[k][k] = 2.0;
                if k + 1 < size {
                    matrix[k][k + 1] = -1.0;
                    matrix[k + 1][k] = -1.0;
                }
            }
            for (k, value) in sorted(&matrix, size).into_iter().enumerate() {
                let angle = std::f64::consts::PI * (k + 1) as f64 / (size + 1) as f64;
                assert!((value - (2.0 - 2.0 * angle.cos())).abs() < 1e-14, "{size} {k} {value}");
            }
            assert!(residual(&matrix, size).iter().all(|worst| *worst < 1e-14));
        }
        // All ones: one eigenvalue is the size, the others are 0.
        let values = sorted(&[[1.0; MOST]; MOST], MOST);
        assert!((values[8] - 9.0).abs() < 1e-14 && values[..8].iter().all(|value| value.abs() < 1e-14));
        // One that is not definite.
        let mut matrix = [[0.0; MOST]; MOST];
        (matrix[0][1], matrix[1][0]) = (3.0, 3.0);
        let values = sorted(&matrix, 2);
        assert!((values[0] + 3.0).abs() < 1e-14 && (values[1] - 3.0).abs() < 1e-14);
    }

    #[test]
    fn hilbert_matrices_are_decomposed() {
        let matrix: Matrix = std::array::from_fn(|i| std::array::from_fn(|j| 1.0 / (i + j + 1) as f64));
        assert!(residual(&matrix, MOST).iter().all(|worst| *worst < 1e-14));
        // The smallest and largest of 6 x 6 (Fettis & Caslin 1967).
        let values = sorted(&matrix, 6);
        assert!((values[5] - 1.618_899_858_924_339).abs() < 1e-14);
        assert!((values[0] - 1.082_799_484_565_55e-7).abs() < 1e-16);
    }

    fn diagonal(i: usize, j: usize) -> f64 {
        if i == j { (i + 1) as f64 } else { 0.0 }
    }

    /// A diagonal with other values in some places of the upper triangle.
    fn with(changes: &[((usize, usize), f64)]) -> impl Fn(usize, usize) -> f64 + '_ {
        |i, j| changes.iter().find(|(at, _)| *at == (i, j)).map_or(diagonal(i, j), |(_, value)| *value)
    }

    #[test]
    fn what_is_not_usable() {
        assert!(Covariance::new(&[], diagonal).is_some());
        for changes in [
            &[((2, 2), 0.0)][..],
            &[((2, 2), -1.0)],
            &[((2, 2), f64::NAN)],
            &[((2, 2), f64::INFINITY)],
            &[((0, 5), f64::NAN)],
            &[((0, 5), f64::NEG_INFINITY)],
            // A correlation above 1.
            &[((0, 1), 1.001 * 2.0_f64.sqrt())],
        ] {
            assert_eq!(Covariance::new(&[], with(changes)), None, "{changes:?}");
        }
        // The same in the term that was fitted.
        let missing = [((6, 6), f64::NAN)];
        assert_eq!(Covariance::new(&[Term::A2], with(&missing)), None);
        assert!(Covariance::new(&[Term::Other], with(&missing)).is_some());
        assert_eq!(Covariance::new(&[Term::A1, Term::Yarkovsky], diagonal), None);
        assert_eq!(Covariance::new(&[Term::A1; 4], diagonal), None);
    }

    #[test]
    fn singular_by_rounding_is_usable() {
        // A correlation of 1, and a little above.
        for (excess, usable) in [(0.0, true), (1e-10, true), (1e-8, false)] {
            let changes = [((0, 1), 2.0_f64.sqrt() * (1.0 + excess))];
            assert_eq!(Covariance::new(&[], with(&changes)).is_some(), usable, "{excess}");
        }
    }

    #[test]
    fn axes_add_up_to_the_covariance() {
        // x and y, vz and the second term are correlated; x is along both axes of coordinates.
        let changes = [((0, 5), 1.2), ((0, 7), 0.9), ((5, 7), -1.5)];
        let covariance = Covariance::new(&[Term::Other, Term::Yarkovsky], with(&changes)).unwrap();
        let (mut xx, mut xa, mut aa, mut trace) = (0.0, 0.0, 0.0, 0.0);
        for Axis { position, velocity, force } in &covariance.axes {
            assert_eq!((force[0], force[2]), (0.0, 0.0));
            xx += position[0] * position[0];
            xa += position[0] * force[1];
            aa += force[1] * force[1];
            trace += velocity.iter().map(|v| v * v).sum::<f64>();
        }
        for (found, expected) in [(xx, 1.0), (xa / 1e-10, 0.9), (aa / 1e-20, 8.0), (trace, 15.0)] {
            assert!((found - expected).abs() < 1e-13, "{found} {expected}");
        }
        assert_eq!(covariance.falloff, Some(Falloff::InverseSquare));
    }
}

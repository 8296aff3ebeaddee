//! The nearest point of an ellipse, for many points at once.

use super::Ellipse;

/// Points that are worked on together, so that the compiler uses vector instructions.
pub(super) const LANES: usize = 8;

/// One value per lane.
type Lanes = [f64; LANES];

/// A point of the ellipse is near enough to the nearest one when the equation below is met to this.
const RESIDUAL: f64 = 1e-13;
/// Newton steps: the Earth needs 2; an ellipse of any shape at most about this many.
const STEPS: usize = 60;
/// Keeps the equation from 0/0 on the major axis.
const LEAST: f64 = 1e-150;

/// The nearest points of the ellipse to `(x, y)`, in its plane, from its centre.
///
/// With `t` the root of `(a x / (t + c^2))^2 + (b y / t)^2 = 1`, `c^2 = a^2 - b^2`, the point is `(a^2 x / (t + c^2),
/// b^2 y / t)`. The left side falls and is convex for `t > 0`; Newton from below the root never passes it. So the global
/// minimum is found, also inside the evolute, where there are others. Source: Eberly 2013, Distance from a point to an
/// ellipse, equation 10 (bisection there).
#[inline]
pub(super) fn nearest(ellipse: &Ellipse, x: &Lanes, y: &Lanes) -> [Lanes; 2] {
    let (a, b) = (ellipse.a, ellipse.b);
    let c2 = ellipse.centre() * ellipse.centre();
    let mut ax = [0.0; LANES];
    let mut by = [0.0; LANES];
    let mut t = [0.0; LANES];
    for k in 0..LANES {
        ax[k] = a * x[k].abs();
        by[k] = (b * y[k].abs()).max(LEAST);
        // Two bounds from below: each is the root if one denominator is replaced.
        t[k] = ((ax[k] * ax[k] + by[k] * by[k]).sqrt() - c2).max(by[k]);
    }
    for _ in 0..STEPS {
        let mut worst = 0.0_f64;
        for k in 0..LANES {
            let (n, m) = (1.0 / (t[k] + c2), 1.0 / t[k]);
            let (u, v) = (ax[k] * n, by[k] * m);
            let (u2, v2) = (u * u, v * v);
            let residual = u2 + v2 - 1.0;
            t[k] += residual / (2.0 * (u2 * n + v2 * m));
            worst = worst.max(residual);
        }
        // The step that was just made squares the residual.
        if worst * worst < RESIDUAL {
            break;
        }
    }
    let mut point = [[0.0; LANES]; 2];
    for k in 0..LANES {
        point[0][k] = a * a * x[k] / (t[k] + c2);
        point[1][k] = b * b * y[k] / t[k];
    }
    point
}

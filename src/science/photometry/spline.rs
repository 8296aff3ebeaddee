//! Cubic splines with given slopes at both ends.
//!
//! Not a general interpolator: the knots are few and fixed.

/// A piecewise cubic, twice continuously differentiable.
#[derive(Debug)]
pub(super) struct Spline<const N: usize> {
    knots: [f64; N],
    /// Per interval: the coefficients of `(x - knot)^0 .. ^3`.
    cubics: [[f64; 4]; N],
}

impl<const N: usize> Spline<N> {
    /// The spline through `values` (\[N\]) at `knots` (\[N\], ascending) with the slopes `first` and `last`.
    ///
    /// Source: Press et al. 2007, Numerical Recipes, section 3.3: the tridiagonal system for the second derivatives.
    pub(super) fn clamped(knots: [f64; N], values: [f64; N], first: f64, last: f64) -> Self {
        let width = |k: usize| knots[k + 1] - knots[k];
        let secant = |k: usize| (values[k + 1] - values[k]) / width(k);
        // Row k: lower * M[k-1] + diagonal * M[k] + upper * M[k+1] = right; forward elimination, then back.
        let mut upper = [0.0; N];
        let mut second = [0.0; N];
        for k in 0..N {
            let (lower, diagonal, above, right) = if k == 0 {
                (0.0, 2.0 * width(0), width(0), 6.0 * (secant(0) - first))
            } else if k == N - 1 {
                (width(k - 1), 2.0 * width(k - 1), 0.0, 6.0 * (last - secant(k - 1)))
            } else {
                (width(k - 1), 2.0 * (width(k - 1) + width(k)), width(k), 6.0 * (secant(k) - secant(k - 1)))
            };
            let (upper_before, second_before) =
                if k == 0 { (0.0, 0.0) } else { (upper[k - 1], second[k - 1]) };
            let pivot = diagonal - lower * upper_before;
            upper[k] = above / pivot;
            second[k] = (right - lower * second_before) / pivot;
        }
        for k in (0..N - 1).rev() {
            second[k] -= upper[k] * second[k + 1];
        }
        let mut cubics = [[0.0; 4]; N];
        for k in 0..N - 1 {
            let slope = secant(k) - width(k) * (2.0 * second[k] + second[k + 1]) / 6.0;
            cubics[k] = [values[k], slope, second[k] / 2.0, (second[k + 1] - second[k]) / (6.0 * width(k))];
        }
        Self { knots, cubics }
    }

    /// The value at `x`; beyond the last knot the last cubic is continued.
    pub(super) fn value(&self, x: f64) -> f64 {
        let interval = (1..N - 1).take_while(|&k| x >= self.knots[k]).count();
        let [c0, c1, c2, c3] = self.cubics[interval];
        let t = x - self.knots[interval];
        c0 + t * (c1 + t * (c2 + t * c3))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cubic_is_reproduced() {
        let cubic = |x: f64| 1.0 - 2.0 * x + 0.5 * x * x + 0.25 * x * x * x;
        let slope = |x: f64| -2.0 + x + 0.75 * x * x;
        let knots = [0.0, 0.5, 2.0, 3.0];
        let spline = Spline::clamped(knots, knots.map(cubic), slope(0.0), slope(3.0));
        for x in [0.0, 0.2, 0.5, 1.9, 2.0, 2.5, 3.0, 3.5] {
            assert!((spline.value(x) - cubic(x)).abs() < 1e-13, "{x}");
        }
    }
}

//! Any conic by one parameter: the universal anomaly.
//!
//! With `alpha = (1 - e) / q` and `s` the universal anomaly (`ds = sqrt(GM) dt / r`), let
//!
//! ```text
//! S = 2 sin(sqrt(alpha) s / 2) / sqrt(alpha)      C = cos(sqrt(alpha) s / 2)
//! X = q - S^2 / 2      Y = sqrt(q (1 + e)) S C      r = q + e S^2 / 2
//! ```
//!
//! (sinh and cosh for `alpha < 0`; `S = s`, `C = 1` for a parabola), with `C^2 + alpha S^2 / 4 = 1` and addition theorems
//! like those of sine and cosine. So ellipse, parabola and hyperbola are one formula without cancellation, and a table of
//! equal steps needs no trigonometry. Source: Stumpff 1959, Himmelsmechanik I; Danby 1988, section 6.9, at half the angle.

/// The shape of an orbit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Conic {
    /// Perihelion distance \[au\].
    pub q: f64,
    pub e: f64,
    /// `(1 - e) / q`: the inverse of the semi-major axis.
    pub alpha: f64,
    /// `sqrt(q (1 + e))`: the square root of the semi-latus rectum.
    pub root_p: f64,
}

/// `S` and `C` of this module's page.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Half {
    pub s: f64,
    pub c: f64,
}

/// Below this `|alpha s^2| / 4` series are used: their first term left out is 2e-21 of the sum.
const SERIES_BELOW: f64 = 1e-2;

impl Conic {
    /// The shape with this perihelion distance \[au\] and eccentricity.
    pub(super) fn new(q: f64, e: f64) -> Self {
        Self { q, e, alpha: (1.0 - e) / q, root_p: (q * (1.0 + e)).sqrt() }
    }

    /// `S` and `C` at a universal anomaly.
    pub(super) fn half(&self, s: f64) -> Half {
        let z = 0.25 * self.alpha * s * s;
        if z.abs() < SERIES_BELOW {
            let c = 1.0 - z / 2.0 * (1.0 - z / 12.0 * (1.0 - z / 30.0 * (1.0 - z / 56.0 * (1.0 - z / 90.0))));
            let s = s
                * (1.0
                    - z / 6.0 * (1.0 - z / 20.0 * (1.0 - z / 42.0 * (1.0 - z / 72.0 * (1.0 - z / 110.0)))));
            Half { s, c }
        } else if z > 0.0 {
            let (sin, cos) = z.sqrt().copysign(s).sin_cos();
            Half { s: 2.0 * sin / self.alpha.sqrt(), c: cos }
        } else {
            let x = (-z).sqrt().copysign(s);
            Half { s: 2.0 * x.sinh() / (-self.alpha).sqrt(), c: x.cosh() }
        }
    }

    #[inline]
    pub(super) fn add(&self, a: Half, b: Half) -> Half {
        Half { s: a.s * b.c + a.c * b.s, c: a.c * b.c - 0.25 * self.alpha * a.s * b.s }
    }

    /// The universal anomaly, from perihelion outwards, at which the orbit is `r` from the Sun, or at aphelion if it
    /// never gets there.
    pub(super) fn anomaly_at(&self, r: f64) -> f64 {
        if r >= self.aphelion() {
            return std::f64::consts::PI / self.alpha.sqrt();
        }
        if r <= self.q {
            return 0.0;
        }
        // S^2 = 2 (r - q) / e; S = 2 sin(x) / sqrt(alpha) with x = sqrt(alpha) s / 2.
        let square = 2.0 * (r - self.q) / self.e;
        let z = 0.25 * self.alpha * square;
        if z.abs() < 1e-6 {
            square.sqrt() * (1.0 + z / 6.0 * (1.0 + 9.0 / 20.0 * z))
        } else if z > 0.0 {
            2.0 * z.sqrt().min(1.0).asin() / self.alpha.sqrt()
        } else {
            2.0 * (-z).sqrt().asinh() / (-self.alpha).sqrt()
        }
    }

    /// The largest distance from the Sun; infinite for a parabola or hyperbola.
    pub(super) fn aphelion(&self) -> f64 {
        if self.e < 1.0 { self.q * (1.0 + self.e) / (1.0 - self.e) } else { f64::INFINITY }
    }

    /// Place in the plane of the orbit.
    #[inline]
    pub(super) fn place(&self, Half { s, c }: Half) -> [f64; 2] {
        [self.q - 0.5 * s * s, self.root_p * s * c]
    }

    /// First derivative of the place by the universal anomaly.
    #[inline]
    pub(super) fn tangent(&self, Half { s, c }: Half) -> [f64; 2] {
        [-s * c, self.root_p * (1.0 - 0.5 * self.alpha * s * s)]
    }

    /// Second derivative of the place by the universal anomaly.
    #[inline]
    pub(super) fn bend(&self, Half { s, c }: Half) -> [f64; 2] {
        [-(1.0 - 0.5 * self.alpha * s * s), -self.alpha * self.root_p * s * c]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn radius(conic: &Conic, half: Half) -> f64 {
        conic.q + 0.5 * conic.e * half.s * half.s
    }

    #[test]
    fn places_lie_on_the_conic_of_every_eccentricity() {
        for e in [0.0, 0.3, 0.99, 1.0 - 1e-9, 1.0, 1.0 + 1e-9, 1.2, 6.0] {
            let conic = Conic::new(0.7, e);
            for s in [-2.0, -0.1, 0.0, 1e-5, 0.3, 1.7] {
                let half = conic.half(s);
                let [x, y] = conic.place(half);
                let r = radius(&conic, half);
                assert!((x.hypot(y) - r).abs() < 1e-14 * r.max(1.0), "e {e}, s {s}");
                // r = p / (1 + e cos f), that is r + e x = p.
                assert!((r + e * x - 0.7 * (1.0 + e)).abs() < 1e-14 * r.max(1.0), "e {e}, s {s}");
                let there = conic.add(conic.half(s - 0.4), conic.half(0.4));
                assert!((there.s - half.s).abs() < 1e-13 && (there.c - half.c).abs() < 1e-13, "e {e}, s {s}");
            }
            for r in [0.7, 0.700_001, 0.9, 1.2] {
                let there = radius(&conic, conic.half(conic.anomaly_at(r)));
                assert!((there - r.min(conic.aphelion())).abs() < 1e-13, "e {e}, r {r}: {there}");
            }
        }
    }

    #[test]
    fn derivatives_are_those_of_the_place() {
        for e in [0.2, 1.0, 2.0] {
            let conic = Conic::new(1.3, e);
            let (s, h) = (0.8, 1e-5);
            let at = |s: f64| conic.place(conic.half(s));
            let tangent = |s: f64| conic.tangent(conic.half(s));
            for axis in 0..2 {
                let first = (at(s + h)[axis] - at(s - h)[axis]) / (2.0 * h);
                let second = (tangent(s + h)[axis] - tangent(s - h)[axis]) / (2.0 * h);
                assert!((first - tangent(s)[axis]).abs() < 1e-9);
                assert!((second - conic.bend(conic.half(s))[axis]).abs() < 1e-9);
            }
        }
    }
}

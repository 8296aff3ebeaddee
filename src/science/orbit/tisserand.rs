//! The Tisserand parameter with respect to Jupiter.

use super::elements::Elements;

/// Jupiter's semi-major axis \[au\].
const JUPITER_A_AU: f64 = 5.2044;

/// The Tisserand parameter with respect to Jupiter, written with `q` so that it holds for every `e >= 0`.
///
/// ```
/// use ssp_science::orbit::{elements::Elements, tisserand::tisserand_jupiter};
///
/// // Comet 67P is bound to Jupiter: its parameter is between 2 and 3.
/// let orbit = Elements { q_au: 1.2433, e: 0.6410, inclination_rad: 0.1229, node_rad: 0.0, argperi_rad: 0.0 };
/// assert!((tisserand_jupiter(&orbit) - 2.746).abs() < 2e-3);
/// ```
///
/// Source: Murray & Dermott 1999, Solar System Dynamics, equation 3.46, with `a = q / (1 - e)`.
#[must_use]
pub fn tisserand_jupiter(orbit: &Elements) -> f64 {
    let Elements { q_au, e, inclination_rad, .. } = *orbit;
    JUPITER_A_AU * (1.0 - e) / q_au + 2.0 * inclination_rad.cos() * (q_au * (1.0 + e) / JUPITER_A_AU).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_bodies() {
        let orbit = |q_au, e, i_deg: f64| Elements {
            q_au,
            e,
            inclination_rad: i_deg.to_radians(),
            node_rad: 0.0,
            argperi_rad: 0.0,
        };
        // Ceres 3.310, 67P 2.746 (JPL SBDB), and a parabola by hand: 2 sqrt(2 q / a_J).
        assert!((tisserand_jupiter(&orbit(2.5577, 0.0758, 10.593)) - 3.310).abs() < 1e-3);
        assert!((tisserand_jupiter(&orbit(1.2433, 0.6410, 7.0402)) - 2.746).abs() < 2e-3);
        let parabola = 2.0 * (2.0_f64 / JUPITER_A_AU).sqrt();
        assert!((tisserand_jupiter(&orbit(1.0, 1.0, 0.0)) - parabola).abs() < 1e-15);
    }
}

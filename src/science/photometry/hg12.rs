//! The H, G12 phase function of asteroids (Muinonen et al. 2010, Icarus 209, 542).
//!
//! Not the later HG12* of Penttilä et al. 2016.

use std::f64::consts::PI;
use std::sync::LazyLock;

use super::spline::Spline;

/// Magnitudes per unit of the natural logarithm of a flux, so also per relative error of a flux: 2.5 / ln 10.
pub const MAG_PER_LN: f64 = 2.5 * std::f64::consts::LOG10_E;

/// The G12 at which (G1, G2) goes from one line to another; the function has a small step there.
pub(super) const STEP_G12: f64 = 0.2;

/// Below this phase angle Phi1 and Phi2 are straight lines.
const LINEAR_BELOW_RAD: f64 = 7.5 * DEG;
/// Phi3 is zero beyond this phase angle.
const PHI3_ENDS_RAD: f64 = 30.0 * DEG;
const DEG: f64 = PI / 180.0;

struct Splines {
    phi1: Spline<6>,
    phi2: Spline<6>,
    phi3: Spline<9>,
}

/// Muinonen et al. 2010, Tables 3 and 4; slopes per radian.
static SPLINES: LazyLock<Splines> = LazyLock::new(|| {
    let far = [7.5, 30.0, 60.0, 90.0, 120.0, 150.0].map(|deg: f64| deg * DEG);
    let near = [0.0, 0.3, 1.0, 2.0, 4.0, 8.0, 12.0, 20.0, 30.0].map(|deg: f64| deg * DEG);
    let phi1 = [0.75, 0.334_860_16, 0.134_105_60, 0.051_104_756, 0.021_465_687, 0.003_639_698_9];
    let phi2 = [0.925, 0.628_841_69, 0.317_554_95, 0.127_163_67, 0.022_373_903, 0.000_165_056_89];
    let phi3 = [
        1.0,
        0.833_811_85,
        0.577_354_24,
        0.421_447_72,
        0.231_742_30,
        0.103_481_78,
        0.061_733_473,
        0.016_107_006,
        0.0,
    ];
    Splines {
        phi1: Spline::clamped(far, phi1, -1.909_859_3, -0.091_328_612),
        phi2: Spline::clamped(far, phi2, -0.572_957_80, -8.657_313_8e-8),
        phi3: Spline::clamped(near, phi3, -1.063_009_7, 0.0),
    }
});

/// The three basis functions at a phase angle.
///
/// Units: radians. Domain: `phase_rad >= 0`; beyond 150 degrees the last cubics are continued, and turn negative.
/// Source: Muinonen et al. 2010, equation 18 and following.
pub(super) fn basis(phase_rad: f64) -> [f64; 3] {
    let splines = &*SPLINES;
    let (phi1, phi2) = if phase_rad < LINEAR_BELOW_RAD {
        (1.0 - 6.0 * phase_rad / PI, 1.0 - 9.0 * phase_rad / (5.0 * PI))
    } else {
        (splines.phi1.value(phase_rad), splines.phi2.value(phase_rad))
    };
    let phi3 = if phase_rad < PHI3_ENDS_RAD { splines.phi3.value(phase_rad) } else { 0.0 };
    [phi1, phi2, phi3]
}

/// One of the two lines that (G1, G2) follows as G12 goes from low to high.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Branch {
    /// G12 below [`STEP_G12`].
    Low,
    /// G12 from [`STEP_G12`] on.
    High,
}

impl Branch {
    /// The branch that a G12 lies on.
    pub(super) fn of(g12: f64) -> Self {
        if g12 < STEP_G12 { Self::Low } else { Self::High }
    }

    /// `[g1_slope, g1_offset, g2_slope, g2_offset]` (Muinonen et al. 2010, equations 23 and 24).
    fn line(self) -> [f64; 4] {
        match self {
            Self::Low => [0.7527, 0.061_64, -0.9612, 0.6270],
            Self::High => [0.9529, 0.021_62, -0.6125, 0.5572],
        }
    }

    /// The flux (1 at H = 0 and phase 0) as a linear function of G12 on this branch: offset and slope.
    ///
    /// That the flux is linear in G12 on each branch is what the fit rests on.
    pub(super) fn flux_line(self, [phi1, phi2, phi3]: [f64; 3]) -> [f64; 2] {
        let [g1_slope, g1_offset, g2_slope, g2_offset] = self.line();
        let line = |g1: f64, g2: f64, rest: f64| g1 * phi1 + g2 * phi2 + rest * phi3;
        [
            line(g1_offset, g2_offset, 1.0 - g1_offset - g2_offset),
            line(g1_slope, g2_slope, -g1_slope - g2_slope),
        ]
    }
}

/// The magnitude at 1 au from Sun and observer.
///
/// Units: mag and radians. NaN where the flux is not positive (beyond about 152 degrees).
///
/// ```
/// use ssp_science::photometry::hg12::magnitude;
///
/// // At opposition it is H for every slope; at 20 degrees an object is a magnitude fainter.
/// assert_eq!(magnitude(15.0, 0.5, 0.0), 15.0);
/// assert!((magnitude(15.0, 0.5, 20_f64.to_radians()) - 16.0).abs() < 0.1);
/// ```
///
/// Source: Muinonen et al. 2010, equation 17. Accuracy: held by `tests/oracle/hg12.rs`.
#[must_use]
pub fn magnitude(h_mag: f64, g12: f64, phase_rad: f64) -> f64 {
    let [offset, slope] = Branch::of(g12).flux_line(basis(phase_rad));
    h_mag - MAG_PER_LN * (offset + slope * g12).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Phase angle in degrees, then the magnitude for G12 = 0, 0.42 and 1, at H = 0.
    const CHECKS: [[f64; 4]; 11] = [
        [0.1, 0.010_444_767, 0.010_382_266, 0.005_945_442],
        [1.0, 0.163_652_437, 0.157_015_347, 0.074_216_887],
        [5.0, 0.383_555_901, 0.409_250_864, 0.278_244_523],
        [7.5, 0.450_045_264, 0.510_952_674, 0.404_959_285],
        [10.0, 0.502_340_739, 0.600_272_003, 0.533_212_516],
        [20.0, 0.719_976_093, 0.923_161_816, 0.987_492_835],
        [30.0, 0.955_077_250, 1.204_117_259, 1.338_206_297],
        [60.0, 1.708_118_307, 2.046_667_196, 2.366_076_641],
        [90.0, 2.703_853_135, 3.060_051_971, 3.422_140_302],
        [120.0, 4.534_617_149, 4.505_689_674, 4.264_856_474],
        [150.0, 8.710_839_483, 7.000_014_437, 6.128_157_069],
    ];

    #[test]
    fn magnitudes_are_the_published_ones() {
        for [deg, low, middle, high] in CHECKS {
            for (g12, expected) in [(0.0, low), (0.42, middle), (1.0, high)] {
                let found = magnitude(0.0, g12, deg * DEG);
                assert!((found - expected).abs() < 1e-9, "{deg} deg, G12 {g12}: {found} and not {expected}");
            }
        }
    }

    #[test]
    fn there_is_no_magnitude_where_the_flux_is_not_positive() {
        assert!(magnitude(0.0, 0.0, 160.0 * DEG).is_nan());
    }
}

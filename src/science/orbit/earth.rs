//! The Earth's orbit.

use super::elements::Elements;

/// MJD of the epoch J2000.0.
const J2000_MJD: f64 = 51_544.5;
/// Days in a Julian century.
const CENTURY_DAY: f64 = 36_525.0;

/// The mean orbit of the Earth-Moon barycentre, with secular rates.
///
/// Units: days, TDB. Source: Standish 1992, Keplerian elements for the approximate positions of the major planets, Table 1
/// (1800 to 2050). Accuracy: MOIDs of near-Earth asteroids within 1.7e-3 au of those with the osculating Earth.
#[must_use]
pub fn secular(epoch_mjd_tdb: f64) -> Elements {
    let centuries = (epoch_mjd_tdb - J2000_MJD) / CENTURY_DAY;
    let a_au = 1.000_002_61 + 0.000_005_62 * centuries;
    let e = 0.016_711_23 - 0.000_043_92 * centuries;
    Elements {
        q_au: a_au * (1.0 - e),
        e,
        inclination_rad: (-0.000_015_31 - 0.012_946_68 * centuries).to_radians(),
        node_rad: 0.0,
        // The longitude of perihelion, the node being 0.
        argperi_rad: (102.937_681_93 + 0.323_273_64 * centuries).to_radians(),
    }
}

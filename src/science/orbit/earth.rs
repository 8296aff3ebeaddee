//! The Earth's orbit: mean with secular rates, or osculating at an epoch.
//!
//! Not a general ephemeris: the Earth about the Sun alone.

use super::elements::Elements;
use crate::ephemeris::bodies;
use crate::ephemeris::orbit::to_ecliptic;
use crate::ephemeris::time::{CENTURY_DAY, J2000_MJD};
use crate::vector::{Vector, cross, dot, norm, sub};

/// GM of the Sun \[au^3/d^2\].
const GM_SUN: f64 = bodies::GM[bodies::SUN];

/// 2000-01-01 to 2050-01-01.
const OSCULATING_MJD_TDB: [f64; 2] = [51_544.0, 69_807.0];

/// The epochs for which [`osculating`] has an answer: from the start of the first year to the start of the last.
pub const OSCULATING_YEARS: [i32; 2] = [2000, 2050];

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

/// Position \[au\] and velocity \[au/d\] of the Earth's centre from the Sun's, in the equator of J2000.
fn heliocentric_state(epoch_mjd_tdb: f64) -> Option<[Vector; 2]> {
    let [first, last] = OSCULATING_MJD_TDB;
    if !(first..=last).contains(&epoch_mjd_tdb) {
        return None;
    }
    let [earth, sun] = [bodies::EARTH, bodies::SUN].map(|body| bodies::state(body, epoch_mjd_tdb));
    let (earth, sun) = (earth?, sun?);
    Some([sub(earth[0], sun[0]), sub(earth[1], sun[1])])
}

/// The osculating orbit of the Earth itself (body 399) about the Sun, with the GM of the Sun alone, in the ecliptic of
/// J2000, from DE440.
///
/// Units: days, TDB. `None` outside [`OSCULATING_YEARS`]. Accuracy: with it the MOIDs of near-Earth asteroids are JPL's
/// to 5e-10 au, and 974 of 1,000 to the last digit that JPL prints (`tests/oracle/moid.rs`).
#[must_use]
pub fn osculating(epoch_mjd_tdb: f64) -> Option<Elements> {
    let [position, velocity] = heliocentric_state(epoch_mjd_tdb)?;
    Some(elements_of_state(to_ecliptic(position), to_ecliptic(velocity)))
}

/// The elements of an orbit from position \[au\] and velocity \[au/d\].
///
/// Source: Danby 1988, Fundamentals of Celestial Mechanics, section 6.6.
fn elements_of_state(position: Vector, velocity: Vector) -> Elements {
    let momentum = cross(position, velocity);
    let r = norm(position);
    let along = cross(velocity, momentum);
    let to_perihelion: Vector = std::array::from_fn(|k| along[k] / GM_SUN - position[k] / r);
    let e = norm(to_perihelion);
    let parameter = dot(momentum, momentum) / GM_SUN;
    // Towards the ascending node, and 90 degrees on in the plane of the orbit.
    let node = [-momentum[1], momentum[0], 0.0];
    let ahead = cross(momentum, node);
    Elements {
        q_au: parameter / (1.0 + e),
        e,
        inclination_rad: momentum[0].hypot(momentum[1]).atan2(momentum[2]),
        node_rad: node[1].atan2(node[0]),
        argperi_rad: (dot(ahead, to_perihelion) / norm(momentum)).atan2(dot(node, to_perihelion)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::elements::AU_KM;
    use super::*;

    /// Epoch \[JD TDB\], position \[km\] and velocity \[km/day\] by jplephem 2.22 from the whole of DE440.
    const STATES: [(f64, Vector, Vector); 3] = [
        (
            2_451_545.0,
            [-26_499_033.677_425_094, 132_757_417.338_339_46, 57_556_718.470_538_19],
            [-2_574_224.070_084_457_8, -433_559.719_479_120_05, -187_954.024_564_224_24],
        ),
        (
            2_459_000.5,
            [-52_528_110.326_712_64, -130_552_742.749_109_2, -56_594_668.184_215_866],
            [2_372_651.820_563_326_6, -825_688.672_569_585_1, -357_951.426_489_295_9],
        ),
        (
            2_469_000.25,
            [137_661_825.540_062_28, 52_662_128.726_017_356, 22_823_712.840_702_996],
            [-1_032_256.758_773_930_1, 2_171_688.501_539_034_3, 941_304.069_629_129_8],
        ),
    ];

    #[test]
    fn states_are_those_of_another_reader() {
        for (epoch_jd, position, velocity) in STATES {
            let found = heliocentric_state(epoch_jd - 2_400_000.5).unwrap();
            for axis in 0..3 {
                assert!((found[0][axis] * AU_KM - position[axis]).abs() < 1e-5, "{epoch_jd}: {found:?}");
                assert!((found[1][axis] * AU_KM - velocity[axis]).abs() < 1e-4, "{epoch_jd}: {found:?}");
            }
        }
    }

    #[test]
    fn elements_give_the_state_back() {
        for (_, position, velocity) in STATES {
            let (position, velocity) = (position.map(|x| x / AU_KM), velocity.map(|v| v / AU_KM));
            let orbit = elements_of_state(position, velocity);
            let [p, q, _] = orbit.axes();
            let parameter = orbit.q_au * (1.0 + orbit.e);
            let (x, y) = (dot(position, p), dot(position, q));
            let r = x.hypot(y);
            assert!((r + orbit.e * x - parameter).abs() < 1e-12);
            let speed = (GM_SUN / parameter).sqrt();
            let expected: Vector =
                std::array::from_fn(|k| speed * (-y / r * p[k] + (orbit.e + x / r) * q[k]));
            for axis in 0..3 {
                assert!((expected[axis] - velocity[axis]).abs() < 1e-13, "{expected:?}");
            }
        }
    }

    #[test]
    fn epochs_outside_have_no_answer() {
        let [first, last] = OSCULATING_MJD_TDB;
        assert!(osculating(first).is_some() && osculating(last).is_some());
        for epoch in [first - 1e-6, last + 1e-6, f64::NAN, f64::INFINITY] {
            assert!(osculating(epoch).is_none(), "{epoch}");
        }
    }
}

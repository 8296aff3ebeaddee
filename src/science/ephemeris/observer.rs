//! Where the observer is: a place on the rotating Earth.

use std::f64::consts::TAU;
use std::sync::LazyLock;

use super::bodies::{self, EARTH};
use super::nutation::{ARCSEC, Angles};
use super::time::{CENTURY_DAY, DAY_S, J2000_MJD, tdb_of_tai, tt_of_tai, utc_of_tai};
use crate::orbit::elements::AU_KM;
use crate::vector::{Vector, about_x, about_z, add, cross, scale};

/// A place on the Earth, as the Minor Planet Center gives it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Site {
    /// East of Greenwich \[deg\].
    pub longitude_deg: f64,
    /// Distance from the Earth's axis, in its radius of 6378.137 km.
    pub rho_cos_phi: f64,
    /// Height above the plane of its equator, in the same unit.
    pub rho_sin_phi: f64,
}

impl Site {
    /// The Simonyi Survey Telescope of the Rubin Observatory.
    pub const X05: Self = Self { longitude_deg: 289.250_58, rho_cos_phi: 0.864_981, rho_sin_phi: -0.500_958 };
    /// The centre of the Earth.
    pub const GEOCENTRE: Self = Self { longitude_deg: 0.0, rho_cos_phi: 0.0, rho_sin_phi: 0.0 };
}

/// The equatorial radius of the Earth \[au\] (WGS 84, as the Minor Planet Center uses it).
const EARTH_RADIUS: f64 = 6_378.137 / AU_KM;
/// How fast the Earth turns \[rad/d\] (IERS Conventions 2010, table 1.1).
const TURN: f64 = 7.292_115_146_7e-5 * DAY_S;

/// How the Earth is turned on a date.
#[derive(Clone, Copy, Debug)]
struct Rotation {
    mjd_utc: f64,
    ut1_minus_tai_s: f64,
    /// Where the pole of rotation is on the Earth \[arcsec\].
    pole: [f64; 2],
}

/// By date, made by `data/make_earth_rotation.py`.
static ROTATION: LazyLock<Vec<Rotation>> = LazyLock::new(|| {
    let rows = include_str!("data/earth_rotation.csv").lines().skip(1);
    rows.map(|row| {
        let mut numbers = row.split(',').map(|text| text.parse().expect("the table is part of the program"));
        let mut next = || numbers.next().expect("a row has four numbers");
        Rotation { mjd_utc: next(), ut1_minus_tai_s: next(), pole: [next(), next()] }
    })
    .collect()
});

/// The last date \[MJD UTC\] for which the rotation of the Earth is known or predicted. After it the last value is used.
#[must_use]
pub fn rotation_ends_mjd_utc() -> f64 {
    ROTATION.last().map_or(0.0, |last| last.mjd_utc)
}

impl Rotation {
    /// Linear between the rows of the table, which is within 1 ms; before and after it, its first and last row.
    fn at(mjd_utc: f64) -> Self {
        let table = &*ROTATION;
        let after = table.partition_point(|row| row.mjd_utc <= mjd_utc).clamp(1, table.len() - 1);
        let (a, b) = (table[after - 1], table[after]);
        let share = ((mjd_utc - a.mjd_utc) / (b.mjd_utc - a.mjd_utc)).clamp(0.0, 1.0);
        let between = |a: f64, b: f64| a + (b - a) * share;
        Self {
            mjd_utc,
            ut1_minus_tai_s: between(a.ut1_minus_tai_s, b.ut1_minus_tai_s),
            pole: [between(a.pole[0], b.pole[0]), between(a.pole[1], b.pole[1])],
        }
    }

    /// From axes that are fixed to the Earth to axes of its pole of rotation (IERS Conventions 2010, equation 5.3).
    fn to_pole(self, [x, y, z]: Vector) -> Vector {
        let [px, py] = self.pole.map(|angle| angle * ARCSEC);
        [x - px * z, y + py * z, z + px * x - py * y]
    }
}

/// The angle by which the Earth has turned \[rad\] (Capitaine et al. 2000; IERS Conventions 2010, equation 5.15).
fn rotation_angle(mjd_ut1: f64) -> f64 {
    let days = mjd_ut1 - J2000_MJD;
    TAU * (0.779_057_273_264 + 0.002_737_811_911_354_48 * days + days.fract()).fract()
}

/// Greenwich apparent sidereal time \[rad\] (IERS Conventions 2010, equations 5.32 and 5.31, its largest complementary term).
fn sidereal_time(mjd_ut1: f64, centuries: f64, angles: &Angles) -> f64 {
    let t = centuries;
    let mean = 0.014_506 + t * (4_612.156_534 + t * (1.391_581_7 - t * 0.000_000_44));
    let node = (450_160.398_036 - 6_962_890.543_1 * t) * ARCSEC;
    let equinoxes = angles.longitude * angles.obliquity.cos() + 0.002_640_96 * ARCSEC * node.sin();
    rotation_angle(mjd_ut1) + mean * ARCSEC + equinoxes
}

impl Angles {
    /// From the true equator and equinox of date to the ICRF.
    fn to_icrf(&self, vector: Vector) -> Vector {
        let vector = about_x(self.obliquity + self.nodding, vector);
        let vector = about_z(self.psi + self.longitude, vector);
        about_z(-self.gamma, about_x(-self.phi, vector))
    }
}

/// Position \[au\], velocity \[au/d\] and acceleration \[au/d^2\] of a site from the barycentre of the solar system, in the ICRF.
///
/// Units: MJD TAI. `None` outside the ephemerides. Accuracy: 1 m.
#[must_use]
pub fn state(site: &Site, mjd_tai: f64) -> Option<[Vector; 3]> {
    let earth = bodies::state(EARTH, tdb_of_tai(mjd_tai))?;
    if site.rho_cos_phi == 0.0 && site.rho_sin_phi == 0.0 {
        return Some(earth);
    }
    let rotation = Rotation::at(utc_of_tai(mjd_tai));
    let mjd_ut1 = mjd_tai + rotation.ut1_minus_tai_s / DAY_S;
    let centuries = (tt_of_tai(mjd_tai) - J2000_MJD) / CENTURY_DAY;
    let angles = Angles::at(centuries);
    let (sin, cos) = site.longitude_deg.to_radians().sin_cos();
    let fixed = scale(EARTH_RADIUS, [site.rho_cos_phi * cos, site.rho_cos_phi * sin, site.rho_sin_phi]);
    let sidereal_time = sidereal_time(mjd_ut1, centuries, &angles);
    // The Earth turns about the z axis of its own frame here; its pole of rotation is 0.5" away at most: 1 mm/s.
    let turn = [0.0, 0.0, TURN];
    let moved = cross(turn, fixed);
    let [position, velocity, acceleration] = [fixed, moved, cross(turn, moved)]
        .map(|vector| angles.to_icrf(about_z(-sidereal_time, rotation.to_pole(vector))));
    Some([add(earth[0], position), add(earth[1], velocity), add(earth[2], acceleration)])
}

/// The grid of times at which the observer is computed; between them he is moved by velocity and acceleration, which is
/// within 2 cm.
const GRID_PER_DAY: f64 = 1440.0;

/// The time of the grid that is nearest, as a number of its steps.
#[must_use]
pub fn grid(mjd_tai: f64) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "dates are far from its limits, and it saturates")]
    let steps = (mjd_tai * GRID_PER_DAY).round() as i64;
    steps
}

/// The time of a number of steps \[MJD TAI\].
#[must_use]
pub fn grid_mjd_tai(steps: i64) -> f64 {
    steps as f64 / GRID_PER_DAY
}

/// Position and velocity at a time near that of a state.
#[must_use]
pub fn moved([position, velocity, acceleration]: &[Vector; 3], days: f64) -> [Vector; 2] {
    let velocity_then = add(*velocity, scale(days, *acceleration));
    let mean = add(*velocity, scale(0.5 * days, *acceleration));
    [add(*position, scale(days, mean)), velocity_then]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rotation_is_that_of_erfa() {
        // eraGst06 with eraNut00b of pyerfa 2.0.1.5, UT1 and TT at the same number.
        for (mjd, expected) in [
            (60_000.0, 2.698_271_478_992_472),
            (61_000.25, 2.626_659_517_526_174),
            (53_736.0, 1.754_166_136_170_092_6),
        ] {
            let centuries = (mjd - J2000_MJD) / CENTURY_DAY;
            let found = sidereal_time(mjd, centuries, &Angles::at(centuries));
            assert!((found.rem_euclid(TAU) - expected).abs() < 1e-9, "{mjd}: {found}");
        }
    }

    #[test]
    fn the_grid_and_the_way_from_it() {
        let mjd_tai = 60_800.123_456;
        let steps = grid(mjd_tai);
        let near = state(&Site::X05, grid_mjd_tai(steps)).unwrap();
        let there = state(&Site::X05, mjd_tai).unwrap();
        let [position, velocity] = moved(&near, mjd_tai - grid_mjd_tai(steps));
        for axis in 0..3 {
            assert!((position[axis] - there[0][axis]).abs() * AU_KM < 2e-5);
            assert!((velocity[axis] - there[1][axis]).abs() * AU_KM / DAY_S < 3e-6);
        }
        assert!(state(&Site::X05, 80_000.0).is_none());
    }
}

//! The bodies that attract: where they are and how strongly.
//!
//! Positions are those of JPL's DE440 (Park et al. 2021, AJ 161, 105) and of the 16 asteroids of sb441-n16 (Farnocchia
//! 2021, JPL IOM 392R-21-005), from excerpts that `data/make_excerpt.py` cuts.

use std::sync::LazyLock;

use super::spk::Segment;
use super::time::{DAY_S, J2000_MJD};
use crate::orbit::elements::AU_KM;
use crate::vector::{Vector, add, scale};

/// The number of bodies.
pub(crate) const BODIES: usize = 27;
/// The Sun, as an index of [`GM`]. After it come Mercury, Venus, the Earth, the Moon, Mars to Pluto, and the asteroids 107,
/// 1, 65, 511, 15, 31, 52, 10, 704, 7, 3, 2, 16, 87, 88 and 4.
pub(crate) const SUN: usize = 0;
pub(crate) const VENUS: usize = 2;
pub(crate) const EARTH: usize = 3;
pub(crate) const MOON: usize = 4;
pub(crate) const MARS: usize = 5;
pub(crate) const JUPITER: usize = 6;
pub(crate) const PLUTO: usize = 10;
/// The first of the asteroids.
pub(crate) const ASTEROIDS: usize = PLUTO + 1;

/// GM of each body \[au^3/d^2\], from the header of DE440.
#[expect(clippy::excessive_precision, reason = "as they are published")]
pub(crate) const GM: [f64; BODIES] = [
    2.959_122_082_841_195_6e-4,
    4.912_500_194_889_318_2e-11,
    7.243_452_332_644_118_7e-10,
    8.887_692_446_707_102_2e-10,
    1.093_189_462_402_435_1e-11,
    9.549_548_829_725_811_9e-11,
    2.825_345_825_225_791_7e-7,
    8.459_705_993_376_290_3e-8,
    1.292_026_564_968_239_9e-8,
    1.524_357_347_885_193_9e-8,
    2.175_096_464_893_358_1e-12,
    3.219_139_207_587_858_8e-15,
    1.396_451_812_308_107e-13,
    2.091_717_595_513_368_2e-15,
    8.683_625_349_228_654_5e-15,
    4.510_779_905_143_679_5e-15,
    2.406_701_221_893_757_6e-15,
    5.982_431_526_486_984_1e-15,
    1.254_253_076_164_081e-14,
    6.311_034_342_087_888_7e-15,
    2.541_601_497_347_149_8e-15,
    4.282_343_967_799_501_1e-15,
    3.047_114_633_004_32e-14,
    3.544_500_284_248_897_8e-15,
    4.834_560_654_610_552_1e-15,
    2.652_943_661_035_635_3e-15,
    3.854_800_022_525_790_4e-14,
];

/// NAIF's numbers of the asteroids, in the order of [`GM`].
const ASTEROID_NUMBERS: [i32; BODIES - ASTEROIDS] =
    [107, 1, 65, 511, 15, 31, 52, 10, 704, 7, 3, 2, 16, 87, 88, 4];

/// The times for which there are positions \[MJD TDB\]: multiples of 128 d around 2000 to 2050.
pub(crate) const SPAN_MJD_TDB: [f64; 2] = [51_456.0, 69_888.0];

/// The mass of the Earth divided by that of the Moon (DE440).
const EARTH_PER_MOON: f64 = 81.300_568_221_497_22;

struct Ephemeris {
    sun: Segment,
    /// The barycentres of the systems of the planets, Mercury to Pluto.
    systems: [Segment; 9],
    /// The Earth about the barycentre of Earth and Moon.
    earth: Segment,
    /// About the Sun.
    asteroids: [Segment; BODIES - ASTEROIDS],
}

static EPHEMERIS: LazyLock<Ephemeris> = LazyLock::new(|| {
    let read = |file, target, centre| {
        Segment::read(file, target, centre)
            .expect("the excerpts are part of the program, and a test reads them")
    };
    let planets = include_bytes!("data/de440_2000_2050.bsp");
    let asteroids = include_bytes!("data/sb441_n16_2000_2050.bsp");
    Ephemeris {
        sun: read(planets, 10, 0),
        systems: [1, 2, 3, 4, 5, 6, 7, 8, 9].map(|system| read(planets, system, 0)),
        earth: read(planets, 399, 3),
        asteroids: ASTEROID_NUMBERS.map(|number| read(asteroids, 2_000_000 + number, 10)),
    }
});

/// Position \[au\], velocity \[au/d\] and acceleration \[au/d^2\] of a body from the barycentre of the solar system, in the
/// ICRF.
pub(crate) type State = [Vector; 3];

/// The state of a body at a time; `None` outside [`SPAN_MJD_TDB`].
pub(crate) fn state(body: usize, mjd_tdb: f64) -> Option<State> {
    let time_s = (mjd_tdb - J2000_MJD) * DAY_S;
    let ephemeris = &*EPHEMERIS;
    let of = |segment: &Segment| {
        let [position, velocity, acceleration] = segment.state(time_s)?;
        let speed = DAY_S / AU_KM;
        Some([scale(1.0 / AU_KM, position), scale(speed, velocity), scale(speed * DAY_S, acceleration)])
    };
    let sum = |a: State, b: State, factor: f64| -> State {
        std::array::from_fn(|k| add(a[k], scale(factor, b[k])))
    };
    match body {
        SUN => of(&ephemeris.sun),
        EARTH => Some(sum(of(&ephemeris.systems[2])?, of(&ephemeris.earth)?, 1.0)),
        MOON => Some(sum(of(&ephemeris.systems[2])?, of(&ephemeris.earth)?, -EARTH_PER_MOON)),
        1 | VENUS => of(&ephemeris.systems[body - 1]),
        MARS..=PLUTO => of(&ephemeris.systems[body - 2]),
        _ => Some(sum(of(&ephemeris.sun)?, of(&ephemeris.asteroids[body - ASTEROIDS])?, 1.0)),
    }
}

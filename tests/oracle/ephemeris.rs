//! Positions against those of ASSIST, a program of other people, class by class.
//!
//! `fixtures/ephemeris/` has the orbits and the reference's answers; its README says how they were made.

use std::collections::BTreeMap;
use std::path::Path;

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use ssp::science::ephemeris::forces::{Falloff, NonGravitational};
use ssp::science::ephemeris::integrator::{Task, integrate};
use ssp::science::ephemeris::observer::{Site, state};
use ssp::science::ephemeris::orbit::Orbit;
use ssp::science::ephemeris::place::{KM_S, angle, direction, elongation, magnitude, place};
use ssp::science::ephemeris::time::tdb_of_tai;
use ssp::science::orbit::elements::Elements;

use crate::parquet::rows;

/// A table of texts and numbers.
#[derive(Default)]
pub struct Table {
    pub numbers: BTreeMap<String, Vec<f64>>,
    pub texts: BTreeMap<String, Vec<String>>,
}

impl Table {
    pub fn read(path: &Path) -> Self {
        let mut table = Self::default();
        for batch in rows(path) {
            for (field, array) in batch.schema().fields().iter().zip(batch.columns()) {
                let name = field.name().clone();
                if field.data_type().is_numeric() {
                    let array = cast(array, &DataType::Float64).unwrap();
                    let values = array.as_primitive::<Float64Type>().iter().map(|v| v.unwrap_or(f64::NAN));
                    table.numbers.entry(name).or_default().extend(values);
                } else {
                    let array = cast(array, &DataType::Utf8).unwrap();
                    let values = array.as_string::<i32>().iter().map(|v| v.unwrap_or("").to_owned());
                    table.texts.entry(name).or_default().extend(values);
                }
            }
        }
        table
    }

    pub fn number(&self, name: &str, row: usize) -> f64 {
        self.numbers[name][row]
    }

    pub fn vector(&self, prefix: &str, names: [&str; 3], row: usize) -> [f64; 3] {
        names.map(|name| self.number(&format!("{prefix}{name}"), row))
    }

    pub fn text(&self, name: &str, row: usize) -> &str {
        &self.texts[name][row]
    }

    pub fn len(&self) -> usize {
        self.texts["id"].len()
    }
}

pub fn fixture(name: &str) -> Table {
    let folder = std::env::var("EPHEMERIS_CASES").unwrap_or_else(|_| "fixtures/ephemeris".to_owned());
    Table::read(&Path::new(&folder).join(format!("{name}.parquet")))
}

/// The force of an orbit beside gravity.
pub fn force(orbits: &Table, row: usize) -> Option<NonGravitational> {
    let a = ["A1", "A2", "A3"].map(|name| orbits.number(name, row));
    let falloff = match orbits.text("ng_model", row) {
        "" => return None,
        "yarkovsky" => Falloff::InverseSquare,
        _ => Falloff::Sublimation,
    };
    Some(NonGravitational { a, falloff })
}

const MAS_PER_RAD: f64 = 180.0 / std::f64::consts::PI * 3600.0 * 1000.0;

pub fn orbit(orbits: &Table, row: usize) -> Orbit {
    let angle = |name: &str| orbits.number(name, row).to_radians();
    Orbit {
        elements: Elements {
            q_au: orbits.number("q", row),
            e: orbits.number("e", row),
            inclination_rad: angle("i"),
            node_rad: angle("node"),
            argperi_rad: angle("argperi"),
        },
        perihelion_mjd_tt: orbits.number("peri_time", row),
        epoch_mjd_tt: orbits.number("epoch_mjd", row),
        force: force(orbits, row),
    }
}

pub fn site(name: &str) -> Site {
    if name == "X05" { Site::X05 } else { Site::GEOCENTRE }
}

/// Median, 99 % and maximum.
fn spread(values: &mut [f64]) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    let n = values.len();
    [values[n / 2], values[(n * 99).div_ceil(100) - 1], values[n - 1]]
}

/// What is allowed for a class: median, 99 % and maximum \[mas\].
fn allowed(class: &str) -> [f64; 3] {
    match class {
        "neo" => [0.02, 0.2, 1.0],
        "comet_ng" => [0.02, 0.3, 2.0],
        "yarkovsky" => [0.02, 1.0, 3.0],
        "mb_old" => [0.2, 1.0, 3.0],
        "encounter_earth" => [0.1, 3.0, 150.0],
        "encounter_venus" => [0.05, 1.0, 5.0],
        "encounter_mars" => [0.05, 0.5, 2.0],
        "encounter_jupiter" => [0.02, 0.5, 2.0],
        _ => [0.01, 0.1, 0.5],
    }
}

/// The largest deviation of a column, in the last places of single precision or in its unit.
type Deviations = BTreeMap<&'static str, (f64, String)>;

#[test]
fn positions_by_class() {
    let (orbits, cases) = (fixture("orbits"), fixture("cases"));
    let mut rows_of: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for row in 0..cases.len() {
        rows_of.entry(cases.text("id", row)).or_default().push(row);
    }
    let tasks: Vec<Task> = (0..orbits.len())
        .map(|row| {
            let times = rows_of[orbits.text("id", row)].iter().map(|&row| cases.number("t_mjd_tdb", row));
            let (first, last) =
                times.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), t| (a.min(t), b.max(t)));
            orbit(&orbits, row).task([first, last]).unwrap()
        })
        .collect();
    let paths = integrate(&tasks);
    let mut errors: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    let mut deviations = Deviations::new();
    for (row, path) in paths.iter().enumerate() {
        let (id, class) = (orbits.text("id", row), orbits.text("cls", row));
        for &case in &rows_of[id] {
            let of = |name: &str| cases.number(name, case);
            let mjd_tai = of("t_mjd_tai");
            let [position, velocity, _] = state(&site(cases.text("site", case)), mjd_tai).unwrap();
            let place = place(path, tdb_of_tai(mjd_tai), &[position, velocity]).unwrap();
            let wanted = direction(of("ephRa").to_radians(), of("ephDec").to_radians());
            let found = direction(place.ra, place.dec);
            errors.entry(class).or_default().push(angle(wanted, found) * MAS_PER_RAD);
            if of("topoRange") < 0.02 {
                continue;
            }
            let mut check = |name: &'static str, found: f64, least: f64| {
                let wanted = cases.number(name, case);
                // The spacing of single precision at this value.
                let place =
                    (f64::from((wanted.abs() as f32).next_up()) - f64::from(wanted.abs() as f32)).max(least);
                let off = (wanted - found).abs() / place;
                let worst = deviations.entry(name).or_default();
                if !(off <= worst.0) {
                    *worst = (off, format!("{id} {found} {wanted}"));
                }
            };
            check("topoRange", place.topo_range, 0.0);
            check("helioRange", place.helio_range, 0.0);
            check("topoRangeRate", place.topo_range_rate * KM_S, 1e-7);
            check("helioRangeRate", place.helio_range_rate * KM_S, 1e-7);
            check("phaseAngle", place.phase_angle.to_degrees(), 0.0);
            check("ephRateRa", place.rate_east.to_degrees(), 1e-9);
            check("ephRateDec", place.rate_north.to_degrees(), 1e-9);
            check("ephAntiSunPA", place.anti_sun.unwrap().to_degrees(), 0.0);
            check("ephAntiMotionPA", place.anti_motion.unwrap().to_degrees(), 0.0);
            let sun = elongation(found, tdb_of_tai(mjd_tai), position).unwrap();
            check("elongation", sun.to_degrees(), 0.0);
            let h = orbits.number("h", row);
            if !cases.number("ephVmag", case).is_nan() {
                let g = orbits.number("g", row);
                check("ephVmag", magnitude(h, if g.is_nan() { 0.15 } else { g }, &place), 0.0);
            }
            for (k, name) in ["x", "y", "z"].into_iter().enumerate() {
                let [helio, topo] = [["helio_x", "helio_y", "helio_z"], ["topo_x", "topo_y", "topo_z"]];
                let [helio_v, topo_v] =
                    [["helio_vx", "helio_vy", "helio_vz"], ["topo_vx", "topo_vy", "topo_vz"]];
                check(helio[k], place.helio[0][k], 1e-9);
                check(topo[k], place.topo[0][k], 1e-9);
                check(helio_v[k], place.helio[1][k] * KM_S, 1e-8);
                check(topo_v[k], place.topo[1][k] * KM_S, 1e-8);
                let _ = name;
            }
        }
    }
    for (class, errors) in &mut errors {
        println!("{class:18} {:5} {:?}", errors.len(), spread(errors));
    }
    for (name, worst) in deviations {
        println!("{name:16} {:10.3} {}", worst.0, worst.1);
    }
}

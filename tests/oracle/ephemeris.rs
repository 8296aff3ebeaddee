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
use ssp::science::ephemeris::place::{KM_S, Place, angle, direction, elongation, magnitude, place};
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

/// How far a column is from the reference's value, in the spacing of single precision at that value. `least` is the spacing
/// that is asked of values near 0.
fn places(found: f64, wanted: f64, least: f64) -> f64 {
    #[expect(clippy::cast_possible_truncation, reason = "the precision of the column")]
    let single = wanted.abs() as f32;
    let spacing = f64::from(single.next_up()) - f64::from(single);
    (wanted - found).abs() / spacing.max(least)
}

/// Below this distance \[au\] only the position on the sky is held: everything else changes too fast.
const NEAR_AU: f64 = 0.02;
/// After a deep encounter the velocity is as uncertain as the position, so rates near 0 have no meaningful last place.
const FEW_RATES: &str = "encounter_";

/// The cases of each orbit.
fn rows_by_id(cases: &Table) -> BTreeMap<&str, Vec<usize>> {
    let mut rows: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for row in 0..cases.len() {
        rows.entry(cases.text("id", row)).or_default().push(row);
    }
    rows
}

/// The first and the last of times.
fn span(times: impl Iterator<Item = f64>) -> [f64; 2] {
    times.fold([f64::INFINITY, f64::NEG_INFINITY], |[first, last], t| [first.min(t), last.max(t)])
}

#[test]
fn positions_by_class() {
    let (orbits, cases) = (fixture("orbits"), fixture("cases"));
    let rows_of = rows_by_id(&cases);
    let tasks: Vec<Task> = (0..orbits.len())
        .map(|row| {
            let times = rows_of[orbits.text("id", row)].iter().map(|&row| cases.number("t_mjd_tdb", row));
            orbit(&orbits, row).task(span(times)).unwrap()
        })
        .collect();
    let paths = integrate(&tasks);
    let mut errors: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    let mut worst: BTreeMap<String, (f64, String)> = BTreeMap::new();
    for (row, path) in paths.iter().enumerate() {
        let (id, class) = (orbits.text("id", row), orbits.text("cls", row));
        for &case in &rows_of[id] {
            let mjd_tai = cases.number("t_mjd_tai", case);
            let [position, velocity, _] = state(&site(cases.text("site", case)), mjd_tai).unwrap();
            let place = place(path, tdb_of_tai(mjd_tai), &[position, velocity]).unwrap();
            let [ra, dec] = ["ephRa", "ephDec"].map(|name| cases.number(name, case).to_radians());
            errors
                .entry(class)
                .or_default()
                .push(angle(direction(ra, dec), direction(place.ra, place.dec)) * MAS_PER_RAD);
            if cases.number("topoRange", case) < NEAR_AU {
                continue;
            }
            let sun = elongation(direction(ra, dec), tdb_of_tai(mjd_tai), position).unwrap();
            let g = Some(orbits.number("g", row)).filter(|g| !g.is_nan()).unwrap_or(0.15);
            let vmag = magnitude(orbits.number("h", row), g, &place);
            for (name, found, least) in columns(&place, sun, vmag) {
                let wanted = cases.number(&name, case);
                if wanted.is_nan() || least > 0.0 && class.starts_with(FEW_RATES) {
                    continue;
                }
                let off = places(found, wanted, least);
                let known = worst.entry(name).or_default();
                // NaN too.
                if off.is_nan() || off > known.0 {
                    *known = (off, format!("{id} at {mjd_tai}: {found}, not {wanted}"));
                }
            }
        }
    }
    for (class, errors) in &mut errors {
        let (found, allowed) = (spread(errors), allowed(class));
        println!("{class:18} {:5} {found:?} mas", errors.len());
        assert!((0..3).all(|k| found[k] <= allowed[k]), "{class}: {found:?} mas, allowed are {allowed:?}");
    }
    for (name, (off, what)) in worst {
        let most = if name.contains("Rate") || name.contains("_v") { 3.0 } else { 2.0 };
        assert!(off <= most, "{name} is off by {off} last places: {what}");
    }
}

/// The columns of a place in single precision, by name; with the spacing that is asked of rates near 0.
fn columns(place: &Place, sun: f64, vmag: f64) -> Vec<(String, f64, f64)> {
    // 0.1 mm/s, and 1e-8 deg/d.
    const LEAST_KM_S: f64 = 1e-8;
    const LEAST_DEG_D: f64 = 1e-9;
    // 15 m.
    const LEAST_AU: f64 = 1e-10;
    let mut columns: Vec<(String, f64, f64)> = [
        ("topoRange", place.topo_range, 0.0),
        ("helioRange", place.helio_range, 0.0),
        ("topoRangeRate", place.topo_range_rate * KM_S, LEAST_KM_S),
        ("helioRangeRate", place.helio_range_rate * KM_S, LEAST_KM_S),
        ("phaseAngle", place.phase_angle.to_degrees(), 0.0),
        ("ephRateRa", place.rate_east.to_degrees(), LEAST_DEG_D),
        ("ephRateDec", place.rate_north.to_degrees(), LEAST_DEG_D),
        ("ephAntiSunPA", place.anti_sun.unwrap().to_degrees(), 0.0),
        ("ephAntiMotionPA", place.anti_motion.unwrap().to_degrees(), 0.0),
        ("elongation", sun.to_degrees(), 0.0),
        ("ephVmag", vmag, 0.0),
    ]
    .map(|(name, value, least)| (name.to_owned(), value, least))
    .to_vec();
    for (origin, [position, velocity]) in [("helio", place.helio), ("topo", place.topo)] {
        for (axis, name) in ["x", "y", "z"].into_iter().enumerate() {
            columns.push((format!("{origin}_{name}"), position[axis], LEAST_AU));
            columns.push((format!("{origin}_v{name}"), velocity[axis] * KM_S, LEAST_KM_S));
        }
    }
    columns
}

/// A path without encounters, which its neighbours in the lanes must not change at all.
#[test]
fn an_object_has_the_same_path_in_any_company() {
    let orbits = fixture("orbits");
    let task = |row: usize| orbit(&orbits, row).task([60_900.0, 61_200.0]).unwrap();
    let all: Vec<Task> = (0..orbits.len()).map(task).collect();
    let together = integrate(&all);
    let mut backwards = integrate(&all.iter().rev().cloned().collect::<Vec<_>>());
    backwards.reverse();
    for row in (0..orbits.len()).step_by(7) {
        let alone = &integrate(&all[row..=row])[0];
        for t in [60_900.0, 60_955.3, 61_111.1, 61_200.0] {
            let expected = alone.state(t).unwrap();
            assert_eq!(together[row].state(t).unwrap(), expected, "{}", orbits.text("id", row));
            assert_eq!(backwards[row].state(t).unwrap(), expected, "{}", orbits.text("id", row));
        }
    }
}

#[test]
fn a_year_forward_and_back_is_where_it_began() {
    let orbits = fixture("orbits");
    let there: Vec<Task> = (0..orbits.len())
        .filter(|&row| orbits.text("cls", row) == "mb")
        .map(|row| {
            let end = orbits.number("epoch_mjd", row) + 365.25;
            orbit(&orbits, row).task([end, end]).unwrap()
        })
        .collect();
    let back: Vec<Task> = there
        .iter()
        .zip(integrate(&there))
        .map(|(task, path)| {
            let epoch_mjd_tdb = task.wanted[1];
            let [position, velocity] = path.state(epoch_mjd_tdb).unwrap();
            let wanted = [task.epoch_mjd_tdb, task.epoch_mjd_tdb];
            Task { epoch_mjd_tdb, position, velocity, wanted, ..task.clone() }
        })
        .collect();
    for (task, path) in there.iter().zip(integrate(&back)) {
        let [position, _] = path.state(task.epoch_mjd_tdb).unwrap();
        for (found, start) in position.iter().zip(task.position) {
            let off = (found - start).abs();
            assert!(off < 1e-11, "{off} au");
        }
    }
}

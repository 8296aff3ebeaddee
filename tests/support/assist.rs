//! The orbits of `fixtures/ephemeris/`, and our positions beside those of ASSIST, a program of other people.

use std::collections::BTreeMap;
use std::path::Path;

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use ssp::science::ephemeris::forces::{Falloff, NonGravitational};
use ssp::science::ephemeris::integrator::{Task, integrate};
use ssp::science::ephemeris::observer::{Site, state};
use ssp::science::ephemeris::orbit::Orbit;
use ssp::science::ephemeris::place::{Place, angle, direction, place};
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
    Table::read(Path::new(&format!("fixtures/ephemeris/{name}.parquet")))
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
pub fn spread(values: &mut [f64]) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    let n = values.len();
    [values[n / 2], values[(n * 99).div_ceil(100) - 1], values[n - 1]]
}

/// What is allowed for a class: median, 99 % and maximum \[mas\].
pub fn allowed(class: &str) -> [f64; 3] {
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

/// The cases of each orbit.
pub fn rows_by_id(cases: &Table) -> BTreeMap<&str, Vec<usize>> {
    let mut rows: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for row in 0..cases.len() {
        rows.entry(cases.text("id", row)).or_default().push(row);
    }
    rows
}

/// The first and the last of times.
pub fn span(times: impl Iterator<Item = f64>) -> [f64; 2] {
    times.fold([f64::INFINITY, f64::NEG_INFINITY], |[first, last], t| [first.min(t), last.max(t)])
}

/// A case as this program sees it.
pub struct Seen {
    /// The row of the orbit and that of the case.
    pub row: usize,
    pub case: usize,
    pub place: Place,
    /// Position and velocity of the observer.
    pub observer: [[f64; 3]; 2],
    /// The angle from the reference's position.
    pub off_mas: f64,
}

/// All cases, by orbit.
pub fn seen(orbits: &Table, cases: &Table) -> Vec<Seen> {
    let rows_of = rows_by_id(cases);
    let tasks: Vec<Task> = (0..orbits.len())
        .map(|row| {
            let times = rows_of[orbits.text("id", row)].iter().map(|&row| cases.number("t_mjd_tdb", row));
            orbit(orbits, row).task(span(times)).unwrap()
        })
        .collect();
    let mut all = Vec::with_capacity(cases.len());
    for (row, path) in integrate(&tasks).iter().enumerate() {
        for &case in &rows_of[orbits.text("id", row)] {
            let mjd_tai = cases.number("t_mjd_tai", case);
            let [position, velocity, _] = state(&site(cases.text("site", case)), mjd_tai).unwrap();
            let observer = [position, velocity];
            let place = place(path, tdb_of_tai(mjd_tai), &observer).unwrap();
            let [ra, dec] = ["ephRa", "ephDec"].map(|name| cases.number(name, case).to_radians());
            let off_mas = angle(direction(ra, dec), direction(place.ra, place.dec)) * MAS_PER_RAD;
            all.push(Seen { row, case, place, observer, off_mas });
        }
    }
    all
}

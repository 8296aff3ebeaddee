//! Error ellipses against those of ASSIST, class by class.
//!
//! `fixtures/ephemeris/covariances.parquet` has the covariances and the reference's ellipses, of the state alone.

use std::collections::BTreeMap;

use ssp::science::ephemeris::covariance::Covariance;
use ssp::science::ephemeris::ellipse::{Ellipse, TwoBody, Variations, needs_variations};
use ssp::science::ephemeris::integrator::{Task, integrate};
use ssp::science::ephemeris::observer::state;
use ssp::science::ephemeris::orbit::Orbit;
use ssp::science::ephemeris::path::Path;
use ssp::science::ephemeris::place::place;
use ssp::science::ephemeris::time::tdb_of_tai;

use crate::ephemeris::{Table, fixture, orbit, site};

/// What is allowed: sigma to the east and to the north relative to the reference's, and the covariance relative to their
/// product.
const ALLOWED: f64 = 0.01;

struct Object {
    rows: Vec<usize>,
    orbit: Orbit,
    wanted: [f64; 2],
    task: Task,
    covariance: Covariance,
}

/// The orbits of the table, whose rows follow each other.
fn objects(table: &Table) -> Vec<Object> {
    let mut rows_of: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for row in 0..table.len() {
        rows_of.entry(table.text("id", row)).or_default().push(row);
    }
    let object = |rows: Vec<usize>| {
        let times = rows.iter().map(|&row| tdb_of_tai(table.number("t_mjd_tai", row)));
        let wanted = times.fold([f64::INFINITY, f64::NEG_INFINITY], |[a, b], t| [a.min(t), b.max(t)]);
        let orbit = orbit(table, rows[0]);
        let task = orbit.task(wanted).unwrap();
        let covariance = Covariance::new(&[], |i, j| table.number(&format!("cov{i}{j}"), rows[0])).unwrap();
        Object { rows, orbit, wanted, task, covariance }
    };
    rows_of.into_values().map(object).collect()
}

/// How far an ellipse is from the reference's.
fn off(table: &Table, row: usize, ellipse: &Ellipse) -> f64 {
    let [east, north] = ["ephRaErr", "ephDecErr"].map(|name| table.number(name, row).to_radians());
    let covariance = table.number("ephRa_ephDec_Cov", row).to_radians().to_radians();
    let sigma = (ellipse.east / east - 1.0).abs().max((ellipse.north / north - 1.0).abs());
    sigma.max((ellipse.covariance - covariance).abs() / (east * north))
}

/// Median, 99 % and maximum.
fn spread(values: &mut [f64]) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    let n = values.len();
    [values[n / 2], values[(n * 99).div_ceil(100) - 1], values[n - 1]]
}

/// The errors by two-body motion, and by the rule.
#[derive(Default)]
struct Errors {
    two_body: Vec<f64>,
    by_rule: Vec<f64>,
    varied: usize,
}

#[test]
fn ellipses_by_class() {
    let table = fixture("covariances");
    let objects = objects(&table);
    let paths = integrate(&objects.iter().map(|object| object.task.clone()).collect::<Vec<_>>());
    let mut tasks = Vec::new();
    let variations: Vec<Option<(Variations, usize)>> = objects
        .iter()
        .zip(&paths)
        .map(|(Object { orbit, wanted, task, covariance, .. }, path)| {
            needs_variations(orbit, covariance, path, *wanted).then(|| {
                let (variations, more) = Variations::new(task, path, covariance).unwrap();
                let begin = tasks.len();
                tasks.extend(more);
                (variations, begin)
            })
        })
        .collect();
    let displaced = integrate(&tasks);
    let mut errors: BTreeMap<&str, Errors> = BTreeMap::new();
    for ((object, path), variations) in objects.iter().zip(&paths).zip(&variations) {
        let two_body = TwoBody::new(&object.task).unwrap();
        for &row in &object.rows {
            let mjd_tai = table.number("t_mjd_tai", row);
            let time = tdb_of_tai(mjd_tai);
            let [position, velocity, _] = state(&site(table.text("site", row)), mjd_tai).unwrap();
            let place = place(path, time, &[position, velocity]).unwrap();
            let simple = two_body.ellipse(&object.covariance, &place, time).unwrap();
            let ellipse = variations.as_ref().map_or(simple, |(variations, begin)| {
                let paths = &displaced[*begin..begin + variations.count()];
                variations.ellipse(paths, &place, time).unwrap()
            });
            let errors = errors.entry(table.text("cls", row)).or_default();
            errors.two_body.push(off(&table, row, &simple));
            errors.by_rule.push(off(&table, row, &ellipse));
            errors.varied += usize::from(variations.is_some());
            let major = table.number("sigma_major_arcsec", row) / 3600.0;
            let semi_major = ellipse.semi_major().to_degrees();
            assert!((semi_major / major - 1.0).abs() < ALLOWED, "{}: {semi_major}", table.text("id", row));
        }
    }
    for (class, Errors { two_body, by_rule, varied }) in &mut errors {
        let (rows, spread, two_body) = (by_rule.len(), spread(by_rule), spread(two_body));
        let [spread_text, two_body] = [spread, two_body].map(|[a, b, c]| format!("{a:.1e} {b:.1e} {c:.1e}"));
        println!("{class:16} {rows:4} rows, {varied:4} varied: {spread_text}; two-body: {two_body}");
        assert!(spread[1] < ALLOWED, "{class}: {spread_text}");
    }
}

#[test]
fn how_near_a_planet_an_object_came_does_not_depend_on_its_company() {
    let tasks: Vec<Task> = objects(&fixture("covariances")).into_iter().map(|object| object.task).collect();
    let nearest = |paths: &[Path]| paths.iter().map(Path::nearest_planet).collect::<Vec<_>>();
    let together = nearest(&integrate(&tasks));
    let backwards: Vec<Task> = tasks.iter().rev().cloned().collect();
    let mut reversed = nearest(&integrate(&backwards));
    reversed.reverse();
    assert_eq!(together, reversed);
    for (task, nearest) in tasks.iter().zip(together).step_by(7) {
        assert_eq!(integrate(std::slice::from_ref(task))[0].nearest_planet(), nearest);
    }
}

//! Error ellipses beside those of ASSIST, for the orbits of `fixtures/ephemeris/covariances.parquet`.

use std::collections::BTreeMap;

use ssp::science::ephemeris::covariance::Covariance;
use ssp::science::ephemeris::ellipse::{Ellipse, TwoBody, Variations, needs_variations};
use ssp::science::ephemeris::integrator::{Task, integrate};
use ssp::science::ephemeris::observer::state;
use ssp::science::ephemeris::orbit::Orbit;
use ssp::science::ephemeris::place::place;
use ssp::science::ephemeris::time::tdb_of_tai;

use crate::assist::{Table, orbit, rows_by_id, site, span};

/// What is allowed: sigma to the east and to the north relative to the reference's, and the covariance relative to their
/// product.
pub const ALLOWED: f64 = 0.01;

/// An orbit with its rows.
pub struct Object {
    rows: Vec<usize>,
    orbit: Orbit,
    wanted: [f64; 2],
    pub task: Task,
    covariance: Covariance,
}

/// The orbits of the table, whose rows follow each other.
pub fn objects(table: &Table) -> Vec<Object> {
    let object = |rows: Vec<usize>| {
        let wanted = span(rows.iter().map(|&row| tdb_of_tai(table.number("t_mjd_tai", row))));
        let orbit = orbit(table, rows[0]);
        let task = orbit.task(wanted).unwrap();
        let covariance = Covariance::new(&[], |i, j| table.number(&format!("cov{i}{j}"), rows[0])).unwrap();
        Object { rows, orbit, wanted, task, covariance }
    };
    rows_by_id(table).into_values().map(object).collect()
}

/// How far an ellipse is from the reference's.
fn off(table: &Table, row: usize, ellipse: &Ellipse) -> f64 {
    let [east, north] = ["ephRaErr", "ephDecErr"].map(|name| table.number(name, row).to_radians());
    let covariance = table.number("ephRa_ephDec_Cov", row).to_radians().to_radians();
    let sigma = (ellipse.east / east - 1.0).abs().max((ellipse.north / north - 1.0).abs());
    sigma.max((ellipse.covariance - covariance).abs() / (east * north))
}

/// The errors by two-body motion, and by the rule.
#[derive(Default)]
pub struct Errors {
    pub two_body: Vec<f64>,
    pub by_rule: Vec<f64>,
    /// Of the semi-major axis, by the rule.
    pub semi_major: Vec<f64>,
    /// Rows that needed variations.
    pub varied: usize,
}

/// The errors of the ellipses by class.
pub fn ellipse_errors(table: &Table) -> BTreeMap<&str, Errors> {
    let objects = objects(table);
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
            errors.two_body.push(off(table, row, &simple));
            errors.by_rule.push(off(table, row, &ellipse));
            errors.varied += usize::from(variations.is_some());
            let major = table.number("sigma_major_arcsec", row) / 3600.0;
            errors.semi_major.push((ellipse.semi_major().to_degrees() / major - 1.0).abs());
        }
    }
    errors
}

//! Error ellipses against those of ASSIST, class by class.
//!
//! `fixtures/ephemeris/covariances.parquet` has the covariances and the reference's ellipses, of the state alone.

use ssp::science::ephemeris::integrator::{Task, integrate};
use ssp::science::ephemeris::path::Path;

use crate::assist::{fixture, spread};
use crate::ellipse_errors::{ALLOWED, Errors, ellipse_errors, objects};

#[test]
fn ellipses_by_class() {
    let table = fixture("covariances");
    let mut errors = ellipse_errors(&table);
    assert!(!errors.is_empty());
    for (class, Errors { two_body, by_rule, semi_major, varied }) in &mut errors {
        let (rows, spread, two_body) = (by_rule.len(), spread(by_rule), spread(two_body));
        let [spread_text, two_body] = [spread, two_body].map(|[a, b, c]| format!("{a:.1e} {b:.1e} {c:.1e}"));
        println!("{class:16} {rows:4} rows, {varied:4} varied: {spread_text}; two-body: {two_body}");
        assert!(
            semi_major.iter().all(|off| *off < ALLOWED),
            "{class}: semi-major axes are off by {semi_major:?}"
        );
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

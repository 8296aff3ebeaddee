//! Positions against those of ASSIST, a program of other people, class by class.
//!
//! `fixtures/ephemeris/` has the orbits and the reference's answers; its README says how they were made.

use std::collections::BTreeMap;

use ssp::science::ephemeris::integrator::{Task, integrate};
use ssp::science::ephemeris::place::{KM_S, Place, direction, elongation, magnitude};
use ssp::science::ephemeris::time::tdb_of_tai;

use crate::assist::{Seen, allowed, fixture, orbit, seen, spread};

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

#[test]
fn positions_by_class() {
    let (orbits, cases) = (fixture("orbits"), fixture("cases"));
    let mut errors: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    let mut worst: BTreeMap<String, (f64, String)> = BTreeMap::new();
    for Seen { row, case, place, observer, off_mas } in seen(&orbits, &cases) {
        let (id, class) = (orbits.text("id", row), orbits.text("cls", row));
        let mjd_tai = cases.number("t_mjd_tai", case);
        let [ra, dec] = ["ephRa", "ephDec"].map(|name| cases.number(name, case).to_radians());
        errors.entry(class).or_default().push(off_mas);
        if cases.number("topoRange", case) < NEAR_AU {
            continue;
        }
        let sun = elongation(direction(ra, dec), tdb_of_tai(mjd_tai), observer[0]).unwrap();
        let g = Some(orbits.number("g", row)).filter(|g| !g.is_nan()).unwrap_or(0.15);
        let vmag = magnitude(orbits.number("h", row), g, &place);
        for (name, found, least) in columns(&place, sun, vmag) {
            let wanted = cases.number(&name, case);
            if wanted.is_nan() || least > 0.0 && class.starts_with(FEW_RATES) {
                continue;
            }
            let off = places(found, wanted, least);
            let known = worst.entry(name).or_default();
            if off > known.0 || off.is_nan() {
                *known = (off, format!("{id} at {mjd_tai}: {found}, not {wanted}"));
            }
        }
    }
    assert!(!errors.is_empty() && !worst.is_empty());
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
        for (found, began) in position.into_iter().zip(task.position) {
            let off = (found - began).abs();
            assert!(off < 1e-11, "{off} au");
        }
    }
}

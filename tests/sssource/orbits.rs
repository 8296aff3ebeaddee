//! Orbits of the objects: elements, non-gravitational terms and covariances.

use ssp::sssource::{NonGravity, Term};

use super::case::{Case, orbit};

fn block(extra: &str, values: &str) -> String {
    format!(
        r#"{{"coefficient_names": ["x", "y", "z", "vx", "vy", "vz"{extra}], "coefficient_values": [1, 2, 3, 4, 5, 6{values}],
        "covariance": {{"cov00": 1e-12, "cov01": "2e-13", "cov66": null}}}}"#
    )
}

#[test]
fn elements_are_read_in_radians() {
    let built = Case::new().build();
    let orbit = built.objects[0].orbit.as_ref().unwrap();
    let elements = orbit.elements;
    assert_eq!((elements.q_au, elements.e), (1.5, 0.25));
    assert_eq!(
        [elements.inclination_rad, elements.node_rad, elements.argperi_rad],
        [90_f64.to_radians(), 180_f64.to_radians(), 45_f64.to_radians()]
    );
    assert_eq!((orbit.peri_time_mjd_tt, orbit.epoch_mjd_tt, orbit.h_mag), (60_900.5, 61_000.0, 17.5));
    assert!(orbit.g.is_nan());
}

#[test]
fn terms_and_covariances_are_read_from_either_column() {
    for (column, whole) in [("car", false), ("mpc_orb_jsonb", true)] {
        let mut case = Case::wide();
        case.car_column = Some(column);
        let document =
            |block: String| Some(if whole { format!(r#"{{"COM": {{}}, "CAR": {block}}}"#) } else { block });
        case.orbits[0].car = document(block(r#", "yarkovski""#, ", -3.5"));
        case.orbits[1].car = document(block(r#", "A1", "A2", "DT""#, ", 1, 2, 3"));
        let built = case.build();
        let [other, yarkovsky] = [0, 1].map(|k| built.objects[k].orbit.as_ref().unwrap().car.clone());
        assert_eq!(yarkovsky.non_gravity, NonGravity::Yarkovsky(-3.5 * 1e-10));
        assert_eq!(other.non_gravity, NonGravity::Unknown);
        let covariance = yarkovsky.covariance.unwrap();
        assert_eq!((covariance.get(0, 0), covariance.get(1, 0)), (1e-12, 2e-13));
        assert!(covariance.get(6, 6).is_nan());
        assert_eq!(&covariance.terms[..], [Term::Yarkovsky]);
        assert_eq!((built.figures.non_gravitational, built.figures.unknown_terms), (1, 1));
        let warnings = built.figures.warnings();
        assert!(
            matches!(&warnings[..], [one] if one.starts_with("1 objects have non-gravitational terms other")),
            "{warnings:?}"
        );
        // The narrow table has no error ellipses.
        case.options.wide = false;
        let built = case.build();
        assert_eq!(built.objects[1].orbit.as_ref().unwrap().car.covariance, None);
    }
}

#[test]
fn without_the_column_there_is_gravity_alone_and_a_warning() {
    let built = Case::wide().build();
    assert_eq!(built.objects[0].orbit.as_ref().unwrap().car.non_gravity, NonGravity::None);
    assert!(
        built.figures.warnings()[0].starts_with("mpc_orbits has neither a column `car` nor `mpc_orb_jsonb`")
    );
}

#[test]
fn blocks_that_cannot_be_read_are_counted_and_stop_nothing() {
    let mut case = Case::wide();
    case.car_column = Some("car");
    case.orbits[0].car = Some("{\"coefficient_names\": [".to_owned());
    case.orbits[1].car = None;
    // Not of an object that is there.
    case.orbits.push(orbit("2030 ZZ1", "K30Z01Z"));
    case.orbits[2].car = Some("nonsense".to_owned());
    let built = case.build();
    assert_eq!((built.figures.unreadable_cars, built.objects.len(), built.rows.len()), (1, 2, 3));
    // NULL as JSON.
    case.orbits[0].car = Some("null".to_owned());
    assert_eq!(case.build().figures.unreadable_cars, 0);
}

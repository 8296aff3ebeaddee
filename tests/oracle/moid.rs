//! MOIDs against published ones.

use std::fs;

use ssp::science::orbit::elements::Elements;
use ssp::science::orbit::moid::{Ellipse, moid};

/// The fields of a line of CSV; a field in quotes may hold commas.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            c => fields.last_mut().unwrap().push(c),
        }
    }
    fields
}

fn numbers(fields: &[String]) -> Vec<f64> {
    fields.iter().map(|field| field.parse().unwrap()).collect()
}

fn elements(q_au: f64, e: f64, angles_deg: &[f64]) -> Elements {
    Elements {
        q_au,
        e,
        inclination_rad: angles_deg[0].to_radians(),
        node_rad: angles_deg[1].to_radians(),
        argperi_rad: angles_deg[2].to_radians(),
    }
}

#[test]
fn published_and_analytic_pairs() {
    let text = fs::read_to_string("fixtures/moid_known.csv").unwrap();
    let mut pairs = 0;
    for line in text.lines().skip(1) {
        let fields = fields(line);
        let n = numbers(&fields[2..14]);
        let ellipse = Ellipse::new(elements(n[0] * (1.0 - n[1]), n[1], &n[2..5])).unwrap();
        let found = moid(&ellipse, &elements(n[5], n[6], &n[7..10])).unwrap();
        let (expected, tolerance) = (n[10], n[11]);
        let difference = (found.distance_au - expected).abs();
        assert!(difference <= tolerance, "{}: {} and not {expected}", fields[0], found.distance_au);
        assert!(!found.in_doubt, "{}", fields[0]);
        pairs += 1;
    }
    assert_eq!(pairs, 33);
}

#[test]
fn near_earth_asteroids_with_the_osculating_earth_of_their_epoch() {
    let text = fs::read_to_string("fixtures/moid_jpl_neo.csv").unwrap();
    let mut asteroids = 0;
    for line in text.lines().skip(1) {
        let fields = fields(line);
        let n = numbers(&fields[2..]);
        let ellipse = Ellipse::new(elements(n[6] * (1.0 - n[7]), n[7], &n[8..11])).unwrap();
        let found = moid(&ellipse, &elements(n[0], n[1], &n[2..5])).unwrap().distance_au;
        // JPL prints six significant digits; half of the last one, and 1e-7 au for the ephemeris.
        let printed = n[5];
        let digit = 10.0_f64.powf(printed.abs().log10().floor() - 5.0);
        assert!((found - printed).abs() <= 0.5 * digit + 1e-7, "{}: {found} and not {printed}", fields[0]);
        asteroids += 1;
    }
    assert_eq!(asteroids, 1000);
}

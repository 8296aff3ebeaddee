//! What comes with a MOID, against formulas of another kind.
//!
//! The place on each orbit comes from its true anomaly by the conic equation, the velocity by a numerical derivative of
//! the place by time through Kepler's second law, so nothing is shared with the kernel.

use std::f64::consts::TAU;

use proptest::prelude::*;
use ssp::science::orbit::elements::Elements;
use ssp::science::orbit::moid::{Ellipse, moid};
use ssp::science::orbit::tisserand::tisserand_jupiter;

const GM_SUN_KM3_S2: f64 = 1.327_124_400_18e11;
const AU_KM: f64 = 149_597_870.7;

fn orbits() -> impl Strategy<Value = (Elements, Elements)> {
    let angles = (0.0..3.1, 0.0..TAU, 0.0..TAU);
    let ellipse = (0.3..3.0, 0.0..0.9, angles.clone());
    let other = (0.1..4.0, prop_oneof![0.0..0.95, 0.95..1.05, 1.05..4.0, Just(1.0)], angles);
    let elements = |(q_au, e, (inclination_rad, node_rad, argperi_rad))| Elements {
        q_au,
        e,
        inclination_rad,
        node_rad,
        argperi_rad,
    };
    (ellipse.prop_map(elements), other.prop_map(elements))
}

/// The place on an orbit at a true anomaly \[au\].
pub fn place(orbit: &Elements, anomaly: f64) -> [f64; 3] {
    let r = orbit.q_au * (1.0 + orbit.e) / (1.0 + orbit.e * anomaly.cos());
    let argument = anomaly + orbit.argperi_rad;
    let (x, y) = (r * argument.cos(), r * argument.sin() * orbit.inclination_rad.cos());
    let z = r * argument.sin() * orbit.inclination_rad.sin();
    let (sin, cos) = orbit.node_rad.sin_cos();
    [x * cos - y * sin, x * sin + y * cos, z]
}

/// The velocity there \[km/s\]: the derivative of the place by the true anomaly, times `h / r^2`.
pub fn velocity(orbit: &Elements, anomaly: f64) -> [f64; 3] {
    let step = 1e-5;
    let (after, before) = (place(orbit, anomaly + step), place(orbit, anomaly - step));
    let here = place(orbit, anomaly);
    let r2: f64 = here.iter().map(|x| x * x).sum();
    let rate = (GM_SUN_KM3_S2 / AU_KM * orbit.q_au * (1.0 + orbit.e)).sqrt() / r2;
    std::array::from_fn(|k| (after[k] - before[k]) / (2.0 * step) * rate)
}

/// The length of the difference of two vectors.
pub fn length(a: [f64; 3], b: [f64; 3]) -> f64 {
    (a[0] - b[0]).hypot(a[1] - b[1]).hypot(a[2] - b[2])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn anomalies_longitude_and_speed_belong_to_the_distance((ellipse, orbit) in orbits()) {
        let found = moid(&Ellipse::new(ellipse).unwrap(), &orbit).unwrap();
        let on_ellipse = place(&ellipse, found.ellipse_anomaly_rad);
        let on_orbit = place(&orbit, found.orbit_anomaly_rad);
        prop_assert!((length(on_ellipse, on_orbit) - found.distance_au).abs() < 1e-9, "{:?}", found);
        // As a distance: near the pole of the ecliptic the smallest one turns the longitude.
        let (sin, cos) = found.longitude_rad.sin_cos();
        let rho = on_ellipse[0].hypot(on_ellipse[1]);
        let across = (rho * cos - on_ellipse[0]).hypot(rho * sin - on_ellipse[1]);
        prop_assert!(across < 1e-9, "{} {:?}", across, found);
        let speed = length(velocity(&ellipse, found.ellipse_anomaly_rad), velocity(&orbit, found.orbit_anomaly_rad));
        prop_assert!((speed - found.relative_speed_km_s).abs() < 1e-5 * (1.0 + speed), "{} {:?}", speed, found);
        for angle in [found.ellipse_anomaly_rad, found.orbit_anomaly_rad, found.longitude_rad] {
            prop_assert!((0.0..TAU).contains(&angle), "{:?}", found);
        }
        prop_assert!(!found.in_doubt, "{:?}", found);
    }

    #[test]
    fn the_moid_of_two_ellipses_is_symmetric((a, b) in orbits()) {
        let b = Elements { e: b.e % 0.99, ..b };
        let one = moid(&Ellipse::new(a).unwrap(), &b).unwrap();
        let other = moid(&Ellipse::new(b).unwrap(), &a).unwrap();
        prop_assert!((one.distance_au - other.distance_au).abs() < 1e-10, "{:?} {:?}", one, other);
        // The same places, so the same speed.
        let apart = length(place(&a, one.ellipse_anomaly_rad), place(&a, other.orbit_anomaly_rad))
            .max(length(place(&b, one.orbit_anomaly_rad), place(&b, other.ellipse_anomaly_rad)));
        prop_assert!(apart < 1e-6, "{} {:?} {:?}", apart, one, other);
        let difference = (one.relative_speed_km_s - other.relative_speed_km_s).abs();
        prop_assert!(difference < 1e-5 * (1.0 + one.relative_speed_km_s), "{} {:?} {:?}", difference, one, other);
    }

    #[test]
    fn scaling_both_orbits_scales_the_moid((a, b) in orbits(), scale in 0.1..10.0_f64) {
        let scaled = |orbit: Elements| Elements { q_au: orbit.q_au * scale, ..orbit };
        let one = moid(&Ellipse::new(a).unwrap(), &b).unwrap().distance_au;
        let other = moid(&Ellipse::new(scaled(a)).unwrap(), &scaled(b)).unwrap().distance_au;
        prop_assert!((one * scale - other).abs() < 1e-10 * scale.max(1.0), "{} {}", one * scale, other);
    }
}

#[test]
fn what_is_not_an_orbit_has_no_moid() {
    let good = Elements { q_au: 1.0, e: 0.1, inclination_rad: 0.1, node_rad: 0.0, argperi_rad: 0.0 };
    let earth = Ellipse::new(good).unwrap();
    for bad in [
        Elements { q_au: 0.0, ..good },
        Elements { q_au: -1.0, ..good },
        Elements { q_au: f64::NAN, ..good },
        Elements { e: -0.1, ..good },
        Elements { e: f64::INFINITY, ..good },
        Elements { node_rad: f64::NAN, ..good },
    ] {
        assert!(moid(&earth, &bad).is_none(), "{bad:?}");
    }
    assert!(Ellipse::new(Elements { e: 1.0, ..good }).is_none());
}

#[test]
fn the_tisserand_parameter_of_an_ellipse_is_the_usual_one() {
    let orbit = Elements { q_au: 1.8, e: 0.4, inclination_rad: 0.3, node_rad: 1.0, argperi_rad: 2.0 };
    let (a, jupiter) = (1.8 / 0.6, 5.2044);
    let usual = jupiter / a + 2.0 * 0.3_f64.cos() * (a / jupiter * (1.0 - 0.16_f64)).sqrt();
    assert!((tisserand_jupiter(&orbit) - usual).abs() < 1e-14);
}

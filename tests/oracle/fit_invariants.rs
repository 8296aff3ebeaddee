//! What holds for every fit of H and G12.

use proptest::prelude::*;
use ssp::science::photometry::Fitter;
use ssp::science::photometry::fit::{Fit, Observation, Options};
use ssp::science::photometry::hg12::magnitude;

use crate::cases::cases;

/// A detection as it is made up: phase angle \[deg\], distances \[au\], sigma and deviation \[mag\].
type Seen = (f64, f64, f64, f64, f64);

fn seen() -> impl Strategy<Value = Vec<Seen>> {
    let one = (0.1..60.0, 0.5..4.0, 1.0..5.0, 0.01..0.3, -0.3..0.3);
    prop::collection::vec(one, 1..40)
}

fn observations(seen: &[Seen], h: f64, g12: f64, noise: f64) -> Vec<Observation> {
    seen.iter()
        .map(|&(phase_deg, topo, helio, mag_err, deviation)| Observation {
            phase_rad: phase_deg.to_radians(),
            mag: magnitude(h, g12, phase_deg.to_radians()) + 5.0 * (topo * helio).log10() + noise * deviation,
            mag_err,
            topo_range_au: topo,
            helio_range_au: helio,
        })
        .collect()
}

fn fit(mut observations: Vec<Observation>, options: Options) -> Fit {
    Fitter::new(options).fit(&mut observations)
}

fn near(a: Option<f64>, b: Option<f64>, tolerance: f64) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(a), Some(b)) => (a - b).abs() <= tolerance,
        _ => false,
    }
}

/// The squared residuals of all points for a G12 and the best H for it.
pub fn cost(observations: &[Observation], g12: f64, floor: f64) -> f64 {
    let points: Vec<(f64, f64)> = observations
        .iter()
        .map(|row| {
            let reduced = row.mag - 5.0 * (row.topo_range_au * row.helio_range_au).log10();
            let weight = 1.0 / (row.mag_err * row.mag_err + floor * floor);
            (reduced - magnitude(0.0, g12, row.phase_rad), weight)
        })
        .collect();
    let weight: f64 = points.iter().map(|(_, w)| w).sum();
    let h = points.iter().map(|(h, w)| h * w).sum::<f64>() / weight;
    points.iter().map(|(x, w)| w * (x - h) * (x - h)).sum()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(64, 256)))]

    #[test]
    fn the_order_of_the_rows_does_not_matter(seen in seen(), turn in 0_usize..40, g12 in 0.0..1.0) {
        let straight = observations(&seen, 18.0, g12, 3.0);
        let mut turned = straight.clone();
        turned.reverse();
        turned.rotate_left(turn % straight.len());
        prop_assert_eq!(fit(straight, Options::default()), fit(turned, Options::default()));
    }

    #[test]
    fn a_constant_added_to_all_magnitudes_adds_to_h(seen in seen(), more in -5.0..5.0, g12 in 0.0..1.0) {
        let before = fit(observations(&seen, 18.0, g12, 1.0), Options::default());
        let after = fit(observations(&seen, 18.0 + more, g12, 1.0), Options::default());
        prop_assert_eq!(before.failure, after.failure);
        prop_assert_eq!(before.used, after.used);
        prop_assert!(near(before.h_mag.map(|h| h + more), after.h_mag, 1e-7));
        prop_assert!(near(before.g12, after.g12, 1e-6), "{:?} {:?}", before, after);
        prop_assert!(near(before.chi2, after.chi2, 1e-7 * (1.0 + before.chi2.unwrap_or(0.0))));
    }

    #[test]
    fn both_distances_scaled_shift_h(seen in seen(), scale in 0.2..5.0_f64, g12 in 0.0..1.0) {
        let near_rows = observations(&seen, 18.0, g12, 1.0);
        let mut far_rows = near_rows.clone();
        for row in &mut far_rows {
            row.topo_range_au *= scale;
            row.helio_range_au *= scale;
        }
        let (before, after) = (fit(near_rows, Options::default()), fit(far_rows, Options::default()));
        prop_assert_eq!(before.failure, after.failure);
        prop_assert!(near(before.h_mag.map(|h| h - 10.0 * scale.log10()), after.h_mag, 1e-7));
        prop_assert!(near(before.g12, after.g12, 1e-6));
    }

    #[test]
    fn noiseless_points_give_back_h_and_g12(
        h in 5.0..25.0,
        g12 in prop_oneof![0.001..0.199, 0.201..0.999],
        phases in prop::collection::vec(0.1..100.0, 4..30),
    ) {
        let span = |phases: &[f64]| {
            phases.iter().copied().fold(f64::MIN, f64::max) - phases.iter().copied().fold(f64::MAX, f64::min)
        };
        prop_assume!(span(&phases) > 5.0);
        let seen: Vec<Seen> = phases.iter().map(|&phase| (phase, 1.1, 2.3, 0.05, 0.0)).collect();
        let found = fit(observations(&seen, h, g12, 0.0), Options::default());
        prop_assert!(!found.failure.any(), "{:?}", found);
        prop_assert!(near(found.h_mag, Some(h), 1e-9), "{:?}", found);
        prop_assert!(near(found.g12, Some(g12), 1e-9), "{:?}", found);
    }

    #[test]
    fn no_other_g12_costs_less(seen in seen(), g12 in -0.5..1.5, noise in 0.0..6.0) {
        let options = Options { clip_sigma: None, ..Options::default() };
        let rows = observations(&seen, 18.0, g12, noise);
        let found = fit(rows.clone(), options);
        prop_assume!(!found.failure.any());
        let best = found.chi2.unwrap();
        for step in 0..=2000 {
            let other = cost(&rows, f64::from(step) / 2000.0, options.mag_err_floor);
            prop_assert!(best <= other * (1.0 + 1e-8) + 1e-8, "{} at {}: {:?}", other, step, found);
        }
    }

    #[test]
    fn nothing_that_is_not_finite_comes_out(
        rows in prop::collection::vec((any::<f64>(), any::<f64>(), any::<f64>(), any::<f64>(), any::<f64>()), 1..12),
        bounded in any::<bool>(),
    ) {
        let rows: Vec<Observation> = rows
            .into_iter()
            .map(|(phase_rad, mag, mag_err, topo_range_au, helio_range_au)| Observation {
                phase_rad, mag, mag_err, topo_range_au, helio_range_au,
            })
            .collect();
        let g12_bounds = bounded.then_some([0.0, 1.0]);
        let found = fit(rows, Options { g12_bounds, ..Options::default() });
        let values = [found.h_mag, found.h_err_mag, found.g12, found.g12_err, found.covariance, found.chi2];
        prop_assert!(values.iter().flatten().all(|value| value.is_finite()), "{:?}", found);
    }
}

#[test]
fn without_bounds_two_points_are_met_exactly() {
    let seen = [(5.0, 1.0, 2.0, 0.05, 0.0), (25.0, 1.2, 2.1, 0.05, 0.0)];
    let options = Options {
        g12_bounds: None,
        mag_err_floor: 0.0,
        clip_sigma: None,
        min_phase_span_rad: 0.0,
        ..Options::default()
    };
    for g12 in [-0.4, 0.1, 0.7, 1.8] {
        let found = fit(observations(&seen, 17.0, g12, 0.0), options);
        assert!(!found.failure.any(), "{found:?}");
        assert!(found.chi2.unwrap() < 1e-18, "{found:?}");
    }
}

#[test]
fn a_fixed_g12_stays_and_only_h_is_fitted() {
    let seen: Vec<Seen> = (1..9).map(|k| (f64::from(k) * 3.0, 1.0, 2.0, 0.05, 0.0)).collect();
    let options = Options { fixed_g12: Some(0.3), ..Options::default() };
    let found = fit(observations(&seen, 17.0, 0.3, 0.0), options);
    assert!(near(found.h_mag, Some(17.0), 1e-12) && found.g12 == Some(0.3), "{found:?}");
    assert_eq!((found.g12_err, found.covariance, found.failure.any()), (None, None, false));
    let nothing = fit(vec![Observation { mag_err: 0.0, ..observations(&seen, 17.0, 0.3, 0.0)[0] }], options);
    assert!(nothing.failure.any() && nothing.h_mag.is_none() && nothing.g12.is_none() && nothing.used == 0);
}

//! Fits of H and G12 against an accurate reference: `fixtures/hg12_cases.json`.
//!
//! Units: mag, degrees, au.

use serde::Deserialize;
use ssp::science::photometry::Fitter;
use ssp::science::photometry::fit::{Observation, Options};

#[derive(Deserialize)]
struct Case {
    kind: String,
    options: CaseOptions,
    inputs: Inputs,
    expect: Expected,
}

#[derive(Deserialize)]
struct CaseOptions {
    floor: f64,
    clip: Option<f64>,
    fixed: Option<f64>,
}

#[derive(Deserialize)]
struct Inputs {
    mag: Vec<Option<f64>>,
    mag_err: Vec<Option<f64>>,
    phase_angle_deg: Vec<Option<f64>>,
    topo_range_au: Vec<Option<f64>>,
    helio_range_au: Vec<Option<f64>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Expected {
    h: Option<f64>,
    #[serde(rename = "HErr")]
    h_err: Option<f64>,
    g12: Option<f64>,
    #[serde(rename = "G12Err")]
    g12_err: Option<f64>,
    cov: Option<f64>,
    chi2: Option<f64>,
    #[serde(rename = "nObsUsed")]
    used: usize,
    #[serde(rename = "failed")]
    failed: bool,
    #[serde(rename = "why")]
    why: Vec<String>,
    #[serde(rename = "margin")]
    margin: Option<f64>,
}

fn cases() -> Vec<Case> {
    let text = std::fs::read_to_string("fixtures/hg12_cases.json").unwrap();
    serde_json::from_str(&text).unwrap()
}

fn observations(inputs: &Inputs) -> Vec<Observation> {
    let at = |values: &[Option<f64>], k: usize| values[k].unwrap_or(f64::NAN);
    (0..inputs.mag.len())
        .map(|k| Observation {
            phase_rad: at(&inputs.phase_angle_deg, k).to_radians(),
            mag: at(&inputs.mag, k),
            mag_err: at(&inputs.mag_err, k),
            topo_range_au: at(&inputs.topo_range_au, k),
            helio_range_au: at(&inputs.helio_range_au, k),
        })
        .collect()
}

fn check(what: &str, found: Option<f64>, expected: Option<f64>, absolute: f64, relative: f64) {
    match (found, expected) {
        (None, None) => {}
        (Some(found), Some(expected)) => {
            let allowed = absolute + relative * expected.abs();
            assert!((found - expected).abs() <= allowed, "{what}: {found} and not {expected}");
        }
        _ => panic!("{what}: {found:?} and not {expected:?}"),
    }
}

#[test]
fn every_case_has_the_answers_of_the_reference() {
    let cases = cases();
    assert_eq!(cases.len(), 240);
    for (index, case) in cases.iter().enumerate() {
        let options = Options {
            mag_err_floor: case.options.floor,
            clip_sigma: case.options.clip,
            fixed_g12: case.options.fixed,
            ..Options::default()
        };
        let fit = Fitter::new(options).fit(&mut observations(&case.inputs));
        let Expected { h, h_err, g12, g12_err, cov, chi2, used, failed, why, margin } = &case.expect;
        let name = format!("case {index} ({})", case.kind);
        assert!(
            margin.is_none_or(|margin| margin >= 1e-6),
            "{name}: a point is too near to the clip to compare"
        );
        assert_eq!(fit.used, *used, "{name}");
        assert_eq!(fit.failure.any(), *failed, "{name}");
        assert_eq!(fit.failure.names().collect::<Vec<_>>(), *why, "{name}");
        check(&format!("{name}, H"), fit.h_mag, *h, 1e-6, 0.0);
        check(&format!("{name}, G12"), fit.g12, *g12, 1e-6, 0.0);
        check(&format!("{name}, HErr"), fit.h_err_mag, *h_err, 0.0, 1e-5);
        check(&format!("{name}, G12Err"), fit.g12_err, *g12_err, 0.0, 1e-5);
        check(&format!("{name}, Cov"), fit.covariance, *cov, 0.0, 1e-5);
        check(&format!("{name}, Chi2"), fit.chi2, *chi2, 0.0, 1e-5);
    }
}

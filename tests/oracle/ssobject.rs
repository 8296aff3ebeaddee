//! A whole small table against an accurate reference: `fixtures/ssobject_case/`.

use std::collections::HashMap;
use std::path::Path;

use arrow::array::UInt64Array;
use arrow::compute::take_record_batch;
use ssp::science::orbit::earth::secular;
use ssp::science::orbit::elements::Elements;
use ssp::science::photometry::fit::{Observation, Options as FitOptions};
use ssp::stages::build_ssobject::Inputs;

use super::fit_invariants::cost;
use super::moid_columns::{length, place, velocity};
use super::tables::{build, built, columns, ids, inputs, numbers, options, read, texts, write};

/// Values agree to `absolute + relative |expected|`, and to single precision, which the table has.
fn assert_close(
    column: &str,
    found: &[Option<f64>],
    expected: &[Option<f64>],
    [absolute, relative]: [f64; 2],
) {
    assert_eq!(found.len(), expected.len());
    for (row, pair) in found.iter().zip(expected).enumerate() {
        match pair {
            (None, None) => {}
            (Some(found), Some(expected)) => {
                let single = f64::from(f32::EPSILON) * expected.abs();
                let difference = (found - expected).abs();
                let allowed = absolute + relative * expected.abs() + single;
                assert!(difference <= allowed, "{column}, row {row}: {found} and not {expected}");
            }
            _ => panic!("{column}, row {row}: {:?} and not {:?}", pair.0, pair.1),
        }
    }
}

#[test]
fn every_column_has_the_values_of_the_reference() {
    let folder = tempfile::tempdir().unwrap();
    let found = built(&inputs(), &options(), &folder.path().join("ssobject.parquet"));
    let reference = read(Path::new("fixtures/ssobject_case/reference_ssobject.parquet"));
    assert_eq!(found.num_rows(), 150);
    assert_eq!(numbers(&found, "ssObjectId"), numbers(&reference, "ssObjectId"));
    assert_eq!(texts(&found, "designation"), texts(&reference, "designation"));
    let check = |column: &str, tolerance: [f64; 2]| {
        assert_close(column, &numbers(&found, column), &numbers(&reference, column), tolerance);
    };
    for column in ["nObs", "arc", "firstObservationMjdTai"] {
        check(column, [0.0, 0.0]);
    }
    for column in ["extendednessMax", "extendednessMedian", "extendednessMin", "tisserand_J"] {
        check(column, [0.0, 1e-9]);
    }
    check("MOIDEarth", [1e-9, 0.0]);
    for band in ["u", "g", "r", "i", "z", "y"] {
        let near_clip = numbers(&reference, &format!("{band}_margin"))
            .iter()
            .any(|margin| margin.is_some_and(|margin| margin < 1e-6));
        assert!(!near_clip, "a point is too near to the clip to compare");
        for column in ["nObs", "nObsUsed", "slope_fit_failed"] {
            check(&format!("{band}_{column}"), [0.0, 0.0]);
        }
        for column in ["H", "G12"] {
            check(&format!("{band}_{column}"), [1e-6, 0.0]);
        }
        for column in ["HErr", "G12Err", "Chi2"] {
            check(&format!("{band}_{column}"), [0.0, 1e-5]);
        }
        check(&format!("{band}_H_{band}_G12_Cov"), [0.0, 1e-5]);
        for column in ["phaseAngleMin", "phaseAngleMax"] {
            check(&format!("{band}_{column}"), [0.0, 0.0]);
        }
    }
}

/// The orbits of the small table by designation, with their epochs \[MJD\].
fn orbits() -> HashMap<String, (Elements, f64)> {
    let table = read(&inputs().mpc_orbits);
    let column = |name: &str| -> Vec<f64> {
        numbers(&table, name).into_iter().map(|value| value.unwrap_or(f64::NAN)).collect()
    };
    let [q, e, i, node, argperi, epoch] = ["q", "e", "i", "node", "argperi", "epoch_mjd"].map(column);
    let names = texts(&table, "unpacked_primary_provisional_designation").into_iter().flatten();
    let orbit = |k: usize| Elements {
        q_au: q[k],
        e: e[k],
        inclination_rad: i[k].to_radians(),
        node_rad: node[k].to_radians(),
        argperi_rad: argperi[k].to_radians(),
    };
    names.enumerate().map(|(k, name)| (name, (orbit(k), epoch[k]))).collect()
}

#[test]
fn anomalies_longitude_and_speed_are_in_degrees_and_in_their_columns() {
    let folder = tempfile::tempdir().unwrap();
    let table = built(&inputs(), &options(), &folder.path().join("ssobject.parquet"));
    let orbits = orbits();
    let column = |name: &str| numbers(&table, name);
    let names = ["", "DeltaV", "EclipticLongitude", "TrueAnomaly", "TrueAnomalyObject"];
    let [moid, speed, longitude, of_earth, of_object] = names.map(|name| column(&format!("MOIDEarth{name}")));
    let mut compared = 0;
    for (row, designation) in texts(&table, "designation").into_iter().flatten().enumerate() {
        let Some((orbit, epoch)) = orbits.get(&designation) else {
            assert_eq!([moid[row], speed[row], longitude[row], of_earth[row], of_object[row]], [None; 5]);
            continue;
        };
        let earth = secular(*epoch);
        let [of_earth, of_object] = [&of_earth, &of_object].map(|at| at[row].unwrap().to_radians());
        let (there, here) = (place(orbit, of_object), place(&earth, of_earth));
        let size = 1.0 + length(there, [0.0; 3]);
        assert!((length(there, here) - moid[row].unwrap()).abs() < 1e-6 * size, "{designation}");
        let degrees = here[1].atan2(here[0]).to_degrees().rem_euclid(360.0);
        assert!((degrees - longitude[row].unwrap()).abs() < 1e-4, "{designation}");
        let expected = length(velocity(orbit, of_object), velocity(&earth, of_earth));
        assert!((expected - speed[row].unwrap()).abs() < 1e-4 * (1.0 + expected), "{designation}");
        compared += 1;
    }
    assert!(compared > 140, "{compared}");
}

#[test]
fn the_bytes_depend_on_neither_threads_nor_the_order_of_rows() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = inputs();
    let digest = |inputs: &Inputs, threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let target = folder.path().join("out.parquet");
        pool.install(|| build(inputs, &options(), &target).unwrap().files.remove(0).file.digest())
    };
    let expected = digest(&inputs, 1);
    assert_eq!(digest(&inputs, 8), expected);
    let shuffled = |path: &Path| {
        let batch = read(path);
        let rows = u32::try_from(batch.num_rows()).unwrap();
        // A step that has no divisor in common with the number of rows visits each once.
        let step = (rows / 3..rows).find(|step| gcd(*step, rows) == 1).unwrap();
        let place = |k: u32| u64::from(k) * u64::from(step) % u64::from(rows);
        let order = UInt64Array::from_iter_values((0..rows).map(place));
        let batch = take_record_batch(&batch, &order).unwrap();
        write(&folder.path().join(path.file_name().unwrap()), &columns(&batch))
    };
    let shuffled = Inputs {
        sssource: shuffled(&inputs.sssource),
        dia_sources: inputs.dia_sources.as_deref().map(shuffled),
        mpc_orbits: shuffled(&inputs.mpc_orbits),
    };
    assert_eq!(digest(&shuffled, 1), expected);
    assert_eq!(digest(&shuffled, 8), expected);
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// The detections of the small table by object and band.
fn observations() -> HashMap<(i64, String), Vec<Observation>> {
    let folder = Path::new("fixtures/ssobject_case");
    let (sssource, dia) = (read(&folder.join("sssource.parquet")), read(&folder.join("dia_sources.parquet")));
    let column = |table, name: &str| -> Vec<f64> {
        numbers(table, name).into_iter().map(|value| value.unwrap_or(f64::NAN)).collect()
    };
    let places: HashMap<i64, usize> = ids(&dia, "diaSourceId").into_iter().zip(0..).collect();
    let (bands, flux, flux_err) = (texts(&dia, "band"), column(&dia, "psfFlux"), column(&dia, "psfFluxErr"));
    let [phase, topo, helio] = ["phaseAngle", "topoRange", "helioRange"].map(|name| column(&sssource, name));
    let objects = ids(&sssource, "ssObjectId");
    let mut found: HashMap<_, Vec<Observation>> = HashMap::new();
    for (row, id) in ids(&sssource, "diaSourceId").into_iter().enumerate() {
        let place = places[&id];
        found.entry((objects[row], bands[place].clone().unwrap())).or_default().push(Observation {
            phase_rad: phase[row].to_radians(),
            mag: 31.4 - 2.5 * flux[place].log10(),
            mag_err: 1.085_736 * flux_err[place] / flux[place],
            topo_range_au: topo[row],
            helio_range_au: helio[row],
        });
    }
    found
}

#[test]
fn without_bounds_the_fits_are_those_of_the_seed_or_better() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = options();
    options.table.fit = FitOptions {
        mag_err_floor: 0.0,
        clip_sigma: None,
        min_phase_span_rad: 0.0,
        g12_bounds: None,
        ..options.table.fit
    };
    let found = built(&inputs(), &options, &folder.path().join("plain.parquet"));
    let seed = read(Path::new("fixtures/ssobject_case/seed_ssobject.parquet"));
    let observations = observations();
    let objects = ids(&seed, "ssObjectId");
    let (mut same, mut better) = (0, 0);
    for band in ["u", "g", "r", "i", "z", "y"] {
        let column = |table, name: &str| numbers(table, &format!("{band}_{name}"));
        let failed = column(&found, "slope_fit_failed");
        for (row, seed) in column(&seed, "G12").into_iter().enumerate() {
            // The seed writes NaN where its fit failed.
            let Some(seed) = seed.filter(|seed| seed.is_finite() && failed[row] == Some(0.0)) else {
                continue;
            };
            let g12 = column(&found, "G12")[row].unwrap();
            if (g12 - seed).abs() < 1e-4 * (1.0 + seed.abs()) {
                same += 1;
                continue;
            }
            // The seed stopped at a local minimum, or two points have two exact answers.
            let rows = &observations[&(objects[row], band.to_owned())];
            let usable: Vec<Observation> = rows.iter().copied().filter(|row| row.mag.is_finite()).collect();
            let chi2 = column(&found, "Chi2")[row].unwrap();
            let theirs = cost(&usable, seed, 0.0);
            assert!(
                chi2 <= theirs * (1.0 + 1e-5) + 1e-6,
                "{band}, row {row}: {chi2} at {g12}, and {theirs} at {seed}"
            );
            better += 1;
        }
    }
    assert!(same > 300 && better < 40, "{same} the same, {better} better");
}

//! The kernels: a MOID, and the fit of a band.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use ssp::science::orbit::earth::osculating;
use ssp::science::orbit::elements::Elements;
use ssp::science::orbit::moid::{Ellipse, moid};
use ssp::science::photometry::Fitter;
use ssp::science::photometry::fit::{Observation, Options};
use ssp::science::photometry::hg12::magnitude;

/// Numbers in [0, 1) that repeat exactly: the golden ratio's multiples.
fn quasi(k: usize, dimension: usize) -> f64 {
    let ratio = [0.618_033_988_749_895, 0.754_877_666_246_693, 0.819_172_513_396_164, 0.856_674_883_854_503];
    (k as f64 * ratio[dimension % 4] + dimension as f64 * 0.1).fract()
}

fn orbits(q: [f64; 2], e: [f64; 2]) -> Vec<Elements> {
    let between = |[low, high]: [f64; 2], share: f64| low + (high - low) * share;
    (1..1000)
        .map(|k| Elements {
            q_au: between(q, quasi(k, 0)),
            e: between(e, quasi(k, 1)),
            inclination_rad: 0.5 * quasi(k, 2),
            node_rad: std::f64::consts::TAU * quasi(k, 3),
            argperi_rad: std::f64::consts::TAU * quasi(7 * k, 1),
        })
        .collect()
}

fn moids(criterion: &mut Criterion) {
    let earth = Ellipse::new(osculating(61_000.0).expect("2025")).expect("an ellipse");
    for (name, q, e) in [
        ("main belt", [1.6, 3.5], [0.0, 0.3]),
        ("near Earth", [0.3, 1.3], [0.1, 0.9]),
        ("hyperbolic", [0.3, 3.0], [1.01, 4.0]),
    ] {
        let orbits = orbits(q, e);
        let mut next = orbits.iter().cycle();
        criterion.bench_function(&format!("moid, {name}"), |bencher| {
            bencher.iter(|| moid(&earth, black_box(next.next().expect("a cycle has no end"))));
        });
    }
}

/// A band of `n` points; each twentieth is an outlier if `outliers`.
fn band(n: usize, seed: usize, outliers: bool) -> Vec<Observation> {
    (0..n)
        .map(|k| {
            let k = k + 97 * seed;
            let phase_rad = (1.0 + 24.0 * quasi(k, 0)).to_radians();
            let outlier = if outliers && k % 20 == 3 { 2.0 } else { 0.0 };
            Observation {
                phase_rad,
                mag: magnitude(18.0, quasi(seed, 1), phase_rad) + 0.2 * (quasi(k, 2) - 0.5) + outlier + 1.5,
                mag_err: 0.02 + 0.1 * quasi(k, 3),
                topo_range_au: 1.0,
                helio_range_au: 2.0,
            }
        })
        .collect()
}

fn fits(criterion: &mut Criterion) {
    for (name, n, outliers) in [
        ("5 points", 5, false),
        ("30 points", 30, false),
        ("30 points with outliers", 30, true),
        ("300 points with outliers", 300, true),
    ] {
        let bands: Vec<_> = (0..100).map(|seed| band(n, seed, outliers)).collect();
        let mut next = bands.iter().cycle();
        let mut fitter = Fitter::new(Options::default());
        criterion.bench_function(&format!("fit, {name}"), |bencher| {
            bencher.iter(|| fitter.fit(&mut next.next().expect("a cycle has no end").clone()));
        });
    }
}

criterion_group!(benches, moids, fits);
criterion_main!(benches);

//! How fast orbits are integrated, by class, in object-years per second.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ssp::science::ephemeris::integrator::{Task, integrate};

/// Heliocentric circular-ish states by class: distance \[au\], eccentricity.
fn tasks(count: usize, r: f64, e: f64) -> Vec<Task> {
    (0..count)
        .map(|k| {
            let share = k as f64 / count as f64;
            let angle = 2.399_963 * k as f64;
            let q = r * (1.0 + 0.3 * share);
            let speed = (2.959_122e-4 * (1.0 + e) / q).sqrt();
            let tilt = 0.2 * (7.0 * share).sin();
            let (sin, cos) = angle.sin_cos();
            Task {
                epoch_mjd_tdb: 61_000.000_8,
                position: [q * cos, q * sin, 0.1 * q * tilt],
                velocity: [-speed * sin, speed * cos, speed * tilt],
                force: None,
                wanted: [60_820.0, 61_370.0],
            }
        })
        .collect()
}

fn integrations(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("integrate");
    group.sample_size(20);
    for (name, count, r, e) in [
        ("main belt", 512, 2.0, 0.12),
        ("Trojans", 512, 4.9, 0.08),
        ("near Earth", 128, 0.8, 0.4),
        ("one alone", 1, 2.3, 0.1),
    ] {
        let tasks = tasks(count, r, e);
        let days: f64 = integrate(&tasks).iter().map(|path| path.work().1).sum();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few thousand years")]
        let years = (days / 365.25).round() as u64;
        // An element is an object-year.
        group.throughput(Throughput::Elements(years.max(1)));
        group.bench_function(name, |bencher| bencher.iter(|| integrate(black_box(&tasks))));
    }
    group.finish();
}

criterion_group!(benches, integrations);
criterion_main!(benches);

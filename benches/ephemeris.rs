//! How fast orbits are integrated, by class: `cargo bench --bench ephemeris`.

use std::hint::black_box;
use std::time::Instant;

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

fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        black_box(integrate(&tasks(8, 2.3, 0.1)));
        return;
    }
    for (name, count, r, e) in [
        ("main belt", 4096, 2.0, 0.12),
        ("Trojans", 4096, 4.9, 0.08),
        ("near Earth", 512, 0.8, 0.4),
        ("one alone", 1, 2.3, 0.1),
    ] {
        let tasks = tasks(count, r, e);
        let mut best = f64::INFINITY;
        let mut years = 0.0;
        for _ in 0..5 {
            let begin = Instant::now();
            let paths = black_box(integrate(&tasks));
            let took = begin.elapsed().as_secs_f64();
            years = paths.iter().map(|path| path.work().1 / 365.25).sum();
            best = best.min(took * 1e6 / years);
        }
        println!("{name:12} {years:8.0} object-years, {best:8.1} us each");
    }
}

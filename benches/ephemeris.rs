//! How fast orbits are integrated, in object-years per second. The orbits, their classes and the span are those of
//! `ephemeris_assist.py`, which measures ASSIST.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ssp::science::ephemeris::integrator::{Task, integrate};

use crate::assist::{Table, fixture, orbit};

#[path = "../tests/support/assist.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod assist;
#[path = "../tests/support/parquet.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod parquet;

const GROUPS: [(&str, &[&str]); 6] = [
    ("main belt", &["mb", "hilda", "trojan"]),
    ("NEO", &["neo", "survey", "yarkovsky"]),
    ("old epochs", &["mb_old"]),
    ("encounter", &["encounter_earth", "encounter_venus", "encounter_mars", "encounter_jupiter"]),
    ("comet", &["comet_ng", "hyperbolic"]),
    ("distant", &["centaur", "tno"]),
];
/// A year before and after the middle of the survey \[MJD TDB\].
const SPAN: [f64; 2] = [61_200.0 - 365.25, 61_200.0 + 365.25];
/// Each orbit is there so often, which fills the lanes as the many orbits of a survey do.
const COPIES: usize = 16;

/// The orbits of some classes.
fn tasks(orbits: &Table, classes: &[&str]) -> Vec<Task> {
    let rows = (0..orbits.len()).filter(|&row| classes.contains(&orbits.text("cls", row)));
    let task = |row| orbit(orbits, row).task(SPAN).expect("an orbit of the fixtures");
    rows.flat_map(|row| std::iter::repeat_n(task(row), COPIES)).collect()
}

fn integrations(criterion: &mut Criterion) {
    let orbits = fixture("orbits");
    let mut group = criterion.benchmark_group("integrate");
    group.sample_size(10);
    for (name, classes) in GROUPS {
        let tasks = tasks(&orbits, classes);
        let days: f64 = integrate(&tasks).iter().map(|path| path.work().1).sum();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some thousand years")]
        let years = (days / 365.25).round() as u64;
        // An element is an object-year.
        group.throughput(Throughput::Elements(years));
        group.bench_function(name, |bencher| bencher.iter(|| integrate(black_box(&tasks))));
    }
    group.finish();
}

criterion_group!(benches, integrations);
criterion_main!(benches);

//! MOIDs against a reference from first principles, on made-up pairs of every kind.
//!
//! The reference knows only the conic equation: both orbits by true anomaly, a dense scan of one, the nearest point of
//! the other by a scan of its own and golden sections, then a descent from each local minimum. It shares nothing with the
//! kernel. `make oracle-full` runs 10,080 pairs (`MOID_PAIRS`); the default is small enough for every test run.

use std::f64::consts::{PI, TAU};

use rayon::prelude::*;
use ssp::science::orbit::elements::Elements;
use ssp::science::orbit::moid::{Ellipse, moid};

use super::moid_columns::{length, place};

/// No pair may be worse than this \[au\].
const TOLERANCE_AU: f64 = 1e-9;
/// Pairs unless `MOID_PAIRS` says otherwise: ten of each kind, for the reference is slow without optimization.
const PAIRS: usize = 140;

/// A generator of numbers: `SplitMix64` (Steele et al. 2014).
struct Random(u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn log_between(&mut self, low: f64, high: f64) -> f64 {
        self.between(low.ln(), high.ln()).exp()
    }

    fn sign(&mut self) -> f64 {
        if self.bits() & 1 == 0 { 1.0 } else { -1.0 }
    }
}

const KINDS: [&str; 14] = [
    "main belt",
    "near Earth",
    "hyperbolic",
    "near-parabolic",
    "parabolic",
    "trans-Neptunian",
    "co-orbital",
    "low inclination",
    "tangent",
    "coplanar",
    "retrograde",
    "sun-grazing",
    "nearly the same",
    "two eccentric ellipses",
];

/// A pair of a kind.
fn pair(kind: &str, random: &mut Random) -> (Elements, Elements) {
    let angle = |random: &mut Random| random.between(0.0, TAU);
    let mut earth = Elements {
        q_au: 1.0 - 0.0167,
        e: 0.0167,
        inclination_rad: random.between(0.0, 5e-5),
        node_rad: angle(random),
        argperi_rad: angle(random),
    };
    let mut orbit = Elements {
        q_au: 1.0,
        e: 0.0,
        inclination_rad: random.between(0.0, 0.6),
        node_rad: angle(random),
        argperi_rad: angle(random),
    };
    match kind {
        "main belt" => (orbit.q_au, orbit.e) = (random.between(1.6, 3.5), random.between(0.0, 0.35)),
        "near Earth" => (orbit.q_au, orbit.e) = (random.between(0.2, 1.3), random.between(0.0, 0.9)),
        "hyperbolic" => {
            (orbit.q_au, orbit.e) = (random.log_between(0.02, 5.0), random.log_between(1.001, 8.0));
        }
        "near-parabolic" => {
            orbit.q_au = random.log_between(0.01, 5.0);
            orbit.e = 1.0 + random.sign() * random.log_between(1e-13, 1e-2);
            orbit.inclination_rad = random.between(0.0, PI);
        }
        "parabolic" => {
            (orbit.q_au, orbit.e) = (random.log_between(0.01, 5.0), 1.0);
            orbit.inclination_rad = random.between(0.0, PI);
        }
        "trans-Neptunian" => (orbit.q_au, orbit.e) = (random.between(25.0, 80.0), random.between(0.0, 0.95)),
        "co-orbital" => {
            orbit.e = random.between(0.0, 0.1);
            orbit.q_au = random.between(0.995, 1.005) * (1.0 - orbit.e);
            orbit.inclination_rad = random.log_between(1e-4, 0.3);
        }
        "low inclination" => {
            (orbit.q_au, orbit.e) = (random.between(0.3, 1.2), random.between(0.0, 0.8));
            orbit.inclination_rad = random.log_between(1e-9, 1e-2);
        }
        "tangent" => {
            // The perihelion or the aphelion nearly touches the Earth's orbit.
            orbit.e = random.between(0.0, 0.8);
            let touch = 1.0 + random.sign() * random.log_between(1e-9, 2e-2);
            orbit.q_au = if random.sign() > 0.0 { touch } else { touch * (1.0 - orbit.e) / (1.0 + orbit.e) };
            orbit.inclination_rad = random.log_between(1e-8, 1e-1);
        }
        "coplanar" => {
            (orbit.q_au, orbit.e) = (random.between(0.3, 2.0), random.between(0.0, 1.3));
            (orbit.inclination_rad, orbit.node_rad) = (earth.inclination_rad, earth.node_rad);
        }
        "retrograde" => {
            (orbit.q_au, orbit.e) = (random.between(0.2, 2.0), random.between(0.0, 1.2));
            orbit.inclination_rad = random.between(0.6 * PI, PI);
        }
        "sun-grazing" => {
            (orbit.q_au, orbit.e) = (random.log_between(1e-3, 5e-2), random.between(0.9, 1.02));
            orbit.inclination_rad = random.between(0.0, PI);
        }
        "nearly the same" => {
            orbit = earth;
            orbit.q_au *= 1.0 + random.sign() * random.log_between(1e-9, 1e-3);
            orbit.e += random.log_between(1e-9, 1e-3);
            orbit.inclination_rad += random.log_between(1e-9, 1e-3);
            orbit.argperi_rad += random.sign() * random.log_between(1e-9, 1e-2);
        }
        _ => {
            (earth.q_au, earth.e) = (random.between(0.3, 3.0), random.between(0.0, 0.95));
            earth.inclination_rad = random.between(0.0, PI);
            (orbit.q_au, orbit.e) = (random.between(0.3, 3.0), random.between(0.0, 0.95));
            orbit.inclination_rad = random.between(0.0, PI);
        }
    }
    (earth, orbit)
}

/// The least of a function between two arguments, where it has one minimum: golden sections.
fn golden(mut low: f64, mut high: f64, f: impl Fn(f64) -> f64) -> f64 {
    let share = 0.5 * (5.0_f64.sqrt() - 1.0);
    let (mut a, mut b) = (high - share * (high - low), low + share * (high - low));
    let (mut fa, mut fb) = (f(a), f(b));
    while (high - low).abs() > 1e-11 {
        if fa < fb {
            (high, b, fb) = (b, a, fa);
            a = high - share * (high - low);
            fa = f(a);
        } else {
            (low, a, fa) = (a, b, fb);
            b = low + share * (high - low);
            fb = f(b);
        }
    }
    fa.min(fb)
}

/// The least distance of a point from an orbit: the best two valleys of a scan, refined.
fn from_orbit(table: &[[f64; 3]], orbit: &Elements, from: [f64; 3]) -> f64 {
    let n = table.len();
    let step = TAU / n as f64;
    let squares: Vec<f64> =
        table.iter().map(|other| (0..3).map(|k| (other[k] - from[k]).powi(2)).sum()).collect();
    let mut valleys: Vec<usize> = (0..n)
        .filter(|&k| squares[k] <= squares[(k + 1) % n] && squares[k] <= squares[(k + n - 1) % n])
        .collect();
    valleys.sort_by(|&a, &b| squares[a].total_cmp(&squares[b]));
    valleys
        .iter()
        .take(2)
        .map(|&k| golden((k as f64 - 1.0) * step, (k as f64 + 1.0) * step, |f| length(from, place(orbit, f))))
        .fold(f64::INFINITY, f64::min)
}

/// The MOID by brute force.
fn reference(ellipse: &Elements, orbit: &Elements) -> f64 {
    const ELLIPSE_STEPS: usize = 360;
    const ORBIT_STEPS: usize = 1440;
    let table: Vec<[f64; 3]> =
        (0..ELLIPSE_STEPS).map(|k| place(ellipse, k as f64 * TAU / ELLIPSE_STEPS as f64)).collect();
    // A point further than this from the Sun is further from the ellipse than the ellipse's own size: of no use.
    let far = 2.0 * ellipse.q_au * (1.0 + ellipse.e) / (1.0 - ellipse.e) + 2.0 * orbit.q_au + 1.0;
    let cos_limit = (orbit.q_au * (1.0 + orbit.e) / far - 1.0) / orbit.e.max(1e-300);
    let limit = if cos_limit > -1.0 { cos_limit.min(1.0).acos() } else { PI };
    let anomaly = |k: f64| limit * (2.0 * k / ORBIT_STEPS as f64 - 1.0);
    let rough = |f: f64| {
        let from = place(orbit, f);
        let square = |other: &[f64; 3]| (0..3).map(|k| (other[k] - from[k]).powi(2)).sum::<f64>();
        table.iter().map(square).fold(f64::INFINITY, f64::min).sqrt()
    };
    let exact = |f: f64| from_orbit(&table, ellipse, place(orbit, f));
    let scan: Vec<f64> = (0..=ORBIT_STEPS).map(|k| rough(anomaly(k as f64))).collect();
    let least = scan.iter().copied().fold(f64::INFINITY, f64::min);
    // The scan is off by at most half a step along the ellipse; what is further from the least is no candidate.
    let size = ellipse.q_au * (1.0 + ellipse.e) / (1.0 - ellipse.e);
    let slack =
        PI / ELLIPSE_STEPS as f64 * size * 2.0 + 2.0 * PI / ORBIT_STEPS as f64 * far.min(2.0 * size + 1.0);
    let mut best = f64::INFINITY;
    let mut previous = exact(anomaly(-1.0));
    let mut here = exact(anomaly(0.0));
    for (k, &rough) in scan.iter().enumerate() {
        let next = if rough <= least + slack { exact(anomaly(k as f64 + 1.0)) } else { f64::NAN };
        if rough <= least + slack {
            if here.is_nan() || previous.is_nan() {
                previous = exact(anomaly(k as f64 - 1.0));
                here = exact(anomaly(k as f64));
            }
            if here <= previous && here <= next {
                best = best.min(golden(anomaly(k as f64 - 1.0), anomaly(k as f64 + 1.0), exact));
            }
            best = best.min(here);
        }
        (previous, here) = (here, next);
    }
    best
}

#[test]
fn no_pair_is_missed() {
    let pairs = std::env::var("MOID_PAIRS").map_or(PAIRS, |text| text.parse().unwrap());
    let results: Vec<(usize, f64, bool, (Elements, Elements))> = (0..pairs)
        .into_par_iter()
        .map(|number| {
            let mut random = Random(number as u64);
            let (ellipse, orbit) = pair(KINDS[number % KINDS.len()], &mut random);
            let found = moid(&Ellipse::new(ellipse).unwrap(), &orbit).unwrap();
            (number, found.distance_au - reference(&ellipse, &orbit), found.in_doubt, (ellipse, orbit))
        })
        .collect();
    assert!(results.len() >= KINDS.len(), "{} pairs are not one of each kind", results.len());
    let mut worst = [0.0_f64; KINDS.len()];
    let mut doubts = 0;
    for (number, excess, in_doubt, pair) in &results {
        let kind = number % KINDS.len();
        worst[kind] = worst[kind].max(*excess);
        doubts += usize::from(*in_doubt);
        assert!(*excess <= TOLERANCE_AU, "{} {number} misses by {excess:e} au: {pair:?}", KINDS[kind]);
    }
    for (kind, worst) in KINDS.iter().zip(worst) {
        println!("{kind}: above the reference by at most {worst:.1e} au");
    }
    assert_eq!(doubts, 0, "pairs in doubt");
}

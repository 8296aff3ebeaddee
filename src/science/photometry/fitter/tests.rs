//! The global minimum of the robust loss, against a dense scan that shares only the phase function with it.

use proptest::prelude::*;

use super::super::hg12::magnitude;
use super::*;
use crate::cases::cases;

/// Values of G12 that are looked at, evenly from 0 to 1.
const SCANNED: u32 = 600;
/// Scanned minima that are looked at closer.
const REFINED: usize = 4;
const GOLDEN: f64 = 0.618_033_988_749_894_8;

/// What a point wants: reduced magnitude, phase angle \[rad\], sigma \[mag\].
type Wanted = (f64, f64, f64);

/// The robust loss of all points for an H and a G12, from its definition.
fn loss(points: &[Wanted], h: f64, g12: f64) -> f64 {
    let one = |&(mag, phase, sigma): &Wanted| {
        let r = (mag - magnitude(h, g12, phase)) / sigma;
        // 2 (sqrt(1 + r^2) - 1), so that little r are not lost.
        2.0 * r * r / (1.0 + r.hypot(1.0))
    };
    points.iter().map(one).sum()
}

/// The least of a function between two ends, by golden sections, and where it is.
fn golden([mut low, mut high]: [f64; 2], steps: usize, f: impl Fn(f64) -> f64) -> (f64, f64) {
    let mut inner = [high - GOLDEN * (high - low), low + GOLDEN * (high - low)].map(|x| (f(x), x));
    for _ in 0..steps {
        if inner[0].0 < inner[1].0 {
            high = inner[1].1;
            let x = high - GOLDEN * (high - low);
            inner = [(f(x), x), inner[0]];
        } else {
            low = inner[0].1;
            let x = low + GOLDEN * (high - low);
            inner = [inner[1], (f(x), x)];
        }
    }
    if inner[0].0 < inner[1].0 { inner[0] } else { inner[1] }
}

/// The loss of a G12 with the best H for it; it is convex in H.
fn profiled(points: &[Wanted], g12: f64) -> f64 {
    let asked: Vec<(f64, f64)> =
        points.iter().map(|&(mag, phase, sigma)| (mag - magnitude(0.0, g12, phase), 1.0 / sigma)).collect();
    let ends = asked.iter().fold([f64::MAX, f64::MIN], |[low, high], (h, _)| [low.min(*h), high.max(*h)]);
    let cost = |h: f64| {
        let one = |&(asked, inverse): &(f64, f64)| {
            let r = (asked - h) * inverse;
            2.0 * r * r / (1.0 + (1.0 + r * r).sqrt())
        };
        asked.iter().map(one).sum::<f64>()
    };
    golden(ends, 55, cost).0
}

/// The least loss that a dense scan of G12 finds, with its best places looked at closer.
fn scanned(points: &[Wanted]) -> f64 {
    let step = 1.0 / f64::from(SCANNED);
    let mut found: Vec<(f64, f64)> = (0..=SCANNED)
        .map(|k| f64::from(k) * step)
        .chain([STEP_G12.next_down()])
        .map(|g12| (profiled(points, g12), g12))
        .collect();
    found.sort_by(|a, b| a.0.total_cmp(&b.0));
    // Neighbours lead to the same minimum.
    let mut places: Vec<f64> = Vec::new();
    for &(_, g12) in &found {
        if places.len() < REFINED && places.iter().all(|place| (place - g12).abs() > 2.5 * step) {
            places.push(g12);
        }
    }
    let closer = places.iter().map(|g12| {
        let ends = [(g12 - step).max(0.0), (g12 + step).min(1.0)];
        golden(ends, 25, |g12| profiled(points, g12)).0
    });
    closer.fold(found[0].0, f64::min)
}

/// A point as it is seen at 1 au from the Earth and the Sun.
fn observation(&(mag, phase_rad, mag_err): &Wanted) -> Observation {
    Observation { phase_rad, mag, mag_err, topo_range_au: 1.0, helio_range_au: 1.0 }
}

/// The robust solution, without the shortcut that leaves it out where it can change nothing.
fn robust(points: &[Wanted]) -> Solution {
    let mut fitter = Fitter::new(Options { mag_err_floor: 0.0, ..Options::default() });
    let usable = |row: Observation| Point::usable(&row, 0.0, fitter.domain);
    fitter.kept.extend(points.iter().map(observation).filter_map(usable));
    assert_eq!(fitter.kept.len(), points.len(), "not all are usable");
    fitter.search(Loss::SoftL1).expect("finite points have a least loss")
}

/// Checks the solution against the scan.
fn check(points: &[Wanted]) -> Result<(), TestCaseError> {
    let found = robust(points);
    // The solution itself by the definition; at the step the lower branch is just below.
    let at_step = found.branch == Branch::Low && found.g12 >= STEP_G12;
    let g12 = if at_step { STEP_G12.next_down() } else { found.g12 };
    let ours = loss(points, found.h_mag, g12);
    prop_assert!((ours - found.cost).abs() <= 1e-9 * (1.0 + ours), "{} is not {:?}", ours, found);
    let theirs = scanned(points);
    prop_assert!(ours <= theirs * (1.0 + 1e-9) + 1e-9, "{} is above {}: {:?}", ours, theirs, found);
    Ok(())
}

/// Points that follow one H and G12, with noise in units of sigma.
fn follow(h: f64, g12: f64, seen: &[(f64, f64, f64)]) -> Vec<Wanted> {
    let one = |&(phase_deg, sigma, noise): &(f64, f64, f64)| {
        let phase = f64::to_radians(phase_deg);
        (magnitude(h, g12, phase) + sigma * noise, phase, sigma)
    };
    seen.iter().map(one).collect()
}

fn seen(
    phases: std::ops::Range<f64>,
    noise: f64,
    count: std::ops::Range<usize>,
) -> impl Strategy<Value = Vec<(f64, f64, f64)>> {
    prop::collection::vec((phases, 0.01..0.3, -noise..noise), count)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(24, 96)))]

    #[test]
    fn noisy_points_have_no_lower_robust_loss(seen in seen(0.0..60.0, 3.0, 2..25), g12 in 0.0..1.0) {
        check(&follow(18.0, g12, &seen))?;
    }

    #[test]
    fn two_populations_have_no_lower_robust_loss(
        one in seen(0.0..140.0, 1.0, 1..12),
        other in seen(120.0..150.0, 1.0, 1..12),
        g12 in (0.0..0.3, 0.5..1.0),
        offset in -2.0..2.0,
    ) {
        let points = [follow(18.0, g12.0, &one), follow(18.0 + offset, g12.1, &other)].concat();
        check(&points)?;
    }

    #[test]
    fn outliers_and_sharp_points_leave_no_lower_robust_loss(
        seen in seen(0.0..30.0, 2.0, 3..15),
        wild in prop::collection::vec((0.0..150.0, -1.0..1.0, -4.0..-0.5), 1..10),
        g12 in 0.1..0.3,
    ) {
        // Up to a magnitude away with sigmas down to 1e-4 mag: thousands of sigma.
        let wild: Vec<_> = wild
            .iter()
            .map(|&(phase, away, exponent): &(f64, f64, f64)| {
                let sigma = 10.0_f64.powf(exponent);
                (phase, sigma, away / sigma)
            })
            .collect();
        check(&[follow(18.0, g12, &seen), follow(18.0, g12, &wild)].concat())?;
    }
}

/// How many places there are from 0 to 1 around which the loss is higher.
fn minima(points: &[Wanted]) -> usize {
    let losses = (0..=SCANNED).map(|k| profiled(points, f64::from(k) / f64::from(SCANNED)));
    let losses: Vec<f64> = [f64::INFINITY].into_iter().chain(losses).chain([f64::INFINITY]).collect();
    losses.windows(3).filter(|three| three[1] < three[0] && three[1] < three[2]).count()
}

/// Two sets of sharp points that want different G12 on either side of the step, almost as many of each. So the scan has
/// something to find: there are several minima, and the least is not always that of the same branch.
#[test]
fn rivals_across_the_step_have_no_lower_robust_loss() {
    let phases = [0.2, 1.0, 3.0, 7.0, 12.0, 20.0, 28.0];
    let (mut several, mut branches) = (0, Vec::new());
    for (low, high) in [(0.05, 0.35), (0.1, 0.25), (0.15, 0.22), (0.19, 0.21), (0.0, 1.0), (0.199, 0.8)] {
        for more in 0..3 {
            let sharp = |from: usize| -> Vec<_> { phases[from..].iter().map(|&p| (p, 0.002, 0.3)).collect() };
            let points = [follow(18.0, low, &sharp(more)), follow(18.0, high, &sharp(2 - more))].concat();
            check(&points).unwrap();
            several += usize::from(minima(&points) > 1);
            branches.push(robust(&points).branch);
        }
    }
    assert!(several > 3, "{several}");
    assert!(branches.contains(&Branch::Low) && branches.contains(&Branch::High), "{branches:?}");
}

/// Sharp points that almost balance hold the H of the robust loss between them, where it is neither quadratic nor linear.
#[test]
fn points_that_almost_balance_have_no_lower_robust_loss() {
    for share in [0.5, 0.9, 0.99, 0.999, 1.0, 1.001, 1.1] {
        for sigma in [1e-2, 1e-3, 1e-4] {
            let at = |mag: f64, phase_deg: f64, sigma: f64| (mag, phase_deg.to_radians(), sigma);
            let points = [
                at(18.0, 0.0, 0.01),
                at(18.0, 1.0, 0.25),
                at(18.0, 0.0, sigma),
                at(18.7, 0.0, 2.0 * sigma * share),
                at(24.5, 125.0, 2.0 * sigma),
            ];
            check(&points).unwrap();
        }
    }
}

/// Sigmas that no measurement has, and no floor: the search for the robust minimum would take too long, and gives up.
#[test]
fn absurd_sigmas_end_in_a_flag() {
    let seen = [(89.2, 18.49, 1e-36), (75.8, 18.89, 1e-64), (67.4, 18.26, 1e-65), (60.0, 18.7, 0.1)];
    let mut seen =
        seen.map(|(phase_deg, mag, mag_err)| observation(&(mag, f64::to_radians(phase_deg), mag_err)));
    let options = Options { mag_err_floor: 0.0, g12_bounds: None, ..Options::default() };
    let fit = Fitter::new(options).fit(&mut seen);
    assert!(fit.failure.has(Reasons::SINGULAR), "{fit:?}");
}

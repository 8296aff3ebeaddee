//! What a residual costs, and the cost of a G12 with the best H for it.
//!
//! Not a place for the search over G12 (see `minimum`).

use super::hg12::MAG_PER_LN;

/// What a residual `r` (in units of its sigma) costs.
///
/// Both losses are convex with `0 <= loss'' <= 2` and `loss'^2 <= 4 loss`: all that `minimum` needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// `r^2`.
    Square,
    /// `2 (sqrt(1 + r^2) - 1)`: quadratic near 0, linear far away.
    SoftL1,
}

impl Loss {
    /// The loss of one residual.
    pub(super) fn of(self, r: f64) -> f64 {
        match self {
            Self::Square => r * r,
            // The same as 2 (sqrt(1 + r^2) - 1), without its cancellation near 0.
            Self::SoftL1 => 2.0 * r * r / (1.0 + (1.0 + r * r).sqrt()),
        }
    }
}

/// Points on one branch of the phase function, where the flux of each is a straight line in G12.
///
/// All slices: \[n\].
#[derive(Clone, Copy, Debug)]
pub(super) struct Points<'a> {
    /// Reduced magnitude: H where the flux is 1.
    pub mag: &'a [f64],
    /// 1 / sigma \[1/mag\].
    pub inverse_sigma: &'a [f64],
    /// Offset and slope of the flux over G12.
    pub flux: &'a [[f64; 2]],
}

/// The cost of one G12 with the best H for it, and what bounds the cost nearby.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    /// G12.
    pub g12: f64,
    /// The H that costs least with it, and its derivative by G12.
    pub h_mag: f64,
    pub h_slope: f64,
    pub cost: f64,
    /// Its first derivative by G12.
    pub slope: f64,
    /// Its second derivative by G12.
    pub curvature: f64,
    /// `sqrt(sum(w (u - mean u)^2))`, where `u` is the logarithmic derivative of a flux by G12 and `w = 1/sigma^2`.
    pub spread: f64,
    /// The least and the greatest `u`.
    pub range: [f64; 2],
    /// The largest 1 / sigma.
    pub sharpest: f64,
}

/// Memory that is used again: each point's H and logarithmic derivative at the last sample, and the cells of a search.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    pub h: Vec<f64>,
    pub u: Vec<f64>,
    pub cells: Vec<[Sample; 2]>,
}

/// Steps for the H of the robust loss: with every third of them halving the bracket, it ends as narrow as numbers are.
const ROBUST_STEPS: usize = 200;
/// Steps before halving begins: about 5 are usual, but where sharp points nearly balance the reweighted mean creeps.
const QUICK_STEPS: usize = 10;

impl Points<'_> {
    /// About how much the rounding of the magnitudes can change the square root of a cost.
    pub(super) fn noise(&self) -> f64 {
        let pairs = self.mag.iter().zip(self.inverse_sigma);
        f64::EPSILON * pairs.map(|(mag, inverse)| (mag * inverse).powi(2)).sum::<f64>().sqrt()
    }

    /// The cost of `g12`; `start` is an H to look from, if a good one is known.
    ///
    /// With `z` the H that a point asks for, `z' = k u` and `z'' = -k u^2` (k = 2.5 / ln 10), H profiled out:
    /// the slope is `sum(loss' z' / sigma)`, the curvature `sum(loss'' w (z' - s)^2) + sum(loss' z'' / sigma)` with `s`
    /// the mean of `z'` weighted by `loss'' w`. Both are taken about means, which changes nothing but the rounding.
    pub(super) fn sample(&self, loss: Loss, g12: f64, start: Option<f64>, scratch: &mut Scratch) -> Sample {
        let Scratch { h, u, .. } = scratch;
        h.clear();
        u.clear();
        let (mut h_sum, mut u_sum, mut weight) = (0.0, 0.0, 0.0);
        for ((&mag, &inverse), &[offset, slope]) in self.mag.iter().zip(self.inverse_sigma).zip(self.flux) {
            // The H that the point asks for at this G12: magnitude plus phase function.
            let flux = offset + slope * g12;
            let (h_k, u_k) = (mag + MAG_PER_LN * flux.ln(), slope / flux);
            h.push(h_k);
            u.push(u_k);
            h_sum += inverse * inverse * h_k;
            u_sum += inverse * inverse * u_k;
            weight += inverse * inverse;
        }
        let (h_mean, u_mean) = (h_sum / weight, u_sum / weight);
        let h_mag = match loss {
            Loss::Square => h_mean,
            Loss::SoftL1 => robust_centre(h, self.inverse_sigma, start.unwrap_or(h_mean)),
        };
        let mut sample = Sample {
            g12,
            h_mag,
            h_slope: 0.0,
            cost: 0.0,
            slope: 0.0,
            curvature: 0.0,
            spread: 0.0,
            range: [f64::INFINITY, f64::NEG_INFINITY],
            sharpest: 0.0,
        };
        let (mut stiffness, mut drift) = (0.0, 0.0);
        for ((&h_k, &u_k), &inverse) in h.iter().zip(&*u).zip(self.inverse_sigma) {
            let r = (h_k - h_mag) * inverse;
            let (value, first, second) = match loss {
                Loss::Square => (r * r, 2.0 * r, 2.0),
                Loss::SoftL1 => {
                    let root = (1.0 + r * r).sqrt();
                    (2.0 * r * r / (1.0 + root), 2.0 * r / root, 2.0 / (root * root * root))
                }
            };
            let about_mean = MAG_PER_LN * (u_k - u_mean);
            let weight = second * inverse * inverse;
            sample.cost += value;
            sample.slope += first * inverse * about_mean;
            sample.curvature += weight * about_mean * about_mean
                - first * inverse * MAG_PER_LN * (u_k * u_k - u_mean * u_mean);
            stiffness += weight;
            drift += weight * about_mean;
            sample.spread += (inverse * (u_k - u_mean)).powi(2);
            sample.range = [sample.range[0].min(u_k), sample.range[1].max(u_k)];
            sample.sharpest = sample.sharpest.max(inverse);
        }
        sample.curvature -= drift * drift / stiffness;
        sample.h_slope = MAG_PER_LN * u_mean + drift / stiffness;
        sample.spread = sample.spread.sqrt();
        sample
    }
}

/// After a Newton step shorter than this share of the smallest sigma nothing is left: the error is squared.
const SETTLED_SIGMA: f64 = 1e-8;

/// The H that minimises the robust loss of `h - H` (\[n\]), looked for from `start`.
///
/// It is the root of a falling function: Newton where that stays in the bracket, else the reweighted mean, which never
/// raises the cost, else the middle; where that takes long, the middle every third time.
fn robust_centre(h: &[f64], inverse_sigma: &[f64], start: f64) -> f64 {
    let (mut low, mut high) =
        h.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &x| (low.min(x), high.max(x)));
    let mut centre = start.clamp(low, high);
    for step in 0..ROBUST_STEPS {
        let (mut pull, mut stiffness, mut weight) = (0.0, 0.0, 0.0);
        let mut sharpest = 0.0_f64;
        for (&h_k, &inverse) in h.iter().zip(inverse_sigma) {
            sharpest = sharpest.max(inverse);
            let r = (h_k - centre) * inverse;
            let root = (1.0 + r * r).sqrt();
            pull += inverse * r / root;
            stiffness += inverse * inverse / (root * root * root);
            weight += inverse * inverse / root;
        }
        if pull > 0.0 {
            low = centre;
        } else {
            high = centre;
        }
        let inside = |x: &f64| (low..=high).contains(x);
        let newton = centre + pull / stiffness;
        let steps = [newton, centre + pull / weight];
        // Two steps of Newton in a row are left to settle.
        let creeps = step >= QUICK_STEPS && step % 3 == 0;
        let next = steps.into_iter().find(|x| !creeps && inside(x)).unwrap_or(0.5 * (low + high));
        let moved = (next - centre).abs();
        centre = next;
        let settled = next == newton && moved * sharpest <= SETTLED_SIGMA;
        if settled || moved <= 4.0 * f64::EPSILON * centre.abs().max(1.0) {
            break;
        }
    }
    centre
}

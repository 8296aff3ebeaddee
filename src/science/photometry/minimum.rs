//! The global minimum of the cost over G12 on one branch, by branch and bound.
//!
//! How it is sure: write `R` for the cost with H profiled out, `u_i` for the logarithmic derivative of the flux of point
//! i by G12, and `|.|` for the norm weighted by 1/sigma^2 of the deviation from the weighted mean. For any loss with
//! `0 <= loss'' <= 2` and `loss'^2 <= 4 loss`, and k = 2.5 / ln 10,
//!
//! ```text
//! |sqrt(R)'| <= k |u|        -L <= R'' <= 2 k^2 |u|^2 + L        L = 2 k sqrt(R) |u^2|
//! ```
//!
//! Along a cell that starts at `a`, `u_i(a + t) = u_i(a) / (1 + u_i(a) t)`, so with `m` the least of `1 + u_i(a) t` the
//! difference of any two `u` grows at most by `1/m^2`, and `|u|`, `|u^2|` and `|u^3|` are bounded over the whole cell by
//! what they are at its end. Tangents bent by `L` and a chord bent by the upper bound lie below the cost; a cell
//! whose bound does not beat the best cost found is dropped, another is split, until none is left. So no G12 costs less
//! than the answer by more than [`TOLERANCE`] of it, or by what the rounding of the magnitudes themselves can change.
//!
//! Not a place for what the cost is made of (see `loss`).

use std::cmp::Ordering;
use std::mem;

use super::hg12::MAG_PER_LN;
use super::loss::{Loss, Points, Sample, Scratch};

/// A cell is dropped unless it may hold a cost lower than the best by this share of (1 + best).
const TOLERANCE: f64 = 1e-9;

/// Steps of a search for a zero of the slope: Newton needs about 5, bisection alone 60.
const SEARCH_STEPS: usize = 100;

/// Cells that are looked at before a search is given up. Measured on the robust loss: 180 for sigmas of 5e-5 mag, four times
/// as many for each hundredth of that, so this many only where a sigma is below the rounding of a magnitude.
const MOST_CELLS: u32 = 1 << 20;

/// A search that was given up: the least cost is not known.
#[derive(Debug)]
pub(super) struct Unsettled;

/// Searches one branch of the phase function.
pub(super) struct Search<'a> {
    pub points: Points<'a>,
    pub loss: Loss,
    pub scratch: &'a mut Scratch,
}

impl Search<'_> {
    fn sample(&mut self, g12: f64, near: Option<&Sample>) -> Sample {
        let start = near.map(|sample| sample.h_mag + sample.h_slope * (g12 - sample.g12));
        self.points.sample(self.loss, g12, start, self.scratch)
    }

    /// The sample of least cost with `low <= g12 <= high`, if it costs less than `limit` by more than the tolerance.
    pub(super) fn minimum(&mut self, [low, high]: [f64; 2], limit: f64) -> Result<Option<Sample>, Unsettled> {
        let first = self.sample(low, None);
        let last = self.sample(high, Some(&first));
        let noise = self.points.noise();
        let wanted = |limit| wanted(limit, noise);
        let mut best = Best { limit: wanted(limit), sample: None };
        best.offer(first);
        best.offer(last);
        let mut cells = mem::take(&mut self.scratch.cells);
        cells.clear();
        cells.push([first, last]);
        let mut looked_at = 0;
        while let Some([a, b]) = cells.pop() {
            looked_at += 1;
            if looked_at > MOST_CELLS {
                return Err(Unsettled);
            }
            // Magnitudes so large that their squares overflow have no least cost.
            if !(a.cost + b.cost).is_finite() {
                continue;
            }
            let cell = Bounds::new(&a, &b);
            // A bound that is not a number also ends the search in this cell.
            if cell.least_cost(&a, &b).partial_cmp(&wanted(best.limit)) != Some(Ordering::Less) {
                continue;
            }
            let falls_then_rises = a.slope < 0.0 && b.slope > 0.0;
            let convex = cell.keeps_convex(self.loss, &a, &b);
            if convex && !falls_then_rises {
                continue;
            }
            let middle = 0.5 * (a.g12 + b.g12);
            if middle <= a.g12 || middle >= b.g12 {
                continue;
            }
            let inner = if falls_then_rises { self.stationary(a, b) } else { self.sample(middle, Some(&a)) };
            best.offer(inner);
            if !convex {
                cells.push([a, inner]);
                cells.push([inner, b]);
            }
        }
        self.scratch.cells = cells;
        Ok(best.sample)
    }

    /// A point between `a`, where the cost falls, and `b`, where it rises, at which it does neither.
    fn stationary(&mut self, mut a: Sample, mut b: Sample) -> Sample {
        let mut near = if a.cost < b.cost { a } else { b };
        for _ in 0..SEARCH_STEPS {
            let newton = near.g12 - near.slope / near.curvature;
            let width = b.g12 - a.g12;
            let inside = newton > a.g12 && newton < b.g12;
            let next = if inside { newton } else { a.g12 + 0.5 * width };
            let step = (next - near.g12).abs();
            if next <= a.g12 || next >= b.g12 {
                break;
            }
            near = self.sample(next, Some(&near));
            if near.slope < 0.0 {
                a = near;
            } else {
                b = near;
            }
            if near.slope == 0.0 || step <= 4.0 * f64::EPSILON * near.g12.abs().max(0.1) {
                break;
            }
        }
        near
    }
}

/// A cost must be lower than this to count as lower than `limit`, where rounding may change its square root by `noise`.
fn wanted(limit: f64, noise: f64) -> f64 {
    if limit.is_finite() {
        limit - TOLERANCE * (1.0 + limit) - noise * (2.0 * limit.sqrt() + noise)
    } else {
        limit
    }
}

/// The least cost so far, and its sample if it was found here.
struct Best {
    limit: f64,
    sample: Option<Sample>,
}

impl Best {
    fn offer(&mut self, sample: Sample) {
        if sample.cost < self.limit {
            self.limit = sample.cost;
            self.sample = Some(sample);
        }
    }
}

/// What holds everywhere in a cell.
struct Bounds {
    width: f64,
    /// Least upper bound known of sqrt(cost).
    root: f64,
    /// Upper bounds of k |u|, k |u^2| and 2 k |u^3|.
    spreads: [f64; 3],
    /// Upper bound of k times the difference of any two `u`.
    reach: f64,
}

impl Bounds {
    fn new(a: &Sample, b: &Sample) -> Self {
        let width = b.g12 - a.g12;
        let from = |sample: &Sample, decline: f64| {
            let least = 1.0 - (decline * width).max(0.0);
            if least <= 0.0 {
                return [f64::INFINITY; 4];
            }
            let largest = sample.range[1].max(-sample.range[0]) / least;
            let spread = MAG_PER_LN * sample.spread / (least * least);
            let reach = MAG_PER_LN * (sample.range[1] - sample.range[0]) / (least * least);
            [spread, 2.0 * largest * spread, 6.0 * largest * largest * spread, reach]
        };
        let (rightwards, leftwards) = (from(a, -a.range[0]), from(b, b.range[1]));
        let [first, second, third, reach] = std::array::from_fn(|k| f64::min(rightwards[k], leftwards[k]));
        let spreads = [first, second, third];
        let root = 0.5 * (a.cost.sqrt() + b.cost.sqrt() + spreads[0] * width);
        Self { width, root, spreads, reach }
    }

    /// No cost in the cell is lower.
    fn least_cost(&self, a: &Sample, b: &Sample) -> f64 {
        let ends = a.cost.min(b.cost);
        // The L of this module's page.
        let bend = 2.0 * self.root * self.spreads[1];
        // Both tangents, bent down; they differ by a linear function, so they meet once.
        let from_a = |t: f64| a.cost + t * (a.slope - 0.5 * bend * t);
        let gap = (b.cost - b.slope * self.width - 0.5 * bend * self.width * self.width) - a.cost;
        let meet = gap / (a.slope - b.slope - bend * self.width);
        let tangents =
            if meet > 0.0 && meet < self.width { from_a(meet).min(ends) } else { f64::NEG_INFINITY };
        // The chord, bent down.
        let sag = 0.5 * (2.0 * self.spreads[0] * self.spreads[0] + bend) * self.width * self.width;
        let rise = b.cost - a.cost;
        let chord = if rise.abs() >= sag { ends } else { a.cost - (sag - rise).powi(2) / (4.0 * sag) };
        tangents.max(chord)
    }

    /// Whether the curvature is positive in the whole cell: at the ends it is, by more than it can change up to where the
    /// bounds from both meet.
    ///
    /// With `y` the H that a point asks for less the best H, `R''' = sum(loss''' w^1.5 y'^3) + 3 sum(loss'' w y' z'') +
    /// sum(loss' sqrt(w) z''')`. The last two are at most `6 |z'| |z''| + 2 sqrt(R) |z'''|`; the first is 0 for squares,
    /// and for the robust loss, for which `|loss'''| <= 1.5 loss''`, at most `3 max(sqrt(w) |y'|) |z'|^2`.
    fn keeps_convex(&self, loss: Loss, a: &Sample, b: &Sample) -> bool {
        let [first, second, third] = self.spreads;
        let skew = match loss {
            Loss::Square => 0.0,
            Loss::SoftL1 => 3.0 * a.sharpest * self.reach * first * first,
        };
        let change = (skew + 6.0 * first * second + 2.0 * self.root * third) * self.width;
        a.curvature + b.curvature > change
    }
}

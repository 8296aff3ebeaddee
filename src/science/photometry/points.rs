//! The usable points of a band, and a solution for them.
//!
//! Not the rules of the fit (see `fitter`).

use std::cmp::Ordering;

use super::fit::Observation;
use super::hg12::{Branch, MAG_PER_LN, STEP_G12, basis};
use super::loss::{Loss, Points, Sample};

/// Without bounds G12 is looked for in this range, as far as all fluxes are positive there: three hundred times what any
/// asteroid has.
const UNBOUNDED_RANGE: [f64; 2] = [-100.0, 100.0];

/// How near to a G12 that makes a flux zero the search without bounds goes, as a share of the range.
const EDGE_SHARE: f64 = 1e-6;

#[derive(Clone, Copy, Debug)]
pub(super) struct Point {
    pub phase_rad: f64,
    /// The phase functions at its phase angle.
    pub basis: [f64; 3],
    /// Magnitude, reduced to 1 au from Sun and observer.
    pub mag: f64,
    /// 1 / sigma \[1/mag\].
    pub inverse_sigma: f64,
}

impl Point {
    /// The observation as a point; nothing if it is not usable, which includes a flux that is not positive somewhere
    /// in `domain` (\[least, greatest\] G12).
    pub(super) fn usable(row: &Observation, mag_err_floor: f64, domain: [f64; 2]) -> Option<Self> {
        let ranges = row.topo_range_au > 0.0 && row.helio_range_au > 0.0;
        if !(ranges && row.mag_err > 0.0 && row.phase_rad.is_finite()) {
            return None;
        }
        let basis = basis(row.phase_rad);
        let point = Self {
            phase_rad: row.phase_rad,
            basis,
            mag: row.mag - 5.0 * (row.topo_range_au * row.helio_range_au).log10(),
            inverse_sigma: 1.0 / (row.mag_err * row.mag_err + mag_err_floor * mag_err_floor).sqrt(),
        };
        let parts = [
            (Branch::Low, domain.map(|g12| g12.min(STEP_G12))),
            (Branch::High, domain.map(|g12| g12.max(STEP_G12))),
        ];
        let positive = parts.iter().all(|(branch, ends)| {
            let [offset, slope] = branch.flux_line(basis);
            ends.iter().all(|g12| offset + slope * g12 > 0.0)
        });
        // An infinite sigma has the inverse 0.
        let finite = point.mag.is_finite() && point.inverse_sigma.is_finite() && point.inverse_sigma > 0.0;
        (finite && positive).then_some(point)
    }

    /// The H that this point asks for with the solution's G12.
    fn h(&self, branch: Branch, g12: f64) -> f64 {
        let [offset, slope] = branch.flux_line(self.basis);
        self.mag + MAG_PER_LN * (offset + slope * g12).ln()
    }

    /// The residual from a solution, in units of sigma.
    pub(super) fn residual(&self, solution: Solution) -> f64 {
        (self.h(solution.branch, solution.g12) - solution.h_mag) * self.inverse_sigma
    }

    /// How the H that this point asks for grows with G12.
    pub(super) fn slope(&self, solution: Solution) -> f64 {
        let [offset, slope] = solution.branch.flux_line(self.basis);
        MAG_PER_LN * slope / (offset + slope * solution.g12)
    }
}

/// The kept points by column, as [`Points`] wants them.
#[derive(Debug, Default)]
pub(super) struct Columns {
    mag: Vec<f64>,
    inverse_sigma: Vec<f64>,
    flux: Vec<[f64; 2]>,
}

impl Columns {
    /// Takes points in, with their fluxes on one branch.
    pub(super) fn fill(&mut self, points: &[Point], branch: Branch) -> Points<'_> {
        self.mag.clear();
        self.inverse_sigma.clear();
        self.flux.clear();
        for point in points {
            self.mag.push(point.mag);
            self.inverse_sigma.push(point.inverse_sigma);
            self.flux.push(branch.flux_line(point.basis));
        }
        Points { mag: &self.mag, inverse_sigma: &self.inverse_sigma, flux: &self.flux }
    }
}

/// H and G12, and what they cost.
#[derive(Clone, Copy, Debug)]
pub(super) struct Solution {
    /// At the step both branches have a value, so G12 alone does not say which.
    pub branch: Branch,
    pub g12: f64,
    pub h_mag: f64,
    pub cost: f64,
}

impl Solution {
    pub(super) fn new(branch: Branch, sample: &Sample) -> Self {
        Self { branch, g12: sample.g12, h_mag: sample.h_mag, cost: sample.cost }
    }

    /// The least squares over H alone: the weighted mean.
    pub(super) fn of_mean(points: &[Point], branch: Branch, g12: f64) -> Self {
        let (mut sum, mut weight) = (0.0, 0.0);
        for point in points {
            let w = point.inverse_sigma * point.inverse_sigma;
            sum += w * point.h(branch, g12);
            weight += w;
        }
        Self { branch, g12, h_mag: sum / weight, cost: f64::NAN }
    }
}

/// Whether the robust fit may leave a residual of `clip` or more. It cannot if a single such residual would cost more
/// than all of them do with another solution, so most bands need no robust fit at all.
pub(super) fn may_clip(points: &[Point], other: Solution, clip: f64) -> bool {
    let total: f64 = points.iter().map(|point| Loss::SoftL1.of(point.residual(other))).sum();
    // A total that is not a number decides nothing.
    total.partial_cmp(&Loss::SoftL1.of(clip)) != Some(Ordering::Less)
}

/// The part of [`UNBOUNDED_RANGE`] where the fluxes of all points are positive.
pub(super) fn positive_range(points: &[Point]) -> [f64; 2] {
    let mut range = UNBOUNDED_RANGE;
    for point in points {
        for branch in [Branch::Low, Branch::High] {
            let [offset, slope] = branch.flux_line(point.basis);
            let zero = -offset / slope;
            if Branch::of(zero) == branch && slope > 0.0 {
                range[0] = range[0].max(zero);
            } else if Branch::of(zero) == branch && slope < 0.0 {
                range[1] = range[1].min(zero);
            }
        }
    }
    let edge = EDGE_SHARE * (range[1] - range[0]);
    [range[0] + edge, range[1] - edge]
}

//! The fit of H and G12 to one band of one object, with its clipping and its fall-back.
//!
//! Not a place for what a band is, nor for fluxes.

use super::fit::{Fit, Observation, Options, Reasons};
use super::hg12::{Branch, STEP_G12};
use super::loss::{Loss, Scratch};
use super::minimum::Search;
use super::points::{Columns, Point, Solution, may_clip, positive_range};

/// Points needed for a slope; also the most that are never clipped.
const SLOPE_POINTS: usize = 3;
/// Points needed for a slope without bounds: as many as there are unknowns.
const UNBOUNDED_POINTS: usize = 2;
/// With a fixed G12, a band with more usable points than this is clipped.
const FIXED_CLIP_ABOVE: usize = 2;
/// A G12 this near to a bound has run into it.
const BOUND_MARGIN: f64 = 1e-5;
/// J'J counts as singular if the slopes of the points differ by less than this share of their size.
const SINGULAR_SHARE: f64 = 1e-14;

/// Fits the bands that it is given, one after the other; keeps its memory for the next.
#[derive(Debug)]
pub struct Fitter {
    options: Options,
    /// All of G12 that a fit may look at; a point whose flux is not positive there is not usable.
    domain: [f64; 2],
    /// The usable points, in the order of their phase angles.
    points: Vec<Point>,
    /// Those that were not clipped.
    kept: Vec<Point>,
    columns: Columns,
    scratch: Scratch,
}

impl Fitter {
    /// A fitter with these options.
    #[must_use]
    pub fn new(options: Options) -> Self {
        let bounds = options.g12_bounds.unwrap_or([0.0, 1.0]);
        let others = [options.fiducial_g12, options.fixed_g12.unwrap_or(options.fiducial_g12)];
        let domain = others.iter().fold(bounds, |[low, high], &g12| [low.min(g12), high.max(g12)]);
        Self {
            options,
            domain,
            points: Vec::new(),
            kept: Vec::new(),
            columns: Columns::default(),
            scratch: Scratch::default(),
        }
    }

    /// Fits one band; its observations (\[n\], n > 0) are put in an order of their own, so that the answer is a function
    /// of the set.
    ///
    /// ```
    /// use ssp_science::photometry::{Fitter, fit::{Observation, Options}, hg12::magnitude};
    ///
    /// // Seen at 2.1 au from the Earth and 3 au from the Sun, at four phase angles.
    /// let mut seen = [2.0_f64, 8.0, 14.0, 20.0].map(|phase_deg| Observation {
    ///     phase_rad: phase_deg.to_radians(),
    ///     mag: magnitude(15.0, 0.35, phase_deg.to_radians()) + 5.0 * (2.1_f64 * 3.0).log10(),
    ///     mag_err: 0.02,
    ///     topo_range_au: 2.1,
    ///     helio_range_au: 3.0,
    /// });
    /// let fit = Fitter::new(Options::default()).fit(&mut seen);
    /// assert!((fit.h_mag.unwrap() - 15.0).abs() < 1e-9 && (fit.g12.unwrap() - 0.35).abs() < 1e-9);
    /// assert_eq!((fit.used, fit.failure.any()), (4, false));
    /// ```
    ///
    /// Units: mag, radians, au. Accuracy: 1e-6 in H and G12, held by `tests/oracle/hg12.rs`; the global minimum over
    /// G12 (see `minimum`).
    pub fn fit(&mut self, observations: &mut [Observation]) -> Fit {
        observations.sort_unstable_by(|a, b| {
            let pairs = a.key().into_iter().zip(b.key());
            pairs
                .map(|(a, b)| a.total_cmp(&b))
                .find(|order| order.is_ne())
                .unwrap_or(std::cmp::Ordering::Equal)
        });
        self.points.clear();
        let floor = self.options.mag_err_floor;
        self.points.extend(observations.iter().filter_map(|row| Point::usable(row, floor, self.domain)));
        if let Some(g12) = self.options.fixed_g12 {
            return self.fit_h(g12, FIXED_CLIP_ABOVE, Reasons::default());
        }
        match self.fit_slope() {
            Ok(fit) => fit,
            Err(failure) => self.fit_h(self.options.fiducial_g12, SLOPE_POINTS, failure),
        }
    }

    /// H and G12.
    fn fit_slope(&mut self) -> Result<Fit, Reasons> {
        let needed = if self.options.g12_bounds.is_some() { SLOPE_POINTS } else { UNBOUNDED_POINTS };
        self.kept.clone_from(&self.points);
        if self.kept.len() < needed {
            return Err(Reasons::FEW);
        }
        let mut best = self.search(Loss::Square).ok_or(Reasons::SINGULAR)?;
        let clip = self.options.clip_sigma.filter(|_| self.kept.len() > SLOPE_POINTS);
        if let Some(clip) = clip.filter(|&clip| may_clip(&self.kept, best, clip)) {
            let robust = self.search(Loss::SoftL1).ok_or(Reasons::SINGULAR)?;
            self.kept.retain(|point| point.residual(robust).abs() < clip);
            if self.kept.len() < needed {
                return Err(Reasons::FEW);
            }
            if self.kept.len() < self.points.len() {
                best = self.search(Loss::Square).ok_or(Reasons::SINGULAR)?;
            }
        }
        self.judge(best)
    }

    /// Where G12 is looked for.
    fn range(&self) -> [f64; 2] {
        self.options.g12_bounds.unwrap_or_else(|| positive_range(&self.kept))
    }

    /// The solution of least loss for the kept points, over both branches; nothing if it is not finite or was not found.
    fn search(&mut self, loss: Loss) -> Option<Solution> {
        let [low, high] = self.range();
        // Of two minima that cost the same the lower G12 is taken.
        let parts = [(Branch::Low, [low, high.min(STEP_G12)]), (Branch::High, [low.max(STEP_G12), high])];
        let mut best: Option<Solution> = None;
        for (branch, range) in parts.into_iter().filter(|(_, [low, high])| low < high) {
            let points = self.columns.fill(&self.kept, branch);
            let limit = best.map_or(f64::INFINITY, |best| best.cost);
            let sample = Search { points, loss, scratch: &mut self.scratch }.minimum(range, limit).ok()?;
            best = sample.map(|sample| Solution::new(branch, &sample)).or(best);
        }
        best.filter(|best| best.cost.is_finite())
    }

    /// Errors and verdict for the least-squares solution of the kept points.
    fn judge(&self, best: Solution) -> Result<Fit, Reasons> {
        // J has the rows [1, -z'] / sigma, z' = k u; the mean is taken out before squaring, for the rounding.
        let (mut weight, mut sum, mut chi2) = (0.0, 0.0, 0.0);
        for point in &self.kept {
            let w = point.inverse_sigma * point.inverse_sigma;
            weight += w;
            sum += w * point.slope(best);
            chi2 += point.residual(best).powi(2);
        }
        let mean = sum / weight;
        let spread: f64 =
            self.kept.iter().map(|point| (point.inverse_sigma * (point.slope(best) - mean)).powi(2)).sum();
        let size = spread + weight * mean * mean;
        let g12 = best.g12;
        let fit = Fit {
            h_mag: Some(best.h_mag),
            h_err_mag: Some((size / (weight * spread)).sqrt()),
            g12: Some(g12),
            g12_err: Some((1.0 / spread).sqrt()),
            covariance: Some(mean / spread),
            chi2: Some(chi2),
            used: self.kept.len(),
            failure: Reasons::default(),
        };
        let values = [fit.h_mag, fit.h_err_mag, fit.g12, fit.g12_err, fit.covariance, fit.chi2];
        let mut failure = Reasons::default();
        let at_bound = |bound: &f64| (g12 - bound).abs() < BOUND_MARGIN;
        // Without bounds: the cost falls as far as was looked, so there is no minimum.
        failure.add(Reasons::BOUND, self.range().iter().any(at_bound));
        let finite = values.iter().flatten().all(|value| value.is_finite());
        failure.add(Reasons::SINGULAR, !finite || spread <= SINGULAR_SHARE * size);
        // The points are in the order of their phase angles.
        let ends = self.kept.first().zip(self.kept.last());
        let span = ends.map_or(0.0, |(first, last)| last.phase_rad - first.phase_rad);
        failure.add(Reasons::SPAN, span < self.options.min_phase_span_rad);
        if failure.any() { Err(failure) } else { Ok(fit) }
    }

    /// H alone, from the usable points, with clipping if there are more than `clip_above` of them.
    fn fit_h(&mut self, g12: f64, clip_above: usize, mut failure: Reasons) -> Fit {
        self.kept.clone_from(&self.points);
        let clip = self.options.clip_sigma.filter(|_| self.kept.len() > clip_above);
        let branch = Branch::of(g12);
        let mut best = Solution::of_mean(&self.kept, branch, g12);
        if let Some(clip) = clip.filter(|&clip| may_clip(&self.kept, best, clip)) {
            let points = self.columns.fill(&self.kept, branch);
            let sample = points.sample(Loss::SoftL1, g12, None, &mut self.scratch);
            let robust = Solution::new(branch, &sample);
            self.kept.retain(|point| point.residual(robust).abs() < clip);
            best = Solution::of_mean(&self.kept, branch, g12);
        }
        let weight: f64 = self.kept.iter().map(|point| point.inverse_sigma.powi(2)).sum();
        let chi2: f64 = self.kept.iter().map(|point| point.residual(best).powi(2)).sum();
        let h_err_mag = 1.0 / weight.sqrt();
        if self.kept.is_empty() || ![best.h_mag, h_err_mag, chi2].iter().all(|value| value.is_finite()) {
            failure.add(Reasons::FEW, self.kept.is_empty());
            failure.add(Reasons::SINGULAR, !self.kept.is_empty());
            return Fit { failure, ..Fit::default() };
        }
        Fit {
            h_mag: Some(best.h_mag),
            h_err_mag: Some(h_err_mag),
            g12: Some(g12),
            chi2: (self.kept.len() > 1).then_some(chi2),
            used: self.kept.len(),
            failure,
            ..Fit::default()
        }
    }
}

#[cfg(test)]
mod tests;

//! What a fit of H and G12 takes and gives.
//!
//! Not the fit itself (see `fitter`).

/// What a fit may do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// Added in quadrature to each sigma \[mag\].
    pub mag_err_floor: f64,
    /// Points this many sigma and more from the robust fit are left out.
    pub clip_sigma: Option<f64>,
    /// Fit H only, with this G12.
    pub fixed_g12: Option<f64>,
    /// The G12 to fall back on.
    pub fiducial_g12: f64,
    /// The least span of the phase angles that a slope needs \[rad\].
    pub min_phase_span_rad: f64,
    /// Where G12 may lie; anywhere if `None`.
    pub g12_bounds: Option<[f64; 2]>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            mag_err_floor: 0.05,
            clip_sigma: Some(10.0),
            fixed_g12: None,
            fiducial_g12: 0.5,
            min_phase_span_rad: 2.0_f64.to_radians(),
            g12_bounds: Some([0.0, 1.0]),
        }
    }
}

/// One detection in the band.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Observation {
    /// Phase angle \[rad\].
    pub phase_rad: f64,
    /// Apparent magnitude.
    pub mag: f64,
    /// Its sigma \[mag\].
    pub mag_err: f64,
    /// Distance from the observer \[au\].
    pub topo_range_au: f64,
    /// Distance from the Sun \[au\].
    pub helio_range_au: f64,
}

impl Observation {
    pub(super) fn key(&self) -> [f64; 5] {
        [self.phase_rad, self.mag, self.mag_err, self.topo_range_au, self.helio_range_au]
    }
}

/// Why a slope could not be fitted: any of four reasons.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reasons(u8);

impl Reasons {
    /// Fewer points than a slope needs.
    pub const FEW: Self = Self(1);
    /// G12 ended at a bound; without bounds, it ran away.
    pub const BOUND: Self = Self(2);
    /// J'J is singular, something is not finite, or the search for the least cost did not settle.
    pub const SINGULAR: Self = Self(4);
    /// The phase angles span too little.
    pub const SPAN: Self = Self(8);
    /// All reasons with their names.
    pub const ALL: [(&'static str, Self); 4] =
        [("few", Self::FEW), ("bound", Self::BOUND), ("singular", Self::SINGULAR), ("span", Self::SPAN)];

    /// Whether there is any.
    #[must_use]
    pub fn any(self) -> bool {
        self.0 != 0
    }

    /// Whether `reason` is among them.
    #[must_use]
    pub fn has(self, reason: Self) -> bool {
        self.0 & reason.0 != 0
    }

    pub(super) fn add(&mut self, reason: Self, holds: bool) {
        if holds {
            self.0 |= reason.0;
        }
    }

    /// Their names.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::ALL.into_iter().filter(move |(_, reason)| self.has(*reason)).map(|(name, _)| name)
    }
}

/// What a fit found. `None` is unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Fit {
    /// H \[mag\].
    pub h_mag: Option<f64>,
    /// Its sigma \[mag\].
    pub h_err_mag: Option<f64>,
    /// G12.
    pub g12: Option<f64>,
    /// Its sigma.
    pub g12_err: Option<f64>,
    /// Covariance of H and G12 \[mag\].
    pub covariance: Option<f64>,
    /// Sum of the squared residuals over sigma.
    pub chi2: Option<f64>,
    /// Points used.
    pub used: usize,
    /// Why the slope could not be fitted; with a fixed G12, why H could not.
    pub failure: Reasons,
}

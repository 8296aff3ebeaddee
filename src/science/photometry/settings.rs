//! The settings of a fit as the pipeline file has them.
//!
//! Not the fit itself (see `fitter`).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fit::Options;

/// Settings of the fits of H and G12.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FitSpec {
    /// Error floor in magnitudes. The fit uses sqrt(error^2 + floor^2) as the error of each magnitude. Default: 0.05.
    #[schemars(range(min = 0.0))]
    pub mag_err_floor: Option<f64>,
    /// A number N. The fit leaves out each point whose distance from the curve of a robust fit is at least N times the
    /// error of the point. A point is the magnitude of one detection. A robust fit is a fit that outliers hardly
    /// change. With `none`, the fit uses all points. Default: 10.
    pub clip_sigma: Option<NumberOrNone>,
    /// A value of G12. With this key, the fit uses this value as G12, and fits only H.
    pub fixed_g12: Option<f64>,
    /// The value of G12 for each band in which a fit of G12 is not possible. Default: 0.5.
    pub fiducial_g12: Option<f64>,
    /// The minimum range of the phase angles in a band, in degrees. If the range is smaller, `ssp-run` does not fit G12
    /// in this band. Default: 2. With `g12_bounds: none`, the default is 0.
    #[schemars(range(min = 0.0))]
    pub min_phase_span: Option<f64>,
    /// Lowest and highest allowed value of G12. With `none`, every value is allowed, and the fit uses plain least
    /// squares. Default: `[0, 1]`.
    pub g12_bounds: Option<G12Bounds>,
}

/// A number, or the word `none`.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum NumberOrNone {
    /// A number.
    Number(f64),
    /// `none`.
    None(NoneWord),
}

/// The word `none`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NoneWord {
    /// `none`.
    None,
}

/// Where G12 may lie: a pair of numbers, or the word `none`.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum G12Bounds {
    /// Between two numbers.
    Between([f64; 2]),
    /// `none`.
    None(NoneWord),
}

/// A setting with a value that no fit can use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{setting}` is {value}, and must be {wanted}")]
pub struct Unusable {
    /// The name of the setting.
    pub setting: &'static str,
    /// Its value.
    pub value: String,
    /// What it must be.
    pub wanted: &'static str,
}

impl FitSpec {
    /// The options of the fit, with defaults where a setting is missing; every unusable setting is pushed on `unusable`.
    /// If there is one, the options are not to be used.
    #[must_use]
    pub fn options(&self, unusable: &mut Vec<Unusable>) -> Options {
        let default = Options::default();
        let mut usable = |setting, value: f64, holds: bool, wanted, otherwise| {
            if holds && value.is_finite() {
                return value;
            }
            unusable.push(Unusable { setting, value: value.to_string(), wanted });
            otherwise
        };
        let floor = self.mag_err_floor.unwrap_or(default.mag_err_floor);
        let mag_err_floor =
            usable("mag_err_floor", floor, floor >= 0.0, "a number of 0 or more", default.mag_err_floor);
        let clip_sigma = match self.clip_sigma {
            None => default.clip_sigma,
            Some(NumberOrNone::None(_)) => None,
            Some(NumberOrNone::Number(clip)) => {
                Some(usable("clip_sigma", clip, clip > 0.0, "a number above 0, or none", 10.0))
            }
        };
        let fixed_g12 = self.fixed_g12.map(|g12| usable("fixed_g12", g12, true, "a number", 0.0));
        let fiducial = self.fiducial_g12.unwrap_or(default.fiducial_g12);
        let fiducial_g12 = usable("fiducial_g12", fiducial, true, "a number", default.fiducial_g12);
        // Without bounds the fit is plain least squares, with no rule on the span unless one is asked for.
        let has_bounds = !matches!(self.g12_bounds, Some(G12Bounds::None(_)));
        let usual_deg = if has_bounds { default.min_phase_span_rad.to_degrees() } else { 0.0 };
        let span_deg = self.min_phase_span.unwrap_or(usual_deg);
        let span_deg =
            usable("min_phase_span", span_deg, span_deg >= 0.0, "a number of 0 or more", usual_deg);
        let g12_bounds = match self.g12_bounds {
            None => default.g12_bounds,
            Some(G12Bounds::None(_)) => None,
            Some(G12Bounds::Between([low, high])) => {
                if !(low < high && low.is_finite() && high.is_finite()) {
                    let (value, wanted) = (format!("{low},{high}"), "two numbers, the lower first, or none");
                    unusable.push(Unusable { setting: "g12_bounds", value, wanted });
                }
                Some([low, high])
            }
        };
        Options {
            mag_err_floor,
            clip_sigma,
            fixed_g12,
            fiducial_g12,
            min_phase_span_rad: span_deg.to_radians(),
            g12_bounds,
        }
    }
}

//! The brightness of an object, band by band.

use super::input::{BANDS, Detection, NEEDS, Real};
use crate::science::photometry::Fitter;
use crate::science::photometry::fit::{Fit, Observation};

/// An object in one band.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Band {
    pub rows: usize,
    /// How many lack each of [`NEEDS`].
    pub lacking: [usize; NEEDS.len()],
    /// The least and the greatest phase angle \[deg\].
    pub phase_range_deg: Option<[f64; 2]>,
    /// H and G12, with all unknown if there is no detection.
    pub fit: Fit,
}

/// Works on one object after the other.
pub(super) struct Photometer {
    fitter: Fitter,
    bands: [Vec<Observation>; BANDS.len()],
}

impl Photometer {
    pub(super) fn new(fitter: Fitter) -> Self {
        Self { fitter, bands: std::array::from_fn(|_| Vec::new()) }
    }

    /// All bands of one object (\[n\] detections).
    pub(super) fn bands<R: Real>(&mut self, detections: &[Detection<R>]) -> [Band; BANDS.len()] {
        self.bands.iter_mut().for_each(Vec::clear);
        let mut bands = [Band::default(); BANDS.len()];
        for detection in detections {
            let band = usize::from(detection.band);
            if let Some(observations) = self.bands.get_mut(band) {
                observations.push(detection.observation());
                for (count, lacks) in bands[band].lacking.iter_mut().zip(detection.lacks()) {
                    *count += usize::from(lacks);
                }
                let phase = detection.phase_deg.f64();
                if phase.is_finite() {
                    let [low, high] = bands[band].phase_range_deg.unwrap_or([phase; 2]);
                    bands[band].phase_range_deg = Some([low.min(phase), high.max(phase)]);
                }
            }
        }
        for (band, observations) in bands.iter_mut().zip(&mut self.bands) {
            band.rows = observations.len();
            if !observations.is_empty() {
                band.fit = self.fitter.fit(observations);
            }
        }
        bands
    }
}

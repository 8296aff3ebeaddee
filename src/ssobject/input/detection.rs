//! One detection of an object, with all that the table needs of it.

use crate::science::photometry::MAG_OF_NJY;
use crate::science::photometry::fit::Observation;
use crate::tables::{Record, record};

/// The bands, in the order of the table's columns.
pub(crate) const BANDS: [&str; 6] = ["u", "g", "r", "i", "z", "y"];
/// The band number of a row that is in none of [`BANDS`].
pub(super) const NO_BAND: u8 = 6;

/// Magnitudes per relative error of a flux, 2.5 / ln 10 as the LSST pipelines round it.
const MAG_PER_RELATIVE_ERROR: f64 = 1.085_736;

/// The precision in which rows are held: that of the files.
pub(crate) trait Real: Record + Default + 'static {
    /// Rounds to this precision.
    fn of(value: f64) -> Self;
    fn f64(self) -> f64;
}

impl Real for f32 {
    #[expect(clippy::cast_possible_truncation, reason = "only used where the file has this precision")]
    fn of(value: f64) -> Self {
        value as Self
    }

    fn f64(self) -> f64 {
        f64::from(self)
    }
}

impl Real for f64 {
    fn of(value: f64) -> Self {
        value
    }

    fn f64(self) -> f64 {
        self
    }
}

/// One detection. NaN is unknown.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Detection<R> {
    pub object: i64,
    /// midpointMjdTai \[d\].
    pub mjd_tai: f64,
    /// phaseAngle \[deg\].
    pub phase_deg: R,
    /// topoRange \[au\].
    pub topo_range_au: R,
    /// helioRange \[au\].
    pub helio_range_au: R,
    /// psfFlux \[nJy\].
    pub flux_njy: R,
    /// psfFluxErr \[nJy\].
    pub flux_err_njy: R,
    pub extendedness: R,
    /// Its place in [`BANDS`], or [`NO_BAND`].
    pub band: u8,
}

record!(Detection<R: Real> {
    object: i64,
    mjd_tai: f64,
    phase_deg: R,
    topo_range_au: R,
    helio_range_au: R,
    flux_njy: R,
    flux_err_njy: R,
    extendedness: R,
    band: u8,
});

/// What a detection needs for a fit of H and G12.
pub(crate) const NEEDS: [&str; 4] =
    ["positive psfFlux", "positive psfFluxErr", "phaseAngle", "positive topoRange or helioRange"];

impl<R: Real> Detection<R> {
    /// Which of [`NEEDS`] it lacks.
    pub(crate) fn lacks(&self) -> [bool; NEEDS.len()] {
        let positive = |value: R| value.f64() > 0.0 && value.f64().is_finite();
        [
            !positive(self.flux_njy),
            !positive(self.flux_err_njy),
            !self.phase_deg.f64().is_finite(),
            !(positive(self.topo_range_au) && positive(self.helio_range_au)),
        ]
    }

    /// As a point of a fit; a flux that is not positive gives no magnitude.
    pub(crate) fn observation(&self) -> Observation {
        let (flux, flux_err) = (self.flux_njy.f64(), self.flux_err_njy.f64());
        Observation {
            phase_rad: self.phase_deg.f64().to_radians(),
            mag: MAG_OF_NJY - 2.5 * flux.log10(),
            mag_err: MAG_PER_RELATIVE_ERROR * flux_err / flux,
            topo_range_au: self.topo_range_au.f64(),
            helio_range_au: self.helio_range_au.f64(),
        }
    }
}

/// The number of a band.
pub(super) fn band_number(name: &str) -> u8 {
    // All have one letter, and bytes are compared faster than texts.
    let [letter] = *name.as_bytes() else { return NO_BAND };
    (0..NO_BAND).find(|&band| BANDS[usize::from(band)].as_bytes() == [letter]).unwrap_or(NO_BAND)
}

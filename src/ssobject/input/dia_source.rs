//! DiaSource: what was measured.

use arrow_array::{Array, StringViewArray};

use super::Sighting;
use super::detection::{Detection, NO_BAND, Real, band_number};
use crate::lookup::Few;
use crate::tables::{Batch, Column, Error, Part, Parts, Reals, record};

/// A row of DiaSource.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Measurement<R> {
    pub dia_id: i64,
    /// midpointMjdTai \[d\].
    pub mjd_tai: f64,
    /// psfFlux \[nJy\].
    pub flux_njy: R,
    /// psfFluxErr \[nJy\].
    pub flux_err_njy: R,
    pub extendedness: R,
    /// Its place in `BANDS`, or `NO_BAND`.
    pub band: u8,
}

record!(Measurement<R: Real> {
    dia_id: i64,
    mjd_tai: f64,
    flux_njy: R,
    flux_err_njy: R,
    extendedness: R,
    band: u8,
});

/// The columns with what was measured; a wide SSSource has them too.
pub(super) const MEASUREMENT_COLUMNS: [&str; 5] =
    ["midpointMjdTai", "band", "psfFlux", "psfFluxErr", "extendedness"];
/// Those of them whose precision decides in which rows are held.
pub(super) const PRECISION_COLUMNS: [&str; 3] = ["psfFlux", "psfFluxErr", "extendedness"];

/// The columns of a batch.
pub(super) struct Measurements {
    mjd_tai: Reals,
    bands: StringViewArray,
    reals: [Reals; 3],
    /// The first few bands that are none of ours.
    pub other_bands: Few,
}

impl Measurements {
    pub(super) fn read(batch: &Batch<'_>) -> Result<Self, Error> {
        let [flux, flux_err, extendedness] = PRECISION_COLUMNS.map(|name| Column::of(batch, name)?.reals());
        Ok(Self {
            mjd_tai: Column::of(batch, "midpointMjdTai")?.reals()?,
            bands: Column::of(batch, "band")?.texts()?,
            reals: [flux?, flux_err?, extendedness?],
            other_bands: Few::default(),
        })
    }

    pub(super) fn row<R: Real>(&mut self, row: usize, dia_id: i64) -> Measurement<R> {
        let [flux_njy, flux_err_njy, extendedness] = std::array::from_fn(|k| R::of(self.reals[k].value(row)));
        let name = if self.bands.is_valid(row) { self.bands.value(row) } else { "NULL" };
        let band = band_number(name);
        if band == NO_BAND {
            self.other_bands.add(name);
        }
        Measurement { dia_id, mjd_tai: self.mjd_tai.value(row), flux_njy, flux_err_njy, extendedness, band }
    }
}

impl<R: Real> Measurement<R> {
    /// With the row of SSSource that refers to it.
    pub(crate) fn of(&self, sighting: &Sighting<R>) -> Detection<R> {
        Detection {
            object: sighting.object,
            mjd_tai: self.mjd_tai,
            phase_deg: sighting.phase_deg,
            topo_range_au: sighting.topo_range_au,
            helio_range_au: sighting.helio_range_au,
            flux_njy: self.flux_njy,
            flux_err_njy: self.flux_err_njy,
            extendedness: self.extendedness,
            band: self.band,
        }
    }
}

/// The rows of one part, by batch, and the first few bands that are none of ours.
pub(crate) fn measurements<R: Real>(part: Part<'_>) -> Result<(Parts<Measurement<R>>, Few), Error> {
    let (mut batches, mut other_bands) = (Vec::new(), Few::default());
    let mut columns = vec!["diaSourceId"];
    columns.extend(MEASUREMENT_COLUMNS);
    for batch in part.batches(&columns)? {
        let batch = batch?;
        let dia_ids = Column::of(&batch, "diaSourceId")?.required_ids()?;
        let mut measured = Measurements::read(&batch)?;
        let rows = dia_ids.iter().enumerate().map(|(row, &dia_id)| measured.row::<R>(row, dia_id));
        batches.push(rows.collect());
        other_bands.merge(&measured.other_bands);
    }
    Ok((batches, other_bands))
}

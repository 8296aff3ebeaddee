//! `dia_sources`: where and when each source was measured.

use arrow_array::Array;

use crate::tables::{Column, Error, Part, record};

/// A DiaSource; NaN is unknown.
#[expect(clippy::struct_field_names, reason = "the names of the columns")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dia {
    pub dia_id: i64,
    /// Its place among all rows of the input.
    pub row: u64,
    /// midpointMjdTai \[d\].
    pub mjd_tai: f64,
    /// midpointMjdTaiVisit \[d\].
    pub mjd_tai_visit: f64,
    pub ra_deg: f64,
    pub dec_deg: f64,
    pub trail_ra_deg: f64,
    pub trail_dec_deg: f64,
}

record!(Dia {
    dia_id: i64,
    row: u64,
    mjd_tai: f64,
    mjd_tai_visit: f64,
    ra_deg: f64,
    dec_deg: f64,
    trail_ra_deg: f64,
    trail_dec_deg: f64,
});

/// Which observation a DiaSource is, if the input says it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ByObsid {
    pub obsid: [u8; 32],
    pub dia_id: i64,
}

record!(ByObsid { obsid: [u8; 32], dia_id: i64 });

const DIA_ID: &str = "diaSourceId";
const NEEDED: [&str; 3] = ["midpointMjdTai", "ra", "dec"];
const OPTIONAL: [&str; 3] = ["midpointMjdTaiVisit", "trailRa", "trailDec"];
/// The column that says which observation a DiaSource is.
pub(crate) const OBSID: &str = "obsid";

/// The rows of one part.
pub(crate) fn dia_rows(part: Part<'_>) -> Result<Vec<Dia>, Error> {
    let mut found = Vec::new();
    let mut columns = vec![DIA_ID];
    columns.extend(NEEDED);
    columns.extend(part.having(&OPTIONAL));
    for batch in part.batches(&columns)? {
        let batch = batch?;
        let ids = Column::of(&batch, DIA_ID)?.required_ids()?;
        let [mjd_tai, ra, dec] = NEEDED.map(|name| Column::of(&batch, name)?.reals());
        let (mjd_tai, ra, dec) = (mjd_tai?, ra?, dec?);
        let [visit, trail_ra, trail_dec] =
            OPTIONAL.map(|name| part.has(name).then(|| Column::of(&batch, name)?.reals()).transpose());
        let (visit, trail_ra, trail_dec) = (visit?, trail_ra?, trail_dec?);
        for (row, dia_id) in ids.into_iter().enumerate() {
            let [mjd_tai_visit, trail_ra_deg, trail_dec_deg] = [&visit, &trail_ra, &trail_dec]
                .map(|column| column.as_ref().map_or(f64::NAN, |column| column.value(row)));
            found.push(Dia {
                dia_id,
                row: batch.start() + row as u64,
                mjd_tai: mjd_tai.value(row),
                mjd_tai_visit,
                ra_deg: ra.value(row),
                dec_deg: dec.value(row),
                trail_ra_deg,
                trail_dec_deg,
            });
        }
    }
    Ok(found)
}

/// The rows of one part, and which observations they are.
pub(crate) fn dia_rows_by_obsid(part: Part<'_>) -> Result<(Vec<Dia>, Vec<ByObsid>), Error> {
    let rows = dia_rows(part)?;
    let mut by_obsid = Vec::new();
    let mut ids = rows.iter().map(|row| row.dia_id);
    for batch in part.batches(&[OBSID])? {
        let batch = batch?;
        let column = Column::of(&batch, OBSID)?;
        let texts = column.texts()?;
        for (row, dia_id) in (0..texts.len()).zip(&mut ids) {
            if texts.is_valid(row) {
                by_obsid.push(ByObsid { obsid: column.short_text(&texts, row)?, dia_id });
            }
        }
    }
    Ok((rows, by_obsid))
}

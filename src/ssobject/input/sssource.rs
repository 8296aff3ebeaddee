//! SSSource: which detection is of which object, and the geometry.

use arrow_array::{Array, StringViewArray};

use super::detection::{Detection, Real};
use super::dia_source::{MEASUREMENT_COLUMNS, Measurements, PRECISION_COLUMNS};
use super::objects::Objects;
use crate::lookup::Few;
use crate::ssobject;
use crate::tables::{Batch, Column, Error, Files, Part, Parts, Reals, record};

/// A row of SSSource that waits for its measurement.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sighting<R> {
    pub dia_id: i64,
    pub object: i64,
    /// phaseAngle \[deg\].
    pub phase_deg: R,
    /// topoRange \[au\].
    pub topo_range_au: R,
    /// helioRange \[au\].
    pub helio_range_au: R,
}

record!(Sighting<R: Real> {
    dia_id: i64,
    object: i64,
    phase_deg: R,
    topo_range_au: R,
    helio_range_au: R,
});

/// The columns with the geometry.
const GEOMETRY_COLUMNS: [&str; 3] = ["phaseAngle", "topoRange", "helioRange"];
const DIA_ID: &str = "diaSourceId";
/// Where it is there, only rows for which it is true count.
const PRIMARY: &str = "primary";

/// What SSSource must have for itself.
struct Rows {
    /// `None` for rows that are of no object.
    objects: Vec<Option<i64>>,
    designations: StringViewArray,
    geometry: [Reals; 3],
}

impl Rows {
    fn read(batch: &Batch<'_>) -> Result<Self, Error> {
        let mut objects = Column::of(batch, "ssObjectId")?.ids()?;
        if batch.part.has(PRIMARY) {
            let primary = Column::of(batch, PRIMARY)?.booleans()?;
            for (object, primary) in objects.iter_mut().zip(&primary) {
                *object = object.filter(|_| primary == Some(true));
            }
        }
        for object in &mut objects {
            *object = object.filter(|&id| id != 0);
        }
        let [phase, topo, helio] = GEOMETRY_COLUMNS.map(|name| Column::of(batch, name)?.reals());
        Ok(Self {
            objects,
            designations: Column::of(batch, "designation")?.texts()?,
            geometry: [phase?, topo?, helio?],
        })
    }

    /// Calls `each` with the number, the object and the geometry of every row of an object.
    fn each<R: Real>(&self, found: &mut Objects, mut each: impl FnMut(usize, i64, [R; 3])) {
        for (row, object) in self.objects.iter().enumerate() {
            if let Some(object) = *object {
                let designation = self.designations.is_valid(row).then(|| self.designations.value(row));
                found.add(object, designation);
                each(row, object, std::array::from_fn(|k| R::of(self.geometry[k].value(row))));
            }
        }
    }
}

fn columns<'a>(part: &Part<'_>, own: &[&'a str]) -> Vec<&'a str> {
    let mut columns = vec!["ssObjectId", "designation"];
    columns.extend(GEOMETRY_COLUMNS);
    columns.extend(own);
    if part.has(PRIMARY) {
        columns.push(PRIMARY);
    }
    columns
}

/// The rows of one part, by batch, for the join with DiaSource.
pub(crate) fn sightings<R: Real>(part: Part<'_>) -> Result<(Parts<Sighting<R>>, Objects), Error> {
    let (mut batches, mut objects) = (Vec::new(), Objects::default());
    for batch in part.batches(&columns(&part, &[DIA_ID]))? {
        let batch = batch?;
        let rows = Rows::read(&batch)?;
        let column = Column::of(&batch, DIA_ID)?;
        let dia_ids = column.ids()?;
        let mut without = None;
        let mut sightings = Vec::with_capacity(dia_ids.len());
        rows.each(&mut objects, |row, object, [phase_deg, topo_range_au, helio_range_au]| {
            match dia_ids[row] {
                None => without = without.or(Some(row)),
                Some(dia_id) => {
                    sightings.push(Sighting { dia_id, object, phase_deg, topo_range_au, helio_range_au });
                }
            }
        });
        if let Some(row) = without {
            return Err(column.no_value(row));
        }
        batches.push(sightings);
    }
    Ok((batches, objects))
}

/// The objects of one part alone.
pub(crate) fn objects(part: Part<'_>) -> Result<Objects, Error> {
    let mut objects = Objects::default();
    for batch in part.batches(&columns(&part, &[]))? {
        Rows::read(&batch?)?.each::<f32>(&mut objects, |_, _, _| {});
    }
    Ok(objects)
}

/// What one part of an SSSource gives that has the measurements too.
#[derive(Default)]
pub(crate) struct Wide<R> {
    /// The rows of objects, by batch.
    pub detections: Parts<Detection<R>>,
    pub objects: Objects,
    /// Their diaSourceIds, of those that have one: nothing is joined by them, but people are told which are there twice.
    pub dia_ids: Vec<i64>,
    /// The first few bands that are none of ours.
    pub other_bands: Few,
}

/// The rows of one part of an SSSource that has the measurements too.
pub(crate) fn detections<R: Real>(part: Part<'_>) -> Result<Wide<R>, Error> {
    let mut wide = Wide::default();
    let mut names = columns(&part, &MEASUREMENT_COLUMNS);
    names.extend(part.has(DIA_ID).then_some(DIA_ID));
    for batch in part.batches(&names)? {
        let batch = batch?;
        let rows = Rows::read(&batch)?;
        let mut measurements = Measurements::read(&batch)?;
        let dia_ids = if part.has(DIA_ID) { Column::of(&batch, DIA_ID)?.ids()? } else { Vec::new() };
        let mut timeless = None;
        let mut detections = Vec::with_capacity(rows.objects.len());
        rows.each(&mut wide.objects, |row, object, [phase_deg, topo_range_au, helio_range_au]| {
            let measured = measurements.row::<R>(row, 0);
            timeless = timeless.or((!measured.mjd_tai.is_finite()).then_some(row));
            wide.dia_ids.extend(dia_ids.get(row).copied().flatten());
            detections.push(measured.of(&Sighting {
                dia_id: 0,
                object,
                phase_deg,
                topo_range_au,
                helio_range_au,
            }));
        });
        wide.detections.push(detections);
        wide.other_bands.merge(&measurements.other_bands);
        if let Some(row) = timeless {
            return Err(Column::of(&batch, "midpointMjdTai")?.no_value(row));
        }
    }
    Ok(wide)
}

/// Whether rows need be held in single precision only.
pub(crate) fn precision_is_single(sssource: &Files, dia_sources: Option<&Files>) -> bool {
    sssource.single_precision(&GEOMETRY_COLUMNS)
        && dia_sources.unwrap_or(sssource).single_precision(&PRECISION_COLUMNS)
}

/// Whether an SSSource has the measurements too; if not, the error that says what it lacks.
pub(crate) fn check_wide(files: &Files) -> Result<(), ssobject::Error> {
    match files.lacking(&MEASUREMENT_COLUMNS) {
        None => Ok(()),
        Some((path, columns)) => Err(ssobject::Error::NotWide { path, columns }),
    }
}

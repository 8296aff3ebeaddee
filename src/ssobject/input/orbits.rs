//! `mpc_orbits`: the orbits of the objects, by designation.

use std::collections::{BTreeSet, HashMap, HashSet};

use arrow_array::Array;
use rayon::prelude::*;

use super::Object;
use crate::lookup::{Few, Lookup, examples};
use crate::science::orbit::elements::Elements;
use crate::ssobject::Error;
use crate::tables::{Column, Files, Offenders, Part};

/// An orbit and its epoch; NaN is unknown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Orbit {
    pub elements: Elements,
    /// The epoch \[MJD TDB\].
    pub epoch_mjd_tdb: f64,
}

const DESIGNATION: &str = "unpacked_primary_provisional_designation";
const ELEMENTS: [&str; 6] = ["q", "e", "i", "node", "argperi", "epoch_mjd"];

/// The orbit of each object (\[n\]), `None` where there is none, and how many there are.
///
/// # Errors
/// [`Error::TwoOrbits`] if a designation is there twice, of an object or not; what is wrong with the file.
pub(crate) fn read_orbits(
    files: &Files,
    objects: &[Object],
    advance: &(dyn Fn(u64) + Sync),
) -> Result<(Vec<Option<Orbit>>, Lookup), Error> {
    let mut places: HashMap<&str, Vec<usize>> = HashMap::new();
    for (place, object) in objects.iter().enumerate() {
        if let Some(designation) = &object.designation {
            places.entry(designation).or_default().push(place);
        }
    }
    let mut orbits = vec![None; objects.len()];
    let mut seen: HashSet<Box<str>> = HashSet::new();
    let mut twice = BTreeSet::new();
    let mut there = Few::default();
    let parts: Vec<Part<'_>> = files.parts().collect();
    for some in parts.chunks(rayon::current_num_threads()) {
        for rows in some
            .par_iter()
            .map(|part| read(*part).inspect(|_| advance(part.rows())))
            .collect::<Result<Vec<_>, _>>()?
        {
            for (designation, orbit) in rows {
                for &place in places.get(&*designation).into_iter().flatten() {
                    orbits[place] = Some(orbit);
                }
                there.add(&designation);
                if let Some(designation) = seen.replace(designation) {
                    twice.insert(designation);
                }
            }
        }
    }
    let mut offenders = Offenders::new(["designation", "designations"]);
    for designation in twice {
        offenders.add(designation);
    }
    offenders.none(Error::TwoOrbits)?;
    let without =
        || objects.iter().zip(&orbits).filter(|(_, orbit)| orbit.is_none()).map(|(object, _)| object);
    let named = |object: &Object| object.designation.as_deref().unwrap_or("NULL").to_owned();
    let lookup = Lookup {
        sought: "objects in SSSource".to_owned(),
        are: "in mpc_orbits by designation (MOID and Tisserand parameter are NULL without an orbit)"
            .to_owned(),
        found: (objects.len() - without().count()) as u64,
        of: objects.len() as u64,
        missing: examples(without().map(named)),
        holder: "mpc_orbits",
        there: there.list(),
        ..Lookup::default()
    };
    Ok((orbits, lookup))
}

/// The rows of one part that have a designation.
fn read(part: Part<'_>) -> Result<Vec<(Box<str>, Orbit)>, Error> {
    let mut rows = Vec::new();
    let mut columns = vec![DESIGNATION];
    columns.extend(ELEMENTS);
    for batch in part.batches(&columns)? {
        let batch = batch?;
        let designations = Column::of(&batch, DESIGNATION)?.texts()?;
        let columns = ELEMENTS.map(|name| Column::of(&batch, name)?.reals());
        let [q, e, i, node, argperi, epoch] = columns;
        let (q, e, i, node, argperi, epoch) = (q?, e?, i?, node?, argperi?, epoch?);
        for row in (0..batch.rows.num_rows()).filter(|&row| designations.is_valid(row)) {
            let elements = Elements {
                q_au: q.value(row),
                e: e.value(row),
                inclination_rad: i.value(row).to_radians(),
                node_rad: node.value(row).to_radians(),
                argperi_rad: argperi.value(row).to_radians(),
            };
            rows.push((designations.value(row).into(), Orbit { elements, epoch_mjd_tdb: epoch.value(row) }));
        }
    }
    Ok(rows)
}

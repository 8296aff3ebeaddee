//! `mpc_orbits`: the orbits of the objects, by designation.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use rayon::prelude::*;

use super::Object;
use crate::lookup::{Few, Lookup, examples};
use crate::monitor::Monitor;
use crate::science::orbit::elements::Elements;
use crate::ssobject::Error;
use crate::tables::{self, Column, Files, Offenders, Part, more_than_once};

/// An orbit and its epoch; NaN is unknown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Orbit {
    pub elements: Elements,
    /// The epoch \[MJD TDB\].
    pub epoch_mjd_tdb: f64,
}

const DESIGNATION: &str = "unpacked_primary_provisional_designation";
const ELEMENTS: [&str; 6] = ["q", "e", "i", "node", "argperi", "epoch_mjd"];

/// A hash that is the same for the same text.
type Alike = BuildHasherDefault<DefaultHasher>;
/// The objects of each designation, by their places: one, and seldom others.
type Places<'a> = HashMap<&'a str, (usize, Vec<usize>), Alike>;

/// The orbit of each object (\[n\]), `None` where there is none, and how many there are.
///
/// # Errors
/// [`Error::TwoOrbits`] if a designation is there twice, of an object or not; what is wrong with the file.
pub(crate) fn read_orbits(
    files: &Files,
    objects: &[Object],
    monitor: &Monitor,
) -> Result<(Vec<Option<Orbit>>, Lookup), Error> {
    let mut places = Places::with_capacity_and_hasher(objects.len(), Alike::default());
    for (place, object) in objects.iter().enumerate() {
        if let Some(designation) = &object.designation {
            match places.entry(designation) {
                Entry::Vacant(entry) => drop(entry.insert((place, Vec::new()))),
                Entry::Occupied(entry) => entry.into_mut().1.push(place),
            }
        }
    }
    let mut orbits = vec![None; objects.len()];
    let mut hashes = Vec::new();
    let mut there = Few::default();
    let part = |part: Part<'_>| read(part, &places);
    tables::read(files, monitor, part, |read: Read| {
        read.found.into_iter().for_each(|(place, orbit)| orbits[place] = Some(orbit));
        hashes.extend(read.hashes);
        there.merge(&read.there);
        Ok(())
    })?;
    twice(files, hashes)?.none(Error::TwoOrbits)?;
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
        holder: "mpc_orbits".into(),
        there: there.list(),
        ..Lookup::default()
    };
    Ok((orbits, lookup))
}

/// What one part has.
#[derive(Default)]
struct Read {
    /// Orbits of objects, by the places of those.
    found: Vec<(usize, Orbit)>,
    /// The hash of each designation.
    hashes: Vec<u64>,
    there: Few,
}

/// The rows of one part that have a designation.
fn read(part: Part<'_>, places: &Places<'_>) -> Result<Read, tables::Error> {
    let mut read = Read::default();
    let mut columns = vec![DESIGNATION];
    columns.extend(ELEMENTS);
    for batch in part.batches(&columns)? {
        let batch = batch?;
        let designations = Column::of(&batch, DESIGNATION)?.texts()?;
        let [q, e, i, node, argperi, epoch] = ELEMENTS.map(|name| Column::of(&batch, name)?.reals());
        let (q, e, i, node, argperi, epoch) = (q?, e?, i?, node?, argperi?, epoch?);
        for (row, designation) in designations.iter().enumerate() {
            let Some(designation) = designation else { continue };
            read.hashes.push(places.hasher().hash_one(designation));
            read.there.add(designation);
            let Some((first, others)) = places.get(designation) else { continue };
            let elements = Elements {
                q_au: q.value(row),
                e: e.value(row),
                inclination_rad: i.value(row).to_radians(),
                node_rad: node.value(row).to_radians(),
                argperi_rad: argperi.value(row).to_radians(),
            };
            let orbit = Orbit { elements, epoch_mjd_tdb: epoch.value(row) };
            read.found.extend(others.iter().chain([first]).map(|&place| (place, orbit)));
        }
    }
    Ok(read)
}

/// The designations that are there more than once: they are read again, but only if some have the same hash.
fn twice(files: &Files, mut hashes: Vec<u64>) -> Result<Offenders, Error> {
    hashes.par_sort_unstable();
    let alike: HashSet<u64> = more_than_once(&hashes, |hash| *hash).into_iter().collect();
    let mut seen: HashSet<String> = HashSet::new();
    let mut twice = BTreeSet::new();
    for part in files.parts().filter(|_| !alike.is_empty()) {
        for batch in part.batches(&[DESIGNATION])? {
            let designations = Column::of(&batch?, DESIGNATION)?.texts()?;
            for designation in designations.iter().flatten() {
                let may_be_twice = alike.contains(&Alike::default().hash_one(designation));
                if may_be_twice && let Some(designation) = seen.replace(designation.to_owned()) {
                    twice.insert(designation);
                }
            }
        }
    }
    Ok(Offenders::all(["designation", "designations"], twice))
}

//! Which object an observation is of: the designation it has, the object's primary one, and ssObjectId.

use std::collections::{HashMap, HashSet};

use super::Error;
use super::input::{CURRENT, NO_NAME, NUMBERED, Name, Names, Orbit, primaries, read_orbits};
use super::options::Options;
use crate::lookup::Few;
use crate::monitor::Monitor;
use crate::tables::{Files, Offenders};

/// An object.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// ssObjectId; `None` where `mpc_orbits` lacks the designation.
    pub ss_object_id: Option<i64>,
    /// The primary designation; of an unknown one, the observation's own.
    pub designation: Box<str>,
    /// Whether `current_identifications` or `mpc_orbits` has the designation.
    pub is_known: bool,
    /// Its orbit.
    pub orbit: Option<Orbit>,
    /// Its rows in the result; of an object that no table knows, all that were matched.
    pub rows: u64,
}

/// The object of a row that has no designation.
pub const NO_OBJECT: u32 = u32::MAX;

/// The objects that observations name.
pub(super) struct Objects {
    /// By ssObjectId and designation; those without ssObjectId are last.
    pub list: Vec<Object>,
    of_provid: Vec<u32>,
    of_permid: Vec<u32>,
    pub has_car: bool,
    pub unreadable_cars: u64,
    /// The first few designations of `mpc_orbits`.
    pub orbits_there: Few,
}

impl Objects {
    /// The object of a name.
    pub(super) fn of(&self, name: u32) -> u32 {
        let place = match Name::of(name) {
            None => return NO_OBJECT,
            Some(Name::Provid(number)) => self.of_provid.get(number as usize),
            Some(Name::Permid(number)) => self.of_permid.get(number as usize),
        };
        place.copied().unwrap_or(NO_OBJECT)
    }

    /// How many have an ssObjectId, as rows count.
    pub(super) fn identified(&self) -> u32 {
        let identified = self.list.partition_point(|object| object.ss_object_id.is_some());
        u32::try_from(identified).unwrap_or(NO_OBJECT)
    }
}

const _: () = assert!(NO_NAME == NO_OBJECT, "rows hold first the one and then the other");

/// The three tables that know designations.
pub(super) struct Tables<'a> {
    pub numbered: &'a Files,
    pub current: &'a Files,
    pub orbits: &'a Files,
}

/// Finds the objects of all names.
///
/// # Errors
/// [`Error::TwoPrimaries`], [`Error::TwoOrbits`], [`Error::Packed`], [`Error::OnePacked`]; what is wrong with the files.
pub(super) fn objects(
    names: Names,
    tables: &Tables<'_>,
    options: &Options,
    monitor: &Monitor,
) -> Result<Objects, Error> {
    let (provids, mut permids) = (names.provids.list(), names.permids.list());
    let wanted: HashSet<&str> = permids.iter().map(|text| &**text).collect();
    let mut numbered = primaries(&NUMBERED, tables.numbered, |text| wanted.contains(text), monitor)?;
    drop(wanted);
    // A number without a provisional designation stays as it is: objects may be known by it.
    for permid in &mut permids {
        if let Some(primary) = numbered.remove(permid) {
            *permid = primary;
        }
    }
    let wanted: HashSet<&str> = provids.iter().chain(&permids).map(|text| &**text).collect();
    let current = primaries(&CURRENT, tables.current, |text| wanted.contains(text), monitor)?;
    let primary = |text: &'_ str| current.get(text).map(|primary| &**primary);
    let designations: HashSet<&str> = wanted.iter().map(|text| primary(text).unwrap_or(text)).collect();
    let found = read_orbits(tables.orbits, &designations, options.wide, monitor)?;
    let known: HashSet<&str> = current.values().map(|text| &**text).collect();
    let mut orbits = found.orbits;
    let objects = sorted(designations.into_iter(), &known, &mut orbits)?;
    let places: HashMap<&str, u32> =
        (0..).zip(&objects).map(|(place, object)| (&*object.designation, place)).collect();
    let place = |text: &str| places.get(primary(text).unwrap_or(text)).copied().unwrap_or(NO_OBJECT);
    let of_provid = provids.iter().map(|text| place(text)).collect();
    let of_permid = permids.iter().map(|text| place(text)).collect();
    drop(places);
    Ok(Objects {
        list: objects,
        of_provid,
        of_permid,
        has_car: found.has_car,
        unreadable_cars: found.unreadable,
        orbits_there: found.there,
    })
}

/// The objects of designations, in their order.
fn sorted<'a>(
    designations: impl Iterator<Item = &'a str>,
    known: &HashSet<&str>,
    orbits: &mut HashMap<Box<str>, (Box<str>, Orbit)>,
) -> Result<Vec<Object>, Error> {
    let (mut wrong, mut wrong_few) = (0, Few::default());
    let mut objects: Vec<Object> = designations
        .map(|designation| {
            let found = orbits.remove(designation);
            let ss_object_id = found.as_ref().and_then(|(packed, _)| ss_object_id(packed));
            if found.is_some() && ss_object_id.is_none() {
                wrong += 1;
                wrong_few.add(designation);
            }
            Object {
                ss_object_id,
                designation: designation.into(),
                is_known: found.is_some() || known.contains(designation),
                orbit: found.map(|(_, orbit)| orbit),
                rows: 0,
            }
        })
        .collect();
    Offenders::of(["designation", "designations"], wrong, wrong_few.list()).none(Error::Packed)?;
    objects.sort_unstable_by(|a, b| {
        let key = |object: &Object| (object.ss_object_id.is_none(), object.ss_object_id);
        key(a).cmp(&key(b)).then_with(|| a.designation.cmp(&b.designation))
    });
    let mut twice = Offenders::new(["designation", "designations"]);
    for pair in objects.windows(2) {
        if pair[0].ss_object_id.is_some() && pair[0].ss_object_id == pair[1].ss_object_id {
            twice.add(format_args!("{} and {}", pair[0].designation, pair[1].designation));
        }
    }
    twice.none(Error::OnePacked)?;
    Ok(objects)
}

/// ssObjectId of a packed primary provisional designation: its characters, spaces before them to make 8, as the bytes of a
/// little-endian integer. `None` if it has no character, more than 8, or others than ASCII.
#[must_use]
pub fn ss_object_id(packed: &str) -> Option<i64> {
    let packed = packed.trim();
    let mut bytes = [b' '; 8];
    let start = bytes.len().checked_sub(packed.len())?;
    if packed.is_empty() || !packed.is_ascii() {
        return None;
    }
    bytes[start..].copy_from_slice(packed.as_bytes());
    Some(i64::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_is_the_packed_designation_after_spaces() {
        for (packed, expected) in [
            ("K24A12B", i64::from_le_bytes(*b" K24A12B")),
            ("CK19Y040", i64::from_le_bytes(*b"CK19Y040")),
            ("_QC0000", i64::from_le_bytes(*b" _QC0000")),
            (" K24A12B ", i64::from_le_bytes(*b" K24A12B")),
            ("A", i64::from_le_bytes(*b"       A")),
        ] {
            assert_eq!(ss_object_id(packed), Some(expected), "{packed}");
        }
        for packed in ["", "  ", "K24A12B00", "K24Ä12B"] {
            assert_eq!(ss_object_id(packed), None, "{packed}");
        }
    }
}

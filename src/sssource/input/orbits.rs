//! `mpc_orbits`: the orbits of the designations that are wanted.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap, HashSet};

use arrow_array::Array;

use crate::lookup::Few;
use crate::monitor::Monitor;
use crate::science::orbit::elements::Elements;
use crate::sssource::Error;
use crate::sssource::car::{self, Car};
use crate::tables::{self, BATCH_ROWS, Batch, Column, Files, Offenders, Part};

/// An orbit; NaN is unknown.
#[derive(Clone, Debug, PartialEq)]
pub struct Orbit {
    /// Heliocentric, J2000 ecliptic.
    pub elements: Elements,
    /// Perihelion passage \[MJD TT\].
    pub peri_time_mjd_tt: f64,
    /// The epoch \[MJD TT\].
    pub epoch_mjd_tt: f64,
    /// H \[mag\].
    pub h_mag: f64,
    /// G of the H, G system.
    pub g: f64,
    /// Non-gravitational terms and covariance.
    pub car: Car,
}

/// What `mpc_orbits` has.
pub(crate) struct Found {
    /// By designation, with the packed one.
    pub orbits: HashMap<Box<str>, (Box<str>, Orbit)>,
    /// Whether there is a column with the block CAR.
    pub has_car: bool,
    /// Orbits whose block CAR could not be read.
    pub unreadable: u64,
    /// The first few of all designations.
    pub there: Few,
}

const DESIGNATION: &str = "unpacked_primary_provisional_designation";
const PACKED: &str = "packed_primary_provisional_designation";
const REALS: [&str; 9] = ["q", "e", "i", "node", "argperi", "peri_time", "epoch_mjd", "h", "g"];
/// The columns that may have the block CAR, alone or in the whole document; the first that is there is read.
const DOCUMENTS: [&str; 2] = ["car", "mpc_orb_jsonb"];
/// Documents decoded at a time: 6 kB each.
const DOCUMENT_ROWS: usize = 2_048;

/// The orbits of the designations that are wanted; only these are held.
///
/// # Errors
/// [`Error::TwoOrbits`]; what is wrong with the file.
pub(crate) fn read_orbits(
    files: &Files,
    wanted: &HashSet<&str>,
    with_covariance: bool,
    monitor: &Monitor,
) -> Result<Found, Error> {
    let has_car = DOCUMENTS.iter().any(|column| files.any_has(column));
    let mut found = Found { orbits: HashMap::new(), has_car, unreadable: 0, there: Few::default() };
    let mut twice = BTreeSet::new();
    let part = |part: Part<'_>| read(part, wanted, with_covariance);
    tables::read(files, monitor, part, |read: Read| {
        found.unreadable += read.unreadable;
        found.there.merge(&read.there);
        for (designation, packed, orbit) in read.rows {
            match found.orbits.entry(designation) {
                Entry::Occupied(known) => {
                    twice.insert(known.key().clone());
                }
                Entry::Vacant(place) => {
                    place.insert((packed, orbit));
                }
            }
        }
        Ok(())
    })?;
    Offenders::all(["designation", "designations"], twice).none(Error::TwoOrbits)?;
    Ok(found)
}

/// What one part has.
#[derive(Default)]
struct Read {
    rows: Vec<(Box<str>, Box<str>, Orbit)>,
    unreadable: u64,
    there: Few,
}

fn read(part: Part<'_>, wanted: &HashSet<&str>, with_covariance: bool) -> Result<Read, tables::Error> {
    let mut found = Read::default();
    let document = DOCUMENTS.into_iter().find(|column| part.has(column));
    let mut columns = vec![DESIGNATION, PACKED];
    columns.extend(REALS);
    columns.extend(document);
    let batch_rows = if document.is_some() { DOCUMENT_ROWS } else { BATCH_ROWS };
    for batch in part.batches_of(&columns, batch_rows)? {
        rows(&batch?, document, wanted, with_covariance, &mut found)?;
    }
    Ok(found)
}

fn rows(
    batch: &Batch<'_>,
    document: Option<&'static str>,
    wanted: &HashSet<&str>,
    with_covariance: bool,
    found: &mut Read,
) -> Result<(), tables::Error> {
    let designations = Column::of(batch, DESIGNATION)?.texts()?;
    let packed = Column::of(batch, PACKED)?.texts()?;
    let [q, e, i, node, argperi, peri_time, epoch, h, g] = REALS.map(|name| Column::of(batch, name)?.reals());
    let (q, e, i, node, argperi) = (q?, e?, i?, node?, argperi?);
    let (peri_time, epoch, h, g) = (peri_time?, epoch?, h?, g?);
    let documents = document.map(|name| Column::of(batch, name)?.texts()).transpose()?;
    for row in (0..designations.len()).filter(|&row| designations.is_valid(row)) {
        let designation = designations.value(row).trim();
        found.there.add(designation);
        if !wanted.contains(designation) {
            continue;
        }
        let json = documents.as_ref().filter(|texts| texts.is_valid(row)).map(|texts| texts.value(row));
        let car = json.map(|json| car::parse(json, document == Some(DOCUMENTS[0]), with_covariance));
        // `null` is what `mpc_orb_jsonb->'CAR'` may be.
        let is_unreadable = car == Some(None) && json != Some("null");
        found.unreadable += u64::from(is_unreadable);
        let orbit = Orbit {
            elements: Elements {
                q_au: q.value(row),
                e: e.value(row),
                inclination_rad: i.value(row).to_radians(),
                node_rad: node.value(row).to_radians(),
                argperi_rad: argperi.value(row).to_radians(),
            },
            peri_time_mjd_tt: peri_time.value(row),
            epoch_mjd_tt: epoch.value(row),
            h_mag: h.value(row),
            g: g.value(row),
            car: car.flatten().unwrap_or_default(),
        };
        let packed = if packed.is_valid(row) { packed.value(row) } else { "" };
        found.rows.push((designation.into(), packed.into(), orbit));
    }
    Ok(())
}

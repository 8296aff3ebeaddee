//! `current_identifications` and `numbered_identifications`: the primary designation of each that is wanted.

use std::collections::{BTreeSet, HashMap};

use arrow_array::Array;

use crate::monitor::Monitor;
use crate::sssource::Error;
use crate::tables::{self, Column, Files, Offenders, Part};

/// A table of identifications: its name, and the columns with a designation and with the primary one.
pub(crate) struct Table {
    name: &'static str,
    from: &'static str,
    to: &'static str,
}

/// Every designation of an object to the primary one.
pub(crate) const CURRENT: Table = Table {
    name: "current_identifications",
    from: "unpacked_secondary_provisional_designation",
    to: "unpacked_primary_provisional_designation",
};
/// Numbers to primary designations.
pub(crate) const NUMBERED: Table = Table {
    name: "numbered_identifications",
    from: "permid",
    to: "unpacked_primary_provisional_designation",
};

/// The primary designations of those that are wanted, as far as the table has them; only these are held.
///
/// # Errors
/// [`Error::TwoPrimaries`]; what is wrong with the file.
pub(crate) fn primaries(
    table: &Table,
    files: &Files,
    is_wanted: impl Fn(&str) -> bool + Sync,
    monitor: &Monitor,
) -> Result<HashMap<Box<str>, Box<str>>, Error> {
    let mut found: HashMap<Box<str>, Box<str>> = HashMap::new();
    let mut twice = BTreeSet::new();
    let part = |part: Part<'_>| read(table, part, &is_wanted);
    tables::read(files, monitor, part, |pairs| {
        for (from, to) in pairs {
            match found.get(&from) {
                Some(known) if *known != to => {
                    twice.insert(from);
                }
                Some(_) => {}
                None => {
                    found.insert(from, to);
                }
            }
        }
        Ok(())
    })?;
    let twice = Offenders::all(["designation", "designations"], twice);
    twice.none(|designations| Error::TwoPrimaries { table: table.name, designations })?;
    Ok(found)
}

/// A designation and the primary one.
type Pair = (Box<str>, Box<str>);

fn read(
    table: &Table,
    part: Part<'_>,
    is_wanted: &impl Fn(&str) -> bool,
) -> Result<Vec<Pair>, tables::Error> {
    let mut pairs = Vec::new();
    for batch in part.batches(&[table.from, table.to])? {
        let batch = batch?;
        let (from, to) = (Column::of(&batch, table.from)?.texts()?, Column::of(&batch, table.to)?.texts()?);
        for row in (0..from.len()).filter(|&row| from.is_valid(row) && to.is_valid(row)) {
            let designation = from.value(row).trim();
            if is_wanted(designation) {
                pairs.push((designation.into(), to.value(row).trim().into()));
            }
        }
    }
    Ok(pairs)
}

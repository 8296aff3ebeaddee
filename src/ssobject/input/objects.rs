//! The objects that SSSource names, with their designations.

use std::collections::HashMap;

use crate::ssobject::Error;
use crate::tables::Offenders;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Object {
    pub id: i64,
    /// Its designation, if any row has one.
    pub designation: Option<Box<str>>,
    /// Its rows in SSSource.
    pub rows: u64,
}

/// Objects as they are found, in any order.
#[derive(Debug, Default)]
pub(crate) struct Objects {
    found: Vec<Object>,
    places: HashMap<i64, usize>,
    /// The object of the row before: rows often come grouped.
    last: usize,
    conflicts: Vec<i64>,
}

impl Objects {
    /// One row of an object.
    pub(crate) fn add(&mut self, id: i64, designation: Option<&str>) {
        self.add_rows(id, designation, 1);
    }

    fn add_rows(&mut self, id: i64, designation: Option<&str>, rows: u64) {
        if self.found.get(self.last).is_none_or(|object| object.id != id) {
            let found = &mut self.found;
            self.last = *self.places.entry(id).or_insert_with(|| {
                found.push(Object { id, designation: None, rows: 0 });
                found.len() - 1
            });
        }
        let object = &mut self.found[self.last];
        object.rows += rows;
        match (&object.designation, designation) {
            (Some(known), Some(other)) if **known != *other => self.conflicts.push(id),
            (None, Some(designation)) => object.designation = Some(designation.into()),
            _ => {}
        }
    }

    /// Takes in what another part found.
    pub(crate) fn merge(&mut self, other: Self) {
        for object in other.found {
            self.add_rows(object.id, object.designation.as_deref(), object.rows);
        }
        self.conflicts.extend(other.conflicts);
    }

    /// The objects, by ascending id.
    ///
    /// # Errors
    /// [`Error::TwoDesignations`].
    pub(crate) fn sorted(mut self) -> Result<Vec<Object>, Error> {
        self.conflicts.sort_unstable();
        self.conflicts.dedup();
        Offenders::all(["ssObjectId", "ssObjectIds"], self.conflicts).none(Error::TwoDesignations)?;
        self.found.sort_unstable_by_key(|object| object.id);
        Ok(self.found)
    }
}

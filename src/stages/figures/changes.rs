//! What a report shows of a table of objects beside an earlier one: new and lost objects, other H, new close orbits.

use std::path::Path;

use arrow_array::types::Float32Type;

use super::{BATCH_ROWS, Batch, Error};
use crate::parquet::read::TableReader;
use crate::ssobject::BANDS;
use crate::tables::diff::{Matching, names};

/// The key of the table.
pub(crate) const OBJECT: &str = "ssObjectId";
const NAME: &str = "designation";
const MOID: &str = "MOIDEarth";
/// Columns that are compared: the MOID, then H in each band.
const COMPARED: usize = 1 + BANDS.len();
/// The change of H from which an object is named \[mag\].
pub(crate) const H_STEP_MAG: f64 = 0.5;
/// The MOID below which an object is named \[au\].
pub(crate) const CLOSE_AU: f64 = 0.05;
/// Objects that are named of each sort.
const NAMED: usize = 10;

/// Objects of one sort.
#[derive(Clone, Debug)]
pub struct Found<T> {
    /// How many there are.
    pub count: u64,
    /// The first of them.
    pub named: Vec<T>,
}

/// An object whose H changed.
#[derive(Clone, Debug, PartialEq)]
pub struct HChange {
    pub designation: String,
    /// The band with the largest change.
    pub band: &'static str,
    pub old_mag: f64,
    pub new_mag: f64,
}

/// How a table of objects differs from an earlier one.
#[derive(Clone, Debug)]
pub struct ObjectChanges {
    /// Designations of objects that only the new table has, in its order.
    pub new: Found<String>,
    /// Designations of objects that only the old table has, in its order.
    pub lost: Found<String>,
    /// Objects whose H changed by more than [`H_STEP_MAG`] in a band, the largest changes first.
    pub h_changed: Found<HChange>,
    /// Objects with a MOID below [`CLOSE_AU`] that had none in the old table, and the MOID \[au\], the smallest first.
    pub close: Found<(String, f64)>,
}

impl ObjectChanges {
    /// Compares the tables in two files.
    ///
    /// # Errors
    /// All of [`Error`].
    pub fn read(old: &Path, new: &Path) -> Result<Self, Error> {
        let (old, new) = (TableReader::open(old)?, TableReader::open(new)?);
        let matching = Matching::of(&old, &new, &[OBJECT.to_owned()])?;
        let name = [NAME.to_owned()];
        let mut changes = Self {
            new: Found { count: matching.added(), named: names(&new, &name, &matching.first_added(NAMED))? },
            lost: Found {
                count: matching.removed(),
                named: names(&old, &name, &matching.first_removed(NAMED))?,
            },
            h_changed: Found { count: 0, named: Vec::new() },
            close: Found { count: 0, named: Vec::new() },
        };
        let mut before = Vec::new();
        values(&old, |_, values| before.push(values))?;
        let mut row = 0;
        values(&new, |designation, values| {
            let then = matching.old(row).and_then(|old| before.get(old));
            changes.object(designation, then, &values);
            row += 1;
        })?;
        Ok(changes)
    }

    fn object(&mut self, designation: &str, then: Option<&[f32; COMPARED]>, now: &[f32; COMPARED]) {
        let is_close = |moid_au: f32| f64::from(moid_au) < CLOSE_AU;
        if is_close(now[0]) && !then.is_some_and(|then| is_close(then[0])) {
            let moid_au = f64::from(now[0]);
            self.close.add((designation.to_owned(), moid_au), |(_, moid_au)| *moid_au);
        }
        let Some(then) = then else { return };
        let bands = BANDS.into_iter().zip(then[1..].iter().zip(&now[1..]));
        let changed = bands.map(|(band, (old, new))| {
            let (old_mag, new_mag) = (f64::from(*old), f64::from(*new));
            HChange { designation: designation.to_owned(), band, old_mag, new_mag }
        });
        let changed = changed.filter(|change| change.step_mag() > H_STEP_MAG);
        if let Some(largest) = changed.max_by(|a, b| a.step_mag().total_cmp(&b.step_mag())) {
            self.h_changed.add(largest, |change| -change.step_mag());
        }
    }
}

impl HChange {
    fn step_mag(&self) -> f64 {
        (self.new_mag - self.old_mag).abs()
    }
}

impl<T> Found<T> {
    /// Counts an object; names it if it is among the first in an order.
    fn add(&mut self, object: T, order: impl Fn(&T) -> f64) {
        self.count += 1;
        let place = self.named.partition_point(|named| order(named) <= order(&object));
        if place < NAMED {
            self.named.insert(place, object);
            self.named.truncate(NAMED);
        }
    }
}

/// Shows the designation, the MOID and H in each band of all objects; NaN for NULL.
fn values(reader: &TableReader, mut visit: impl FnMut(&str, [f32; COMPARED])) -> Result<(), Error> {
    let h: Vec<String> = BANDS.iter().map(|band| format!("{band}_H")).collect();
    let numbers: Vec<&str> = [MOID].into_iter().chain(h.iter().map(String::as_str)).collect();
    let columns: Vec<&str> = [NAME].into_iter().chain(numbers.iter().copied()).collect();
    for batch in reader.batches(&columns, None, BATCH_ROWS)? {
        let batch = Batch { path: reader.path(), batch: batch? };
        let mut rows = vec![[f32::NAN; COMPARED]; batch.batch.num_rows()];
        for (column, name) in numbers.iter().enumerate() {
            for (row, value) in rows.iter_mut().zip(batch.values::<Float32Type>(name, "float32")?) {
                row[column] = value.unwrap_or(f32::NAN);
            }
        }
        for (name, row) in batch.texts(NAME)?.zip(rows) {
            visit(name.unwrap_or("(no designation)"), row);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Float32Array, Int64Array, RecordBatch, StringArray};

    use super::*;
    use crate::parquet::write::{TableWriter, WriteOptions};

    /// A table with an id, a designation, a MOID and H in g for each object; H in r is 20.
    fn table(folder: &Path, name: &str, objects: &[(i64, &str, Option<f32>, Option<f32>)]) -> PathBuf {
        let mut columns: Vec<(String, ArrayRef)> = vec![
            (OBJECT.to_owned(), Arc::new(Int64Array::from_iter_values(objects.iter().map(|row| row.0)))),
            (NAME.to_owned(), Arc::new(StringArray::from_iter_values(objects.iter().map(|row| row.1)))),
            (MOID.to_owned(), Arc::new(objects.iter().map(|row| row.2).collect::<Float32Array>())),
        ];
        for band in BANDS {
            let h =
                |row: &(i64, &str, Option<f32>, Option<f32>)| if band == "g" { row.3 } else { Some(20.0) };
            let values: Float32Array = objects.iter().map(h).collect();
            columns.push((format!("{band}_H"), Arc::new(values)));
        }
        let rows = RecordBatch::try_from_iter_with_nullable(
            columns.into_iter().map(|(name, array)| (name, array, true)),
        )
        .unwrap();
        let path = folder.join(name);
        let mut writer = TableWriter::create(&path, rows.schema(), &WriteOptions::default()).unwrap();
        writer.write(&rows).unwrap();
        writer.seal().unwrap().file.publish().unwrap();
        path
    }

    #[test]
    fn objects_are_compared_by_their_id() {
        let folder = tempfile::tempdir().unwrap();
        let old = table(
            folder.path(),
            "old.parquet",
            &[
                (1, "a", Some(0.06), Some(10.0)),
                (2, "b", Some(0.01), Some(11.0)),
                (3, "lost", Some(0.01), Some(12.0)),
                (4, "d", None, None),
                (5, "e", Some(1.0), Some(f32::NAN)),
            ],
        );
        let new = table(
            folder.path(),
            "new.parquet",
            &[
                (5, "e", Some(0.02), Some(3.0)),
                (4, "d", Some(0.04), Some(1.0)),
                (6, "new", Some(0.001), Some(9.0)),
                (2, "b", Some(0.02), Some(11.5)),
                (1, "a", Some(0.05), Some(9.25)),
            ],
        );
        let changes = ObjectChanges::read(&old, &new).unwrap();
        assert_eq!((changes.new.count, changes.new.named), (1, vec!["new".to_owned()]));
        assert_eq!((changes.lost.count, changes.lost.named), (1, vec!["lost".to_owned()]));
        // 0.5 mag is not more than 0.5 mag, and NULL or NaN is no H.
        let h = HChange { designation: "a".to_owned(), band: "g", old_mag: 10.0, new_mag: 9.25 };
        assert_eq!((changes.h_changed.count, changes.h_changed.named), (1, vec![h]));
        // In single precision, 0.05 is above 0.05.
        let close: Vec<&str> = changes.close.named.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!((changes.close.count, close), (3, vec!["new", "e", "d"]));
    }

    #[test]
    fn only_the_first_are_named() {
        let mut found = Found { count: 0, named: Vec::new() };
        for value in [7, 3, 12, 1, 9, 2, 8, 11, 4, 10, 6, 5, 0] {
            found.add(value, |value| f64::from(*value));
        }
        assert_eq!((found.count, found.named), (13, (0..10).collect()));
    }

    #[test]
    fn tables_that_cannot_be_compared_are_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let one = table(folder.path(), "a.parquet", &[(1, "a", None, None), (1, "b", None, None)]);
        let message = ObjectChanges::read(&one, &one).unwrap_err().to_string();
        assert!(message.contains("rows 1 and 2 both have 1"), "{message}");
    }
}

//! The objects of a delivery: which file each is, its checksums and rows, the columns of each table.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use arrow_schema::Field;
use rayon::prelude::*;
use serde::Serialize;

use super::Error;
use crate::monitor::Monitor;
use crate::parquet::{files, read::TableReader};
use crate::schema::{UNIT, type_name};
use crate::store::Checksums;
use crate::threads::compute;

/// The object that is written first.
pub(super) const CLAIM: &str = "_delivery.json";
/// The object that is written last.
pub(super) const MANIFEST: &str = "manifest.json";

/// A table of a delivery.
pub(super) struct Table {
    /// The name that it has there.
    pub name: String,
    pub objects: Vec<Object>,
    pub columns: Vec<Column>,
}

/// A file of a table.
pub(super) struct Object {
    /// Its key below the prefix.
    pub name: String,
    pub path: PathBuf,
    pub rows: u64,
    pub sums: Checksums,
}

/// A column, as the manifest has it.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Column {
    name: String,
    #[serde(rename = "type")]
    data_type: String,
    unit: Option<String>,
    nullable: bool,
}

impl Column {
    fn of(field: &Field) -> Self {
        Self {
            name: field.name().clone(),
            data_type: type_name(field.data_type()),
            unit: field.metadata().get(UNIT).cloned(),
            nullable: field.is_nullable(),
        }
    }
}

/// The objects that a table becomes, each with its file: one, or those of a folder.
pub(super) fn objects_of(table: &str, path: &Path) -> Result<Vec<(String, PathBuf)>, Error> {
    let failed = |source| Error::Input { table: table.to_owned(), path: path.to_owned(), source };
    let found = files(path).map_err(failed)?;
    if path.is_file() {
        return Ok(found.into_iter().map(|file| (format!("{table}.parquet"), file)).collect());
    }
    let mut names = BTreeSet::new();
    let mut objects = Vec::with_capacity(found.len());
    for file in found {
        let Some(name) = file.file_name().and_then(|name| name.to_str()).map(str::to_owned) else {
            return Err(Error::Name { table: table.to_owned(), path: file });
        };
        if !names.insert(name.clone()) {
            return Err(Error::Twice { table: table.to_owned(), name });
        }
        objects.push((format!("{table}/{name}"), file));
    }
    Ok(objects)
}

/// Reads all files of the tables once.
pub(super) fn survey(tables: &[(&str, &Path)], monitor: &Monitor) -> Result<Vec<Table>, Error> {
    let survey_one = |(name, path): &(&str, &Path)| {
        let object = |(object, path): (String, PathBuf)| {
            let reader = TableReader::open(&path)?;
            let columns: Vec<Column> =
                reader.schema().fields().iter().map(|field| Column::of(field)).collect();
            let sums = Checksums::of_file(&path, monitor)?;
            Ok((Object { name: object, path, rows: reader.rows(), sums }, columns))
        };
        let found: Vec<Result<_, Error>> = objects_of(name, path)?.into_par_iter().map(object).collect();
        let mut table = Table { name: (*name).to_owned(), objects: Vec::new(), columns: Vec::new() };
        for found in found {
            let (object, columns) = found?;
            if table.objects.is_empty() {
                table.columns = columns;
            } else if table.columns != columns {
                return Err(Error::Columns { table: table.name, path: object.path });
            }
            table.objects.push(object);
        }
        Ok(table)
    };
    let surveyed: Vec<Result<Table, Error>> = compute(|| tables.par_iter().map(survey_one).collect());
    surveyed.into_iter().collect()
}

/// Does something with each item, on some threads that mostly wait. After an error no more items are begun; the first error in
/// the order of the items is returned.
pub(super) fn each<T: Sync>(
    threads: usize,
    items: &[T],
    work: impl Fn(&T) -> Result<(), Error> + Sync,
) -> Result<(), Error> {
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let errors: Mutex<Vec<(usize, Error)>> = Mutex::default();
    thread::scope(|scope| {
        for _ in 0..threads.min(items.len()) {
            scope.spawn(|| {
                while !failed.load(Ordering::Relaxed) {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(index) else { return };
                    if let Err(error) = work(item) {
                        failed.store(true, Ordering::Relaxed);
                        errors.lock().unwrap_or_else(PoisonError::into_inner).push((index, error));
                    }
                }
            });
        }
    });
    let errors = errors.into_inner().unwrap_or_else(PoisonError::into_inner);
    errors.into_iter().min_by_key(|(index, _)| *index).map_or(Ok(()), |(_, error)| Err(error))
}

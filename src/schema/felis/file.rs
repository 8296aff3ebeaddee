//! The files of Felis schemas: YAML, the resources that a file names, and the columns that its tables take from them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use indexmap::IndexMap;
use serde::Deserialize;

use super::super::Error;
use super::{Column, Datatype, Table};
use crate::regular;
use crate::spelling::did_you_mean;

/// A Felis schema.
#[derive(Debug)]
pub(crate) struct FelisSchema {
    path: PathBuf,
    pub tables: Vec<Table>,
    /// The files of its resources and of theirs, each once.
    pub resources: Vec<PathBuf>,
}

/// A file as written. Keys that do not matter to the columns are ignored.
#[derive(Deserialize)]
struct File {
    #[serde(default)]
    resources: IndexMap<String, Resource>,
    tables: Vec<FileTable>,
}

#[derive(Deserialize)]
struct Resource {
    /// A path relative to the file.
    uri: String,
}

#[derive(Deserialize)]
struct FileTable {
    name: String,
    #[serde(default)]
    columns: Vec<Column>,
    /// Columns of other schemas, by resource, table and own name.
    #[serde(default, rename = "columnRefs")]
    column_refs: IndexMap<String, IndexMap<String, IndexMap<String, Option<ColumnRef>>>>,
}

#[derive(Default, Deserialize)]
struct ColumnRef {
    /// Its name in the resource, if that is another.
    ref_name: Option<String>,
    #[serde(default)]
    overrides: Overrides,
}

#[derive(Default, Deserialize)]
struct Overrides {
    datatype: Option<Datatype>,
    length: Option<u64>,
    nullable: Option<bool>,
    description: Option<String>,
}

/// Reads a file and its resources, each once.
#[derive(Default)]
struct Reader {
    /// The files that are being read, each a resource of the one before it.
    open: Vec<PathBuf>,
    /// The files that have been read, by their real paths.
    read: IndexMap<PathBuf, (PathBuf, Rc<Vec<Table>>)>,
}

impl FelisSchema {
    /// Reads a schema and its resources.
    pub(crate) fn load(path: &Path) -> Result<Self, Error> {
        let mut reader = Reader::default();
        let tables = reader.tables(path)?;
        // The file itself is the last that has been read.
        reader.read.pop();
        let resources = reader.read.into_values().map(|(path, _)| path).collect();
        let tables = Rc::unwrap_or_clone(tables);
        Ok(Self { path: path.to_owned(), tables, resources })
    }

    pub(crate) fn table(self, name: &str) -> Result<Table, Error> {
        let names: Vec<&str> = self.tables.iter().map(|table| table.name.as_str()).collect();
        let hint = format!("{}; it has: {}", did_you_mean(name, names.iter().copied()), names.join(", "));
        let found = self.tables.into_iter().find(|table| table.name == name);
        found.ok_or_else(|| Error::NoTable { path: self.path, table: name.to_owned(), hint })
    }
}

impl Reader {
    fn tables(&mut self, path: &Path) -> Result<Rc<Vec<Table>>, Error> {
        let failed = |source| Error::Read { path: path.to_owned(), source };
        let real = fs::canonicalize(path).map_err(failed)?;
        if let Some((_, tables)) = self.read.get(&real) {
            return Ok(Rc::clone(tables));
        }
        if self.open.contains(&real) {
            return Err(Error::Circular { path: path.to_owned() });
        }
        let text = regular::read_to_string(path).map_err(failed)?;
        let options = serde_saphyr::options! { with_snippet: false };
        let file: File = serde_saphyr::from_str_with_options(&text, options)
            .map_err(|error| Error::Felis { path: path.to_owned(), message: error.to_string() })?;
        self.open.push(real.clone());
        let mut resources = BTreeMap::new();
        for (name, resource) in &file.resources {
            let tables = self.resource(path, resource);
            let failed = |source| Error::Resource {
                resource: name.clone(),
                path: path.to_owned(),
                source: Box::new(source),
            };
            resources.insert(name.as_str(), tables.map_err(failed)?);
        }
        self.open.pop();
        let tables = file.tables.iter().map(|table| table.resolve(path, &resources));
        let tables = Rc::new(tables.collect::<Result<Vec<_>, _>>()?);
        self.read.insert(real, (path.to_owned(), Rc::clone(&tables)));
        Ok(tables)
    }

    fn resource(&mut self, path: &Path, resource: &Resource) -> Result<Rc<Vec<Table>>, Error> {
        if resource.uri.contains("://") {
            return Err(Error::Uri { uri: resource.uri.clone() });
        }
        self.tables(&path.parent().unwrap_or(Path::new("")).join(&resource.uri))
    }
}

impl FileTable {
    /// The table with its own columns, then those that it takes from resources.
    fn resolve(&self, path: &Path, resources: &BTreeMap<&str, Rc<Vec<Table>>>) -> Result<Table, Error> {
        let refused =
            |message| Error::ColumnRefs { path: path.to_owned(), table: self.name.clone(), message };
        let mut columns = self.columns.clone();
        for (resource, tables) in &self.column_refs {
            let known = resources.get(resource.as_str()).ok_or_else(|| {
                let hint = did_you_mean(resource, resources.keys().copied());
                refused(format!("resource `{resource}`, which is not in `resources`{hint}"))
            })?;
            for (name, taken) in tables {
                let table = known.iter().find(|table| table.name == *name).ok_or_else(|| {
                    let hint = did_you_mean(name, known.iter().map(|table| table.name.as_str()));
                    refused(format!("table `{name}`, which is not in resource `{resource}`{hint}"))
                })?;
                for (own_name, column) in taken {
                    let reference = column.as_ref();
                    let wanted = reference.and_then(|column| column.ref_name.as_ref()).unwrap_or(own_name);
                    let found = table.columns.iter().find(|column| column.name == *wanted).ok_or_else(|| {
                        let hint = did_you_mean(wanted, table.columns.iter().map(|column| column.name.as_str()));
                        refused(format!("column `{wanted}`, which is not in table `{name}` of resource `{resource}`{hint}"))
                    })?;
                    let mut column = Column { name: own_name.clone(), ..found.clone() };
                    if let Some(reference) = reference {
                        reference.overrides.apply(&mut column);
                    }
                    columns.push(column);
                }
            }
        }
        for (index, column) in columns.iter().enumerate() {
            if columns[..index].iter().any(|earlier| earlier.name == column.name) {
                let origin = format!("{}#{}", path.display(), self.name);
                return Err(Error::DuplicateColumn { origin, column: column.name.clone() });
            }
        }
        Ok(Table { name: self.name.clone(), columns })
    }
}

impl Overrides {
    fn apply(&self, column: &mut Column) {
        column.datatype = self.datatype.unwrap_or(column.datatype);
        column.length = self.length.or(column.length);
        column.nullable = self.nullable.unwrap_or(column.nullable);
        column.description = self.description.clone().or_else(|| column.description.take());
    }
}

//! The schema of a stage as its pipeline file names it: a schema file, or a table of a Felis schema.

use std::fmt;
use std::path::{Path, PathBuf};

use arrow_schema::Schema;

use super::compare::difference;
use super::felis::{self, FelisSchema};
use super::{Error, Mismatch, TableSchema};

/// What names a Felis schema begins with.
const FELIS: &str = "felis:";

/// The schema that an output must fit, not read yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedSchema {
    path: PathBuf,
    /// The table of a Felis schema.
    table: Option<String>,
    allow_missing: bool,
}

/// A schema that has been read.
#[derive(Debug)]
pub struct Declared {
    name: NamedSchema,
    table: Table,
}

#[derive(Debug)]
enum Table {
    Own(TableSchema),
    Felis(felis::Table),
}

/// What a schema says of a column to people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Described<'a> {
    pub name: &'a str,
    pub unit: Option<&'a str>,
    pub description: Option<&'a str>,
}

/// What the values of a column must keep to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits<'a> {
    pub column: &'a str,
    pub nullable: bool,
    /// Characters or bytes, at most.
    pub length: Option<u64>,
}

impl NamedSchema {
    /// Reads `FILE.yaml` or `felis:FILE.yaml#TABLE`.
    ///
    /// # Errors
    /// What to write instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (path, table) =
            match text.strip_prefix(FELIS).map(|rest| rest.rsplit_once('#').unwrap_or((rest, ""))) {
                None => (text, None),
                Some((path, table)) if path.is_empty() || table.is_empty() => {
                    return Err(format!(
                        "`{text}` names no table of a Felis schema: write `felis:FILE.yaml#TABLE`"
                    ));
                }
                Some((path, table)) => (path, Some(table.to_owned())),
            };
        Ok(Self { path: path.into(), table, allow_missing: false })
    }

    /// The same below a folder, and whether columns may be missing.
    #[must_use]
    pub fn below(self, root: &Path, allow_missing: bool) -> Self {
        Self { path: root.join(&self.path), allow_missing, ..self }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The files of the schemas that a Felis schema takes columns from.
    pub fn resources(&self) -> Result<Vec<PathBuf>, Error> {
        self.table.as_ref().map_or(Ok(Vec::new()), |_| Ok(FelisSchema::load(&self.path)?.resources))
    }

    /// What else than the content of files decides whether an output fits: names and values.
    pub fn settings(&self) -> impl Iterator<Item = (&'static str, String)> {
        let table = self.table.iter().map(|table| ("table of the schema", table.clone()));
        table.chain(self.allow_missing.then(|| ("allow_missing", "true".to_owned())))
    }

    pub fn load(&self) -> Result<Declared, Error> {
        let table = match &self.table {
            None => Table::Own(TableSchema::load(&self.path)?),
            Some(table) => Table::Felis(FelisSchema::load(&self.path)?.table(table)?),
        };
        Ok(Declared { name: self.clone(), table })
    }
}

impl fmt::Display for NamedSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.table {
            None => write!(f, "schema `{path}`"),
            Some(table) => write!(f, "table `{table}` of Felis schema `{path}`"),
        }
    }
}

impl Declared {
    /// The columns, in order.
    pub fn columns(&self) -> Vec<Described<'_>> {
        match &self.table {
            Table::Own(table) => {
                let columns = table.columns.iter();
                let described = columns.map(|column| Described {
                    name: &column.name,
                    unit: column.unit.as_deref(),
                    description: Some(&column.description),
                });
                described.collect()
            }
            Table::Felis(table) => {
                let columns = table.columns.iter();
                let described = columns.map(|column| Described {
                    name: &column.name,
                    unit: column.unit(),
                    description: column.description.as_deref().map(str::trim),
                });
                described.collect()
            }
        }
    }

    /// What it says of a column.
    pub fn column(&self, name: &str) -> Option<Described<'_>> {
        self.columns().into_iter().find(|column| column.name == name)
    }

    /// What is known only from the values of the columns. A schema file of the project's own says nothing of values.
    pub fn limits(&self) -> impl Iterator<Item = Limits<'_>> {
        let columns = if let Table::Felis(table) = &self.table { table.columns.as_slice() } else { &[] };
        columns.iter().map(|column| Limits {
            column: &column.name,
            nullable: column.nullable,
            length: column.longest(),
        })
    }

    /// All differences to the columns of a file.
    pub fn compare(&self, found: &Schema) -> Vec<Mismatch> {
        let mut differences = match &self.table {
            Table::Own(table) => table.compare(found),
            Table::Felis(table) => table.compare(found),
        };
        differences
            .retain(|difference| !self.name.allow_missing || !matches!(difference, Mismatch::Missing { .. }));
        differences
    }

    /// Differences in one line, with what to do.
    pub fn difference(&self, differences: &[Mismatch]) -> String {
        difference(&self.name.to_string(), self.name.path(), differences)
    }
}

//! What is wrong with the values of a column: how many, and those of the lowest ids, for any order of the rows.

use std::collections::BTreeSet;
use std::fmt;

use super::recipe::MEASURED_ON;
use crate::schema::{Column, ColumnType};
use crate::sssource::Error;
use crate::tables::Offenders;

/// The id of a row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Id {
    Number(i64),
    Text(String),
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(id) => id.fmt(f),
            Self::Text(id) => id.fmt(f),
        }
    }
}

/// Rows, with their values if these say something.
#[derive(Default)]
struct Lowest {
    count: u64,
    few: BTreeSet<(Id, Option<String>)>,
}

impl Lowest {
    fn add(&mut self, id: Id, value: Option<String>) {
        self.count += 1;
        self.few.insert((id, value));
        if self.few.len() > Offenders::FEW {
            self.few.pop_last();
        }
    }

    /// As offenders, whose ids are of this column.
    fn offenders(self, what: [&'static str; 2], column: &str) -> Offenders {
        let said = self.few.into_iter().map(|(id, value)| match value {
            None => format!("{column} {id}"),
            Some(value) => format!("{column} {id}: `{value}`"),
        });
        Offenders::of(what, self.count, said.collect())
    }
}

/// What is wrong with a column.
#[derive(Default)]
pub(super) struct Faults {
    nulls: Lowest,
    unfit: Lowest,
}

impl Faults {
    /// A row has no value, and must have one.
    pub(super) fn null(&mut self, id: Id) {
        self.nulls.add(id, None);
    }

    /// The value of a row does not fit.
    pub(super) fn unfit(&mut self, id: Id, value: Option<String>) {
        self.unfit.add(id, value);
    }

    /// The error, if there is a fault. `id` is the column by which rows are named.
    ///
    /// # Errors
    /// [`Error::Unfit`], [`Error::Nulls`].
    pub(super) fn none(self, table: &'static str, id: &'static str, column: &Column) -> Result<(), Error> {
        let name = || column.name.clone();
        let declared = match (column.kind, column.length) {
            _ if column.name == MEASURED_ON => "`difference` or `science`".to_owned(),
            (ColumnType::String, Some(length)) => format!("a string of at most {length} characters"),
            (ColumnType::Bool, _) => "a boolean".to_owned(),
            (kind, _) => kind.arrow().to_string().to_lowercase(),
        };
        let unfit = self.unfit.offenders(["value", "values"], id);
        unfit.none(|values| Error::Unfit { table, column: name(), declared, values })?;
        let nulls = self.nulls.offenders(["row", "rows"], id);
        nulls.none(|rows| Error::Nulls { table, column: name(), rows })
    }
}

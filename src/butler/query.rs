//! The query for the datasets of a type: its SQL, and its rows as datasets.

use std::sync::Arc;

use super::collections::Collection;
use super::condition::{Condition, DimensionKind, Name};
use super::database::{Dialect, Row, Value, quoted};
use super::dataset::{DataId, DataValue, Dataset, DatasetId, Record};
use super::error::Error;

const WHAT: &str = "datasets";
/// What the records say in place of a component for a whole dataset.
const WHOLE: &str = "__NULL_STRING__";

/// A required dimension of a dataset type.
pub(super) struct Dimension {
    pub name: Arc<str>,
    /// What its values are.
    pub kind: DimensionKind,
}

/// The query for the datasets of a type.
pub(super) struct Query {
    columns: Vec<String>,
    from: Vec<String>,
    conditions: Vec<String>,
    names: Vec<Name>,
    dimensions: Vec<Dimension>,
    datastores: usize,
    /// What its SQL leaves open.
    pub parameters: Vec<Value>,
}

impl Query {
    /// All datasets of the type with the key `kind`, whose members are in the table `tags`, with what the datastores'
    /// tables record of them.
    pub(super) fn new(kind: i64, tags: &str, dimensions: Vec<Dimension>, tables: &[&str]) -> Self {
        let has = |name: &str| dimensions.iter().any(|known| &*known.name == name);
        let mut from = vec![format!(
            "{} t JOIN dataset d ON d.id = t.dataset_id JOIN collection rc ON rc.collection_id = d.run_id",
            quoted(tags)
        )];
        let mut names: Vec<Name> = dimensions
            .iter()
            .map(|known| Name {
                spelling: known.name.clone(),
                column: format!("t.{}", quoted(&known.name)),
                kind: known.kind,
            })
            .collect();
        // What a visit (or else an exposure) implies. Foreign keys promise the rows; without one nothing is lost.
        let observed = ["visit", "exposure"].into_iter().find(|name| has(name));
        if let Some(table) = observed {
            from.push(format!("LEFT JOIN {table} v ON v.instrument = t.instrument AND v.id = t.{table}"));
        }
        let mut column = |name: &str, implied: Option<&str>| {
            if has(name) {
                return format!("t.{}", quoted(name));
            }
            let Some(column) = implied else { return "NULL".to_owned() };
            let kind = if name == "day_obs" { DimensionKind::Integer } else { DimensionKind::Text };
            names.push(Name { spelling: name.into(), column: column.to_owned(), kind });
            column.to_owned()
        };
        let day_obs = column("day_obs", observed.map(|_| "v.day_obs"));
        let filter = column("physical_filter", observed.map(|_| "v.physical_filter"));
        let filtered = filter != "NULL";
        let band = column("band", filtered.then_some("pf.band"));
        if filtered {
            from.push(format!(
                "LEFT JOIN physical_filter pf ON pf.instrument = t.instrument AND pf.name = {filter}"
            ));
        }
        let mut columns: Vec<String> =
            ["t.collection_id", "t.dataset_id", "rc.name"].map(str::to_owned).into();
        columns.extend([day_obs, filter, band]);
        columns.extend(dimensions.iter().map(|known| format!("t.{}", quoted(&known.name))));
        for (number, table) in tables.iter().enumerate() {
            from.push(format!(
                "LEFT JOIN {} s{number} ON s{number}.dataset_id = t.dataset_id AND s{number}.component = '{WHOLE}'",
                quoted(table)
            ));
            columns.extend(["path", "formatter", "file_size"].map(|name| format!("s{number}.{name}")));
        }
        let conditions = vec![format!("t.dataset_type_id = {kind}")];
        Self {
            columns,
            from,
            conditions,
            names,
            dimensions,
            datastores: tables.len(),
            parameters: Vec::new(),
        }
    }

    /// Only those whose data ID fits.
    pub(super) fn restrict(&mut self, condition: &Condition, dialect: Dialect) -> Result<(), Error> {
        let sql = condition.sql(&self.names, dialect, &mut self.parameters)?;
        self.conditions.push(sql);
        Ok(())
    }

    /// The SQL for the members of some collections.
    pub(super) fn sql(&self, searched: &[Collection]) -> String {
        let ids: Vec<String> = searched.iter().map(|collection| collection.id.to_string()).collect();
        format!(
            "SELECT {} FROM {} WHERE {} AND t.collection_id IN ({})",
            self.columns.join(", "),
            self.from.join(" "),
            self.conditions.join(" AND "),
            ids.join(", ")
        )
    }

    /// A row as a dataset; the row's first column is the collection that it is a member of.
    pub(super) fn dataset(&self, row: &Row) -> Result<Dataset, Error> {
        let text = row.text(1, WHAT)?;
        let id = DatasetId::parse(text)
            .ok_or_else(|| Error::Registry { what: WHAT, message: format!("`{text}` is not a UUID") })?;
        let optional = |column: usize| match row.value(column) {
            Value::Null => Ok(None),
            _ => row.text(column, WHAT).map(|text| Some(text.to_owned())),
        };
        let values = self.dimensions.iter().enumerate().map(|(number, dimension)| {
            let column = FIXED_COLUMNS + number;
            let value = match (row.value(column), dimension.kind) {
                (Value::Integer(_), _) | (_, DimensionKind::Integer) => {
                    DataValue::Integer(row.integer(column, WHAT)?)
                }
                _ => DataValue::Text(row.text(column, WHAT)?.to_owned()),
            };
            Ok((dimension.name.clone(), value))
        });
        let values = values.collect::<Result<Vec<_>, Error>>()?;
        let day_obs = match row.value(3) {
            Value::Null => None,
            _ => Some(row.integer(3, WHAT)?),
        };
        let data_id = DataId { values, day_obs, physical_filter: optional(4)?, band: optional(5)? };
        let mut records = Vec::new();
        for datastore in 0..self.datastores {
            let column = FIXED_COLUMNS + self.dimensions.len() + 3 * datastore;
            let Some(path) = optional(column)? else { continue };
            let formatter = row.text(column + 1, WHAT)?.to_owned();
            // Butler writes -1 for a size that it does not know.
            let size = match row.value(column + 2) {
                Value::Null => None,
                _ => u64::try_from(row.integer(column + 2, WHAT)?).ok(),
            };
            records.push(Record { datastore, path, formatter, size });
        }
        Ok(Dataset { id, data_id, run: row.text(2, WHAT)?.to_owned(), records })
    }
}

/// Columns before those of the dimensions.
const FIXED_COLUMNS: usize = 6;

//! The registry's answer to which datasets there are: one query, then order, duplicates and first finds.

use std::collections::{HashMap, HashSet};

use super::collections::{self, Collection, CollectionKind, flatten};
use super::condition::{Condition, DimensionKind};
use super::config::Renames;
use super::database::{Database, Value, quoted};
use super::dataset::Dataset;
use super::error::Error;
use super::query::{Dimension, Query};

const WHAT: &str = "datasets";

/// Which datasets to find.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// The collections, searched in this order.
    pub collections: Vec<String>,
    /// The dataset type.
    pub dataset_type: String,
    /// A condition on the data ID.
    pub condition: Option<String>,
    /// Only the first dataset of each data ID, in the order of the collections.
    pub find_first: bool,
    /// A dataset that is reached more than once is listed as often.
    pub keep_duplicates: bool,
}

/// A dataset type of the registry.
struct DatasetType {
    id: i64,
    name: String,
    dimensions_key: i64,
    tags: String,
    is_calibration: bool,
}

/// What a registry has, by name, for people who choose from it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Contents {
    /// The collections that are in no chain: chains first, then by name, the last first.
    pub collections: Vec<String>,
    pub dataset_types: Vec<String>,
}

/// Lists collections and dataset types.
pub(super) fn contents(database: &mut dyn Database, renames: &Renames) -> Result<Contents, Error> {
    let chained = CollectionKind::CHAINED;
    let collections = format!(
        "SELECT name FROM collection c \
         WHERE NOT EXISTS (SELECT 1 FROM collection_chain cc WHERE cc.child = c.collection_id) \
         ORDER BY CASE WHEN type = {chained} THEN 0 ELSE 1 END, name DESC"
    );
    let mut names = |what, sql: &str| {
        let rows = database.rows(sql, &[]).map_err(|error| Error::query(what, error))?;
        rows.iter().map(|row| Ok(row.text(0, what)?.to_owned())).collect::<Result<Vec<_>, Error>>()
    };
    let collections = names("collections", &collections)?;
    let stored = names("dataset types", "SELECT name FROM dataset_type ORDER BY name")?;
    let dataset_types = stored.iter().map(|stored| renames.visible(stored).to_owned()).collect();
    Ok(Contents { collections, dataset_types })
}

/// Finds datasets, ordered by data ID, then run, then identity.
pub(super) fn datasets(
    database: &mut dyn Database,
    repo: &str,
    selection: &Selection,
    renames: &Renames,
    tables: &[&str],
) -> Result<Vec<Dataset>, Error> {
    let condition = selection.condition.as_deref().map(Condition::parse).transpose()?;
    if selection.collections.is_empty() {
        return Err(Error::NoCollections);
    }
    let kind = dataset_type(database, repo, &selection.dataset_type, renames)?;
    let searched = searched(flatten(database, repo, &selection.collections)?, &kind)?;
    let dimensions = dimensions(database, kind.dimensions_key)?;
    let mut query = Query::new(kind.id, &kind.tags, dimensions, tables);
    if let Some(condition) = &condition {
        query.restrict(condition, database.dialect())?;
    }
    if searched.is_empty() {
        return Ok(Vec::new());
    }
    let sql = query.sql(&searched);
    let rows = database.rows(&sql, &query.parameters).map_err(|error| Error::query(WHAT, error))?;
    let rank: HashMap<i64, usize> =
        searched.iter().enumerate().map(|(rank, found)| (found.id, rank)).collect();
    let mut found = rows
        .iter()
        .map(|row| {
            let collection = row.integer(0, WHAT)?;
            Ok((query.dataset(row)?, rank.get(&collection).copied().unwrap_or(usize::MAX)))
        })
        .collect::<Result<Vec<_>, Error>>()?;
    found.sort_by(|(a, a_rank), (b, b_rank)| a.data_id.cmp(&b.data_id).then(a_rank.cmp(b_rank)));
    if selection.find_first {
        found.dedup_by(|later, first| later.0.data_id == first.0.data_id);
    }
    let mut found: Vec<Dataset> = found.into_iter().map(|(dataset, _)| dataset).collect();
    if !selection.keep_duplicates {
        let mut seen = HashSet::new();
        found.retain(|dataset| seen.insert(dataset.id));
    }
    found.sort_by(|a, b| (&a.data_id, &a.run, a.id).cmp(&(&b.data_id, &b.run, b.id)));
    if let Some(without) = found.iter().find(|dataset| dataset.records.is_empty()) {
        refuse_parts(database, &kind, without, tables)?;
    }
    Ok(found)
}

/// Tells a dataset that is not stored from one that is stored in parts, a file for each component.
fn refuse_parts(
    database: &mut dyn Database,
    kind: &DatasetType,
    dataset: &Dataset,
    tables: &[&str],
) -> Result<(), Error> {
    for table in tables {
        let sql = format!("SELECT component FROM {} WHERE dataset_id = $1", quoted(table));
        let id = Value::Text(database.dialect().id(dataset.id));
        let rows = database.rows(&sql, &[id]).map_err(|error| Error::query(WHAT, error))?;
        if !rows.is_empty() {
            return Err(Error::Parts { dataset_type: kind.name.clone(), parts: rows.len() });
        }
    }
    Ok(())
}

fn dataset_type(
    database: &mut dyn Database,
    repo: &str,
    name: &str,
    renames: &Renames,
) -> Result<DatasetType, Error> {
    const WHAT: &str = "dataset types";
    if name.contains('.') {
        return Err(Error::Component(name.to_owned()));
    }
    let sql = "SELECT id, dimensions_key, tag_association_table, calibration_association_table \
               FROM dataset_type WHERE name = $1";
    let query = |error| Error::query(WHAT, error);
    let stored = renames.stored(name).map_or(Value::Null, |stored| Value::Text(stored.to_owned()));
    if let Some(row) = database.rows(sql, &[stored]).map_err(query)?.first() {
        return Ok(DatasetType {
            id: row.integer(0, WHAT)?,
            name: name.to_owned(),
            dimensions_key: row.integer(1, WHAT)?,
            tags: row.text(2, WHAT)?.to_owned(),
            is_calibration: row.value(3) != &Value::Null,
        });
    }
    let rows = database.rows("SELECT name FROM dataset_type", &[]).map_err(query)?;
    let names = rows.iter().filter_map(|row| row.text(0, WHAT).ok()).map(|stored| renames.visible(stored));
    let names = collections::near(name, names);
    Err(Error::NoDatasetType { name: name.to_owned(), repo: repo.to_owned(), names })
}

/// The collections whose members are listed: calibrations are passed over for what is no calibration.
fn searched(flat: Vec<Collection>, kind: &DatasetType) -> Result<Vec<Collection>, Error> {
    let mut searched = Vec::new();
    for collection in flat {
        match collection.kind {
            CollectionKind::Run | CollectionKind::Tagged => searched.push(collection),
            CollectionKind::Calibration if kind.is_calibration => {
                let (dataset_type, collection) = (kind.name.clone(), collection.name);
                return Err(Error::Calibration { dataset_type, collection });
            }
            CollectionKind::Calibration | CollectionKind::Chained => {}
        }
    }
    Ok(searched)
}

/// The dimensions whose values are known, in the order in which data IDs are compared.
const DIMENSIONS: [(&str, DimensionKind); 13] = [
    ("instrument", DimensionKind::Text),
    ("skymap", DimensionKind::Text),
    ("tract", DimensionKind::Integer),
    ("patch", DimensionKind::Integer),
    ("day_obs", DimensionKind::Integer),
    ("group", DimensionKind::Text),
    ("exposure", DimensionKind::Integer),
    ("visit", DimensionKind::Integer),
    ("detector", DimensionKind::Integer),
    ("physical_filter", DimensionKind::Text),
    ("band", DimensionKind::Text),
    ("subfilter", DimensionKind::Text),
    ("visit_system", DimensionKind::Integer),
];

/// The required dimensions of a dataset type; those that are not known come last, by name.
fn dimensions(database: &mut dyn Database, key: i64) -> Result<Vec<Dimension>, Error> {
    const WHAT: &str = "dimensions";
    let sql = "SELECT dimension_name FROM dimension_graph_definition WHERE dimension_graph_id = $1";
    let rows = database.rows(sql, &[Value::Integer(key)]).map_err(|error| Error::query(WHAT, error))?;
    let mut found = Vec::new();
    for row in &rows {
        let name = row.text(0, WHAT)?;
        let known = DIMENSIONS.iter().position(|(known, _)| *known == name);
        let kind = known.map_or(DimensionKind::Either, |known| DIMENSIONS[known].1);
        found.push((known.unwrap_or(usize::MAX), Dimension { name: name.into(), kind }));
    }
    found.sort_by(|a, b| (a.0, &a.1.name).cmp(&(b.0, &b.1.name)));
    Ok(found.into_iter().map(|(_, dimension)| dimension).collect())
}

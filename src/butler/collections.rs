//! Collections: names to the RUN and TAGGED collections that they stand for, in the order of search.

use std::collections::HashSet;

use super::database::{Database, Row, Value};
use super::error::Error;

const WHAT: &str = "collections";

/// What a collection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CollectionKind {
    /// Datasets are made in it.
    Run,
    /// Datasets of other runs.
    Tagged,
    /// Other collections, in order.
    Chained,
    /// Calibrations with validity ranges.
    Calibration,
}

impl CollectionKind {
    /// How the registry marks a chain.
    pub(super) const CHAINED: i64 = 3;
}

/// A collection that is no chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Collection {
    /// Its key in the registry.
    pub id: i64,
    pub name: String,
    pub kind: CollectionKind,
}

/// Flattens collections depth first, children by ascending position (which may be negative); what was seen before is
/// passed over, so that a circle of chains ends too. Names are taken literally.
pub(super) fn flatten(
    database: &mut dyn Database,
    repo: &str,
    names: &[String],
) -> Result<Vec<Collection>, Error> {
    let mut seen = HashSet::new();
    let mut flat = Vec::new();
    for name in names {
        let sql = "SELECT collection_id, name, type FROM collection WHERE name = $1";
        let rows =
            database.rows(sql, &[Value::Text(name.clone())]).map_err(|error| Error::query(WHAT, error))?;
        let Some(row) = rows.first() else {
            return Err(no_collection(database, repo, name));
        };
        // A stack instead of recursion: a registry may hold chains of any depth.
        let mut stack = vec![collection(row)?];
        while let Some(next) = stack.pop() {
            if !seen.insert(next.id) {
                continue;
            }
            if next.kind == CollectionKind::Chained {
                stack.extend(children(database, next.id)?.into_iter().rev());
            } else {
                flat.push(next);
            }
        }
    }
    Ok(flat)
}

fn children(database: &mut dyn Database, parent: i64) -> Result<Vec<Collection>, Error> {
    let sql = "SELECT c.collection_id, c.name, c.type FROM collection_chain cc \
               JOIN collection c ON c.collection_id = cc.child WHERE cc.parent = $1 ORDER BY cc.position";
    let rows = database.rows(sql, &[Value::Integer(parent)]).map_err(|error| Error::query(WHAT, error))?;
    rows.iter().map(collection).collect()
}

/// A row with the key, the name and the type of a collection.
fn collection(row: &Row) -> Result<Collection, Error> {
    let (id, name) = (row.integer(0, WHAT)?, row.text(1, WHAT)?);
    let kind = match row.integer(2, WHAT)? {
        1 => CollectionKind::Run,
        2 => CollectionKind::Tagged,
        CollectionKind::CHAINED => CollectionKind::Chained,
        4 => CollectionKind::Calibration,
        other => {
            let message = format!("`{name}` is of type {other}");
            return Err(Error::Registry { what: WHAT, message });
        }
    };
    Ok(Collection { id, name: name.to_owned(), kind })
}

fn no_collection(database: &mut dyn Database, repo: &str, name: &str) -> Error {
    match database.rows("SELECT name FROM collection", &[]) {
        Err(error) => Error::query(WHAT, error),
        Ok(rows) => {
            let names = near(name, rows.iter().filter_map(|row| row.text(0, WHAT).ok()));
            Error::NoCollection { name: name.to_owned(), repo: repo.to_owned(), names }
        }
    }
}

/// How alike names must be to be proposed (Jaro-Winkler; 1 is equal), and how many are.
const NEAR: f64 = 0.8;
const MOST_NEAR: usize = 3;

/// The names most like `name`, best first; in which case they are written does not count.
pub(super) fn near<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let name = name.to_lowercase();
    let scored = names.map(|other| (strsim::jaro_winkler(&name, &other.to_lowercase()), other));
    let mut scored: Vec<(f64, &str)> = scored.filter(|(score, _)| *score >= NEAR).collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    scored.into_iter().take(MOST_NEAR).map(|(_, other)| other.to_owned()).collect()
}

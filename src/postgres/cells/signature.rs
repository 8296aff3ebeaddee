//! All that the rows of a table rest on besides the versions of its rows: the history of the server, the place of the table, the
//! form of its columns, the query and the settings.

use std::collections::{BTreeMap, BTreeSet};

use super::super::columns::Columns;
use super::super::connection::Connection;
use super::super::error::Error;
use super::super::evidence::any;
use super::super::sql::Query;
use crate::database_state::DatabaseState;
use crate::digest::Digest;

/// A column of the table.
pub(super) struct Column {
    pub name: String,
    /// All that its values rest on.
    form: String,
    /// Its type, below domains and arrays.
    pub base: u32,
    pub postgres_type: String,
    /// Whether it is computed when it is read.
    pub is_virtual: bool,
}

/// Looks up columns of a table by their numbers.
pub(super) fn columns(
    connection: &mut Connection,
    table: u32,
    numbers: &BTreeSet<u32>,
) -> Result<Vec<Column>, Error> {
    let sql = format!(
        "SELECT a.attname, a.attgenerated, pg_catalog.format_type(a.atttypid, a.atttypmod),
                (WITH RECURSIVE b (oid, below) AS (
                     SELECT t.oid, CASE WHEN t.typtype = 'd' THEN t.typbasetype
                                        WHEN t.typcategory = 'A' AND t.typelem <> 0 THEN t.typelem ELSE 0 END
                     FROM pg_catalog.pg_type t WHERE t.oid = a.atttypid
                     UNION ALL
                     SELECT t.oid, CASE WHEN t.typtype = 'd' THEN t.typbasetype
                                        WHEN t.typcategory = 'A' AND t.typelem <> 0 THEN t.typelem ELSE 0 END
                     FROM b JOIN pg_catalog.pg_type t ON t.oid = b.below)
                 SELECT b.oid FROM b WHERE b.below = 0),
                pg_catalog.jsonb_build_array(a.attnum, a.attname, a.atttypid,
                    pg_catalog.format_type(a.atttypid, a.atttypmod), a.atttypmod, a.attcollation, a.attnotnull,
                    a.attmissingval::pg_catalog.text, pg_catalog.col_description(a.attrelid, a.attnum))
         FROM pg_catalog.pg_attribute a
         WHERE a.attrelid = {table} AND NOT a.attisdropped AND a.attnum::pg_catalog.oid {}
         ORDER BY a.attnum",
        any(numbers)
    );
    let rows = connection.query("look up the columns of the table", &sql)?.rows;
    let column = |row: Vec<Option<String>>| {
        let [name, generated, postgres_type, base, form] = <[Option<String>; 5]>::try_from(row).ok()?;
        Some(Column {
            name: name?,
            form: form?,
            base: base?.parse().ok()?,
            postgres_type: postgres_type?,
            is_virtual: generated.as_deref() == Some("v"),
        })
    };
    let found: Option<Vec<Column>> = rows.into_iter().map(column).collect();
    found
        .filter(|found| found.len() == numbers.len())
        .ok_or_else(|| Error::protocol("looking up the columns of the table", "one was not found"))
}

/// The signature, by what it has parts of; why there is none, if there is none.
pub(super) fn of(
    generation: &DatabaseState,
    query: &Query,
    output: &Columns,
    tree: &str,
    table: [(&str, String); 3],
    columns: &[Column],
) -> Result<BTreeMap<String, String>, String> {
    let Some(started) = &generation.started else {
        return Err("the server does not tell when it was started".to_owned());
    };
    if !generation.place.contains_key("server") {
        return Err("the server does not report its identity (see pg_control_system)".to_owned());
    }
    let mut signature = generation.place.clone();
    let digest = |text: String| Digest::of(text.as_bytes()).to_string();
    signature.insert("server start".to_owned(), started.clone());
    signature.insert("query".to_owned(), digest(output.cast(query.text())));
    signature.insert("query as understood".to_owned(), digest(tree.to_owned()));
    signature.insert("columns of the output".to_owned(), digest(format!("{:?}", output.schema())));
    signature.extend(table.map(|(name, value)| (name.to_owned(), value)));
    signature.extend(columns.iter().map(|column| (format!("column {}", column.name), column.form.clone())));
    Ok(signature)
}

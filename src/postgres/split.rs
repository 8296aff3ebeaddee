//! A plain scan of a large table in ranges of its pages, which several connections of one snapshot read.
//!
//! The pieces together are the rows of the whole in the same order: a sequential scan and a scan of a range of pages both
//! go through the pages from the first on.

use serde_json::Value;

use super::columns::Columns;
use super::error::Error;
use super::reader::Reader;
use super::sql::{Query, literal};

/// The first version that reads a table in ranges of pages.
pub(super) const TID_RANGE_SCAN: u32 = 140_000;

/// How the server means to run a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// How many rows it expects.
    pub rows: u64,
    /// The single step that the plan is, if it is one.
    only_step: Option<String>,
    /// Whether an index finds the rows, and nothing else is done.
    pub(super) by_index: bool,
}

/// Steps that find rows by an index.
const INDEX: [&str; 3] = ["Index Scan", "Index Only Scan", "Bitmap Heap Scan"];

impl Plan {
    /// Reads what `EXPLAIN (FORMAT JSON)` returned. Of what cannot be read nothing is expected.
    fn read(text: &str) -> Self {
        let json: Value = serde_json::from_str(text).unwrap_or_default();
        let root = &json[0]["Plan"];
        let alone = root["Plans"].is_null();
        let only_step = root["Node Type"].as_str().filter(|_| alone).map(str::to_owned);
        let by_index = root["Node Type"].as_str().is_some_and(|step| INDEX.contains(&step));
        Self { rows: root["Plan Rows"].as_u64().unwrap_or(0), only_step, by_index }
    }

    pub(super) fn is_only(&self, step: &str) -> bool {
        self.only_step.as_deref() == Some(step)
    }
}

impl Reader<'_> {
    /// How the server means to run a query.
    ///
    /// # Errors
    /// [`Error::Server`].
    pub fn plan(&mut self, query: &str) -> Result<Plan, Error> {
        let sql = format!("EXPLAIN (FORMAT JSON, COSTS ON) {query}");
        let text = self.connection()?.query("plan the query", &sql)?.single();
        Ok(Plan::read(&text.unwrap_or_default()))
    }

    /// The number of pages of a table that is a plain heap, on a server that can read it in ranges of pages, for a role that
    /// may; else `None`.
    fn pages(&mut self, table: &str) -> Result<Option<u64>, Error> {
        if self.connection()?.version() < TID_RANGE_SCAN {
            return Ok(None);
        }
        let sql = format!(
            "SELECT pg_catalog.pg_relation_size(c.oid) / pg_catalog.current_setting('block_size')::pg_catalog.int8
             FROM pg_catalog.pg_class c JOIN pg_catalog.pg_am m ON m.oid = c.relam
             WHERE c.oid = pg_catalog.to_regclass({}) AND c.relkind IN ('r', 'm') AND m.amname = 'heap'
                   AND pg_catalog.has_table_privilege(c.oid, 'SELECT')",
            literal(table)
        );
        let pages = self.connection()?.query("look up the size of the table", &sql)?.single();
        Ok(pages.and_then(|pages| pages.parse().ok()))
    }
}

/// Pages in a piece, 4 MiB: large against what starting a COPY costs, small against what may wait in memory.
pub(super) const PIECE_PAGES: u64 = 512;
/// Pieces that make it worth while to open another connection.
const LEAST_PIECES: u64 = 4;

/// The queries whose rows, one after the other, are the rows of `query`: one, or several if it is a plain scan of a table
/// that is worth it. Columns are cast as they must be.
pub(super) fn pieces(
    reader: &mut Reader<'_>,
    query: &Query,
    columns: &Columns,
) -> Result<Vec<String>, Error> {
    let whole = || Ok(vec![columns.cast(query.text())]);
    let Some(scan) = query.scan() else { return whole() };
    if !reader.plan(&columns.cast(query.text()))?.is_only("Seq Scan") {
        return whole();
    }
    let pages = match reader.pages(scan.table())? {
        Some(pages) if pages >= LEAST_PIECES * PIECE_PAGES => pages,
        _ => return whole(),
    };
    let starts: Vec<u64> = (0..pages / PIECE_PAGES).map(|piece| piece * PIECE_PAGES).collect();
    let ends = starts.iter().skip(1).map(|&end| Some(end)).chain([None]);
    let pieces: Vec<String> =
        starts.iter().zip(ends).map(|(&start, end)| columns.cast(&scan.pages(start, end))).collect();
    // The plan of the first and last piece shows that the condition on the pages is used as such.
    for piece in [pieces.first(), pieces.last()].into_iter().flatten() {
        if !reader.plan(piece)?.is_only("Tid Range Scan") {
            return whole();
        }
    }
    Ok(pieces)
}

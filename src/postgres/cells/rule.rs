//! Whether a query can be read in cells: the rule, and which part of it a query breaks.

use std::collections::BTreeSet;

use super::super::columns::Columns;
use super::super::connection::Connection;
use super::super::error::Error;
use super::super::evidence::{FIRST_NORMAL_OBJECT, Plain, Understood, any};
use super::super::reader::Reader;
use super::super::snapshot::Snapshot;
use super::super::split::TID_RANGE_SCAN;
use super::super::sql::{PlainScan, Query};
use super::{Cells, signature};

/// The types whose form depends on the value and on settings that are fixed, by their object ids (see `pg_type.dat` of Postgres'
/// sources): not those that show names of tables, functions or roles, enums, whose labels change without a lock on the table,
/// money, and what users define.
const TYPES: &[u32] = &[
    16, // bool
    17, // bytea
    18, // "char"
    19, // name
    20, 21, 23, // int8, int2, int4
    25, // text
    26, 27, 28, // oid, tid, xid
    114, 142, // json, xml
    600, 601, 602, 603, 604, 628, 718, // point, lseg, path, box, polygon, line, circle
    650, 869, // cidr, inet
    700, 701, // float4, float8
    774, 829, // macaddr8, macaddr
    1042, 1043, // bpchar, varchar
    1082, 1083, 1114, 1184, 1186, 1266, // date, time, timestamp, timestamptz, interval, timetz
    1560, 1562, // bit, varbit
    1700, // numeric
    2950, // uuid
    3220, // pg_lsn
    3614, 3615, // tsvector, tsquery
    3802, 4072, // jsonb, jsonpath
    3904, 3906, 3908, 3910, 3912, 3926, // ranges
    4451, 4532, 4533, 4534, 4535, 4536, // multiranges
    5069, // xid8
];
/// Arrays of the common ones of these, as constants of `IN` are.
const ARRAYS: &[u32] = &[
    199, 1000, 1001, 1002, 1003, 1005, 1007, 1009, 1014, 1015, 1016, 1021, 1022, 1028, 1041, 1115, 1182,
    1183, 1185, 1187, 1231, 2951, 3807,
];
/// A literal that has no type yet.
const UNKNOWN: u32 = 705;

/// The size of a table from which on an index may find its rows.
const LEAST_CELLS_BY_INDEX: u64 = 32;

/// A table as the catalogue has it.
struct Table {
    filenode: String,
    /// The transaction that made its database, or changed it last.
    database: String,
    pages: u64,
}

impl Reader<'_> {
    /// The cells of a query; which part of the rule it breaks if it has none. `understood` is how the server understands it.
    pub(crate) fn cells(
        &mut self,
        snapshot: &Snapshot,
        query: &Query,
        columns: &Columns,
        understood: &Understood,
        cell_pages: u64,
    ) -> Result<Result<Cells, String>, Error> {
        let (scan, plain, tree) = match plain(self.connection()?, query, columns, understood)? {
            Ok(found) => found,
            Err(why) => return Ok(Err(why)),
        };
        let found = signature::columns(self.connection()?, plain.relation, &plain.columns)?;
        if let Some(why) = found.iter().find_map(unfit) {
            return Ok(Err(why));
        }
        let table = match table(self.connection()?, plain.relation)? {
            Ok(table) => table,
            Err(why) => return Ok(Err(why)),
        };
        let plan = self.plan(&columns.cast(query.text()))?;
        if !plan.is_only("Seq Scan") && !plan.by_index {
            return Ok(Err("the server answers it in several steps".to_owned()));
        }
        // Which plan is taken depends on statistics: where little is to be gained, it makes no difference.
        let by_index = plan.by_index && table.pages > LEAST_CELLS_BY_INDEX * cell_pages;
        let place = [
            ("table", plain.relation.to_string()),
            ("file of the table", table.filenode),
            ("transaction of the database", table.database),
        ];
        let signature = signature::of(snapshot.generation(), query, columns, tree, place, &found);
        let locked = snapshot.not_locked(scan.table(), plain.relation);
        let not_comparable = locked.map(|why| format!("the table is not locked: {why}"));
        let not_comparable = not_comparable.or_else(|| signature.as_ref().err().cloned());
        let signature = signature.unwrap_or_default();
        let cells =
            Cells { scan: scan.clone(), cell_pages, pages: table.pages, by_index, signature, not_comparable };
        self.scan_pages(true)?;
        for cell in BTreeSet::from([0, cells.number() - 1]) {
            let (first, end) = cells.bounds(cell);
            let plan = self.plan(&columns.cast(&cells.scan.pages(first, end)))?;
            if !plan.is_only("Tid Range Scan") && !plan.is_only("Seq Scan") {
                return Ok(Err("the server does not read its pages in their order".to_owned()));
            }
        }
        Ok(Ok(cells))
    }
}

/// The parts of a plain query and what it uses; what it has that a plain query has not.
fn plain<'q>(
    connection: &mut Connection,
    query: &'q Query,
    columns: &Columns,
    understood: &'q Understood,
) -> Result<Result<(&'q PlainScan, Plain, &'q str), String>, Error> {
    if connection.version() < TID_RANGE_SCAN {
        return Ok(Err("servers before version 14 do not read ranges of pages".to_owned()));
    }
    let Some(scan) = query.scan() else {
        return Ok(Err("it is more than SELECT ... FROM one table WHERE ...".to_owned()));
    };
    let tree = match understood.tree() {
        Ok(tree) => tree,
        Err(doubt) => return Ok(Err(doubt.to_owned())),
    };
    let plain = match Plain::of(tree, columns.has_casts()) {
        Ok(plain) => plain,
        Err(why) => return Ok(Err(why)),
    };
    if let Some(word) = query.date_word() {
        return Ok(Err(format!("`{word}` in a literal depends on the clock")));
    }
    let is_fixed = |oid: &u32| TYPES.contains(oid) || ARRAYS.contains(oid) || *oid == UNKNOWN;
    if let Some(oid) = plain.types.iter().find(|oid| !is_fixed(oid)) {
        let name =
            connection.query("look up a type", &format!("SELECT pg_catalog.format_type({oid}, NULL)"))?;
        return Ok(Err(changing(&name.single().unwrap_or_default())));
    }
    if plain.relation < FIRST_NORMAL_OBJECT {
        return Ok(Err("it reads a system table, which can change without a transaction".to_owned()));
    }
    let own = plain.functions.iter().chain(&plain.operators).all(|oid| *oid < FIRST_NORMAL_OBJECT);
    if !own {
        return Ok(Err("it uses an operator or a cast that is not part of the server".to_owned()));
    }
    let sql = format!(
        "SELECT p.proname FROM pg_catalog.pg_proc p
         WHERE p.provolatile <> 'i' AND (p.oid {} OR p.oid IN (
             SELECT o.oprcode::pg_catalog.oid FROM pg_catalog.pg_operator o WHERE o.oid {}))
         ORDER BY p.proname LIMIT 1",
        any(&plain.functions),
        any(&plain.operators)
    );
    let stable = connection.query("look up the operators of the query", &sql)?.single();
    Ok(match stable {
        Some(name) => Err(format!("the result of {name} can change without a write")),
        None => Ok((scan, plain, tree)),
    })
}

/// Why a column cannot be compared; `None` if it can.
fn unfit(column: &signature::Column) -> Option<String> {
    let name = &column.name;
    if column.is_virtual {
        return Some(format!("column `{name}` is computed when it is read"));
    }
    (!TYPES.contains(&column.base)).then(|| format!("column `{name}`: {}", changing(&column.postgres_type)))
}

fn changing(postgres_type: &str) -> String {
    format!("values of type {postgres_type} can be shown differently without a write to the table")
}

/// A table as the catalogue has it; why it is none that has cells.
fn table(connection: &mut Connection, relation: u32) -> Result<Result<Table, String>, Error> {
    let sql = format!(
        "SELECT c.relname, c.relkind, c.relpersistence, COALESCE(m.amname, 'none'),
                EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE i.inhparent = c.oid),
                pg_catalog.row_security_active(c.oid), pg_catalog.has_table_privilege(c.oid, 'SELECT'),
                COALESCE(pg_catalog.pg_relation_filenode(c.oid), 0),
                (SELECT d.xmin::pg_catalog.text FROM pg_catalog.pg_database d
                 WHERE d.datname = pg_catalog.current_database()),
                COALESCE(pg_catalog.pg_relation_size(c.oid), 0) / pg_catalog.current_setting('block_size')::pg_catalog.int8
         FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_am m ON m.oid = c.relam WHERE c.oid = {relation}"
    );
    let row = connection.query("look up the table", &sql)?.rows.pop();
    let row: Option<Vec<String>> = row.and_then(|row| row.into_iter().collect());
    let Some([name, kind, persistence, method, parent, secured, readable, filenode, database, pages]) =
        row.and_then(|row| <[String; 10]>::try_from(row).ok())
    else {
        return Ok(Err("it does not read a table with pages".to_owned()));
    };
    let what = match (kind.as_str(), persistence.as_str()) {
        ("r", "p") if method != "heap" => "not stored as a heap",
        ("r", "p") if parent == "t" => "a table that others inherit from",
        ("r", "p") if secured == "t" => "a table with row security",
        ("r", "p") if readable == "f" => "a table of which the role may read only some columns",
        ("r", "p") => {
            let pages = pages
                .parse()
                .map_err(|_| Error::protocol("looking up the table", "its size is not a number"))?;
            return Ok(Ok(Table { filenode, database, pages }));
        }
        ("r", "u") => "an unlogged table",
        ("r", _) => "a temporary table",
        ("p", _) => "a partitioned table",
        ("f", _) => "a foreign table",
        ("m", _) => "a materialized view",
        _ => "not an ordinary table",
    };
    Ok(Err(format!("{name} is {what}")))
}

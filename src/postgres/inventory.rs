//! The tables of a database: names, kinds, estimated sizes, keys. Not a place for their rows.

use serde::Serialize;

use super::connection::Connection;
use super::error::Error;
use super::sql::quoted;

/// The tables that a role can read, those of the search path first.
#[derive(Debug, Default)]
pub(crate) struct Inventory {
    pub database: String,
    pub role: String,
    /// The tables, in the order of the search path, then by name.
    pub relations: Vec<Relation>,
    /// Tables that exist, and that the role may not read.
    pub unreadable: Vec<String>,
    /// Partitions, whose rows are counted with the table that they belong to.
    pub partitions: Vec<Relation>,
}

/// A table, view, or something else that a query can read.
#[derive(Debug, Serialize)]
pub(crate) struct Relation {
    pub schema: String,
    pub name: String,
    /// `table`, `partitioned table`, `view`, `materialized view` or `foreign table`.
    pub kind: &'static str,
    /// Whether its name alone, without the schema, means it.
    pub on_search_path: bool,
    /// The estimate of the planner; unknown if the table was never analysed.
    pub estimated_rows: Option<u64>,
    /// Without indexes.
    pub bytes: Option<u64>,
    /// When it was last analysed, in UTC.
    pub last_analyze: Option<String>,
    pub primary_key: Vec<String>,
    /// The columns that the role can read, if it cannot read all of them.
    pub readable_columns: Option<Vec<String>>,
    pub comment: Option<String>,
}

impl Relation {
    /// The name in quotes, with the schema.
    pub(crate) fn quoted(&self) -> String {
        format!("{}.{}", quoted(&self.schema), quoted(&self.name))
    }

    /// Whether a name in quotes means it.
    pub(crate) fn is_named(&self, name: &str) -> bool {
        name == self.quoted() || self.on_search_path && name == quoted(&self.name)
    }

    /// The name as the pipeline file takes it: with the schema if the name alone means another table or none.
    pub(crate) fn reference(&self) -> String {
        let part = |name: &str| {
            let is_plain = !name.contains(['.', '"']) && name.trim() == name;
            if is_plain { name.to_owned() } else { quoted(name) }
        };
        if self.on_search_path {
            part(&self.name)
        } else {
            format!("{}.{}", part(&self.schema), part(&self.name))
        }
    }
}

/// Kinds by their letter in the catalogue.
const KINDS: [(&str, &str); 5] = [
    ("r", "table"),
    ("p", "partitioned table"),
    ("v", "view"),
    ("m", "materialized view"),
    ("f", "foreign table"),
];

/// Tables with columns, without those of the system, of extensions and of this session alone. Rows and sizes of a partitioned table are
/// those of its partitions.
const SQL: &str = "
WITH RECURSIVE part (root, leaf, kind) AS (
    SELECT c.oid, c.oid, c.relkind FROM pg_catalog.pg_class c WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
    UNION ALL
    SELECT p.root, c.oid, c.relkind
    FROM part p JOIN pg_catalog.pg_inherits i ON i.inhparent = p.leaf JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
    WHERE p.kind = 'p'
), total AS (
    SELECT p.root,
        CASE WHEN pg_catalog.bool_and(c.reltuples > 0 OR c.reltuples = 0 AND (c.relpages > 0
                 OR pg_catalog.pg_stat_get_last_analyze_time(c.oid) IS NOT NULL
                 OR pg_catalog.pg_stat_get_last_autoanalyze_time(c.oid) IS NOT NULL))
             THEN pg_catalog.sum(c.reltuples::pg_catalog.numeric) END AS tuples,
        pg_catalog.sum(CASE WHEN c.relkind IN ('r', 'm') THEN pg_catalog.pg_table_size(c.oid) END) AS bytes,
        pg_catalog.max(GREATEST(pg_catalog.pg_stat_get_last_analyze_time(c.oid),
                                pg_catalog.pg_stat_get_last_autoanalyze_time(c.oid))) AS analyzed
    FROM part p JOIN pg_catalog.pg_class c ON c.oid = p.leaf
    WHERE c.relkind <> 'p'
    GROUP BY p.root
)
SELECT n.nspname, c.relname, c.relkind, pg_catalog.pg_table_is_visible(c.oid), c.relispartition,
    pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND pg_catalog.has_any_column_privilege(c.oid, 'SELECT'),
    CASE WHEN c.relkind IN ('r', 'p', 'm', 'f') THEN t.tuples::pg_catalog.int8 END,
    CASE WHEN c.relkind IN ('r', 'p', 'm') THEN coalesce(t.bytes, 0)::pg_catalog.int8 END,
    pg_catalog.to_char(t.analyzed AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'),
    (SELECT pg_catalog.json_agg(a.attname ORDER BY k.n)
     FROM pg_catalog.pg_index x CROSS JOIN LATERAL pg_catalog.unnest(x.indkey) WITH ORDINALITY AS k (attnum, n)
     JOIN pg_catalog.pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = k.attnum
     WHERE x.indrelid = c.oid AND x.indisprimary),
    CASE WHEN NOT pg_catalog.has_table_privilege(c.oid, 'SELECT') THEN (
        SELECT pg_catalog.json_agg(a.attname ORDER BY a.attnum) FROM pg_catalog.pg_attribute a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
          AND pg_catalog.has_column_privilege(c.oid, a.attnum, 'SELECT')) END,
    pg_catalog.obj_description(c.oid, 'pg_class')
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN total t ON t.root = c.oid
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't'
  AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%'
  AND EXISTS (SELECT FROM pg_catalog.pg_attribute a
              WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                  WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY NOT pg_catalog.pg_table_is_visible(c.oid),
    pg_catalog.array_position(pg_catalog.current_schemas(false), n.nspname), n.nspname, c.relname";

impl Inventory {
    pub(super) fn of(connection: &mut Connection) -> Result<Self, Error> {
        let who = "SELECT pg_catalog.current_database(), current_user";
        let mut who = connection.query("report its database", who)?.rows.pop().unwrap_or_default();
        let mut found = Self {
            role: who.pop().flatten().unwrap_or_default(),
            database: who.pop().flatten().unwrap_or_default(),
            ..Self::default()
        };
        for row in connection.query("list its tables", SQL)?.rows {
            found.add(row);
        }
        Ok(found)
    }

    fn add(&mut self, row: Vec<Option<String>>) {
        let mut values = row.into_iter();
        let mut next = || values.next().flatten();
        let (schema, name) = (next().unwrap_or_default(), next().unwrap_or_default());
        let letter = next().unwrap_or_default();
        let mut is = || next().as_deref() == Some("t");
        let (on_search_path, is_partition, is_readable) = (is(), is(), is());
        let relation = Relation {
            schema,
            name,
            kind: KINDS.iter().find(|(known, _)| *known == letter).map_or("table", |(_, kind)| kind),
            on_search_path,
            estimated_rows: next().and_then(|number| number.parse().ok()),
            bytes: next().and_then(|number| number.parse().ok()),
            last_analyze: next(),
            primary_key: next().and_then(|json| serde_json::from_str(&json).ok()).unwrap_or_default(),
            readable_columns: next().and_then(|json| serde_json::from_str(&json).ok()),
            comment: next(),
        };
        match (is_readable, is_partition) {
            (true, false) => self.relations.push(relation),
            (true, true) => self.partitions.push(relation),
            (false, false) => self.unreadable.push(relation.reference()),
            (false, true) => {}
        }
    }
}

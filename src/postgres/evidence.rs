//! What the answer of a query rests on, as the server understands the query.
//!
//! The server is asked: it shows the query after views and policies are put in and constants are evaluated, with the
//! object ids of all that it uses. Not a place for comparing two states: see `plan`.

mod plain;
mod tree;

use std::collections::BTreeSet;

pub(super) use self::plain::Plain;
use self::tree::Uses;
use super::connection::Connection;
use super::error::Error;
use super::session::optional;
use crate::digest::Digest;

/// What the answer of a query rests on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// The digest of the query as the server understands it: date words, such as `'yesterday'`, are dates there.
    pub tree: Option<String>,
    /// Why the answer can change though the tables in it do not.
    pub doubt: Option<String>,
}

/// A query as the server understands it: its tree, or why the server does not show that.
#[derive(Clone, Debug)]
pub struct Understood(Result<String, String>);

impl Understood {
    /// Has the server prepare a query. A refusal does no harm to the transaction.
    pub(super) fn of(connection: &mut Connection, query: &str) -> Result<Self, Error> {
        match tree_of(connection, query) {
            Ok(tree) => {
                Ok(Self(tree.ok_or_else(|| "the server does not show the rewritten query".to_owned())))
            }
            Err(error @ Error::Server { .. }) => {
                connection.query("go back to a savepoint", "ROLLBACK TO SAVEPOINT ssp_evidence")?;
                Ok(Self(Err(error.to_string())))
            }
            Err(error) => Err(error),
        }
    }

    /// The tree.
    pub(super) fn tree(&self) -> Result<&str, &str> {
        self.0.as_deref().map_err(String::as_str)
    }
}

/// The tree comes as a message of the log, which a session may ask for.
const SHOW: &str = "SAVEPOINT ssp_evidence;
    SET LOCAL debug_print_rewritten = on;
    SET LOCAL debug_pretty_print = off;
    SET LOCAL client_min_messages = log";
const SHOW_NO_MORE: &str = "SET LOCAL debug_print_rewritten = off;
    SET LOCAL client_min_messages TO DEFAULT;
    RELEASE SAVEPOINT ssp_evidence";
/// The message's text, which is not translated.
const TITLE: &str = "rewritten parse tree";
/// Objects below this id come with the server.
pub(super) const FIRST_NORMAL_OBJECT: u32 = 16_384;

impl Evidence {
    /// Looks up all that a query uses, unless its tree is one that was looked up before and had no doubt.
    pub(super) fn of(
        connection: &mut Connection,
        understood: &Understood,
        date_word: Option<&str>,
        certain: Option<&str>,
    ) -> Result<Self, Error> {
        let tree = match &understood.0 {
            Ok(tree) => tree,
            Err(doubt) => return Ok(Self { tree: None, doubt: Some(doubt.clone()) }),
        };
        let digest = Digest::of(tree.as_bytes()).to_string();
        if certain == Some(&digest) {
            return Ok(Self { tree: Some(digest), doubt: None });
        }
        let doubt = match (Uses::of(tree), date_word) {
            (Err(doubt), _) => Some(doubt),
            (Ok(uses), Some(word)) if uses.has_moments() => {
                Some(format!("`{word}` in a literal depends on the clock"))
            }
            (Ok(uses), _) => doubt_of(connection, &uses)?,
        };
        Ok(Self { tree: Some(digest), doubt })
    }
}

/// How the server understands a query, if it shows that.
fn tree_of(connection: &mut Connection, query: &str) -> Result<Option<String>, Error> {
    connection.query("show the rewritten query", SHOW)?;
    let mut tree = None;
    connection.describe(query, |notice| {
        if notice.message.starts_with(TITLE) {
            tree = notice.detail;
        }
    })?;
    connection.query("set up the session", SHOW_NO_MORE)?;
    Ok(tree)
}

/// The first of the objects whose answer can change without a write to a permanent table.
fn doubt_of(connection: &mut Connection, uses: &Uses) -> Result<Option<String>, Error> {
    let mut functions = uses.functions.clone();
    for (from, of) in [
        ("oprcode::pg_catalog.oid FROM pg_catalog.pg_operator WHERE oid", &uses.operators),
        ("typinput::pg_catalog.oid FROM pg_catalog.pg_type WHERE oid", &uses.read_as),
        ("typoutput::pg_catalog.oid FROM pg_catalog.pg_type WHERE oid", &uses.written_as),
    ] {
        functions.extend(ids(connection, from, of)?);
    }
    if let Some(doubt) = functions_doubt(connection, &functions)? {
        return Ok(Some(doubt));
    }
    if let Some(doubt) = relations_doubt(connection, &uses.relations)? {
        return Ok(Some(doubt));
    }
    // Sorting and comparing calls them by the types of the values, which the tree does not show.
    let sql = format!(
        "SELECT p.proname FROM pg_catalog.pg_amproc a JOIN pg_catalog.pg_proc p ON p.oid = a.amproc
                       WHERE NOT ({}) ORDER BY p.proname LIMIT 1",
        is_known()
    );
    let own = optional(connection, "look up the operator classes", &sql)?.pop().and_then(|mut row| row.pop());
    Ok(own.map(|name| {
        format!("function {name} of an operator class is not part of the server or an extension")
    }))
}

/// Stable, since its labels are in a table of the system, which changes by transactions alone.
const ENUM_OUT: u32 = 3507;

/// The condition that a function `p` comes with the server or an extension.
fn is_known() -> String {
    format!(
        "p.oid < {FIRST_NORMAL_OBJECT} OR EXISTS (
            SELECT FROM pg_catalog.pg_depend d
            WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid AND d.deptype = 'e')"
    )
}

/// The ids that are found by those of other objects; 0, which no object has, if one is not found.
fn ids(connection: &mut Connection, from: &str, of: &BTreeSet<u32>) -> Result<BTreeSet<u32>, Error> {
    let doing = "look up the functions of operators and types";
    let rows = optional(connection, doing, &format!("SELECT oid, {from} {}", any(of)))?;
    let missing = (rows.len() != of.len()).then_some(0);
    let found = rows.iter().filter_map(|row| row.last()?.parse().ok());
    Ok(found.chain(missing).collect())
}

/// Immutable, and labelled so by the server or an extension: another author's label is only a promise, which wrappers of
/// `now()` break.
fn functions_doubt(connection: &mut Connection, functions: &BTreeSet<u32>) -> Result<Option<String>, Error> {
    let sql = format!(
        "SELECT p.oid, p.proname, CASE WHEN p.oid = {ENUM_OUT} THEN 'i' ELSE p.provolatile END, {}
         FROM pg_catalog.pg_proc p WHERE p.oid {}",
        is_known(),
        any(functions)
    );
    let rows = optional(connection, "look up the functions of the query", &sql)?;
    if rows.len() != functions.len() {
        return Ok(Some("a function of the query cannot be looked up".to_owned()));
    }
    let mut changing = Vec::new();
    let mut promised = None;
    for row in &rows {
        match row.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            [_, _, "i", "t"] => {}
            [_, name, "i", _] => {
                promised =
                    Some(format!("function {name} is declared immutable, but this cannot be verified"));
            }
            [_, name, ..] => changing.push((*name).to_owned()),
            _ => promised = Some("a function of the query cannot be looked up".to_owned()),
        }
    }
    if changing.is_empty() {
        return Ok(promised);
    }
    changing.sort();
    let plural = if changing.len() == 1 { "" } else { "s" };
    let names = changing.join(", ");
    Ok(Some(format!("the query uses function{plural} {names}, whose result can change without a write")))
}

/// Permanent tables, with all that inherit from them, and views, which are put in.
fn relations_doubt(connection: &mut Connection, relations: &BTreeSet<u32>) -> Result<Option<String>, Error> {
    let sql = format!(
        "WITH RECURSIVE r (oid) AS (
             SELECT oid FROM pg_catalog.pg_class WHERE oid {}
             UNION SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN r ON i.inhparent = r.oid)
         SELECT c.oid, c.relname, c.relkind, c.relpersistence, COALESCE(m.amname, 'heap')
         FROM r JOIN pg_catalog.pg_class c ON c.oid = r.oid
         LEFT JOIN pg_catalog.pg_am m ON m.oid = c.relam",
        any(relations)
    );
    let rows = optional(connection, "look up the tables of the query", &sql)?;
    let named = |id: &u32| rows.iter().any(|row| row.first().is_some_and(|oid| *oid == id.to_string()));
    if !relations.iter().all(named) {
        return Ok(Some("a table of the query cannot be looked up".to_owned()));
    }
    let doubt = |row: &Vec<String>| match row.as_slice() {
        [oid, name, kind, persistence, method] => {
            let what = match (kind.as_str(), persistence.as_str()) {
                ("f", _) => "a foreign table",
                ("S", _) => "a sequence",
                (_, "u") => "an unlogged table",
                (_, "t") => "a temporary table",
                _ if oid.parse::<u32>().is_ok_and(|oid| oid < FIRST_NORMAL_OBJECT) => {
                    "a system table, which can change without a transaction"
                }
                _ if method != "heap" => "a table that is not stored as a heap",
                ("r" | "p" | "v" | "m", "p") => return None,
                _ => "not a permanent table",
            };
            Some(format!("{name} is {what}"))
        }
        _ => Some("a table of the query cannot be looked up".to_owned()),
    };
    Ok(rows.iter().find_map(doubt))
}

/// `= ANY` of the ids.
pub(super) fn any(ids: &BTreeSet<u32>) -> String {
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    format!("OPERATOR(pg_catalog.=) ANY ('{{{}}}'::pg_catalog.oid[])", ids.join(","))
}

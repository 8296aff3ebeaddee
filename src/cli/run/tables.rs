//! `ssp-run tables`: the tables of a database that the user can read.

use anyhow::anyhow;
use console::{measure_text_width, truncate_str};

use crate::characters::escaped;
use crate::cli::failure::{Exit, Failure};
use crate::cli::messages::say;
use crate::cli::signals::Signals;
use crate::environment::Environment;
use crate::lines::{COLUMNS, fit};
use crate::postgres::{Inventory, Relation, SessionOptions, Snapshot, Target};
use crate::run::words::{count, size, thousands};
use crate::stages::database_params;

use super::flags::{PipelineFlags, TablesFlags};
use super::{json, load, print};

pub(super) fn tables(
    flags: &TablesFlags,
    environment: &Environment,
    signals: &Signals,
) -> Result<Exit, Failure> {
    flags.connection.refuse_password()?;
    let params = match &flags.pipeline {
        None => flags.connection.params(),
        Some(file) => {
            let flags = PipelineFlags { pipeline: None, file: Some(file.clone()), set: flags.set.clone() };
            let (pipeline, _) = load(&flags, environment)?;
            database_params(&pipeline.sources).ok_or_else(|| {
                let error = anyhow!("pipeline file `{}` has no `database`", file.display());
                Failure::usage(error)
                    .hint("add `database: {service: NAME}` to the file, or give --service NAME instead of -p")
            })?
        }
    };
    let target = Target::resolve(&params, environment).map_err(Failure::usage)?;
    let (_, inventory) = connect(&target, signals)?;
    if flags.json {
        return Ok(print(&json(&inventory.relations)?));
    }
    print(&list(&target.describe(), &inventory));
    say(advice(&inventory));
    Ok(Exit::Done)
}

/// A session for questions about tables, for which one connection is enough, and the tables of its database.
pub(super) fn connect(target: &Target, signals: &Signals) -> Result<(Snapshot, Inventory), Failure> {
    let options = SessionOptions { connections: 0, ..SessionOptions::default() };
    let snapshot = Snapshot::open(target, &options).map_err(Failure::classified)?;
    let inventory = snapshot.reader(signals.monitor()).and_then(|mut reader| reader.inventory());
    let inventory = inventory.map_err(Failure::classified)?;
    Ok((snapshot, inventory))
}

/// The widest name that shares a line with its figures.
const WIDEST_NAME: usize = 32;
/// The columns of rows, size, date, and the spaces before them.
const FIGURES: usize = 15 + 8 + 12;

/// The tables, a line each of at most 80 columns; a long name has a line of its own.
pub(super) fn list(database: &str, inventory: &Inventory) -> String {
    let tables = count(inventory.relations.len(), "table");
    let mut text = fit(&format!("{database}:"), [tables], 2) + "\n";
    let names: Vec<String> = inventory.relations.iter().map(name).collect();
    let widths = names.iter().map(|name| measure_text_width(name)).filter(|width| *width <= WIDEST_NAME);
    let width = widths.max().unwrap_or(0).max("table".len());
    let line = |name: &str, rows: &str, size: &str, date: &str, key: &str| {
        let pad = " ".repeat(width - measure_text_width(name));
        let line = format!("{name}{pad}{rows:>15}{size:>8}  {date:<10}  {key}");
        line.trim_end().to_owned() + "\n"
    };
    if !inventory.relations.is_empty() {
        text += &line("table", "rows (estimate)", "size", "analysed", "primary key");
    }
    for (name, relation) in names.iter().zip(&inventory.relations) {
        let name = if measure_text_width(name) > width {
            text += &format!("{name}\n");
            ""
        } else {
            name
        };
        let known = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
        let key = relation.primary_key.iter().map(|name| escaped(name)).collect::<Vec<_>>().join(", ");
        let key = if key.is_empty() { "-".to_owned() } else { key };
        text += &line(
            name,
            &known(relation.estimated_rows.map(thousands)),
            &known(relation.bytes.map(size)),
            relation.last_analyze.as_deref().and_then(|time| time.get(..10)).unwrap_or("-"),
            &truncate_str(&key, COLUMNS - FIGURES - 2 - width, "..."),
        );
    }
    text
}

/// The name of a table, with its kind if it is no ordinary table.
fn name(relation: &Relation) -> String {
    let name = escaped(&relation.reference()).into_owned();
    let kind = if relation.kind == "table" { String::new() } else { format!(" ({})", relation.kind) };
    let part = if relation.readable_columns.is_some() { " (some columns)" } else { "" };
    name + &kind + part
}

/// The tables that the list leaves out, and what to do about it.
pub(super) fn advice(inventory: &Inventory) -> String {
    let Inventory { database, role, relations, unreadable, partitions } = inventory;
    let mut text = String::new();
    if relations.is_empty() && unreadable.is_empty() {
        text += &format!(
            "database `{}` has no tables; is it the right one? List the databases with `psql -l`, \
             and choose one with --dbname\n",
            escaped(database)
        );
    }
    if !partitions.is_empty() {
        text += &format!("not listed: {}; their tables include them\n", count(partitions.len(), "partition"));
    }
    if !unreadable.is_empty() {
        let some: Vec<_> = unreadable.iter().take(3).map(|name| escaped(name)).collect();
        let more = if unreadable.len() > some.len() { ", ..." } else { "" };
        text += &format!(
            "not listed: {} that role `{}` may not read ({}{more}); ask the owner for USAGE on the schema and \
             SELECT on the table (GRANT)\n",
            count(unreadable.len(), "table"),
            escaped(role),
            some.join(", ")
        );
    }
    text.lines().map(|line| fit("", [line], 0).trim_start().to_owned() + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relation(name: &str, rows: Option<u64>) -> Relation {
        Relation {
            schema: "public".to_owned(),
            name: name.to_owned(),
            kind: "table",
            on_search_path: true,
            estimated_rows: rows,
            bytes: rows,
            last_analyze: None,
            primary_key: vec!["k".repeat(30), "k2".repeat(20)],
            readable_columns: None,
            comment: None,
        }
    }

    #[test]
    fn no_line_is_longer_than_80_columns_and_no_name_is_obeyed() {
        let relations = vec![
            relation("t", Some(u64::MAX / 1_000_000_000)),
            relation(&"n".repeat(32), None),
            relation(&"ü".repeat(63), None),
            relation("bell\u{7}\u{1b}[31m", None),
            relation("x\u{200b}y\u{202e}z", None),
        ];
        let inventory = Inventory { relations, ..Inventory::default() };
        let text = list("d", &inventory);
        assert!(text.lines().all(|line| measure_text_width(line) <= 80), "{text}");
        assert!(!text.contains('\u{1b}') && text.contains("bell\\u{7}\\u{1b}[31m"), "{text}");
        assert!(text.contains("x\\u{200b}y\\u{202e}z"), "{text}");
    }
}

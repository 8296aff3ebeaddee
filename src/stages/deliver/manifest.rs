//! The two objects that describe a delivery: `_delivery.json`, the first, and `manifest.json`, the last.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use super::ROLE;
use super::intent::Intent;
use super::objects::Table;
use crate::stages::{Made, Within};

/// The version of the form of both objects.
const FORMAT: u32 = 1;

/// The text of `_delivery.json`: whose the prefix is.
pub(super) fn claim(intent: &Intent, within: &Within<'_>) -> String {
    text(&json!({
        "format": FORMAT,
        "id": intent.id,
        "pipeline": within.pipeline,
        "stage": within.stage,
        "run": intent.run,
        "delivery": intent.delivery,
        "started": time(intent.started),
        "version": env!("CARGO_PKG_VERSION"),
    }))
}

/// The id of the delivery that wrote one of the two objects.
pub(super) fn id_of(bytes: &[u8]) -> Option<String> {
    let found: Value = serde_json::from_slice(bytes).ok()?;
    found.get("id")?.as_str().map(str::to_owned)
}

/// The text of `manifest.json`.
pub(super) fn manifest(
    intent: &Intent,
    within: &Within<'_>,
    tables: &[Table],
    missing: &[String],
    kind_version: u32,
) -> String {
    let made = |table: &str| within.made.get(&format!("{ROLE}{table}"));
    let missing: Vec<Value> = missing
        .iter()
        .map(|name| json!({"table": name, "stage": within.stages.get(&format!("{ROLE}{name}"))}))
        .collect();
    text(&json!({
        "format": FORMAT,
        "id": intent.id,
        "pipeline": within.pipeline,
        "stage": within.stage,
        "run": within.run,
        "delivery": intent.delivery,
        "url": format!("{}/", intent.url.trim_end_matches('/')),
        "started": time(intent.started),
        "finished": time(Utc::now()),
        "version": env!("CARGO_PKG_VERSION"),
        "kind_version": kind_version,
        "partial": !missing.is_empty(),
        "missing": missing,
        "tables": tables.iter().map(|table| described(table, made(&table.name))).collect::<Vec<_>>(),
    }))
}

fn described(table: &Table, made: Option<&Made>) -> Value {
    let objects: Vec<Value> = table
        .objects
        .iter()
        .map(|object| {
            json!({
                "object": object.name,
                "bytes": object.sums.bytes,
                "md5": object.sums.md5,
                "blake3": object.sums.blake3,
                "rows": object.rows,
            })
        })
        .collect();
    json!({
        "name": table.name,
        "rows": table.objects.iter().map(|object| object.rows).sum::<u64>(),
        "bytes": table.objects.iter().map(|object| object.sums.bytes).sum::<u64>(),
        "objects": objects,
        "columns": table.columns,
        "made": made.map(|made| json!({
            "stage": made.stage,
            "kind": made.kind,
            "kind_version": made.kind_version,
            "version": made.version,
            "run": made.run,
            "written_by": made.written_by,
            "finished": time(made.finished),
        })),
        "snapshot": made.and_then(|made| made.generation.as_ref()).map(|generation| json!({
            "id": generation.snapshot,
            "lsn": generation.lsn,
            "taken": time(generation.taken),
        })),
    })
}

fn time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// JSON for people.
fn text(value: &Value) -> String {
    format!("{value:#}\n")
}

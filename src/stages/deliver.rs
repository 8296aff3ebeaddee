//! The kind `deliver`: copies of tables in a bucket or a folder, under a prefix of their own, with a manifest.

mod error;
mod intent;
mod manifest;
mod objects;
mod prefix;
mod target;
mod work;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use self::error::Error;
use self::objects::{CLAIM, MANIFEST, objects_of};
use self::target::{RUN, SAMPLE, Target};
use super::kind::no_parameter;
use super::{Defaults, Fact, InputRef, Job, Problems, Product, Prospect, Sources, Spec, Work};
use crate::quantity::thousands;
use crate::store::Stores;

/// The role of the input of a table begins with this.
const ROLE: &str = "tables.";

/// Delivers tables to an object store or a folder. Each delivery has a new prefix, which contains the time of the delivery.
/// The manifest is the last object: if there is a manifest, the delivery is complete.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeliverSpec {
    /// The tables. Write the name that the table has in the delivery, and the name of a stage, the path of a Parquet file or a
    /// folder, or a pattern such as `sss/*.parquet`. For example, `SSObject: ssobject` makes `SSObject.parquet`. A table of
    /// parts becomes a folder `SSObject/`.
    pub tables: BTreeMap<String, InputRef>,
    /// Where the tables go: a URL `s3://bucket/prefix/`, `gs://bucket/prefix/` or `file:///folder/`, or the path of a folder.
    /// Write `${run}` in it: each delivery replaces it with its UTC time, for example `20261001T201900014`.
    #[schemars(extend("format" = "delivery"))]
    pub to: String,
    /// Whether to write `manifest.json`. Default: `true`.
    pub manifest: Option<bool>,
    /// Whether to deliver the other tables if the stage of a table fails. The manifest lists the missing tables. Default:
    /// `false`.
    #[serde(skip_serializing_if = "no_parameter")]
    pub allow_partial: Option<bool>,
}

/// What the stage delivers, and where.
#[derive(Clone, Debug)]
pub struct Deliver {
    /// The names that the tables have there.
    tables: Vec<String>,
    to: Target,
    manifest: bool,
    allow_partial: bool,
}

impl Spec for DeliverSpec {
    const NAME: &'static str = "deliver";
    const ABOUT: &'static str = "Delivers tables to an object store or a folder, with a manifest.";
    const VERSION: u32 = 1;
    const MAKES_FILE: bool = false;
    type Work = Deliver;

    fn facts(figures: &Map<String, Value>) -> Vec<Fact> {
        let url = figures.get("delivered_to").and_then(Value::as_str);
        url.map(|url| ("Delivered to", url.to_owned())).into_iter().collect()
    }

    fn with_defaults(self, _: &Defaults) -> Self {
        self
    }

    fn check(&self, problems: &mut Problems) -> Option<Deliver> {
        if self.tables.is_empty() {
            problems
                .push(&["tables"], "`tables` is empty: add at least one table, such as `SSObject: ssobject`");
        }
        for name in self.tables.keys().filter(|name| !is_name(name)) {
            let message = format!(
                "`{name}` is not a name of a table: use letters, digits, `_`, `-` and `.`, but no `.` first"
            );
            problems.push(&["tables"], message);
        }
        let names: Vec<String> = self.tables.keys().map(|name| name.to_lowercase()).collect();
        for (index, (table, name)) in self.tables.keys().zip(&names).enumerate() {
            let clashes = |other: &String| other == name || *other == format!("{name}.parquet");
            let mut others = names[..index].iter().chain(&names[index + 1..]);
            if [CLAIM, MANIFEST].contains(&name.as_str()) || others.any(clashes) {
                let message =
                    format!("`{table}` clashes with another name of the delivery: choose another name");
                problems.push(&["tables"], message);
            }
        }
        let to = Target::read(&self.to).map_err(|message| problems.push(&["to"], message)).ok()?;
        Some(Deliver {
            tables: self.tables.keys().cloned().collect(),
            to,
            manifest: self.manifest.unwrap_or(true),
            allow_partial: self.allow_partial.unwrap_or_default(),
        })
    }
}

/// Whether a table can have this name: it is a part of keys and of paths.
fn is_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    !name.is_empty() && !name.starts_with('.') && name.chars().all(fits)
}

impl Work for Deliver {
    fn run(&self, job: &Job<'_>) -> Result<Product, super::Error> {
        Ok(work::run(self, job)?)
    }

    fn surroundings(&self, sources: &Sources) -> Option<(&'static str, String)> {
        let url = self.to.url(Path::new("/"), SAMPLE).ok()?;
        Some(("endpoint", Stores::endpoint(&url, sources.environment()).ok()??))
    }

    fn tolerates_missing(&self) -> bool {
        self.allow_partial
    }

    fn outlook(&self, prospect: &Prospect<'_>) -> Vec<String> {
        let Ok(base) = self.to.url(prospect.root, RUN) else { return Vec::new() };
        let mut lines = vec![format!("{}  written first", base.join(CLAIM))];
        for name in &self.tables {
            let role = format!("{ROLE}{name}");
            let Some(path) = prospect.inputs.get(&role) else {
                lines.push(format!("`{name}` is missing"));
                continue;
            };
            let now = if prospect.pending.contains(&role.as_str()) { " now" } else { "" };
            match objects_of(name, path) {
                Ok(objects) => lines.extend(objects.into_iter().map(|(object, file)| {
                    let bytes = fs::metadata(&file).map_or(0, |found| found.len());
                    format!("{}  {} bytes{now}", base.join(&object), thousands(bytes))
                })),
                Err(_) => lines.push(format!("{}  not made yet", base.join(&format!("{name}.parquet")))),
            }
        }
        if self.manifest {
            lines.push(format!("{}  written last", base.join(MANIFEST)));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_a_table_is_a_part_of_a_key() {
        for (name, fits) in
            [("SSObject", true), ("mpc_orbits-2.v1", true), ("", false), (".x", false), ("a/b", false)]
        {
            assert_eq!(is_name(name), fits, "{name}");
        }
    }
}

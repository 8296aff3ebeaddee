//! The texts of a first pipeline file and of its schema files.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::bail;

use crate::butler::Contents;
use crate::characters::strange_in_name;
use crate::cli::connection::ConnectionFlags;
use crate::environment::Environment;
use crate::postgres::sql::quoted;
use crate::postgres::{Columns, Inventory, Relation};
use crate::run::words::{size, thousands};
use crate::schema::ColumnType;
use crate::stages::Spec as _;
use crate::stages::export::ExportSpec;
use crate::stages::extract::{DEFAULT_DATASET_TYPE, ExtractSpec};

use super::yaml::{comment, list, scalar, value};

/// All that the files are made of.
pub(super) struct Draft<'a> {
    pub name: String,
    /// The settings of the connection, a line each.
    pub database: String,
    /// The name of the database.
    pub about: String,
    pub tables: Vec<Table<'a>>,
    /// The name of the stage that reads the repository.
    pub extract: String,
    pub butler: Option<Butler>,
}

/// A table and the stage that exports it.
pub(super) struct Table<'a> {
    pub stage: String,
    pub relation: &'a Relation,
    pub columns: Columns,
    pub is_empty: bool,
}

/// A repository.
pub(super) struct Butler {
    pub repo: String,
    /// Empty if it could not be opened.
    pub contents: Contents,
}

/// Other collections or dataset types that are named in a comment.
const MOST_NAMED: usize = 8;

impl Draft<'_> {
    /// The pipeline file, below the folder.
    pub(super) fn file(&self) -> PathBuf {
        format!("pipelines/{}.yaml", self.name).into()
    }

    /// Its text.
    pub(super) fn text(&self) -> String {
        let Self { database, about, .. } = self;
        let mut text = format!(
            "# yaml-language-server: $schema=../schemas/pipeline.schema.json\n\
             #\n\
             # Exports tables of database {} to Parquet files.\n\
             # All settings: docs/reference/pipeline.md of ssp, or `ssp-run schema`.\n\
             version: 1\n\
             name: {}\n\
             root: ..                        # relative paths start above pipelines/\n\
             out_dir: data\n\
             keep: 7                         # complete nights that `ssp-run rollback` can put back\n\n\
             database:\n{database}\n",
            comment(about),
            scalar(&self.name)
        );
        if let Some(butler) = &self.butler {
            let _ = writeln!(text, "butler:\n  repo: {}\n", value(&butler.repo));
        }
        text += "stages:\n";
        for table in &self.tables {
            text += &table.stage();
        }
        text + &self.extract()
    }

    /// The stage that reads a repository, commented out if there is none.
    fn extract(&self) -> String {
        let contents = self.butler.as_ref().map(|butler| &butler.contents);
        let collections = contents.map_or(&[][..], |contents| &contents.collections);
        let types = contents.map_or(&[][..], |contents| &contents.dataset_types);
        let usual = types.iter().find(|name| *name == DEFAULT_DATASET_TYPE);
        let dataset_type = usual.or(types.first()).map_or(DEFAULT_DATASET_TYPE, String::as_str);
        let collection = collections.first().map_or("LSSTCam/runs/DRP", String::as_str);
        let ids = self.tables.iter().find_map(|table| Some((table.stage.as_str(), table.ids()?)));
        let (ids, column) = ids.unwrap_or(("STAGE", "COLUMN"));
        let stage = format!(
            "  {}:\n    {}:\n      collection: {}\n{}      dataset_type: {}\n{}      \
             # only rows whose id is in a column of integers of another stage:\n      \
             # filter: {{ids: {ids}, column: {}, target: diaSourceId}}\n    out: {}.parquet\n",
            self.extract,
            ExtractSpec::NAME,
            value(collection),
            others(collection, collections),
            value(dataset_type),
            others(dataset_type, types),
            value(column),
            self.extract,
        );
        if collections.is_empty() || types.is_empty() {
            let butler = if self.butler.is_some() {
                ""
            } else {
                "\n  # and above `stages`: butler: {repo: /repo/main}"
            };
            let lines: Vec<&str> = stage.lines().map(|line| &line[2..]).collect();
            let commented = format!("  # {}\n", lines.join("\n  # "));
            return format!(
                "  # Detections of a Butler repository. To read them, remove the `#`{butler}\n{commented}"
            );
        }
        format!("  # detections of the Butler repository\n{stage}")
    }
}

/// A comment on what else there is to choose from.
fn others(chosen: &str, all: &[String]) -> String {
    let others: Vec<String> = all.iter().filter(|name| *name != chosen).map(|name| comment(name)).collect();
    let more = if others.len() > MOST_NAMED { "      # and others\n" } else { "" };
    let lines: Vec<String> =
        others.iter().take(MOST_NAMED).map(|name| format!("      # or {name}\n")).collect();
    lines.concat() + more
}

impl Table<'_> {
    pub(super) fn schema_file(&self) -> String {
        format!("schemas/{}.yaml", self.stage)
    }

    /// The schema that the table's export has now; none if a schema file cannot name one of its types.
    pub(super) fn schema(&self, database: &str) -> Option<String> {
        let default = || format!("Rows of {} in database {database}.", self.relation.reference());
        let about = self.relation.comment.clone().unwrap_or_else(default);
        let mut text = format!("table: {}\ndescription: {}\ncolumns:\n", scalar(&self.stage), scalar(&about));
        for (column, field) in self.columns.columns().iter().zip(self.columns.schema().fields()) {
            let kind = scalar(&ColumnType::of(field.data_type())?.to_string());
            let nullable = if field.is_nullable() { "" } else { ", nullable: false" };
            let default = || format!("Of type {} in the database.", column.postgres_type);
            let description = scalar(&column.comment.clone().unwrap_or_else(default));
            let name = scalar(&column.name);
            let _ =
                writeln!(text, "  - {{name: {name}, type: {kind}{nullable}, description: {description}}}");
        }
        Some(text)
    }

    /// Its column of DiaSource ids, if it has one of that name.
    fn ids(&self) -> Option<&str> {
        self.columns.columns().iter().map(|column| column.name.as_str()).find(|name| *name == "obssubid")
    }

    fn stage(&self) -> String {
        let Self { stage, relation, .. } = self;
        let rows = relation.estimated_rows.map(|rows| format!(", about {} rows", thousands(rows)));
        let bytes = relation.bytes.map(|bytes| format!(", {}", size(bytes)));
        let mut text = format!(
            "  # {} {}{}{}\n  {stage}:\n    {}:\n{}    out: {stage}.parquet\n",
            relation.kind,
            comment(&relation.reference()),
            rows.unwrap_or_default(),
            bytes.unwrap_or_default(),
            ExportSpec::NAME,
            self.source(),
        );
        if self.columns.schema().fields().iter().all(|field| ColumnType::of(field.data_type()).is_some()) {
            let _ = writeln!(text, "    schema: {}", self.schema_file());
        }
        let key = self.key();
        // A row is known by the whole key or not at all.
        if !key.is_empty() && key.len() == relation.primary_key.len() {
            let _ = writeln!(text, "    key: {}", list(&key));
        }
        text + &self.checks() + "\n"
    }

    /// The columns of the primary key that the output has.
    fn key(&self) -> Vec<String> {
        let exported = |name: &&String| {
            strange_in_name(name).is_none()
                && self.columns.columns().iter().any(|column| column.name == **name)
        };
        self.relation.primary_key.iter().filter(exported).cloned().collect()
    }

    /// What to export. A name that cannot be seen as a whole is written in quotes in a query, where it is meant.
    fn source(&self) -> String {
        let Relation { readable_columns, .. } = self.relation;
        let mut names = readable_columns.iter().flatten().chain([&self.relation.name, &self.relation.schema]);
        if names.any(|name| strange_in_name(name).is_some()) {
            let columns = self.columns.columns().iter().map(|column| quoted(&column.name));
            let columns = columns.collect::<Vec<_>>().join(", ");
            return format!(
                "      sql: {}\n",
                value(&format!("SELECT {columns} FROM {}", self.relation.quoted()))
            );
        }
        let only = readable_columns.as_ref();
        let only = only.map(|columns| format!("      columns: {}   # readable\n", list(columns)));
        format!("      table: {}\n{}", value(&self.relation.reference()), only.unwrap_or_default())
    }

    /// Checks that hold now, as far as the catalogue shows.
    fn checks(&self) -> String {
        let rows = if self.is_empty { "" } else { "min_rows: 1, " };
        let remark = if self.is_empty { "   # the table is empty now; later, add min_rows: 1" } else { "" };
        let key = self.key();
        let not_null = if key.is_empty() { String::new() } else { format!(", not_null: {}", list(&key)) };
        // Of a key of several columns, each may repeat.
        let unique = match self.relation.primary_key.as_slice() {
            [_] if key.len() == 1 => format!(", unique: {}", list(&key)),
            _ => String::new(),
        };
        format!("    checks: {{{rows}max_shrink: 10%{not_null}{unique}}}{remark}\n")
    }
}

/// The service that the flags name or, if no flag says where to connect, the environment.
pub(super) fn service_of<'a>(flags: &'a ConnectionFlags, environment: &'a Environment) -> Option<&'a str> {
    let of_environment = || environment.variable("PGSERVICE").filter(|_| flags.is_empty());
    flags.service.as_deref().or_else(of_environment)
}

/// The settings of the connection as they were given; what was not given stays with the environment.
pub(super) fn database(
    flags: &ConnectionFlags,
    environment: &Environment,
    inventory: &Inventory,
) -> anyhow::Result<String> {
    if let Some(port) = flags.port.as_ref().filter(|port| port.parse::<u16>().is_err()) {
        bail!("`--port {port}`: a pipeline file takes one port; for several, use a service");
    }
    let service = service_of(flags, environment);
    let is_placed = service.is_some() || flags.dsn.is_some() || flags.dbname.is_some();
    let dbname = flags.dbname.as_deref().or_else(|| (!is_placed).then_some(&*inventory.database));
    let texts = [
        ("service", service),
        ("dsn", flags.dsn.as_ref().map(crate::postgres::connect::Secret::reveal)),
        ("host", flags.host.as_deref()),
        ("dbname", dbname),
        ("user", flags.user.as_deref()),
        ("sslmode", flags.sslmode.map(crate::postgres::SslMode::name)),
    ];
    let mut text = String::new();
    if flags.is_empty() && service.is_none() {
        text += "  # host, port and user come from the environment: PGHOST, PGPORT, PGUSER\n";
    }
    for (key, setting) in texts.into_iter().filter_map(|(key, setting)| Some((key, setting?))) {
        let _ = writeln!(text, "  {key}: {}", value(setting));
    }
    if let Some(port) = &flags.port {
        let _ = writeln!(text, "  port: {port}");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::*;

    #[test]
    fn the_file_has_the_name_that_was_given() {
        for name in ["nightly", "true", "no", "on", "y", "null", "e3", "a-b_1"] {
            let contents =
                Contents { collections: vec!["c".to_owned()], dataset_types: vec!["t".to_owned()] };
            let draft = Draft {
                name: name.to_owned(),
                database: "  service: s\n".to_owned(),
                about: String::new(),
                tables: Vec::new(),
                extract: "dia_sources".to_owned(),
                butler: Some(Butler { repo: "/repo".to_owned(), contents }),
            };
            let text = draft.text();
            let reading = crate::pipeline::read(Path::new("p.yaml"), &text, &BTreeMap::new(), &|_| None);
            assert_eq!(reading.mistakes, [], "{text}");
            assert_eq!(reading.pipeline.unwrap().name, name);
        }
    }
}

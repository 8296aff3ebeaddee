//! `ssp-run describe`: the columns of an output, and where the output is from.

use std::fmt::Write as _;

use arrow_schema::Field;
use serde_json::{Value, json};

use crate::cli::failure::{Exit, Failure};
use crate::errors::chain;
use crate::lines::fit;
use crate::parquet::read::TableReader;
use crate::parquet::statistics::{Bound, ColumnStatistics};
use crate::pipeline::{Stage, plain};
use crate::plan::Record;
use crate::run::words::{count, size, thousands};
use crate::run::{Found, Store, other_digest};
use crate::schema::{DESCRIPTION, Declared, UNIT, type_name};
use crate::tables::Cell;

use super::super::{json as pretty, print};
use super::flags::DescribeFlags;
use super::grid::{Grid, cut, terminal_width};
use super::{Place, output};

/// Columns of the terminal that a minimum or maximum that is a text may take.
const TEXT_WIDTH: usize = 32;
/// Columns before what belongs to the line above.
const INDENT: usize = 4;

/// An output, described.
struct Description<'a> {
    stage: &'a Stage,
    path: String,
    reader: TableReader,
    record: Option<Box<Record>>,
    warnings: Vec<String>,
    columns: Vec<Column>,
}

struct Column {
    name: String,
    data_type: String,
    nullable: bool,
    unit: Option<String>,
    description: Option<String>,
    statistics: ColumnStatistics,
}

/// Prints the description of the output of a stage.
pub(in crate::cli::run) fn describe(place: &Place, flags: &DescribeFlags) -> Result<Exit, Failure> {
    let description = Description::of(place, place.stage(&flags.stage)?)?;
    let text = if flags.json { pretty(&description.json())? } else { description.text() };
    Ok(print(&text))
}

impl<'a> Description<'a> {
    fn of(place: &Place, stage: &'a Stage) -> Result<Self, Failure> {
        let reader = place.open(stage)?;
        let mut warnings = Vec::new();
        let declared = stage.schema.as_ref().and_then(|schema| {
            let found = schema.load();
            found.map_err(|error| warnings.push(chain(&error).join(": "))).ok()
        });
        let fields = reader.schema().fields().iter();
        let columns = fields.map(|field| column(&reader, field, declared.as_ref())).collect();
        let (store, path) = (Store::new(&place.pipeline.out_dir), output(stage)?);
        let record = match store.record(&stage.name) {
            Found::Record(record) => Some(record),
            Found::Nothing => {
                warnings.push("no run has recorded this file".to_owned());
                None
            }
            Found::Unreadable(why) => {
                warnings.push(format!("the record of the stage cannot be read: {why}"));
                None
            }
        };
        if let Some(recorded) = record.as_ref().and_then(|record| record.output.as_ref()) {
            match other_digest(&store, recorded, path) {
                _ if store.out_dir().join(&recorded.path) != path => warnings.push(format!(
                    "the stage has another `out` in its record: `{}`",
                    recorded.path.display()
                )),
                Ok(None) => {}
                Ok(Some(digest)) => warnings.push(format!(
                    "the file was changed after the run that wrote it: its digest is {digest}"
                )),
                Err(error) => warnings.push(format!("cannot check the file: {error}")),
            }
        }
        let path = plain(path).display().to_string();
        Ok(Self { stage, path, reader, record, warnings, columns })
    }

    fn text(&self) -> String {
        let mut text = format!("{} ({})\n", self.stage.name, self.stage.kind.name);
        let rows = thousands(self.reader.rows());
        let groups = count(self.reader.row_groups(), "row group");
        let mut facts = vec![
            ("path", self.path.clone()),
            ("rows", format!("{rows}, in {groups}")),
            ("size", format!("{} ({} bytes)", size(self.reader.bytes()), thousands(self.reader.bytes()))),
        ];
        if let Some(record) = &self.record {
            facts.extend(record.output.as_ref().map(|output| ("digest", output.digest.to_string())));
            facts.push(("run", runs(record)));
        }
        if !self.stage.row_key.is_empty() {
            facts.push(("key", self.stage.row_key.join(", ")));
        }
        facts.extend(self.warnings.iter().map(|warning| ("warning", warning.clone())));
        for (name, fact) in facts {
            let _ = writeln!(text, "{}", fit(&format!("{name:<7}"), [fact], 9));
        }
        let titles = [("column", false), ("type", false), ("unit", false), ("NULLs", true), ("range", false)];
        let mut grid = Grid::new(titles.map(|(title, right)| (title.to_owned(), right)));
        let lines: Vec<Vec<String>> = self.columns.iter().map(Column::line).collect();
        for line in &lines {
            grid.widen(&line[..line.len() - 1]);
        }
        grid.squeeze(terminal_width());
        let _ = write!(text, "\n{}", grid.titles());
        grid.truncate(titles.len() - 1);
        for (column, line) in self.columns.iter().zip(&lines) {
            let head = grid.line(line);
            let _ = writeln!(text, "{}", fit(head.trim_end(), line.last(), INDENT));
            if let Some(description) = &column.description {
                let _ = writeln!(text, "{}", fit("  ", [description], INDENT));
            }
        }
        text
    }

    fn json(&self) -> Value {
        let record = self.record.as_ref();
        json!({
            "format": 1,
            "stage": self.stage.name,
            "kind": self.stage.kind.name,
            "path": self.path,
            "rows": self.reader.rows(),
            "row_groups": self.reader.row_groups(),
            "bytes": self.reader.bytes(),
            "digest": record.and_then(|record| record.output.as_ref()).map(|output| output.digest),
            "written_by": record.map(|record| &record.written_by),
            "confirmed_by": record.map(|record| &record.run),
            "key": self.stage.row_key,
            "warnings": self.warnings,
            "columns": self.columns.iter().map(Column::json).collect::<Vec<_>>(),
        })
    }
}

fn runs(record: &Record) -> String {
    if record.run == record.written_by {
        return format!("{}, which wrote it", record.run);
    }
    format!("{}, which wrote it; {} made the same again", record.written_by, record.run)
}

fn column(reader: &TableReader, field: &Field, declared: Option<&Declared>) -> Column {
    let declared = declared.and_then(|schema| schema.column(field.name()));
    let in_file = |key| field.metadata().get(key).cloned();
    Column {
        name: field.name().clone(),
        data_type: type_name(field.data_type()),
        nullable: field.is_nullable(),
        unit: in_file(UNIT).or_else(|| declared?.unit.map(str::to_owned)),
        description: in_file(DESCRIPTION).or_else(|| declared?.description.map(str::to_owned)),
        statistics: reader.statistics(field.name()),
    }
}

impl Column {
    /// Name, type, unit, NULLs and range.
    fn line(&self) -> Vec<String> {
        let shown = |text: &str| Cell::Text(text.to_owned()).to_string();
        let nulls = self.statistics.nulls.map_or_else(|| "-".to_owned(), thousands);
        let bound = |bound: &Option<Bound>, sign: &str| {
            bound.as_ref().map(|bound| {
                let cell = Cell::of(&bound.value, 0);
                let text = cell.to_string();
                let text = if matches!(cell, Cell::Text(_)) { cut(&text, TEXT_WIDTH) } else { text.into() };
                if bound.exact { text.into_owned() } else { format!("{sign} {text}") }
            })
        };
        let range = match (bound(&self.statistics.min, ">="), bound(&self.statistics.max, "<=")) {
            (None, None) => "-".to_owned(),
            (min, max) => {
                let known = |bound: Option<String>| bound.unwrap_or_else(|| "-".to_owned());
                format!("{} to {}", known(min), known(max))
            }
        };
        vec![
            shown(&self.name),
            self.data_type.clone(),
            shown(self.unit.as_deref().unwrap_or_default()),
            nulls,
            range,
        ]
    }

    fn json(&self) -> Value {
        let value = |bound: &Option<Bound>| {
            bound.as_ref().and_then(|bound| {
                let mut text = String::new();
                Cell::of(&bound.value, 0).json(&mut text);
                serde_json::from_str::<Value>(&text).ok()
            })
        };
        let exact = |bound: &Option<Bound>| bound.as_ref().map(|bound| bound.exact);
        let ColumnStatistics { nulls, min, max } = &self.statistics;
        json!({
            "name": self.name,
            "type": self.data_type,
            "nullable": self.nullable,
            "unit": self.unit,
            "description": self.description,
            "nulls": nulls,
            "min": value(min),
            "max": value(max),
            "min_is_exact": exact(min),
            "max_is_exact": exact(max),
        })
    }
}

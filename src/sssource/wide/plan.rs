//! Where each copied column comes from, by the columns of the inputs and the options.

use std::path::Path;

use super::convert::wanted;
use super::recipe::{DIA_SOURCE_ID, Fill, IDS, MEASURED_ON, Recipe};
use super::schema::copied_columns;
use crate::schema::Column;
use crate::sssource::options::{MeasuredOn, Options};
use crate::sssource::{Error, Inputs};
use crate::tables::Files;

/// The inputs of the copied columns, looked at and not yet read.
pub struct Wide {
    pub(super) obs: Source,
    pub(super) dia: Source,
    pub(super) columns: Vec<Origin>,
    pub(super) measured_on: MeasuredOn,
    warnings: Vec<String>,
}

/// An input and what is copied of it.
pub(super) struct Source {
    pub files: Files,
    pub table: &'static str,
    /// The column by which errors name rows.
    pub id: &'static str,
    pub stored: Vec<Stored>,
}

/// A column that is held until its rows are gathered.
pub(super) struct Stored {
    pub column: &'static Column,
    pub recipe: Recipe,
}

/// Where a column comes from.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Origin {
    Row(Computed),
    /// The column of this number that is held of `obs_sbn`.
    Obs(usize),
    /// The same of `dia_sources`.
    Dia(usize),
    /// All rows have the same.
    Filled(Fill),
}

/// What the association gives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Computed {
    Primary,
    SsObjectId,
    Designation,
    MidpointMjdTai,
    Ra,
    Dec,
}

impl Computed {
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "primary" => Self::Primary,
            "ssObjectId" => Self::SsObjectId,
            "designation" => Self::Designation,
            "midpointMjdTai" => Self::MidpointMjdTai,
            "ra" => Self::Ra,
            "dec" => Self::Dec,
            _ => return None,
        })
    }
}

pub(super) const OBS_SBN: &str = "obs_sbn";
pub(super) const DIA_SOURCES: &str = "dia_sources";
const OBSID: &str = "obsid";
/// The columns of `obs_sbn`.
const OF_OBS: [&str; 6] = [OBSID, "obssubid", "trksub", "trkid", "submission_id", "status"];
/// Columns that need no warning where `dia_sources` lacks them: one kind of rows has none of them.
const OF_SCIENCE: [&str; 2] = ["sourceId", "parentSourceId"];

impl Wide {
    /// Looks at the columns of the inputs: to be called before the association, which takes long.
    ///
    /// # Errors
    /// A column that is missing, or has a type that cannot be converted; [`Error::NoOption`], [`Error::LongOption`].
    pub fn open(inputs: &Inputs, options: &Options) -> Result<Self, Error> {
        let open = |table, id, path: &Path| -> Result<Source, Error> {
            Ok(Source { files: Files::open(table, path)?, table, id, stored: Vec::new() })
        };
        let mut wide = Self {
            obs: open(OBS_SBN, OBSID, &inputs.obs_sbn)?,
            dia: open(DIA_SOURCES, DIA_SOURCE_ID, &inputs.dia_sources)?,
            columns: Vec::new(),
            measured_on: options.measured_on.unwrap_or_default(),
            warnings: Vec::new(),
        };
        let mut lacking = Vec::new();
        for column in copied_columns() {
            let origin = wide.origin(column, options, &mut lacking)?;
            wide.columns.push(origin);
        }
        for source in [&wide.obs, &wide.dia] {
            for Stored { column, .. } in &source.stored {
                source.files.check_type(&column.name, |found| wanted(found, column.kind))?;
            }
        }
        if !lacking.is_empty() {
            wide.warnings.push(format!(
                "dia_sources lacks {} columns of the wide table, which are NULL: `{}`",
                lacking.len(),
                lacking.join("`, `")
            ));
        }
        Ok(wide)
    }

    /// What people should know though the columns can be copied.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The rows that [`Wide::copy`] tells the monitor of.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.obs.files.rows().saturating_add(self.dia.files.rows())
    }

    fn origin(
        &mut self,
        column: &'static Column,
        options: &Options,
        lacking: &mut Vec<&'static str>,
    ) -> Result<Origin, Error> {
        let name = column.name.as_str();
        if let Some(computed) = Computed::of(name) {
            return Ok(Origin::Row(computed));
        }
        if OF_OBS.contains(&name) {
            self.obs.files.needs(name)?;
            return Ok(Origin::Obs(self.obs.store(column, Recipe::Copy(Fill::Null))));
        }
        let recipe = recipe(column, options)?;
        let is_everywhere = self.dia.files.lacking(&[name]).is_none();
        if let (Recipe::Copy(Fill::Null), false, false) = (&recipe, column.nullable, is_everywhere) {
            match flag(name) {
                Some(flag) => return Err(Error::NoOption { column: name.to_owned(), flag }),
                None => self.dia.files.needs(name)?,
            }
        }
        let is_made = match &recipe {
            Recipe::Copy(fill) | Recipe::MeasuredOn(fill) => *fill != Fill::Null,
            Recipe::Id => OF_SCIENCE.contains(&name),
            Recipe::Mag { flux } => self.dia.files.lacking(&[flux]).is_none(),
            Recipe::MagErr { flux, flux_err } => self.dia.files.lacking(&[flux, flux_err]).is_none(),
        };
        if !is_everywhere && !is_made {
            lacking.push(name);
        }
        let is_stored = !recipe.needs(column, |name| self.dia.files.any_has(name)).is_empty();
        Ok(match recipe {
            Recipe::Copy(fill) | Recipe::MeasuredOn(fill) if !is_stored => Origin::Filled(fill),
            _ if !is_stored => Origin::Filled(Fill::Null),
            recipe => Origin::Dia(self.dia.store(column, recipe)),
        })
    }
}

impl Source {
    /// Holds a column; its number.
    fn store(&mut self, column: &'static Column, recipe: Recipe) -> usize {
        self.stored.push(Stored { column, recipe });
        self.stored.len() - 1
    }
}

/// How a column of `dia_sources` is made.
fn recipe(column: &Column, options: &Options) -> Result<Recipe, Error> {
    let name = column.name.as_str();
    let label = |given: &Option<String>| match (given, column.length) {
        (Some(text), Some(most)) if text.chars().count() > most as usize => {
            Err(Error::LongOption { flag: flag(name).unwrap_or_default(), text: text.clone(), most })
        }
        (Some(text), _) => Ok(Recipe::Copy(Fill::Text(text.clone()))),
        (None, _) => Ok(Recipe::Copy(Fill::Null)),
    };
    match name {
        MEASURED_ON => {
            let measured_on = options.measured_on.unwrap_or_default();
            return Ok(Recipe::MeasuredOn(Fill::Text(measured_on.name().to_owned())));
        }
        "processing" => return label(&options.processing_label),
        "processingTable" => return label(&options.processing_table),
        "midpointMjdTai_flag" => return Ok(Recipe::Copy(Fill::True)),
        _ if IDS.contains(&name) => return Ok(Recipe::Id),
        _ => {}
    }
    let flux = |stem: &str| format!("{stem}Flux");
    if let Some(stem) = name.strip_suffix("Mag") {
        return Ok(Recipe::Mag { flux: flux(stem) });
    }
    if let Some(stem) = name.strip_suffix("MagErr") {
        return Ok(Recipe::MagErr { flux: flux(stem), flux_err: flux(stem) + "Err" });
    }
    Ok(Recipe::Copy(Fill::Null))
}

/// The flag that gives a column which `dia_sources` lacks.
fn flag(column: &str) -> Option<&'static str> {
    match column {
        "processing" => Some("--processing-label"),
        "processingTable" => Some("--processing-table"),
        _ => None,
    }
}

//! The kind `build-ssobject`: the per-object table, from three inputs to one Parquet file.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::figures::{OBJECT, ObjectChanges, ObjectFigures, TableFigures};
use super::kind::{ReadChanges, are_usual, no_parameter};
use super::{Defaults, InputRef, Job, Problems, Product, ReadFigures, Spec, Work, memory};
use crate::durable;
use crate::errors::{Class, Classified};
use crate::monitor::Monitor;
use crate::parquet;
use crate::parquet::write::{Compression, Encodings, TableWriter, WriteOptions};
use crate::quantity::Size;
use crate::science::photometry::settings::FitSpec;
use crate::ssobject::options::{self, Earth};
use crate::ssobject::table;
use crate::ssobject::{self, SCHEMA};
use crate::tables;
use crate::threads::compute;

pub use crate::ssobject::table::Inputs;

/// Builds the SSObject table, which has one row per object. The input SSSource links each detection to its object. The
/// input DiaSource contains the measurements.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BuildSsObjectSpec {
    /// The SSSource table. Write the name of a stage, the path of a Parquet file or a folder, or a pattern such as
    /// `sss/*.parquet`.
    pub sssource: InputRef,
    /// The DiaSource table, in the same form as `sssource`. If the SSSource table contains the columns of DiaSource,
    /// leave out this key.
    pub dia_sources: Option<InputRef>,
    /// The table of the orbits of the objects, in the same form as `sssource`.
    pub mpc_orbits: InputRef,
    /// Settings of the fits of H and G12.
    #[serde(default)]
    pub fit: FitSpec,
    /// The orbit of the Earth that the stage uses for the MOID. Default: `osculating`.
    pub earth: Option<Earth>,
    /// How to treat SSSource rows whose detection is missing in DiaSource. Default: `error`.
    pub on_missing: Option<OnMissingRow>,
    /// Compression of the output.
    pub compression: Option<Compression>,
    /// Encoding of the values in the output. Default: `compact`.
    #[serde(skip_serializing_if = "are_usual")]
    pub encodings: Option<Encodings>,
    /// Approximate limit for the memory that the rows of the tables use, for example `8G` or `500M`. If the rows need
    /// more memory, the stage writes rows to temporary files. Default: half of the memory of this machine. If this
    /// container or this Slurm job has a lower limit, the default is half of this limit.
    #[serde(skip_serializing_if = "no_parameter")]
    pub memory: Option<Size>,
}

/// How to treat SSSource rows without a DiaSource.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnMissingRow {
    /// The stage fails. The error message shows the number of these rows and some examples.
    #[default]
    Error,
    /// The stage leaves these rows out, and prints their number.
    Drop,
}

/// Why the stage did not make its file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The table could not be built.
    #[error("cannot build the SSObject table")]
    Build(#[from] ssobject::Error),
    /// The file could not be written.
    #[error("cannot write the SSObject table")]
    Write(#[source] parquet::Error),
    /// The monitor asked for a stop.
    #[error("stopped")]
    Stopped,
}

/// How the stage works.
#[derive(Clone, Debug, PartialEq)]
pub struct BuildSsObject {
    /// How the table is built.
    pub table: options::Options,
    /// How the output is written.
    pub write: WriteOptions,
    /// Where rows go that memory does not hold; beside the target if it is not known.
    pub scratch: Option<PathBuf>,
}

impl Classified for Error {
    fn class(&self) -> Class {
        if matches!(self, Self::Stopped) { Class::Stopped } else { Class::Fault }
    }
}

impl Spec for BuildSsObjectSpec {
    const NAME: &'static str = "build-ssobject";
    const ABOUT: &'static str = "Builds the SSObject table, which has one row per object.";
    const VERSION: u32 = 3;
    const ROWS: &'static str = "objects";
    const ROW_KEY: &'static [&'static str] = &[OBJECT];
    const CHANGES: Option<ReadChanges> = Some(ObjectChanges::read);
    const FIGURES: Option<ReadFigures> =
        Some(|path| Ok(TableFigures::Objects(Box::new(ObjectFigures::read(path)?))));
    type Work = BuildSsObject;

    fn with_defaults(self, defaults: &Defaults) -> Self {
        Self {
            compression: self.compression.or(defaults.compression),
            encodings: self.encodings.or(defaults.encodings),
            ..self
        }
    }

    fn check(&self, problems: &mut Problems) -> Option<BuildSsObject> {
        let mut unusable = Vec::new();
        let fit = self.fit.options(&mut unusable);
        for problem in unusable {
            problems.push(&["fit", problem.setting], problem.to_string());
        }
        Some(BuildSsObject {
            table: options::Options {
                fit,
                earth: self.earth.unwrap_or_default(),
                drop_missing: self.on_missing == Some(OnMissingRow::Drop),
                memory_bytes: self.memory.map_or_else(memory::half, |size| size.0),
            },
            write: WriteOptions {
                compression: self.compression.unwrap_or_default(),
                encodings: self.encodings.unwrap_or_default(),
                ..WriteOptions::default()
            },
            scratch: None,
        })
    }
}

impl Work for BuildSsObject {
    fn run(&self, job: &Job<'_>) -> Result<Product, super::Error> {
        let inputs = Inputs {
            sssource: job.needed_input("sssource")?.to_owned(),
            dia_sources: job.input("dia_sources").map(Path::to_owned),
            mpc_orbits: job.needed_input("mpc_orbits")?.to_owned(),
        };
        let options = Self { scratch: job.scratch.map(Path::to_owned), ..self.clone() };
        Ok(run(&inputs, &options, job.target, job.monitor)?)
    }
}

/// Builds the table and seals its file; the caller publishes it.
///
/// # Errors
/// All of [`Error`]; there is no file then.
pub fn run(
    inputs: &Inputs,
    options: &BuildSsObject,
    target: &Path,
    monitor: &Monitor,
) -> Result<Product, Error> {
    compute(|| {
        let mut writer = TableWriter::create(target, SCHEMA.arrow(), &options.write).map_err(Error::Write)?;
        let mut sink = |batch| Ok(writer.write(&batch).map_err(tables::Error::Parquet)?);
        let beside = || durable::scratch(target).map_err(|error| Error::Write(error.into()));
        let folder = options.scratch.clone().map_or_else(beside, Ok)?;
        let figures = match table::build(inputs, &options.table, &folder, monitor, &mut sink) {
            Err(ssobject::Error::Input(tables::Error::Stopped)) => return Err(Error::Stopped),
            other => other?,
        };
        Ok(Product {
            files: vec![writer.seal().map_err(Error::Write)?],
            figures: figures.named().into_iter().map(|(name, count)| (name, count.into())).collect(),
            warnings: figures.warnings(),
            lookups: figures.lookups(),
            ..Product::default()
        })
    })
}

//! The kinds of stage, one file each: wiring between sources, science and the Parquet sink.
//!
//! A stage makes a sealed file and never publishes it: that is for `run` and for the command-line tools. Not a place
//! for decisions on whether a stage runs.

pub mod build_ssobject;
mod check;
pub mod export;
pub mod extract;
pub mod figures;
mod memory;
mod names;
mod sources;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

pub use crate::parquet::files as input_files;
pub use crate::postgres::connect::Environment;
pub use crate::postgres::{Evidence, Target};
pub use check::{Failed as CheckFailed, check, check_lookups};
pub use sources::{Datasets, Needs, Rehearsal, Sources, database_target};

use crate::lookup::Lookup;
use crate::monitor::Monitor;
use crate::parquet::write::SealedTable;
use crate::pipeline::spec::Encodings;
use crate::pipeline::{Kind, Pipeline, Stage};

/// What a stage made, safe on disk, not yet in place of its target.
#[derive(Debug)]
pub struct Product {
    /// The file.
    pub table: SealedTable,
    /// What is worth a line in the run's record, by name: counts and figures, in a fixed order.
    pub figures: Map<String, Value>,
    /// What people should know though the stage succeeded.
    pub warnings: Vec<String>,
    /// How its inputs fit together.
    pub lookups: Vec<Lookup>,
    /// For exports that asked for it: what the answer rests on.
    pub evidence: Option<Evidence>,
}

/// Why a stage failed, or could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An export.
    #[error(transparent)]
    Export(#[from] export::Error),
    /// An extract.
    #[error(transparent)]
    Extract(#[from] extract::Error),
    /// A build of the per-object table.
    #[error(transparent)]
    BuildSsObject(#[from] build_ssobject::Error),
    /// The database.
    #[error(transparent)]
    Postgres(#[from] crate::postgres::Error),
    /// What to connect to is not clear.
    #[error(transparent)]
    Target(#[from] crate::postgres::connect::TargetError),
    /// The repository.
    #[error(transparent)]
    Butler(#[from] crate::butler::Error),
    /// A source that the stage needs was not opened.
    #[error("the {0} of the pipeline file is not open")]
    NotOpen(&'static str),
    /// An input that the stage needs was not named.
    #[error("the stage has no input `{0}`")]
    NoInput(&'static str),
}

impl Error {
    /// Whether the stage ended because it was told to.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        match self {
            Self::Export(error) => error.is_stopped(),
            Self::Extract(error) => matches!(error, extract::Error::Stopped),
            Self::BuildSsObject(error) => matches!(error, build_ssobject::Error::Stopped),
            Self::Postgres(error) => matches!(error, crate::postgres::Error::Stopped(_)),
            _ => false,
        }
    }

    /// Whether another attempt, with sources that are opened again, may help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Export(error) => error.is_transient(),
            Self::Extract(error) => error.is_transient(),
            Self::Postgres(error) => error.is_transient(),
            Self::Butler(error) => error.is_transient(),
            Self::BuildSsObject(_) | Self::Target(_) | Self::NotOpen(_) | Self::NoInput(_) => false,
        }
    }

    /// Whether the stage waited for a lock when it was told to stop.
    #[must_use]
    pub fn is_stopped_waiting(&self) -> bool {
        matches!(self, Self::Export(export::Error::Postgres(crate::postgres::Error::Stopped(Some(_)))))
    }

    /// Whether a database or repository could not be reached at all.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        match self {
            Self::Export(error) => error.is_unreachable(),
            Self::Extract(error) => error.is_unreachable(),
            Self::Postgres(error) => error.is_unreachable(),
            Self::Butler(error) => error.is_unreachable(),
            Self::Target(_) => true,
            Self::BuildSsObject(_) | Self::NotOpen(_) | Self::NoInput(_) => false,
        }
    }
}

/// The version of the code of a kind of stage: raised when the same inputs make other bytes than before.
#[must_use]
pub fn version(kind: &Kind) -> u32 {
    match kind {
        Kind::Export(_) | Kind::BuildSsObject(_) => 2,
        Kind::Extract(_) => 1,
    }
}

/// A stage and all that it works on.
pub struct Job<'a> {
    /// The stage.
    pub stage: &'a Stage,
    /// Its pipeline.
    pub pipeline: &'a Pipeline,
    /// The database and the repository.
    pub sources: &'a Sources,
    /// The paths of its inputs, by role.
    pub inputs: &'a BTreeMap<&'static str, PathBuf>,
    /// For extracts: the datasets to read.
    pub datasets: Option<&'a Datasets>,
    /// Threads that it may use.
    pub jobs: usize,
}

/// Does what a stage is for.
///
/// # Errors
/// [`Error`], by the kind of the stage.
pub fn run(job: &Job<'_>, monitor: &Monitor) -> Result<Product, Error> {
    let (target, defaults) = (&job.stage.out, &job.pipeline.defaults);
    let jobs = NonZeroUsize::new(job.jobs).unwrap_or(NonZeroUsize::MIN);
    let input = |role: &'static str| job.inputs.get(role).map(PathBuf::as_path);
    match &job.stage.kind {
        Kind::Export(spec) => {
            let snapshot = job.sources.snapshot().ok_or(Error::NotOpen("database"))?;
            let export = export::Export::from_spec(spec, defaults)?.with_evidence();
            // Further connections are taken only while they are free, up to the snapshot's own bound.
            Ok(export::run(&export, snapshot, job.jobs.max(1), target, monitor)?)
        }
        Kind::Extract(spec) => {
            let repository = job.sources.repository().ok_or(Error::NotOpen("repository"))?;
            let extract = extract::Extract::from_spec(spec, defaults.compression);
            let datasets = job.datasets.map(Datasets::list).unwrap_or_default();
            Ok(extract::run(&extract, datasets, repository, input("ids"), jobs, target, monitor)?)
        }
        Kind::BuildSsObject(spec) => {
            let needed = |role| input(role).map(Path::to_owned).ok_or(Error::NoInput(role));
            let inputs = build_ssobject::Inputs {
                sssource: needed("sssource")?,
                dia_sources: input("dia_sources").map(Path::to_owned),
                mpc_orbits: needed("mpc_orbits")?,
            };
            let mut options = build_ssobject::Options::try_from(spec)?;
            if let Some(compression) = spec.compression.or(defaults.compression) {
                options.compression = compression.into();
            }
            options.plain = Encodings::are_plain(spec.encodings.or(defaults.encodings));
            Ok(build_ssobject::run(&inputs, &options, target, monitor)?)
        }
    }
}

//! The kinds of stage, one file each: wiring between sources, science and the Parquet sink.
//!
//! To add a kind, write its file and add a line to [`KINDS`]. The pipeline file, its JSON Schema, the reference, keys, plans,
//! runs and reports follow from that. A stage makes sealed files and never publishes them: that is for `run` and for the
//! command-line tools. Not a place for decisions on whether a stage runs.

pub mod build_ssobject;
pub mod build_sssource;
mod check;
pub mod deliver;
pub mod export;
pub mod extract;
pub(crate) mod figures;
mod handed;
mod job;
mod kind;
mod memory;
mod names;
mod rehearsal;
mod sources;
mod sssource_slices;

use std::fmt;

pub use crate::margin::Severity;
pub use crate::parquet::files as input_files;
pub use crate::postgres::{Evidence, Target};
pub use crate::tables::Slice;
pub use check::{
    ChecksSpec, MatchRule, MinMatch, Number, Subject, check, check_again, check_lookups, check_unchanged,
};
pub use handed::{Handed, HandedError};
pub use job::{Announce, Delivered, Job, Last, Made, Product, Prospect, Within};
pub use kind::{
    Checked, Defaults, Fact, InputRef, Kind, NamedColumn, Problem, Problems, ReadChanges, ReadFigures, Reads,
    Sliced, Spec, Work,
};
pub use rehearsal::Rehearsal;
pub use sources::{
    ButlerSpec, DatabaseSpec, Datasets, Missing, Needs, SourceSettings, Sources, database_params,
    database_target, repository_name,
};

use crate::errors::{Class, Classified};

/// All kinds, in the order of the reference.
pub static KINDS: &[Kind] = &[
    Kind::of::<export::ExportSpec>(),
    Kind::of::<extract::ExtractSpec>(),
    Kind::of::<build_sssource::BuildSsSourceSpec>(),
    Kind::of::<build_ssobject::BuildSsObjectSpec>(),
    Kind::of::<deliver::DeliverSpec>(),
];

/// The kind of a name.
#[must_use]
pub fn kind(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name)
}

/// Why a stage failed, or could not be looked at: the error of its kind or of a source.
#[derive(Debug)]
pub struct Error(Box<dyn Classified>);

impl Error {
    /// What the error means.
    #[must_use]
    pub fn class(&self) -> Class {
        self.0.class()
    }

    /// The key of the stage's part of the pipeline file that it is about, if it is about one.
    #[must_use]
    pub fn key(&self) -> Option<&'static str> {
        self.0.key()
    }
}

impl<E: Classified> From<E> for Error {
    fn from(error: E) -> Self {
        Self(Box::new(error))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

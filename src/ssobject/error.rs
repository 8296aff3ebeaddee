//! What can be wrong with the inputs.

use std::path::PathBuf;

use crate::tables::{self, Offenders};

/// Why the table could not be built.
#[expect(missing_docs, reason = "the messages say what the fields are")]
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An input could not be read, or rows could not be put aside.
    #[error(transparent)]
    Input(#[from] tables::Error),
    /// Columns of DiaSource are needed from SSSource, and it lacks some.
    #[error(
        "no DiaSource was given, and SSSource `{}` lacks its columns {}: give DiaSource, or an SSSource with all of them",
        path.display(),
        columns.join(", ")
    )]
    NotWide { path: PathBuf, columns: Vec<String> },
    /// SSSource refers to detections that DiaSource lacks.
    #[error(
        "DiaSource lacks {0} to which SSSource refers: make both from the same state of the data, or set on-missing \
        to `drop` to leave those rows out"
    )]
    Missing(Offenders),
    /// DiaSource has a detection more than once.
    #[error("DiaSource has {0} more than once: each must appear once")]
    DuplicateDiaSource(Offenders),
    /// A detection without a time.
    #[error("midpointMjdTai has no value for {0}")]
    NoTime(Offenders),
    /// An object has several designations.
    #[error("SSSource has more than one designation for {0}: each object must have one")]
    TwoDesignations(Offenders),
    /// A designation does not fit its column.
    #[error(
        "SSSource has a designation longer than {most} characters for {objects}: the column of SSObject is not \
        wider; correct SSSource"
    )]
    LongDesignation { most: u32, objects: Offenders },
    /// A designation has several orbits.
    #[error("mpc_orbits has more than one orbit for {0}: each designation must appear once")]
    TwoOrbits(Offenders),
    /// More rows than can be counted in the output's column.
    #[error("object {object} has {rows} rows, more than a 32-bit integer can count")]
    TooManyRows { object: i64, rows: usize },
    /// A declared column that the program cannot fill.
    #[error("schemas/ssobject.yaml declares column `{column}`, which has no source")]
    NoSource { column: String },
}

//! What can be wrong with the inputs.

use std::fmt;
use std::path::PathBuf;

/// Why the table could not be built.
#[expect(missing_docs, reason = "the messages say what the fields are")]
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An input is not there.
    #[error(
        "{table}: `{}` names no Parquet file: give a file, a folder that holds `*.parquet`, or a pattern in quotes",
        path.display()
    )]
    Files { table: &'static str, path: PathBuf, source: std::io::Error },
    /// A file could not be read.
    #[error(transparent)]
    Parquet(#[from] crate::parquet::Error),
    /// A column is not there.
    #[error("{table}: `{}` has no column `{column}` (it has: {})", path.display(), found.join(", "))]
    NoColumn { table: &'static str, path: PathBuf, column: String, found: Vec<String> },
    /// A column has a type that cannot be used.
    #[error("{table}: column `{column}` of `{}` is {found}, and must be {wanted}", path.display())]
    ColumnType { table: &'static str, path: PathBuf, column: String, found: String, wanted: &'static str },
    /// Columns of DiaSource are needed from SSSource, and it lacks some.
    #[error(
        "no DiaSource was given, and SSSource `{}` lacks its columns {}: give DiaSource, or an SSSource with all of them",
        path.display(),
        columns.join(", ")
    )]
    NotWide { path: PathBuf, columns: Vec<String> },
    /// A column that must hold a value in each row does not.
    #[error("{table}: column `{column}` of `{}` has no value in row {row}: each row must have one", path.display())]
    NoValue { table: &'static str, path: PathBuf, column: &'static str, row: u64 },
    /// An unsigned id beyond the range of a signed one.
    #[error("{table}: column `{column}` of `{}` has {ids} beyond a signed 64-bit integer: ids must be below 2^63", path.display())]
    IdRange { table: &'static str, path: PathBuf, column: &'static str, ids: Offenders },
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
    /// Rows that do not fit in memory could not be put aside.
    #[error("cannot write temporary files to folder `{}`, which needs as much space as the inputs", folder.display())]
    Spill { folder: PathBuf, source: std::io::Error },
    /// A declared column that the program cannot fill.
    #[error("schemas/ssobject.yaml declares column `{column}`, which has no source")]
    NoSource { column: String },
    /// Arrow refused a column.
    #[error("cannot convert column `{column}`")]
    Convert { column: String, source: arrow_schema::ArrowError },
    /// Somebody asked for a stop.
    #[error("stopped")]
    Stopped,
}

/// How many of something there are, and the first few.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offenders {
    what: [&'static str; 2],
    count: u64,
    /// The first in order.
    few: Vec<String>,
}

impl Offenders {
    /// How many are named.
    pub const FEW: usize = 5;

    /// None so far; `what` names one and several of them.
    #[must_use]
    pub fn new(what: [&'static str; 2]) -> Self {
        Self { what, count: 0, few: Vec::new() }
    }

    /// One more. They come in an order that does not depend on the order of the rows.
    pub fn add(&mut self, one: impl fmt::Display) {
        self.count += 1;
        if self.few.len() < Self::FEW {
            self.few.push(one.to_string());
        }
    }

    /// So many, of which these are the first in order.
    #[must_use]
    pub fn of(what: [&'static str; 2], count: u64, first: Vec<impl fmt::Display>) -> Self {
        Self { what, count, few: first.into_iter().map(|one| one.to_string()).collect() }
    }

    /// How many.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The error that `make` makes of them, if there are any.
    ///
    /// # Errors
    /// That one.
    pub fn none(self, make: impl FnOnce(Self) -> Error) -> Result<(), Error> {
        if self.count == 0 { Ok(()) } else { Err(make(self)) }
    }
}

impl fmt::Display for Offenders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = self.what[usize::from(self.count != 1)];
        let list = self.few.join(", ");
        let more = if self.count > self.few.len() as u64 { ", ..." } else { "" };
        write!(f, "{} {what} ({list}{more})", self.count)
    }
}

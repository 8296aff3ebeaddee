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
    /// DiaSource has a detection more than once.
    #[error("dia_sources has {0} more than once: each must appear once")]
    DuplicateDiaSource(Offenders),
    /// An observation is there more than once.
    #[error("{table} has {obsids} more than once: each observation must appear once")]
    DuplicateObsid { table: &'static str, obsids: Offenders },
    /// `dia_sources` has a column `obsid`, which does not cover all observations.
    #[error(
        "column `obsid` of dia_sources lacks {0} of obs_sbn: make both from the same state of the data, or leave the column \
        out to match by obssubid"
    )]
    NotCovered(Offenders),
    /// A designation belongs to several objects.
    #[error("{table} gives more than one primary designation for {designations}: each must have one")]
    TwoPrimaries { table: &'static str, designations: Offenders },
    /// A designation has several orbits.
    #[error("mpc_orbits has more than one orbit for {0}: each designation must appear once")]
    TwoOrbits(Offenders),
    /// A packed designation that gives no ssObjectId.
    #[error(
        "mpc_orbits has no packed_primary_provisional_designation of 1 to 8 ASCII characters for {0}: ssObjectId is made of it"
    )]
    Packed(Offenders),
    /// Several objects would have one ssObjectId.
    #[error("mpc_orbits has one packed_primary_provisional_designation for several objects: {0}")]
    OnePacked(Offenders),
    /// Too few observations have a DiaSource that agrees.
    #[error(
        "{unmatched} of {of} observations have no DiaSource that agrees, more than the allowed {}: {reasons}; check that \
        obs_sbn and dia_sources are of the same processing, list the rows with `ssp-build-sssource --report FILE`, or raise \
        max-unmatched",
        percent(*allowed)
    )]
    Unmatched { unmatched: u64, of: u64, allowed: f64, reasons: String },
    /// The schema declares a column that this program does not make.
    #[error("the schema declares column `{column}`, which this program does not make")]
    NoSource { column: String },
    /// A batch could not be written.
    #[error(transparent)]
    Sink(#[from] crate::parquet::Error),
    /// A column has values that the wide table cannot hold.
    #[error("cannot store {values} of column `{column}` of {table} as {declared}")]
    Unfit { table: &'static str, column: String, declared: String, values: Offenders },
    /// A column that must hold a value in each row does not.
    #[error("column `{column}` of {table} is NULL in {rows}: each row of the wide table must have a value")]
    Nulls { table: &'static str, column: String, rows: Offenders },
    /// A file is not the one that was read before.
    #[error("{table} changed while it was read: build the table again")]
    Changed { table: &'static str },
    /// Neither `dia_sources` nor an option gives a column.
    #[error(
        "dia_sources has no column `{column}`, which each row of the wide table must have: give its value with {flag}"
    )]
    NoOption { column: String, flag: &'static str },
    /// An option is longer than its column.
    #[error("the value of {flag} has {} characters (`{text}`): at most {most} are possible", text.chars().count())]
    LongOption { flag: &'static str, text: String, most: u32 },
    /// The output cannot be in parts.
    #[error("the parts of `{}` would have no names: with --part-rows the output must end in `.parquet`", target.display())]
    PartNames { target: PathBuf },
    /// The file of a slice is not of this table.
    #[error("`{}` has other columns than the table: it is not a slice of this table", path.display())]
    NoSlice { path: PathBuf },
    /// The report could not be written.
    #[error("cannot write the report of unmatched rows to `{}`", path.display())]
    Report { path: PathBuf, source: crate::parquet::Error },
}

/// A share in percent, without superfluous digits.
fn percent(share: f64) -> String {
    format!("{}%", (share * 1e6).round() / 1e4)
}

impl Error {
    /// Whether the work was stopped.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        matches!(self, Self::Input(tables::Error::Stopped))
    }
}

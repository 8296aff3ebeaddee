//! What can go wrong with a repository, and with one of its datasets.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::place::{Place, Unread};
use crate::errors::{self, Class, Classified};
use crate::postgres;
use crate::store;

/// Any cause, of any database or library.
pub(super) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why a repository or its datasets could not be read.
#[expect(missing_docs, reason = "the messages say what the fields are")]
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no `butler.yaml` where it should be.
    #[error("there is no Butler repository `{repo}`: cannot read `{place}`{}", labels(known))]
    NoRepository { repo: String, place: Place, known: Vec<String>, source: Cause },
    /// A configuration file cannot be understood.
    #[error("cannot use the configuration in {origin}: {message}")]
    Config { origin: String, message: String },
    /// Something that is where it is not read from.
    #[error("{what} is at `{uri}`, where it cannot be read: {message}; {advice}")]
    Remote { what: String, uri: String, message: String, advice: &'static str },
    /// A repository behind a Butler server.
    #[error(
        "`{repo}` is served by a Butler server ({url}), which is not supported: give the path of the repository itself"
    )]
    RemoteButler { repo: String, url: String },
    /// The registry's database cannot be opened.
    #[error("cannot open the registry {place}")]
    OpenRegistry { place: String, source: Cause },
    /// The registry's database is there, and is not one of a registry.
    #[error(
        "the database of `{repo}` is not a Butler registry, because it has no table `{table}`: check `registry: db` \
        in `butler.yaml`, \
         and `namespace` if the registry is in a schema of its own"
    )]
    NoRegistry { repo: String, table: &'static str },
    /// A query on the registry failed.
    #[error("cannot read {what} from the registry")]
    Query { what: &'static str, source: Cause },
    /// The registry holds something that it should not.
    #[error("cannot parse the registry's {what}: {message}")]
    Registry { what: &'static str, message: String },
    /// The registry was written by a manager that is not known.
    #[error(
        "the registry's {kind} are managed by `{class}` {version}, which is not supported (supported: {known})"
    )]
    Manager { kind: &'static str, class: String, version: String, known: String },
    /// There is no such dataset type.
    #[error("there is no dataset type `{name}` in `{repo}`{}", did_you_mean(names))]
    NoDatasetType { name: String, repo: String, names: Vec<String> },
    /// The name of a component of a dataset type.
    #[error("`{0}` names a component of a dataset type; only whole datasets are read")]
    Component(String),
    /// A dataset type whose datasets are no tables.
    #[error(
        "datasets of type `{dataset_type}` are stored in {parts} parts, a file for each component: they are not tables"
    )]
    Parts { dataset_type: String, parts: usize },
    /// There is no such collection.
    #[error("there is no collection `{name}` in `{repo}`{}{}", did_you_mean(names), glob(name))]
    NoCollection { name: String, repo: String, names: Vec<String> },
    /// No collection was named.
    #[error("no collection was named")]
    NoCollections,
    /// A calibration dataset type in a CALIBRATION collection.
    #[error(
        "`{dataset_type}` is a calibration and `{collection}` a CALIBRATION collection: its datasets have validity \
        ranges, which are not supported"
    )]
    Calibration { dataset_type: String, collection: String },
    /// A condition on the data ID that cannot be understood.
    #[error("cannot parse the condition at character {position}: {message}\n  {text}\n  {:>position$}", "^")]
    Condition { text: String, position: usize, message: String },
    /// A dataset root was given for a repository with several datastores.
    #[error("`{repo}` has {count} file datastores ({names}), so you cannot give one root for all of them")]
    SeveralDatastores { repo: String, count: usize, names: String },
    /// There is no folder where the files are said to be.
    #[error("`{}`, given as the datastore's root, is not a folder that can be read", path.display())]
    NoDatastoreRoot { path: PathBuf, source: io::Error },
    /// A value of the file of ids is no id.
    #[error(
        "`{}` column `{column}` row {row}: `{value}` is not a 64-bit integer, alone or as in `LSST-DP1-42`, so it cannot \
         be an id",
        path.display()
    )]
    Id { path: PathBuf, column: String, row: u64, value: String },
    /// A column that cannot hold ids.
    #[error("{origin}: column `{column}` is {found}; ids are integers{}", if *texts { ", or texts of them" } else { "" })]
    IdType { origin: String, column: String, found: String, texts: bool },
    /// A dataset lacks the column that is compared with the ids.
    #[error("dataset {dataset} has no column `{column}` to compare with the ids{}", did_you_mean(names))]
    NoTarget { dataset: String, column: String, names: Vec<String> },
    /// A column that was asked for is in none of the datasets.
    #[error("no dataset has a column `{column}`{}", did_you_mean(names))]
    NoColumn { column: String, names: Vec<String> },
    /// Two datasets have columns that cannot become one without loss.
    #[error(transparent)]
    Columns(Box<Conflict>),
    /// A dataset's rows do not fit the columns of all.
    #[error("cannot convert dataset {dataset} to the common columns")]
    Adapt { dataset: String, source: arrow_schema::ArrowError },
    /// A dataset that could be read a moment ago.
    #[error("dataset {dataset} has changed while it was read: {problem}")]
    Changed { dataset: String, problem: Box<Problem> },
    /// A dataset's rows could not be read.
    #[error("cannot read the rows of dataset {dataset}")]
    Rows { dataset: String, source: crate::parquet::Error },
    /// A Parquet file could not be read.
    #[error(transparent)]
    Parquet(#[from] crate::parquet::Error),
    /// A store could not be read.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Two datasets whose columns of one name are not of one kind.
#[expect(missing_docs, reason = "the message says what the fields are")]
#[derive(Debug, thiserror::Error)]
#[error(
    "column `{column}` is {first_is} in dataset {first}, but {second_is} in dataset {second}: they cannot be \
    combined in one column without loss"
)]
pub struct Conflict {
    pub column: String,
    pub first: String,
    pub first_is: String,
    pub second: String,
    pub second_is: String,
}

/// Why a dataset that is registered cannot be read.
#[expect(missing_docs, reason = "the messages say what the fields are")]
#[derive(Debug)]
pub enum Problem {
    /// The registry knows it, but no datastore has a record of it.
    NotStored,
    /// There is a record, but no file.
    Missing(Place),
    /// The file has another size than the record says.
    Size { name: String, recorded: u64, found: u64 },
    /// The file is in a zip file that cannot be read, or does not hold it.
    Zip { place: Place, member: String, source: Cause },
    /// The file is not Parquet.
    NotParquet { formatter: String, source: crate::parquet::Error },
    /// The file cannot be opened.
    Open { place: Place, source: io::Error },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotStored => f.write_str("not stored: the registry has it, but no datastore does"),
            Self::Missing(place) => write!(f, "its file is missing: `{place}`"),
            Self::Size { name, recorded, found } => {
                write!(f, "`{name}` has {found} bytes, but {recorded} were recorded")
            }
            Self::Zip { place, member, source } => write!(f, "cannot read `{member}` in `{place}`: {source}"),
            Self::NotParquet { formatter, source } => {
                f.write_str(&errors::chain(source).join(": "))?;
                let class = formatter.rsplit('.').next().unwrap_or_default();
                if class == "ParquetFormatter" { Ok(()) } else { write!(f, " (it was written by `{class}`)") }
            }
            Self::Open { place, source } => write!(f, "cannot open `{place}`: {source}"),
        }
    }
}

impl Error {
    pub(super) fn remote(what: impl Into<String>, unread: Unread, advice: &'static str) -> Self {
        Self::Remote { what: what.into(), uri: unread.uri, message: unread.message, advice }
    }

    pub(super) fn query(what: &'static str, source: impl Into<Cause>) -> Self {
        Self::Query { what, source: source.into() }
    }
}

impl Classified for Error {
    fn class(&self) -> Class {
        let of_server = match self {
            Self::Store(error) => return error.class(),
            Self::Rows { source, .. } | Self::Parquet(source) => {
                return store::Error::within(source).map_or(Class::Fault, Classified::class);
            }
            Self::OpenRegistry { source, .. } | Self::Query { source, .. } => {
                source.downcast_ref::<postgres::Error>().map(Classified::class)
            }
            Self::NoRepository { source, .. } => store::Error::within(&**source).map(Classified::class),
            _ => None,
        };
        match (self, of_server) {
            (_, Some(Class::Stopped)) => Class::Stopped,
            (Self::NoRepository { .. } | Self::OpenRegistry { .. } | Self::NoRegistry { .. }, class) => {
                Class::Unreachable { for_now: class.is_some_and(Class::may_pass) }
            }
            (Self::Condition { .. } | Self::NoDatastoreRoot { .. }, _) => Class::Usage,
            (_, Some(class)) if class.may_pass() => Class::Transient,
            _ => Class::Fault,
        }
    }
}

fn labels(known: &[String]) -> String {
    if known.is_empty() {
        return String::new();
    }
    format!(" (the repository index has: {})", known.join(", "))
}

fn did_you_mean(names: &[String]) -> String {
    if names.is_empty() {
        return String::new();
    }
    format!("; did you mean `{}`?", names.join("`, `"))
}

fn glob(name: &str) -> &'static str {
    if name.contains(['*', '?', '[']) { " (patterns are not supported: give the full name)" } else { "" }
}

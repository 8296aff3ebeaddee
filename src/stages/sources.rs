//! What stages read from: one snapshot of the database, one repository.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Error;
use crate::butler::{Dataset, Repository};
use crate::database_state::DatabaseState;
use crate::environment::Environment;
use crate::errors::{Class, Classified};
use crate::monitor::Monitor;
use crate::postgres::{self, ConnectParams, Reader, SessionOptions, Snapshot, SslMode, Target};
use crate::quantity::Period;

/// The connection to the database. If you leave out a connection setting, `ssp-run` uses the environment variable that
/// `psql` uses, for example `PGHOST`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DatabaseSpec {
    /// The name of a service in `~/.pg_service.conf`.
    pub service: Option<String>,
    /// A connection string: a URI or `key=value` pairs. A password is not allowed here.
    pub dsn: Option<String>,
    /// Host name of the server, or the folder of the server's unix socket.
    pub host: Option<String>,
    /// Port of the server.
    pub port: Option<u16>,
    /// Name of the database.
    pub dbname: Option<String>,
    /// Name of the database user.
    pub user: Option<String>,
    /// When to use TLS (an encrypted connection), and how to check the server's certificate.
    pub sslmode: Option<SslMode>,
    /// Number of connections that read the exports at the same time. `ssp-run` opens one more connection, which keeps
    /// the snapshot open. If you set `connections` to 0, this additional connection also reads all exports. Default: 4.
    #[schemars(range(min = 0, max = 64))]
    pub connections: Option<u32>,
    /// An age limit for the exported files of earlier runs. If all these files are younger than the limit, the run uses
    /// these files and does not connect to the database.
    pub max_age: Option<Period>,
    /// Maximum number of new attempts after the connection to the database fails. The registry of a Butler repository
    /// is its database. If the registry is in PostgreSQL, the maximum also applies to the connection to the registry.
    /// Default: 2.
    #[schemars(range(max = 100))]
    pub retries: Option<u32>,
}

/// The Butler repository, the data store of the LSST software.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ButlerSpec {
    /// The repository. Write the path or the URL of its folder or of its `butler.yaml`, or its label (its short name in the
    /// repository index).
    #[schemars(extend("format" = "path"))]
    pub repo: String,
}

/// How a pipeline's sources are reached.
#[derive(Clone, Debug, Default)]
pub struct SourceSettings {
    /// The pipeline file, for messages.
    pub file: PathBuf,
    /// What relative paths are relative to.
    pub root: PathBuf,
    /// The database that all exports read.
    pub database: Option<DatabaseSpec>,
    /// The repository.
    pub butler: Option<ButlerSpec>,
    /// How long a stage may take unless it says otherwise.
    pub timeout: Option<Period>,
}

/// Which sources a run needs.
#[derive(Clone, Debug)]
pub struct Needs {
    /// The snapshot of the database.
    pub snapshot: bool,
    /// Tables of the database that are locked against changes of their form.
    pub tables: Vec<String>,
    /// The repository.
    pub repository: bool,
}

/// The sources of a run, open; by default none is.
#[derive(Default)]
pub struct Sources {
    snapshot: Option<Snapshot>,
    repository: Option<Repository>,
    environment: Environment,
    monitor: Monitor,
}

/// The datasets that a stage reads.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Datasets(Arc<[Dataset]>);

impl From<Vec<Dataset>> for Datasets {
    fn from(datasets: Vec<Dataset>) -> Self {
        Self(datasets.into())
    }
}

impl Datasets {
    /// Each dataset.
    #[must_use]
    pub fn list(&self) -> &[Dataset] {
        &self.0
    }

    /// A line for each dataset, the same as long as the dataset is: its id, its run, and path and size as they were recorded,
    /// or that it is not stored.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.0.iter().map(line).collect()
    }
}

/// The line of a dataset.
pub(super) fn line(dataset: &Dataset) -> String {
    let mut line = format!("{} {}", dataset.id, dataset.run);
    for record in &dataset.records {
        let size = record.size.map_or_else(|| "?".to_owned(), |size| size.to_string());
        let _ = write!(line, " {} {size}", record.path);
    }
    if dataset.records.is_empty() {
        line += " not stored";
    }
    line
}

impl Sources {
    /// Opens all that is needed, before any stage runs.
    ///
    /// # Errors
    /// If the database or the repository cannot be reached, or is not one that can be read.
    fn open(
        settings: &SourceSettings,
        needs: Needs,
        environment: &Environment,
        monitor: Monitor,
    ) -> Result<Self, Error> {
        let repository = match settings.butler.as_ref().filter(|_| needs.repository) {
            Some(butler) => {
                let name = repository_name(settings, &butler.repo);
                Some(Repository::open_with(&name, environment, &monitor)?)
            }
            None => None,
        };
        let snapshot = match settings.database.as_ref().filter(|_| needs.snapshot) {
            Some(database) => {
                let options = SessionOptions { tables: needs.tables, ..session(settings, database) };
                Some(Snapshot::open(&target(settings, database, environment)?, &options)?)
            }
            None => None,
        };
        Ok(Self { snapshot, repository, environment: environment.clone(), monitor })
    }

    /// Opens what is needed. Returns `None` when the monitor is stopped: a server may not answer for minutes.
    ///
    /// # Errors
    /// All of [`Self::open`].
    pub fn open_unless_stopped(
        monitor: &Monitor,
        settings: &SourceSettings,
        needs: Needs,
        environment: &Environment,
    ) -> Result<Option<Self>, Error> {
        let (settings, environment, own) = (settings.clone(), environment.clone(), monitor.clone());
        let opened = monitor.abandon_when_stopped(move || Self::open(&settings, needs, &environment, own));
        opened.map_err(postgres::Error::Thread)?.transpose()
    }

    /// The snapshot.
    ///
    /// # Errors
    /// If it was not opened.
    pub fn needed_snapshot(&self) -> Result<&Snapshot, Missing> {
        self.snapshot.as_ref().ok_or(Missing::Source("database"))
    }

    /// The repository.
    ///
    /// # Errors
    /// If it was not opened.
    pub fn repository(&self) -> Result<&Repository, Missing> {
        self.repository.as_ref().ok_or(Missing::Source("repository"))
    }

    /// The environment variables.
    pub(super) fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Why fewer connections read the database than may, and what to do: the first time that this is asked after it is known.
    #[must_use]
    pub fn shortage(&self) -> Option<String> {
        self.snapshot.as_ref().and_then(advised)
    }

    /// The state of the database that the snapshot shows.
    #[must_use]
    pub fn generation(&self) -> Option<&DatabaseState> {
        self.snapshot.as_ref().map(Snapshot::generation)
    }

    /// The database, for people.
    #[must_use]
    pub fn database_name(&self) -> String {
        self.snapshot.as_ref().map(|snapshot| snapshot.target().describe()).unwrap_or_default()
    }

    /// How the exports read the database, for people.
    #[must_use]
    pub fn describe(&self, exports: usize) -> Option<String> {
        let snapshot = self.snapshot.as_ref()?;
        let name = self.database_name();
        let plural = if exports == 1 { "" } else { "s" };
        let how = match snapshot.most_readers() {
            _ if !snapshot.is_exported() => {
                "one after the other on one connection (the server does not export snapshots)".to_owned()
            }
            1 => "on 1 connection".to_owned(),
            most => format!("up to {most} connections"),
        };
        Some(format!("{name}: 1 REPEATABLE READ snapshot, {exports} export{plural}, {how}"))
    }

    /// The rows of a query in the snapshot, as text.
    ///
    /// # Errors
    /// What the server says.
    pub fn watermark(&self, sql: &str) -> Result<String, Error> {
        Ok(self.needed_snapshot()?.watermark(sql, &self.monitor)?)
    }

    /// A connection that reads the snapshot.
    ///
    /// # Errors
    /// If there is none, or the monitor is stopped.
    pub fn reader(&self) -> Result<Reader<'_>, Error> {
        Ok(self.needed_snapshot()?.reader(&self.monitor)?)
    }

    /// Ends the snapshot, when all stages that read it have ended: its locks delay other statements no longer.
    pub fn end_snapshot(&self) {
        if let Some(snapshot) = &self.snapshot {
            snapshot.end();
        }
    }

    /// Why a later state with the same snapshot may show other rows than were read; `None` if it cannot.
    #[must_use]
    pub fn doubt(&self) -> Option<String> {
        match self.snapshot.as_ref()?.doubt(&self.monitor) {
            Ok(doubt) => doubt.map(str::to_owned),
            Err(error) => Some(error.to_string()),
        }
    }
}

pub(super) fn advised(snapshot: &Snapshot) -> Option<String> {
    let shortage = snapshot.shortage()?;
    if shortage.locked_out {
        return Some(format!("{shortage}; a statement that changes a table waits for this run to end"));
    }
    Some(format!(
        "{shortage}; raise the limit of the role, the database, the server or the pooler, or write `connections: {}` under \
         `database`",
        shortage.readers
    ))
}

/// The repository of the pipeline file: a path is relative to the root of the pipeline, anything else is a label or a URI.
#[must_use]
pub fn repository_name(settings: &SourceSettings, repo: &str) -> String {
    let is_path = repo.starts_with('.') || repo.contains('/') && !repo.contains("://");
    if is_path { settings.root.join(repo).display().to_string() } else { repo.to_owned() }
}

pub(super) fn target(
    settings: &SourceSettings,
    database: &DatabaseSpec,
    environment: &Environment,
) -> Result<Target, postgres::Error> {
    Ok(Target::resolve(&params(settings, database), environment)?)
}

/// What the file says about its database; none if it has no database.
#[must_use]
pub fn database_params(settings: &SourceSettings) -> Option<ConnectParams> {
    settings.database.as_ref().map(|database| params(settings, database))
}

fn params(settings: &SourceSettings, database: &DatabaseSpec) -> ConnectParams {
    ConnectParams {
        service: database.service.clone(),
        dsn: database.dsn.clone().map(Into::into),
        host: database.host.clone(),
        port: database.port.map(|port| port.to_string()),
        dbname: database.dbname.clone(),
        user: database.user.clone(),
        password: None,
        sslmode: database.sslmode,
        given_by: settings.file.display().to_string(),
    }
}

/// What a pipeline connects to; none if there is no database, or its settings are wrong.
#[must_use]
pub fn database_target(settings: &SourceSettings, environment: &Environment) -> Option<Target> {
    target(settings, settings.database.as_ref()?, environment).ok()
}

pub(super) fn session(settings: &SourceSettings, database: &DatabaseSpec) -> SessionOptions {
    let default = SessionOptions::default();
    SessionOptions {
        connections: database
            .connections
            .and_then(|n| usize::try_from(n).ok())
            .unwrap_or(default.connections),
        statement_timeout: settings.timeout.map(|period| period.0),
        lock_timeout: settings.timeout.map(|period| period.0).or(default.lock_timeout),
        ..default
    }
}

/// Something that a stage needs and was not given.
#[derive(Debug, thiserror::Error)]
pub enum Missing {
    /// A source was not opened.
    #[error("the {0} of the pipeline file is not open")]
    Source(&'static str),
    /// An input was not named.
    #[error("the stage has no input `{0}`")]
    Input(&'static str),
}

impl Classified for Missing {
    fn class(&self) -> Class {
        Class::Fault
    }
}

//! What stages read from: one snapshot of the database, one repository.

use std::path::PathBuf;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Error, Missing, Work, extract};
use crate::butler::{Dataset, Repository};
use crate::environment::Environment;
use crate::postgres::{
    self, ConnectParams, Evidence, SessionOptions, Snapshot, SnapshotState, SslMode, Target,
};
use crate::quantity::Period;

use crate::monitor::Monitor;

/// How to reach the database; libpq's environment fills what is left out.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DatabaseSpec {
    /// A service of `~/.pg_service.conf`.
    pub service: Option<String>,
    /// A connection string: a URI or `key=value` pairs, without a password.
    pub dsn: Option<String>,
    /// Host name, or the folder of a unix socket.
    pub host: Option<String>,
    /// Port.
    pub port: Option<u16>,
    /// Database name.
    pub dbname: Option<String>,
    /// User name.
    pub user: Option<String>,
    /// `disable`, `allow`, `prefer`, `require`, `verify-ca` or `verify-full`.
    pub sslmode: Option<SslMode>,
    /// Connections open at once, the snapshot's holder not counted; with 0, it reads all exports itself. Default: 4.
    #[schemars(range(min = 0, max = 64))]
    pub connections: Option<u32>,
    /// While the recorded outputs of all exports are younger than this, no connection is made at all.
    pub max_age: Option<Period>,
    /// How often a run that lost the database, or a Butler registry in PostgreSQL, is tried again. Default: 2.
    #[schemars(range(max = 100))]
    pub retries: Option<u32>,
}

/// Which Butler repository to read.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ButlerSpec {
    /// The repository: a folder, a `butler.yaml`, or a label of the repository index.
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
#[derive(Clone, Copy, Debug)]
pub struct Needs {
    /// The snapshot of the database.
    pub snapshot: bool,
    /// The repository.
    pub repository: bool,
}

/// The sources of a run, open; by default none is.
#[derive(Default)]
pub struct Sources {
    snapshot: Option<Snapshot>,
    repository: Option<Repository>,
    monitor: Monitor,
}

/// The datasets that a stage reads.
#[derive(Clone, Debug, Default)]
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

    /// A line for each dataset, the same as long as the dataset is.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        extract::datasets_key(&self.0)
    }
}

impl Sources {
    /// Opens what is needed: nothing has run before it is known whether all of it can be reached.
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
            Some(butler) => Some(Repository::open(&repository_name(settings, &butler.repo), environment)?),
            None => None,
        };
        let snapshot = match settings.database.as_ref().filter(|_| needs.snapshot) {
            Some(database) => {
                Some(Snapshot::open(&target(settings, database, environment)?, &session(settings, database))?)
            }
            None => None,
        };
        Ok(Self { snapshot, repository, monitor })
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

    /// The snapshot, if it was needed.
    #[must_use]
    pub fn snapshot(&self) -> Option<&Snapshot> {
        self.snapshot.as_ref()
    }

    /// The repository, if it was needed.
    #[must_use]
    pub fn repository(&self) -> Option<&Repository> {
        self.repository.as_ref()
    }

    /// Why fewer connections read the database than may, and what to do: the first time that this is asked after it is known.
    #[must_use]
    pub fn shortage(&self) -> Option<String> {
        self.snapshot.as_ref().and_then(advised)
    }

    /// The state of the database that the snapshot shows.
    #[must_use]
    pub fn database(&self) -> Option<&SnapshotState> {
        self.snapshot.as_ref().map(Snapshot::state)
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
            _ if snapshot.state().exported.is_none() => {
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
        let snapshot = self.snapshot.as_ref().ok_or(Missing::Source("database"))?;
        Ok(snapshot.watermark(sql, &self.monitor)?)
    }

    /// What the rows of a stage depend on; a doubt if that cannot be found out. `certain` is a tree that has no doubt.
    #[must_use]
    pub fn evidence(&self, work: &dyn Work, certain: Option<&str>) -> Evidence {
        let found = self.snapshot.as_ref().ok_or_else(|| Missing::Source("database").into());
        let found = found.and_then(|snapshot| work.evidence(&mut snapshot.reader(&self.monitor)?, certain));
        found.unwrap_or_else(|error: Error| Evidence { tree: None, doubt: Some(error.to_string()) })
    }

    /// Why a later state with the same snapshot may show other rows than were read; `None` if it cannot.
    #[must_use]
    pub fn doubt(&self) -> Option<String> {
        match self.snapshot.as_ref()?.doubt(&self.monitor) {
            Ok(doubt) => doubt.map(str::to_owned),
            Err(error) => Some(error.to_string()),
        }
    }

    /// The datasets that a stage reads, by the registry alone.
    ///
    /// # Errors
    /// What the repository says.
    pub fn datasets(&self, work: &dyn Work) -> Result<Datasets, Error> {
        work.datasets(self.repository.as_ref().ok_or(Missing::Source("repository"))?)
    }
}

/// A trial of a database without reading rows.
#[derive(Debug, Default)]
pub struct Rehearsal {
    /// The database, where each setting came from (never a password), and the columns of each stage that reads it.
    pub lines: Vec<String>,
    /// The stages whose queries the server rejects, and why.
    pub broken: Vec<(String, Error)>,
}

impl Rehearsal {
    /// Connects, and has the server prepare the query of each of these stages, which is not run.
    ///
    /// # Errors
    /// If the database cannot be reached, or the connection is lost.
    pub fn of<'a>(
        settings: &SourceSettings,
        environment: &Environment,
        stages: impl Iterator<Item = (&'a str, &'a dyn Work)>,
    ) -> Result<Self, Error> {
        let Some(database) = &settings.database else {
            return Ok(Self { lines: vec!["the file has no `database`".to_owned()], ..Self::default() });
        };
        let target = target(settings, database, environment)?;
        let snapshot = Snapshot::open(&target, &session(settings, database))?;
        let mut lines = vec![format!("connected to {}, snapshot {}", target.describe(), snapshot.state().id)];
        lines.extend(target.explain().into_iter().map(|line| format!("  {line}")));
        let mut broken = Vec::new();
        for (name, work) in stages {
            match work.columns(&mut snapshot.reader(&Monitor::default())?) {
                Ok(1) => lines.push(format!("{name}: 1 column")),
                Ok(count) => lines.push(format!("{name}: {count} columns")),
                Err(error) if error.class().may_pass() => return Err(error),
                Err(error) => broken.push((name.to_owned(), error)),
            }
        }
        lines.extend(advised(&snapshot).map(|shortage| format!("warning: {shortage}")));
        Ok(Self { lines, broken })
    }
}

fn advised(snapshot: &Snapshot) -> Option<String> {
    let shortage = snapshot.shortage()?;
    Some(format!(
        "{shortage}; raise the limit of the role, the database, the server or the pooler, or write `connections: {}` under \
         `database`",
        shortage.readers
    ))
}

/// A path is relative to the root of the pipeline; anything else is a label or a URI.
fn repository_name(settings: &SourceSettings, repo: &str) -> String {
    let is_path = repo.starts_with('.') || repo.contains('/') && !repo.contains("://");
    if is_path { settings.root.join(repo).display().to_string() } else { repo.to_owned() }
}

fn target(
    settings: &SourceSettings,
    database: &DatabaseSpec,
    environment: &Environment,
) -> Result<Target, postgres::Error> {
    let params = ConnectParams {
        service: database.service.clone(),
        dsn: database.dsn.clone().map(Into::into),
        host: database.host.clone(),
        port: database.port.map(|port| port.to_string()),
        dbname: database.dbname.clone(),
        user: database.user.clone(),
        password: None,
        sslmode: database.sslmode,
        given_by: settings.file.display().to_string(),
    };
    Ok(Target::resolve(&params, environment)?)
}

/// What a pipeline connects to; none if there is no database, or its settings are wrong.
#[must_use]
pub fn database_target(settings: &SourceSettings, environment: &Environment) -> Option<Target> {
    target(settings, settings.database.as_ref()?, environment).ok()
}

fn session(settings: &SourceSettings, database: &DatabaseSpec) -> SessionOptions {
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

//! What stages read from: one snapshot of the database, one repository.

use std::sync::Arc;

use crate::butler::{Dataset, Repository};
use crate::pipeline::spec::{self, DatabaseSpec, DefaultsSpec, ExportSpec, ExtractSpec};
use crate::pipeline::{Kind, Pipeline, StageName};
use crate::postgres::{
    self, ConnectParams, Environment, Evidence, SessionOptions, Snapshot, SnapshotState, SslMode, Target,
};

use super::export::{self, Export};
use super::{Error, extract};
use crate::monitor::Monitor;

/// Which sources a run needs.
#[derive(Clone, Copy, Debug)]
pub struct Needs {
    /// The database.
    pub exports: bool,
    /// The repository.
    pub extracts: bool,
}

/// The sources of a run, open; by default none is.
#[derive(Default)]
pub struct Sources {
    snapshot: Option<Snapshot>,
    repository: Option<Repository>,
    monitor: Monitor,
}

/// The datasets that an extract reads.
#[derive(Clone, Debug, Default)]
pub struct Datasets(Arc<[Dataset]>);

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
        pipeline: &Pipeline,
        needs: Needs,
        environment: &Environment,
        monitor: Monitor,
    ) -> Result<Self, Error> {
        let repository = match pipeline.butler.as_ref().filter(|_| needs.extracts) {
            Some(butler) => Some(Repository::open(&repository_name(pipeline, &butler.repo), environment)?),
            None => None,
        };
        let snapshot = match pipeline.database.as_ref().filter(|_| needs.exports) {
            Some(database) => {
                Some(Snapshot::open(&target(pipeline, database, environment)?, &session(pipeline, database))?)
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
        pipeline: &Pipeline,
        needs: Needs,
        environment: &Environment,
    ) -> Result<Option<Self>, Error> {
        let (pipeline, environment, own) = (pipeline.clone(), environment.clone(), monitor.clone());
        let opened = monitor.abandon_when_stopped(move || Self::open(&pipeline, needs, &environment, own));
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
        let snapshot = self.snapshot.as_ref().ok_or(Error::NotOpen("database"))?;
        Ok(snapshot.watermark(sql, &self.monitor)?)
    }

    /// What the answer of an export rests on; a doubt if that cannot be found out. `certain` is a tree that has no doubt.
    #[must_use]
    pub fn evidence(&self, spec: &ExportSpec, defaults: &DefaultsSpec, certain: Option<&str>) -> Evidence {
        let found = self.snapshot.as_ref().ok_or(Error::NotOpen("database")).and_then(|snapshot| {
            let export = Export::from_spec(spec, defaults)?;
            let mut reader = snapshot.reader(&self.monitor)?;
            let (query, columns) = export.prepare(&mut reader)?;
            Ok(reader.evidence(&query, &columns, certain)?)
        });
        found.unwrap_or_else(|error| Evidence { tree: None, doubt: Some(error.to_string()) })
    }

    /// Why a later state with the same snapshot may show other rows than were read; `None` if it cannot.
    #[must_use]
    pub fn doubt(&self) -> Option<String> {
        match self.snapshot.as_ref()?.doubt(&self.monitor) {
            Ok(doubt) => doubt.map(str::to_owned),
            Err(error) => Some(error.to_string()),
        }
    }

    /// The datasets that an extract reads, by the registry alone.
    ///
    /// # Errors
    /// What the repository says.
    pub fn datasets(&self, spec: &ExtractSpec) -> Result<Datasets, Error> {
        let repository = self.repository.as_ref().ok_or(Error::NotOpen("repository"))?;
        let extract = extract::Extract::from_spec(spec, None);
        Ok(Datasets(extract::plan(&extract, repository)?.into()))
    }
}

/// What a database is, and what it makes of a pipeline's exports.
#[derive(Debug, Default)]
pub struct Rehearsal {
    /// What was connected to, where each setting came from (never a password), and each export's columns.
    pub lines: Vec<String>,
    /// The exports that cannot run, and why.
    pub broken: Vec<(StageName, Error)>,
}

impl Rehearsal {
    /// Connects, and has the server prepare each export's query, which is not run.
    ///
    /// # Errors
    /// If the database cannot be reached, or the connection is lost.
    pub fn of(pipeline: &Pipeline, environment: &Environment) -> Result<Self, Error> {
        let Some(database) = &pipeline.database else {
            return Ok(Self { lines: vec!["the file has no `database`".to_owned()], ..Self::default() });
        };
        let target = target(pipeline, database, environment)?;
        let snapshot = Snapshot::open(&target, &session(pipeline, database))?;
        let mut lines = vec![format!("connected to {}, snapshot {}", target.describe(), snapshot.state().id)];
        lines.extend(target.explain().into_iter().map(|line| format!("  {line}")));
        let mut broken = Vec::new();
        for stage in &pipeline.stages {
            let Kind::Export(spec) = &stage.kind else { continue };
            match Export::from_spec(spec, &pipeline.defaults).and_then(|export| columns(&export, &snapshot)) {
                Ok(1) => lines.push(format!("{}: 1 column", stage.name)),
                Ok(count) => lines.push(format!("{}: {count} columns", stage.name)),
                Err(error) if error.is_transient() => return Err(error.into()),
                Err(error) => broken.push((stage.name.clone(), error.into())),
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

fn columns(export: &Export, snapshot: &Snapshot) -> Result<usize, export::Error> {
    let (_, columns) = export.prepare(&mut snapshot.reader(&Monitor::default())?)?;
    Ok(columns.columns().len())
}

/// A path is relative to the root of the pipeline; anything else is a label or a URI.
fn repository_name(pipeline: &Pipeline, repo: &str) -> String {
    let is_path = repo.starts_with('.') || repo.contains('/') && !repo.contains("://");
    if is_path { pipeline.root.join(repo).display().to_string() } else { repo.to_owned() }
}

fn target(pipeline: &Pipeline, database: &DatabaseSpec, environment: &Environment) -> Result<Target, Error> {
    let params = ConnectParams {
        service: database.service.clone(),
        dsn: database.dsn.clone().map(Into::into),
        host: database.host.clone(),
        port: database.port.map(|port| port.to_string()),
        dbname: database.dbname.clone(),
        user: database.user.clone(),
        password: None,
        sslmode: database.sslmode.map(sslmode),
        given_by: pipeline.file.display().to_string(),
    };
    Ok(Target::resolve(&params, environment)?)
}

/// What a pipeline connects to; none if there is no database, or its settings are wrong.
#[must_use]
pub fn database_target(pipeline: &Pipeline, environment: &Environment) -> Option<Target> {
    target(pipeline, pipeline.database.as_ref()?, environment).ok()
}

fn sslmode(mode: spec::SslMode) -> SslMode {
    match mode {
        spec::SslMode::Disable => SslMode::Disable,
        spec::SslMode::Allow => SslMode::Allow,
        spec::SslMode::Prefer => SslMode::Prefer,
        spec::SslMode::Require => SslMode::Require,
        spec::SslMode::VerifyCa => SslMode::VerifyCa,
        spec::SslMode::VerifyFull => SslMode::VerifyFull,
    }
}

fn session(pipeline: &Pipeline, database: &DatabaseSpec) -> SessionOptions {
    let default = SessionOptions::default();
    SessionOptions {
        connections: database
            .connections
            .and_then(|n| usize::try_from(n).ok())
            .unwrap_or(default.connections),
        statement_timeout: pipeline.defaults.timeout.map(|period| period.0),
        lock_timeout: pipeline.defaults.timeout.map(|period| period.0).or(default.lock_timeout),
        ..default
    }
}

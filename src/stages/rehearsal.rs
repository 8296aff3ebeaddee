//! A trial of a pipeline's queries without reading rows: for `validate --connect`.

use arrow_schema::SchemaRef;

use super::sources::{SourceSettings, advised, session, target};
use super::{Error, Work};
use crate::environment::Environment;
use crate::monitor::Monitor;
use crate::postgres::Snapshot;

/// A trial of a database without reading rows.
#[derive(Debug, Default)]
pub struct Rehearsal {
    /// The database, where each setting came from (never a password), and the columns of each stage that reads it.
    pub lines: Vec<String>,
    /// The columns of each stage, or why the server rejects its query.
    pub columns: Vec<Result<SchemaRef, Error>>,
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
        let mut lines =
            vec![format!("connected to {}, snapshot {}", target.describe(), snapshot.generation().snapshot)];
        lines.extend(target.explain().into_iter().map(|line| format!("  {line}")));
        let mut all = Vec::new();
        for (name, work) in stages {
            let columns = work.columns(&mut snapshot.reader(&Monitor::default())?);
            match &columns {
                Ok(columns) if columns.fields().len() == 1 => lines.push(format!("{name}: 1 column")),
                Ok(columns) => lines.push(format!("{name}: {} columns", columns.fields().len())),
                Err(error) if error.class().may_pass() => return columns.map(|_| Self::default()),
                Err(_) => {}
            }
            all.push(columns);
        }
        lines.extend(advised(&snapshot).map(|shortage| format!("warning: {shortage}")));
        Ok(Self { lines, columns: all })
    }
}

//! A throwaway Postgres for a test: stopped and removed when it is dropped, also when the test panics.

use std::path::PathBuf;

use ssp::environment::Environment;
use ssp::monitor::Monitor;
use ssp::postgres::{SessionOptions, Snapshot, Target};
use ssp::stages::Spec as _;
use ssp::stages::export;
use ssp::stages::export::ExportSpec;
use ssp::throwaway::{Throwaway, ThrowawayOptions};
use tempfile::TempDir;

use super::cluster;

/// A server, its data in a temporary folder.
pub struct Server {
    pub throwaway: Throwaway,
    // Dropped after the server.
    folder: TempDir,
}

impl Server {
    /// Starts a server with the SQL given run in it.
    pub fn with(sql: &str) -> Self {
        let server = Self::start(&ThrowawayOptions::default());
        server.run(sql);
        server
    }

    /// Starts a server.
    pub fn start(options: &ThrowawayOptions) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        cluster::copy("cluster", folder.path(), |_| ());
        let throwaway = Throwaway::start_with(folder.path(), options)
            .unwrap_or_else(|error| panic!("the tests need a PostgreSQL server: {error}"));
        Self { throwaway, folder }
    }

    /// Runs SQL.
    pub fn run(&self, sql: &str) {
        let file = tempfile::NamedTempFile::new_in(self.folder.path()).expect("a temporary file");
        std::io::Write::write_all(&mut file.as_file(), sql.as_bytes()).expect("a writable folder");
        self.throwaway.load(file.path()).expect("SQL that the server takes");
    }

    /// The target of connections to it.
    pub fn target(&self) -> Target {
        Target::resolve(&self.throwaway.params(), &Environment::default()).expect("settings that are right")
    }

    /// A snapshot of its database.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::open(&self.target(), &SessionOptions::default()).expect("a server that answers")
    }

    /// A path in its temporary folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Exports in a snapshot of its own; the file and its rows.
    pub fn export(&self, name: &str, spec: &ExportSpec) -> Result<(PathBuf, u64), ssp::stages::Error> {
        self.export_in(&self.snapshot(), name, spec, 1)
    }

    /// Exports in a snapshot, with this number of connections; the file and its rows.
    pub fn export_in(
        &self,
        snapshot: &Snapshot,
        name: &str,
        spec: &ExportSpec,
        readers: usize,
    ) -> Result<(PathBuf, u64), ssp::stages::Error> {
        let out = self.path(name);
        let export = spec.checked()?;
        let product = export::run(&export, snapshot, readers, &out, &Monitor::default())?;
        let rows = product.rows();
        product.files.into_iter().for_each(|table| table.file.publish().expect("a writable folder"));
        Ok((out, rows))
    }

    /// The text of the error of an export, with its causes.
    pub fn export_error(&self, spec: &ExportSpec) -> String {
        let error = self.export("error.parquet", spec).expect_err("an error");
        ssp::errors::chain(&error).join("\n")
    }
}

/// The export of a query.
pub fn sql(sql: &str) -> ExportSpec {
    ExportSpec { sql: Some(sql.to_owned()), ..ExportSpec::default() }
}

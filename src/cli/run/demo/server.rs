//! The demo's server: started or found running, with the nights of the survey loaded.

use std::fs::{File, TryLockError};
use std::path::Path;

use anyhow::anyhow;

use crate::cli::failure::{Exit, Failure};
use crate::durable;
use crate::environment::Environment;
use crate::monitor::Monitor;
use crate::postgres::{ConnectParams, Error, Queries, Target};
use crate::throwaway::{Throwaway, ThrowawayError, ThrowawayOptions};

const MPC_SBN: &[u8] = include_bytes!("../../../../fixtures/survey/mpc_sbn.sql");
const NIGHT_2: &[u8] = include_bytes!("../../../../fixtures/survey/night_2.sql");
/// The comment on a database that has the second night.
const MARK: &str = "the survey of ssp-run demo with its second night";

/// The server and the environment in which it is found.
pub(super) struct Server {
    pub throwaway: Throwaway,
    pub environment: Environment,
    /// Whether it was running before.
    pub was_running: bool,
    /// Whether the survey was loaded just now.
    pub is_new: bool,
}

/// A failure of the database server, with a hint.
fn failed(error: impl Into<anyhow::Error>, dir: &Path) -> Failure {
    let error = error.into();
    if let Some(ThrowawayError::Busy { .. }) = error.downcast_ref() {
        return busy(dir);
    }
    let of_folder = matches!(
        error.downcast_ref(),
        Some(ThrowawayError::NotReady { .. } | ThrowawayError::Copied { .. } | ThrowawayError::Failed { .. })
    );
    let folder = dir.join("postgres");
    let hint =
        format!("if this folder was copied or moved, remove `{}`: the demo makes it again", folder.display());
    Failure::fault(error.context("the demo's database server")).hint_if(of_folder, hint)
}

/// The failure if another demo uses the folder.
fn busy(dir: &Path) -> Failure {
    let error = anyhow!("another demo is running in this folder, `{}`", dir.display());
    Failure::new(Exit::Locked, error).hint("wait until it ends, or name another folder with --dir")
}

/// Keeps other demos out of a folder while the file that is returned is open.
pub(super) fn lock(dir: &Path) -> Result<File, Failure> {
    let path = dir.join("demo.lock");
    let file = durable::open_lock(&path).map_err(Failure::fault)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(busy(dir)),
        Err(TryLockError::Error(error)) => Err(Failure::fault(
            anyhow::Error::new(error).context(format!("cannot lock `{}`", path.display())),
        )),
    }
}

/// Stops the server of a demo that was left running; whether there was one.
pub(super) fn stop(dir: &Path) -> Result<bool, Failure> {
    Throwaway::stop_running(&dir.join("postgres")).map_err(|error| failed(error, dir))
}

impl Server {
    /// Finds the server that runs in the folder, or starts it; loads the survey if it is not there.
    pub(super) fn start(
        dir: &Path,
        stays: bool,
        mut environment: Environment,
        say: impl Fn(&str),
    ) -> Result<Self, Failure> {
        let folder = dir.join("postgres");
        let options = ThrowawayOptions { keep: true, stays, ..ThrowawayOptions::default() };
        let running = Throwaway::running(&folder).map_err(|error| failed(error, dir))?;
        let was_running = running.is_some();
        say(if was_running { "using its running" } else { "starting its" });
        let throwaway = match running {
            Some(running) => running,
            None => Throwaway::start_with(&folder, &options).map_err(|error| failed(error, dir))?,
        };
        // What else is set must not lead to another server.
        environment
            .retain(|name| !name.starts_with("PG") && !name.starts_with("SSP_") && name != "BUTLER_REPO");
        let socket = throwaway.socket_folder().display().to_string();
        let settings = [
            ("PGHOST", Some(socket)),
            ("PGPORT", Some(throwaway.port().to_string())),
            ("PGUSER", throwaway.params().user),
        ];
        let settings = settings.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        environment.variables.extend(settings);
        let mut server = Self { throwaway, environment, was_running, is_new: false };
        let loaded = server.comment().map_err(|error| failed(error, dir))?;
        if loaded.is_none() {
            server.load(dir, "mpc_sbn.sql", &[BEFORE, MPC_SBN, AFTER].concat())?;
            server.is_new = true;
        }
        Ok(server)
    }

    /// Whether the second night is loaded.
    pub(super) fn has_night_2(&self, dir: &Path) -> Result<bool, Failure> {
        let comment = self.comment().map_err(|error| failed(error, dir))?;
        Ok(comment.as_deref() == Some(MARK))
    }

    /// Loads the second night; whether it was not there yet.
    pub(super) fn load_night_2(&self, dir: &Path) -> Result<bool, Failure> {
        if self.has_night_2(dir)? {
            return Ok(false);
        }
        let after = format!("COMMENT ON DATABASE mpc_sbn IS '{MARK}';\nCOMMIT;\n");
        let text = [b"\\connect mpc_sbn\nBEGIN;\n", NIGHT_2, after.as_bytes()].concat();
        self.load(dir, "night_2.sql", &text)?;
        Ok(true)
    }

    fn load(&self, dir: &Path, name: &str, text: &[u8]) -> Result<(), Failure> {
        let file = dir.join(name);
        durable::write(&file, text).map_err(|error| failed(error, dir))?;
        self.throwaway.load(&file).map_err(|error| failed(error, dir))
    }

    /// The comment on the survey's database, empty if it has none; none if there is no such database.
    fn comment(&self) -> Result<Option<String>, Error> {
        let params = ConnectParams { dbname: Some("mpc_sbn".to_owned()), ..ConnectParams::default() };
        let target = Target::resolve(&params, &self.environment)?;
        let mut queries = match Queries::open(&target, &Monitor::default()) {
            Ok(queries) => queries,
            Err(error) if error.code() == Some(INVALID_CATALOG_NAME) => return Ok(None),
            Err(error) => return Err(error),
        };
        let sql = "SELECT pg_catalog.shobj_description(oid, 'pg_database') FROM pg_catalog.pg_database \
                   WHERE datname = pg_catalog.current_database()";
        let rows = queries.rows("report the nights", sql)?;
        Ok(Some(rows.into_iter().flatten().flatten().next().unwrap_or_default()))
    }
}

/// The database gets its name when it is complete: a load that is killed leaves none of that name.
const BEFORE: &[u8] = b"DROP DATABASE IF EXISTS loading;\nCREATE DATABASE loading;\n\\connect loading\n";
const AFTER: &[u8] = b"\n\\connect postgres\nALTER DATABASE loading RENAME TO mpc_sbn;\n";
/// SQLSTATE: there is no such database.
const INVALID_CATALOG_NAME: &str = "3D000";

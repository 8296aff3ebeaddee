//! Servers that are left running: found again by the file that PostgreSQL writes, and stopped.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{Sockets, Throwaway, ThrowawayError, params, programs, run, unprivileged};
use crate::durable;
use crate::environment::Environment;
use crate::monitor::Monitor;
use crate::postgres::{Queries, Target};
use crate::regular;

/// The beginning of the names of socket folders outside the server's folder.
const PREFIX: &str = "ssp-demo-";
/// Lines of the log in an error.
const MOST_LINES: usize = 10;

/// What `postmaster.pid` says of a server.
#[derive(Clone)]
struct Pid {
    process: u32,
    data: PathBuf,
    port: u16,
    sockets: PathBuf,
}

impl Pid {
    /// Of the server in a folder; none if it was stopped in good order, or never started.
    fn read(folder: &Path) -> Result<Option<Self>, ThrowawayError> {
        match regular::read_to_string(&folder.join("data/postmaster.pid")) {
            Ok(text) => Ok(Self::parse(&text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(ThrowawayError::Folder { folder: folder.to_owned(), source }),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        Some(Self {
            process: lines.first()?.parse().ok()?,
            data: lines.get(1)?.into(),
            port: lines.get(3)?.parse().ok()?,
            sockets: lines.get(4).filter(|sockets| !sockets.is_empty())?.into(),
        })
    }

    /// Whether the server answers.
    fn answers(&self) -> Result<bool, ThrowawayError> {
        let target = Target::resolve(&params(&self.sockets, self.port), &Environment::default())?;
        Ok(Queries::open(&target, &Monitor::default()).is_ok())
    }
}

/// Removes the lock files of a killed server whose process is a zombie, as in a container without an `init`: PostgreSQL takes it
/// for running.
pub(super) fn remove_stale(folder: &Path) -> Result<(), ThrowawayError> {
    let Some(pid) = Pid::read(folder)? else { return Ok(()) };
    let status =
        regular::read_to_string(Path::new(&format!("/proc/{}/stat", pid.process))).unwrap_or_default();
    if status.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z')) {
        durable::remove(&folder.join(format!(".s.PGSQL.{}.lock", pid.port)))?;
        durable::remove(&folder.join("data/postmaster.pid"))?;
    }
    Ok(())
}

/// Whether `postmaster.pid` names a process that is a PostgreSQL server with its data in this folder.
pub(super) fn is_alive(folder: &Path) -> bool {
    let data = folder.join("data");
    let text = regular::read_to_string(&data.join("postmaster.pid")).unwrap_or_default();
    let number = text.lines().next().and_then(|line| line.trim().parse::<u32>().ok());
    let Some(process) = number.map(|number| PathBuf::from(format!("/proc/{number}"))) else { return false };
    let name = regular::read_to_string(&process.join("comm")).unwrap_or_default();
    // Only the user of a server can see where it runs.
    name.trim() == "postgres" && fs::read_link(process.join("cwd")).ok().is_none_or(|place| place == data)
}

/// A folder for sockets that stays.
pub(super) fn socket_folder() -> io::Result<PathBuf> {
    Ok(tempfile::Builder::new().prefix(PREFIX).tempdir()?.keep())
}

impl Throwaway {
    /// The server that runs in a folder, if one does. It is not stopped when this is dropped.
    ///
    /// # Errors
    /// [`ThrowawayError::Copied`] if the folder is a copy of that of a server that runs.
    pub fn running(folder: &Path) -> Result<Option<Self>, ThrowawayError> {
        let Some((folder, pid)) = answering(folder)? else { return Ok(None) };
        let programs = programs().ok_or(ThrowawayError::NoPrograms)?;
        let (owner, sockets) = (unprivileged(), Sockets::InFolder(pid.sockets));
        Ok(Some(Self { programs, owner, folder, sockets, port: pid.port, server: None }))
    }

    /// Stops the server that runs in a folder, in good order; whether there was one.
    ///
    /// # Errors
    /// [`ThrowawayError::Copied`], [`ThrowawayError::Failed`].
    pub fn stop_running(folder: &Path) -> Result<bool, ThrowawayError> {
        let Some(running) = Self::running(folder)? else { return Ok(false) };
        let mut stop = running.command(running.programs.join("pg_ctl"));
        stop.args(["stop", "-s", "-w", "-m", "fast", "-D"]).arg(running.data());
        run("pg_ctl", &mut stop)?;
        let sockets = running.socket_folder();
        if sockets.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PREFIX)) {
            durable::remove_folder(sockets)?;
        }
        Ok(true)
    }

    /// The last lines that the server added to its log, which was `logged` bytes long.
    pub(super) fn logged_since(&self, logged: u64) -> String {
        let log = regular::read(&self.folder.join("server.log")).unwrap_or_default();
        let new = usize::try_from(logged).ok().and_then(|logged| log.get(logged..)).unwrap_or_default();
        let text = String::from_utf8_lossy(new);
        let lines: Vec<&str> = text.lines().collect();
        match lines.len() {
            0 => "(no line)".to_owned(),
            most => lines[most.saturating_sub(MOST_LINES)..].join("\n"),
        }
    }
}

/// The folder and the server that answers in it.
fn answering(folder: &Path) -> Result<Option<(PathBuf, Pid)>, ThrowawayError> {
    let folder = match fs::canonicalize(folder) {
        Ok(folder) => folder,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(ThrowawayError::Folder { folder: folder.to_owned(), source }),
    };
    let Some(pid) = Pid::read(&folder)? else { return Ok(None) };
    // The socket moves with the folder, and does not answer in a copy.
    let own = Pid { sockets: folder.clone(), ..pid.clone() };
    if own.answers()? {
        return Ok(Some((folder, own)));
    }
    if !pid.answers()? {
        return Ok(None);
    }
    if fs::canonicalize(&pid.data).ok() != fs::canonicalize(folder.join("data")).ok() {
        return Err(ThrowawayError::Copied { folder, original: pid.data });
    }
    Ok(Some((folder, pid)))
}

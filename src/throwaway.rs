//! A PostgreSQL server for the demo and for tests, started from the programs installed on this machine.
//!
//! It listens on a unix socket in its folder, and stops when the process that started it ends. Not a place for data to
//! keep: a power cut can damage it.

mod running;
mod s3;

use std::fs::{self, Permissions};
use std::io;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tempfile::TempDir;

use crate::durable;
use crate::environment::Environment;
use crate::monitor::Monitor;
use crate::postgres::connect::{DEFAULT_PORT, TargetError};
use crate::postgres::{self, ConnectParams, Queries, Target};

pub use s3::S3;

/// Why there is no server.
#[expect(missing_docs, reason = "the messages say it")]
#[derive(Debug, thiserror::Error)]
pub enum ThrowawayError {
    #[error(
        "this machine has no PostgreSQL server (install it: on Debian and Ubuntu, apt-get install postgresql)"
    )]
    NoPrograms,
    #[error("cannot use folder `{}` for a server", folder.display())]
    Folder { folder: PathBuf, source: io::Error },
    #[error("cannot run `{program}`")]
    Run { program: String, source: io::Error },
    #[error("`{program}` failed: {said}")]
    Failed { program: String, said: String },
    #[error("the server did not start; its log says:\n{said}")]
    NotReady { said: String, source: Box<postgres::Error> },
    #[error("folder `{}` is a copy of `{}`, whose server is running", folder.display(), original.display())]
    Copied { folder: PathBuf, original: PathBuf },
    #[error("another server is running in folder `{}`", folder.display())]
    Busy { folder: PathBuf },
    #[error(
        "this machine has no S3 server (install it with: cargo install --locked --version 0.14.1 --features binary s3s-fs)"
    )]
    NoS3Program,
    #[error("the S3 server did not start; its log says:\n{said}")]
    S3NotReady { said: String },
    #[error(transparent)]
    Target(#[from] TargetError),
    #[error(transparent)]
    Log(#[from] durable::Error),
}

/// What a throwaway server is like.
#[derive(Clone, Debug, Default)]
pub struct ThrowawayOptions {
    /// Whether its data stays after it stops, to be started again in the same folder.
    pub keep: bool,
    /// Whether it keeps running when the process that started it ends: see [`Throwaway::running`].
    pub stays: bool,
    /// Whether it listens on 127.0.0.1 too.
    pub tcp: bool,
    /// Further settings, `name=value`.
    pub settings: Vec<String>,
    /// Files for its data folder, such as `pg_hba.conf` or `server.key`.
    pub files: Vec<(String, Vec<u8>)>,
}

/// A server that stops when it is dropped.
#[derive(Debug)]
pub struct Throwaway {
    programs: PathBuf,
    owner: Option<(u32, u32)>,
    folder: PathBuf,
    sockets: Sockets,
    port: u16,
    server: Option<Child>,
}

#[derive(Debug)]
enum Sockets {
    InFolder(PathBuf),
    /// The path of a socket is at most 107 bytes long; this one's folder would make it longer.
    Elsewhere(TempDir),
}

impl Sockets {
    fn path(&self) -> &Path {
        match self {
            Self::InFolder(path) => path,
            Self::Elsewhere(folder) => folder.path(),
        }
    }
}

/// The superuser of the cluster and the database that is there from the beginning.
const USER: &str = "ssp";
const DATABASE: &str = "postgres";
/// Room for `/.s.PGSQL.65535` within the 107 bytes of a socket's path.
const LONGEST_SOCKET_FOLDER: usize = 90;
/// How long a server may take to start: recovery after a crash included.
const START_PATIENCE: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(20);
/// Fast rather than safe, and nothing in the background that would change what `pg_current_snapshot` says.
const SETTINGS: [&str; 10] = [
    "fsync=off",
    "synchronous_commit=off",
    "wal_writer_delay=10ms",
    "full_page_writes=off",
    "autovacuum=off",
    "wal_level=minimal",
    "max_wal_senders=0",
    "max_wal_size=4GB",
    "timezone=UTC",
    "log_timezone=UTC",
];
/// Runs the server until it ends or standard input does, which is when the process that started it has ended. `$0` is the
/// signal that stops it, `$1` a folder to remove after that, or empty.
const KEEPER: &str = r#"
signal=$0 remove=$1; shift
exec 3<&0
"$@" </dev/null 3<&- & server=$!
(read -r _ <&3; kill -s "$signal" "$server") 2>/dev/null & keeper=$!
wait "$server"; status=$?
kill "$keeper" 2>/dev/null
[ -z "$remove" ] || rm -rf "$remove"
exit "$status"
"#;

impl Throwaway {
    /// Starts a server with its data in `folder`; `keep`: the data stays when it stops, and a later start uses it again.
    ///
    /// # Errors
    /// [`ThrowawayError`].
    pub fn start(folder: &Path, keep: bool) -> Result<Self, ThrowawayError> {
        Self::start_with(folder, &ThrowawayOptions { keep, ..ThrowawayOptions::default() })
    }

    /// Starts a server with its data in `folder`.
    ///
    /// # Errors
    /// [`ThrowawayError`].
    pub fn start_with(folder: &Path, options: &ThrowawayOptions) -> Result<Self, ThrowawayError> {
        let failed = |source| ThrowawayError::Folder { folder: folder.to_owned(), source };
        let programs = programs().ok_or(ThrowawayError::NoPrograms)?;
        durable::make_folder(folder).map_err(failed)?;
        let folder = fs::canonicalize(folder).map_err(failed)?;
        let owner = unprivileged();
        let sockets = if folder.as_os_str().len() <= LONGEST_SOCKET_FOLDER {
            Sockets::InFolder(folder.clone())
        } else if options.stays {
            Sockets::InFolder(running::socket_folder().map_err(failed)?)
        } else {
            Sockets::Elsewhere(tempfile::tempdir().map_err(failed)?)
        };
        for path in [folder.as_path(), sockets.path()] {
            give(path, owner).map_err(failed)?;
        }
        let port = if options.tcp { free_port().map_err(failed)? } else { DEFAULT_PORT };
        let mut throwaway = Self { programs, owner, folder, sockets, port, server: None };
        throwaway.make_cluster(&options.files)?;
        running::remove_stale(&throwaway.folder)?;
        let logged = throwaway.launch(options)?;
        throwaway.wait_until_ready(logged)?;
        if options.stays {
            // Then dropping this does not stop the process.
            throwaway.server = None;
        }
        Ok(throwaway)
    }

    /// The folder that it was started in.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder of its socket.
    #[must_use]
    pub fn socket_folder(&self) -> &Path {
        self.sockets.path()
    }

    /// Its port, on the socket and, if it listens there, on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The connection string of its database, for every client that libpq's rules are known to.
    #[must_use]
    pub fn uri(&self) -> String {
        let host = self.sockets.path().to_string_lossy();
        let host = utf8_percent_encode(&host, NON_ALPHANUMERIC);
        format!("postgresql://{USER}@/{DATABASE}?host={host}&port={}", self.port)
    }

    /// How to connect to it.
    #[must_use]
    pub fn params(&self) -> ConnectParams {
        params(self.sockets.path(), self.port)
    }

    /// Runs a file of SQL through psql.
    ///
    /// # Errors
    /// [`ThrowawayError::Run`], [`ThrowawayError::Failed`] with what psql said.
    pub fn load(&self, sql_file: &Path) -> Result<(), ThrowawayError> {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-f"]).arg(sql_file).arg(self.uri());
        run("psql", &mut psql)
    }

    /// Stops the server.
    pub fn stop(self) {}

    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        // Its user can read this folder; the current one may be private.
        command.current_dir(&self.folder).stdin(Stdio::null());
        if let Some((user, group)) = self.owner {
            command.uid(user).gid(group);
        }
        command
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn make_cluster(&self, files: &[(String, Vec<u8>)]) -> Result<(), ThrowawayError> {
        if !self.data().join("PG_VERSION").exists() {
            let mut initdb = self.command(self.programs.join("initdb"));
            initdb.args(["--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C", "-U", USER, "-D"]);
            run("initdb", initdb.arg(self.data()))?;
        }
        for (name, content) in files {
            let path = self.data().join(name);
            durable::write(&path, content)?;
            fs::set_permissions(&path, Permissions::from_mode(0o600))
                .and_then(|()| give(&path, self.owner))
                .map_err(|source| ThrowawayError::Folder { folder: self.data(), source })?;
        }
        Ok(())
    }

    /// Starts the process; how long the log was before.
    fn launch(&mut self, options: &ThrowawayOptions) -> Result<u64, ThrowawayError> {
        let log = durable::append(&self.folder.join("server.log"))?;
        let logged = log.metadata().map_or(0, |log| log.len());
        let program = self.programs.join("postgres");
        let mut command = if options.stays {
            self.command(&program)
        } else {
            let (signal, remove) = if options.keep {
                ("INT", String::new())
            } else {
                ("QUIT", self.data().to_string_lossy().into_owned())
            };
            let mut keeper = self.command("sh");
            keeper.args(["-c", KEEPER, signal, &remove]).arg(&program).stdin(Stdio::piped());
            keeper
        };
        command.arg("-D").arg(self.data()).arg("-k").arg(self.sockets.path());
        command.args(["-p", &self.port.to_string()]);
        command.args(["-h", if options.tcp { "127.0.0.1" } else { "" }]);
        for setting in SETTINGS.into_iter().chain(options.settings.iter().map(String::as_str)) {
            command.args(["-c", setting]);
        }
        // Of another process group, so that Ctrl-C reaches us alone and we stop it in good order.
        command.process_group(0).stdout(Stdio::null()).stderr(log);
        let server = command.spawn();
        self.server =
            Some(server.map_err(|source| ThrowawayError::Run { program: "postgres".to_owned(), source })?);
        Ok(logged)
    }

    fn wait_until_ready(&mut self, logged: u64) -> Result<(), ThrowawayError> {
        let target = Target::resolve(&self.params(), &Environment::default())?;
        let begin = Instant::now();
        loop {
            let Err(error) = Queries::open(&target, &Monitor::default()) else { return Ok(()) };
            let ended = self.server.as_mut().is_some_and(|server| !matches!(server.try_wait(), Ok(None)));
            // A server that asks for a password is ready, too.
            if error.code().is_some_and(|code| code.starts_with("28")) {
                return Ok(());
            }
            if ended && running::is_alive(&self.folder) {
                return Err(ThrowawayError::Busy { folder: self.folder.clone() });
            }
            if ended || begin.elapsed() > START_PATIENCE {
                let said = self.logged_since(logged);
                return Err(ThrowawayError::NotReady { said, source: Box::new(error) });
            }
            std::thread::sleep(POLL);
        }
    }
}

impl Drop for Throwaway {
    fn drop(&mut self) {
        if let Some(mut server) = self.server.take() {
            // The end of its standard input is what stops it.
            drop(server.stdin.take());
            let _ = server.wait();
        }
    }
}

fn run(program: &str, command: &mut Command) -> Result<(), ThrowawayError> {
    let output = command.output();
    let output = output.map_err(|source| ThrowawayError::Run { program: program.to_owned(), source })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(ThrowawayError::Failed { program: program.to_owned(), said })
}

/// How to connect to a server with this folder of sockets.
fn params(sockets: &Path, port: u16) -> ConnectParams {
    ConnectParams {
        host: Some(sockets.to_string_lossy().into_owned()),
        port: Some(port.to_string()),
        dbname: Some(DATABASE.to_owned()),
        user: Some(USER.to_owned()),
        given_by: "throwaway server".to_owned(),
        ..ConnectParams::default()
    }
}

/// The folder with the server's programs: the one that `pg_config` names, or the newest in the places where the usual
/// packages put them.
fn programs() -> Option<PathBuf> {
    let has_server = |folder: &PathBuf| folder.join("initdb").exists() && folder.join("postgres").exists();
    let said = Command::new("pg_config").arg("--bindir").output().ok();
    let named = said.map(|output| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    if let Some(folder) = named.filter(has_server) {
        return Some(folder);
    }
    let versions = |parent: &str| fs::read_dir(parent).into_iter().flatten().filter_map(Result::ok);
    let debian = versions("/usr/lib/postgresql").map(|entry| entry.path().join("bin"));
    let others =
        ["/usr/local/pgsql/bin", "/usr/bin", "/usr/local/bin", "/opt/homebrew/bin"].map(PathBuf::from);
    let redhat = versions("/usr").filter(|entry| entry.file_name().to_string_lossy().starts_with("pgsql-"));
    let redhat = redhat.map(|entry| entry.path().join("bin"));
    debian.chain(redhat).chain(others).filter(has_server).max_by_key(|folder| version(folder))
}

/// The major version that a folder of programs is named after.
fn version(folder: &Path) -> Option<u32> {
    let path = folder.to_string_lossy();
    path.split(|c: char| !c.is_ascii_digit()).find_map(|number| number.parse().ok())
}

/// User and group that the server runs as if we are root, as which Postgres refuses to run: `postgres`, which its packages
/// make, or `nobody`.
fn unprivileged() -> Option<(u32, u32)> {
    fs::metadata("/proc/self").ok().filter(|process| process.uid() == 0)?;
    let accounts = fs::read_to_string("/etc/passwd").ok()?;
    ["postgres", "nobody"].iter().find_map(|name| {
        let mut fields = accounts.lines().map(|line| line.split(':').collect::<Vec<_>>());
        let fields = fields.find(|fields| fields.first() == Some(name))?;
        Some((fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?))
    })
}

fn give(path: &Path, owner: Option<(u32, u32)>) -> io::Result<()> {
    owner.map_or(Ok(()), |(user, group)| chown(path, Some(user), Some(group)))
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_programs_are_known_by_their_folder() {
        let version = |folder: &str| version(Path::new(folder));
        assert!(version("/usr/lib/postgresql/15/bin") > version("/usr/lib/postgresql/9.6/bin"));
        assert!(version("/usr/pgsql-16/bin") > version("/usr/lib/postgresql/15/bin"));
        assert_eq!(version("/usr/local/pgsql/bin"), None);
    }
}

//! An S3 server for the demo and for tests: `s3s-fs` from crates.io, on 127.0.0.1, in a folder.
//!
//! Not a place for data to keep, and not like Amazon's in everything. Seen with `s3s-fs` 0.14.1, through boto3:
//!
//! - Works: signatures, `RequestTimeTooSkewed`, GET with a range, HEAD, PUT with `If-None-Match: *` or `If-Match`, multipart
//!   uploads, DELETE, `ListObjectsV2`, and keys with `%`, `#`, `+`, blanks, quotes and non-ASCII letters. The `ETag` is the
//!   MD5 of the bytes, the same in GET and HEAD; of a multipart upload it ends with `-` and the number of parts.
//! - GET and HEAD ignore `If-Match`: the `ETag` of an answer is what tells that an object has changed.
//! - The `ETag` of a file that was put into a bucket's folder directly is computed at each request, from the whole file. An
//!   object that was uploaded and then changed in the folder keeps its old `ETag`.
//! - `If-None-Match: *` looks and then writes: two at a time can both succeed.
//! - A PUT whose checksum is wrong gets 400, but the object is there after it. DELETE leaves files with a dot in the folder.
//! - Bucket and key together have at most 168 bytes in a PUT, and 135 in a multipart upload: longer ones get 500. Files in
//!   the folder can be read by longer keys.
//! - Objects are files: `a` and `a/b` cannot both be there, GET of a folder gets 500, `a//b` is `a/b`, and `./a` gets 500.
//! - A range of the last n bytes of an object with fewer gets 500; Amazon's sends the object.
//! - GET in a bucket that is not there gets `NoSuchKey`, and PUT makes that bucket. Names of fewer than 3 letters get 400.
//! - An unknown access key gets `NotSignedUp` instead of `InvalidAccessKeyId`; both have status 403.
//! - Listing ignores `encoding-type=url`, which boto3 asks for: boto3 shows `+` and `%20` in keys as blanks.
//! - It leaves Nagle's algorithm on: each answer on a connection that is used again takes about 25 ms, unless the client
//!   acknowledges at once (`TCP_QUICKACK`). On a new connection it takes less than 1 ms.
//! - Not there: `ListMultipartUploads`, versions, buckets in the host name, limits on the size of parts but the smallest.

use std::fmt;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use ring::rand::{SecureRandom as _, SystemRandom};

use super::{KEEPER, POLL, START_PATIENCE, ThrowawayError};
use crate::durable;
use crate::environment::Environment;
use crate::regular;

const PROGRAM: &str = "s3s-fs";
/// What the server logs when it listens, before its address.
const LISTENS: &str = "server is running at http://";
/// The server takes no notice of files in its folder that begin with a dot.
const LOG: &str = ".server.log";
/// Bytes of randomness in a key: 128 and 256 bits.
const ACCESS_KEY_BYTES: usize = 16;
const SECRET_BYTES: usize = 32;

/// An S3 server that stops when it is dropped, or when the process that started it ends.
///
/// Its secret is in the argument list of its process, where every user of this machine can read it: `s3s-fs` takes it in
/// no other way.
pub struct S3 {
    folder: PathBuf,
    address: String,
    access_key: String,
    secret: String,
    server: Child,
}

impl S3 {
    /// Starts a server with its buckets in `folder`, on a free port of 127.0.0.1: on the last one, if that is free. A later start
    /// finds the buckets again.
    ///
    /// # Errors
    /// [`ThrowawayError::NoS3Program`], [`ThrowawayError::Folder`], [`ThrowawayError::S3NotReady`].
    pub fn start(folder: &Path) -> Result<Self, ThrowawayError> {
        let said = regular::read_to_string(&folder.join(LOG)).unwrap_or_default();
        let last = listens(&said).and_then(|address| address.rsplit_once(':')?.1.parse().ok());
        match last.map(|port| Self::start_at(folder, port)) {
            Some(Ok(server)) => Ok(server),
            // With port 0 the system chooses one that is free, and the log names it.
            _ => Self::start_at(folder, 0),
        }
    }

    fn start_at(folder: &Path, port: u16) -> Result<Self, ThrowawayError> {
        let failed = |source| ThrowawayError::Folder { folder: folder.to_owned(), source };
        let program = program().ok_or(ThrowawayError::NoS3Program)?;
        durable::make_folder(folder).map_err(failed)?;
        let folder = fs::canonicalize(folder).map_err(failed)?;
        let (access_key, secret) = (random(ACCESS_KEY_BYTES), random(SECRET_BYTES));
        let log = folder.join(LOG);
        durable::remove(&log)?;
        let lines = durable::append(&log)?;
        let errors = lines.try_clone().map_err(failed)?;
        let mut command = Command::new("sh");
        command.args(["-c", KEEPER, "KILL", ""]).arg(program);
        command.args(["--host", "127.0.0.1", "--port", &port.to_string(), "--access-key", &access_key]);
        command.args(["--secret-key", &secret]).arg(&folder);
        command.env("RUST_LOG", "s3s_fs=info");
        // Of another process group, so that Ctrl-C reaches us alone and we stop it in good order.
        command.process_group(0).stdin(Stdio::piped()).stdout(lines).stderr(errors);
        let server = command.spawn();
        let server = server.map_err(|source| ThrowawayError::Run { program: PROGRAM.to_owned(), source })?;
        let mut s3 = Self { folder, address: String::new(), access_key, secret, server };
        s3.address = s3.wait_until_ready(&log)?;
        Ok(s3)
    }

    /// The URL of the server, without a bucket.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its host and port.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The one access key that it knows.
    #[must_use]
    pub fn access_key(&self) -> &str {
        &self.access_key
    }

    /// The secret of that key.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// The folder of its buckets: each is a folder in it, and each object a file in that.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes a bucket, if it is not there yet; its folder.
    ///
    /// # Errors
    /// [`ThrowawayError::Folder`].
    pub fn make_bucket(&self, name: &str) -> Result<PathBuf, ThrowawayError> {
        let folder = self.folder.join(name);
        match durable::make_folder(&folder) {
            Ok(()) => Ok(folder),
            Err(source) => Err(ThrowawayError::Folder { folder, source }),
        }
    }

    /// Waits for the line of the log with the address, which no other server can have written.
    fn wait_until_ready(&mut self, log: &Path) -> Result<String, ThrowawayError> {
        let begin = Instant::now();
        loop {
            let ended = !matches!(self.server.try_wait(), Ok(None));
            let said = regular::read_to_string(log).unwrap_or_default();
            if let Some(address) = listens(&said) {
                return Ok(address.to_owned());
            }
            if ended || begin.elapsed() > START_PATIENCE {
                return Err(ThrowawayError::S3NotReady { said: said.trim().to_owned() });
            }
            std::thread::sleep(POLL);
        }
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        // The end of its standard input is what stops it.
        drop(self.server.stdin.take());
        let _ = self.server.wait();
    }
}

impl fmt::Debug for S3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3")
            .field("folder", &self.folder)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// The address in a log.
fn listens(said: &str) -> Option<&str> {
    let (address, _) = said.split_once(LISTENS)?.1.split_once('\n')?;
    Some(address.trim())
}

/// The program on PATH, or where cargo installs programs.
fn program() -> Option<PathBuf> {
    let environment = Environment::of_process();
    let path = environment.raw("PATH").unwrap_or_default();
    let cargo = environment.raw("CARGO_HOME").map(PathBuf::from);
    let cargo = cargo.or_else(|| environment.in_home(".cargo"));
    let folders = std::env::split_paths(&path).chain(cargo.map(|cargo| cargo.join("bin")));
    folders.map(|folder| folder.join(PROGRAM)).find(|program| program.is_file())
}

/// A number of random bytes, as hexadecimal digits.
fn random(bytes: usize) -> String {
    let mut random = vec![0; bytes];
    SystemRandom::new().fill(&mut random).expect("the system has random numbers");
    random.iter().fold(String::new(), |digits, byte| digits + &format!("{byte:02x}"))
}

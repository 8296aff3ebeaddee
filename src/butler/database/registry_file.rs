//! The file of a registry in `SQLite`: how it is read without a change to it or to what is beside it, and why it cannot be.
//!
//! `SQLite` itself would make files beside a database in WAL mode, owned by the reader: the writers could then not write.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rusqlite::ffi;

use crate::butler::error::Cause;

/// Why a registry cannot be read, and what to do. What `SQLite` says is kept only where it does not mislead.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// It is a folder, or something else.
    #[error("it is not a file")]
    NoFile,
    /// It has no bytes.
    #[error("the file is empty: restore it, or give the repository's own registry")]
    Empty,
    /// Another kind of file.
    #[error("it is not a SQLite database, or it is encrypted: give the repository's own registry")]
    NotADatabase,
    /// A database that contradicts itself.
    #[error(
        "the database is damaged, or only a part of it was copied: copy it again, or check it with `sqlite3 {} 'PRAGMA \
         integrity_check'`", path.display()
    )]
    Damaged { path: PathBuf, source: rusqlite::Error },
    /// A writer ended in the middle of a transaction, which has to be undone first.
    #[error(
        "a writer was stopped in the middle of a transaction and left the journal `{}`, which only a user with \
        write permission can roll back; as that user, open the registry once, for example with `sqlite3 {} 'PRAGMA \
        quick_check'`, \
         and run again", beside(path, "-journal").display(), path.display()
    )]
    Journal { path: PathBuf },
    /// A writer in WAL mode left something that has to be recovered.
    #[error(
        "the registry is in WAL mode, and a writer that did not close properly left `{}`; as a user with write \
         permission, open the registry once, for example with `sqlite3 {} 'PRAGMA wal_checkpoint(TRUNCATE)'`, and run again",
        beside(path, "-wal").display(), path.display()
    )]
    Wal { path: PathBuf },
    /// A log beside a database that is not in WAL mode: for every program that opens it, `SQLite` puts that log into it.
    #[error(
        "the registry is not in WAL mode, but `{}` from another copy is next to it, and SQLite would mix the two; \
        move that file, and `{}` if it exists, to another folder, and run again",
        beside(path, "-wal").display(), beside(path, "-shm").display()
    )]
    StrayWal { path: PathBuf },
    /// A writer holds the lock.
    #[error("another process keeps the registry locked: wait until it has finished, and run again")]
    Busy,
    /// A writer came while the file was read as one without a writer.
    #[error("another process changed the registry while it was read: run again")]
    Changed,
}

/// How a registry can be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Access {
    Locks,
    /// In WAL mode, with the files that are beside it.
    SharedMemory,
    /// As a file without a writer, as long as it stays this one.
    Immutable(Identity),
}

/// What changes with a file's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity([i64; 5]);

/// How a database starts; the twentieth byte is 2 for one in WAL mode (`SQLite`'s "Database File Format", 1.3).
const MAGIC: &[u8] = b"SQLite format 3\0";
const HEADER: usize = 20;
const WAL_VERSION: u8 = 2;

/// How the registry can be read now, without a change to the folder.
///
/// # Errors
/// If the file cannot be read, or [`Trouble`].
pub(super) fn access(path: &Path) -> Result<Access, Cause> {
    // `SQLite` says of none of these what is wrong.
    if !fs::metadata(path)?.is_file() {
        return Err(Trouble::NoFile.into());
    }
    // Before the header: a writer that changes to WAL mode now writes the header first.
    let has_log = has_log(path)?;
    let mut header = Vec::new();
    File::open(path)?.take(HEADER as u64).read_to_end(&mut header)?;
    if header.is_empty() {
        return Err(Trouble::Empty.into());
    }
    let is_database = header.starts_with(MAGIC);
    if is_database && header.get(HEADER - 1) != Some(&WAL_VERSION) {
        // `SQLite` goes by the log that is there, not by the header.
        return if has_log {
            Err(Trouble::StrayWal { path: path.to_owned() }.into())
        } else {
            Ok(Access::Locks)
        };
    }
    if is_hot(&beside(path, "-journal"))? {
        return Err(Trouble::Journal { path: path.to_owned() }.into());
    }
    if !is_database {
        return Err(Trouble::NotADatabase.into());
    }
    let identity = Identity::of(path)?;
    let wal = length(&beside(path, "-wal"))?;
    match (wal, length(&beside(path, "-shm"))?) {
        (Some(_), Some(_)) => Ok(Access::SharedMemory),
        // A program that has it open has both files open: here all is in the database itself.
        (None | Some(0), _) => Ok(Access::Immutable(identity)),
        (Some(_), None) => Err(Trouble::Wal { path: path.to_owned() }.into()),
    }
}

impl Identity {
    fn of(path: &Path) -> io::Result<Self> {
        let found = fs::metadata(path)?;
        let number = u64::cast_signed;
        Ok(Self([
            number(found.dev()),
            number(found.ino()),
            number(found.len()),
            found.mtime(),
            found.mtime_nsec(),
        ]))
    }

    /// Whether the file is still this one, and no writer has begun.
    pub(super) fn stands(self, path: &Path) -> bool {
        !has_log(path).unwrap_or(false) && Self::of(path).is_ok_and(|found| found == self)
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The length of a file, if it is there.
fn length(path: &Path) -> io::Result<Option<u64>> {
    match fs::metadata(path) {
        Ok(found) => Ok(Some(found.len())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether there is a log of WAL mode; an empty one is none.
fn has_log(path: &Path) -> io::Result<bool> {
    Ok(length(&beside(path, "-wal"))?.is_some_and(|bytes| bytes > 0))
}

/// Whether there is something to undo in a journal: one that starts with 0 has been used up.
fn is_hot(journal: &Path) -> io::Result<bool> {
    let mut first = [0];
    match File::open(journal).and_then(|mut journal| journal.read(&mut first)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        read => read.map(|_| first != [0]),
    }
}

/// What an error of `SQLite` means for a registry that is only read, by its extended code.
pub(super) fn explained(path: &Path, source: rusqlite::Error) -> Cause {
    let path = path.to_owned();
    let Some(code) = source.sqlite_error().map(|error| error.extended_code) else { return source.into() };
    // The lower byte is the kind of error.
    let trouble = match (code, code & 0xff) {
        (ffi::SQLITE_READONLY_ROLLBACK, _) => Trouble::Journal { path },
        (
            ffi::SQLITE_READONLY_RECOVERY
            | ffi::SQLITE_READONLY_CANTINIT
            | ffi::SQLITE_READONLY_CANTLOCK
            | ffi::SQLITE_READONLY_DIRECTORY,
            _,
        ) => Trouble::Wal { path },
        (_, ffi::SQLITE_BUSY) => Trouble::Busy,
        (_, ffi::SQLITE_CORRUPT) => Trouble::Damaged { path, source },
        _ => return source.into(),
    };
    trouble.into()
}

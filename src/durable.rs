//! How every output and record is written: temporary file, fsync, rename, fsync of the folder.
//!
//! A [`PendingFile`] is written beside its target and hashed on the way; [`PendingFile::seal`] makes its bytes safe;
//! [`SealedFile::publish`] makes them the target in one step. Dropping either leaves the target as it was and removes
//! the temporary file. Until then the file is locked, so that nobody's [`sweep`] takes it. Not a place for formats: it sees
//! bytes.

use std::fs::{self, File, Permissions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile, TempPath};

use crate::digest::{Digest, Hasher};

/// What the names of temporary files end with; [`sweep`] removes them after a crash.
pub const TEMPORARY_SUFFIX: &str = ".ssp-tmp";

/// Why a file could not be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The temporary file beside the target could not be made.
    #[error("cannot write in folder `{}`", folder.display())]
    Create {
        /// The folder.
        folder: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Writing, flushing or syncing failed.
    #[error("cannot write `{}` ({written} bytes were written)", target.display())]
    Write {
        /// The file that was to be made.
        target: PathBuf,
        /// Bytes written before the failure.
        written: u64,
        /// The cause.
        source: io::Error,
    },
    /// The finished file could not be moved over its target.
    #[error("cannot put the finished file in place of `{}`", target.display())]
    Publish {
        /// The target.
        target: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A file was put in place or removed, but it is not certain that a power cut would leave it so.
    #[error("cannot make the change of `{}` safe on disk", path.display())]
    Sync {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A link could not be made.
    #[error("cannot make the link `{}`", link.display())]
    Link {
        /// The link.
        link: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A file could not be removed.
    #[error("cannot remove `{}`", path.display())]
    Remove {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

/// A file being written beside its target.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::io::Write;
///
/// use ssp::durable::PendingFile;
///
/// let folder = tempfile::tempdir()?;
/// let target = folder.path().join("table.csv");
/// let mut pending = PendingFile::create(&target)?;
/// pending.write_all(b"id\n1\n")?;
/// let sealed = pending.seal()?;
/// // Safe on disk, and still under a name of its own: a reader of the target sees nothing yet.
/// assert!(!target.exists());
/// sealed.publish()?;
/// assert_eq!(std::fs::read(&target)?, b"id\n1\n");
/// # Ok(())
/// # }
/// ```
pub struct PendingFile {
    file: NamedTempFile,
    target: PathBuf,
    hasher: Hasher,
    written: u64,
}

impl PendingFile {
    /// Starts a file that is to become `target`; its folder is made if it is missing.
    ///
    /// # Errors
    /// [`Error::Create`].
    pub fn create(target: &Path) -> Result<Self, Error> {
        let folder = folder_of(target);
        let failed = |source| Error::Create { folder: folder.to_owned(), source };
        make_folder(folder).map_err(failed)?;
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        let file = Builder::new()
            .prefix(&format!(".{name}."))
            .suffix(TEMPORARY_SUFFIX)
            // As `open` would do: the umask takes away from this.
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(folder)
            .map_err(failed)?;
        // Where a file system has no locks, a sweep takes what it finds.
        let _ = file.as_file().try_lock();
        Ok(Self { file, target: target.to_owned(), hasher: Hasher::default(), written: 0 })
    }

    /// Bytes written so far.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Makes the bytes safe on disk and returns the file, ready to be published.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn seal(self) -> Result<SealedFile, Error> {
        let Self { file, target, hasher, written } = self;
        if let Err(source) = file.as_file().sync_all() {
            return Err(Error::Write { target, written, source });
        }
        let (lock, temporary) = file.into_parts();
        Ok(SealedFile { temporary, lock: Some(lock), target, digest: hasher.finish(), bytes: written })
    }
}

impl Write for PendingFile {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = self.file.as_file_mut().write(buf)?;
        self.hasher.update(&buf[..n]);
        self.written += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_file_mut().flush()
    }
}

/// A finished file, safe on disk, not yet in place of its target.
#[derive(Debug)]
pub struct SealedFile {
    temporary: TempPath,
    /// Open while the lock is held.
    lock: Option<File>,
    target: PathBuf,
    digest: Digest,
    bytes: u64,
}

impl SealedFile {
    /// The digest of its content.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Its size.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What it will be.
    #[must_use]
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Where it is now.
    #[must_use]
    pub fn temporary(&self) -> &Path {
        &self.temporary
    }

    /// Closes the file, and so lets go of its lock: for many that wait together, where nobody may sweep meanwhile.
    pub fn close(&mut self) {
        self.lock = None;
    }

    /// Puts the file in place of its target, durably.
    ///
    /// # Errors
    /// [`Error::Publish`]: the target is then as it was. [`Error::Sync`]: it is the new file.
    pub fn publish(self) -> Result<(), Error> {
        let Self { temporary, target, .. } = self;
        match temporary.persist(&target) {
            Ok(()) => sync_folder(&target),
            Err(error) => Err(Error::Publish { target, source: error.error }),
        }
    }

    /// Leaves the temporary file on disk, for somebody who has written down that it is to be published
    /// (see [`publish_written_down`]).
    ///
    /// # Errors
    /// [`Error::Publish`], if the file cannot be kept.
    pub fn keep(self) -> Result<PathBuf, Error> {
        let Self { temporary, target, .. } = self;
        temporary.keep().map_err(|error| Error::Publish { target, source: error.error })
    }
}

/// Puts `temporary`, which a record names, in place of `target`, durably. A temporary file that is no longer there was
/// published before.
///
/// # Errors
/// [`Error::Publish`], [`Error::Sync`].
pub fn publish_written_down(temporary: &Path, target: &Path) -> Result<(), Error> {
    #[expect(clippy::disallowed_methods, reason = "this is the module that publishes")]
    match fs::rename(temporary, target) {
        Ok(()) => sync_folder(target),
        Err(error) if error.kind() == io::ErrorKind::NotFound && !temporary.exists() && target.exists() => {
            Ok(())
        }
        Err(source) => Err(Error::Publish { target: target.to_owned(), source }),
    }
}

/// Writes a small file atomically and durably.
///
/// # Errors
/// All of [`Error`].
pub fn write(target: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut file = PendingFile::create(target)?;
    if let Err(source) = file.write_all(bytes) {
        return Err(Error::Write { target: target.to_owned(), written: file.written(), source });
    }
    file.seal()?.publish()
}

/// Opens a file to add lines to it: for logs, which are not atomic.
///
/// # Errors
/// [`Error::Create`].
pub fn append(path: &Path) -> Result<File, Error> {
    let failed = |source| Error::Create { folder: folder_of(path).to_owned(), source };
    make_folder(folder_of(path)).map_err(failed)?;
    File::options().create(true).append(true).open(path).map_err(failed)
}

/// Makes `link` point at `target`, in one step.
///
/// # Errors
/// [`Error::Link`], [`Error::Remove`], [`Error::Sync`].
pub fn link(target: &Path, link: &Path) -> Result<(), Error> {
    let failed = |source| Error::Link { link: link.to_owned(), source };
    let name = link.file_name().unwrap_or_default().to_string_lossy();
    let temporary = folder_of(link).join(format!(".{name}.{}{TEMPORARY_SUFFIX}", std::process::id()));
    // A process of the same number may have been killed here; in a container all have the same.
    remove(&temporary)?;
    std::os::unix::fs::symlink(target, &temporary).map_err(failed)?;
    #[expect(clippy::disallowed_methods, reason = "this is the module that publishes")]
    match fs::rename(&temporary, link) {
        Ok(()) => sync_folder(link),
        Err(source) => {
            remove(&temporary)?;
            Err(failed(source))
        }
    }
}

/// Removes a file, durably; one that is not there is fine.
///
/// # Errors
/// [`Error::Remove`], [`Error::Sync`].
pub fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Ok(()) => sync_folder(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(Error::Remove { path: path.to_owned(), source }),
    }
}

/// Removes the temporary files that a killed process left in `folder`; how many. Those that a process is writing stay.
///
/// # Errors
/// Whatever reading the folder or removing a file returns. A folder that is not there has none.
pub fn sweep(folder: &Path) -> io::Result<usize> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        other => other?,
    };
    let mut removed = 0;
    for entry in entries {
        let path = entry?.path();
        let ours = path.file_name().is_some_and(|name| {
            let name = name.to_string_lossy();
            name.starts_with('.') && name.ends_with(TEMPORARY_SUFFIX)
        });
        if ours && !is_being_written(&path) {
            fs::remove_file(&path)?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// Whether two paths lead to one file that is there, whatever the names and links.
#[must_use]
pub fn is_same_file(one: &Path, other: &Path) -> bool {
    let identity = |path: &Path| fs::metadata(path).ok().map(|found| (found.dev(), found.ino()));
    identity(one).is_some_and(|one| identity(other) == Some(one))
}

fn is_being_written(temporary: &Path) -> bool {
    let file = File::open(temporary);
    file.is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
}

/// Makes a folder and those around it that are missing, durably.
///
/// # Errors
/// Whatever making or syncing one of them returns.
pub fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let parent = folder_of(folder);
    make_folder(parent)?;
    match fs::create_dir(folder) {
        Ok(()) => File::open(parent)?.sync_all(),
        // Somebody else made it meanwhile.
        Err(_) if folder.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}

fn folder_of(target: &Path) -> &Path {
    match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn sync_folder(target: &Path) -> Result<(), Error> {
    File::open(folder_of(target))
        .and_then(|folder| folder.sync_all())
        .map_err(|source| Error::Sync { path: target.to_owned(), source })
}

#[cfg(test)]
mod tests;

//! How every output and record is written: temporary file, fsync, rename, fsync of the folder.
//!
//! A [`PendingFile`] is written beside its target and hashed on the way; [`PendingFile::seal`] makes its bytes safe;
//! [`SealedFile::publish`] makes them the target in one step. Dropping either leaves the target unchanged and removes
//! the temporary file. Until then the file is locked, so that no other [`sweep`] removes it. [`target()`] decides which file
//! is replaced, [`publish_all`] publishes several files or none. Not a place for formats: it sees bytes.

mod error;
mod folder;
mod folder_links;
mod links;
mod publication;
mod target;

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{self, Path, PathBuf};

use serde::{Deserialize, Serialize};
use tempfile::{Builder, NamedTempFile, TempPath};

use crate::digest::{Digest, Hasher};
use crate::regular::{self, special};

pub use error::Error;
pub use folder::{
    check_writable, folder, make_folder, new_folder, remove_empty_folder, remove_folder, rename_folder,
    sweep, sweep_of, unfinished,
};
use folder::{make_folder_of, sync_folder};
pub use folder_links::{FolderLink, check_link, fill_folder, link_folder};
pub use links::{put_down, second_name, settle_by};
pub use publication::publish_all;
pub use target::{names_a_file, scratch, target};

/// What the names of temporary files end with; [`sweep`] removes them after a crash.
pub const TEMPORARY_SUFFIX: &str = ".ssp-tmp";

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
    /// Starts the file that is to become the [`target()`] of `path`; its folder is made if it is missing.
    ///
    /// # Errors
    /// Those of [`target()`]; [`Error::Create`].
    pub fn create(path: &Path) -> Result<Self, Error> {
        let target = target(path)?;
        let folder = make_folder_of(&target)?;
        let file = Builder::new()
            .prefix(&temporary_prefix(&target))
            .suffix(TEMPORARY_SUFFIX)
            // As `open` would do: the umask takes away from this.
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(folder)
            .map_err(|source| Error::Create { folder: folder.to_owned(), source })?;
        // Where a file system has no locks, a sweep takes what it finds.
        let _ = file.as_file().try_lock();
        Ok(Self { file, target, hasher: Hasher::default(), written: 0 })
    }

    /// Bytes written so far.
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
    /// Gives a file that another process wrote and made safe on disk a second name beside its target. Both must be on one file
    /// system; where that has no second names, the file is copied. The name is removed unless the file is published.
    ///
    /// # Errors
    /// Those of [`target()`]; [`Error::Create`]; [`Error::Link`].
    pub fn with_name(file: &Path, target: &Path, digest: Digest) -> Result<Self, Error> {
        let target = self::target(target)?;
        let temporary = links::beside(&target, |name| match fs::hard_link(file, name) {
            Err(error) if has_no_links(&error) => copy(file, name),
            linked => linked,
        })?;
        let bytes =
            fs::metadata(&temporary).map_err(|source| Error::Link { link: target.clone(), source })?.len();
        Ok(Self { temporary, lock: None, target, digest, bytes })
    }

    /// The digest of its content.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Its size.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The file that it will be: where a link leads, not the link.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Where it is now.
    pub fn temporary(&self) -> &Path {
        &self.temporary
    }

    /// Closes the file and releases its lock: for many files that wait together, while no process sweeps.
    pub fn close(&mut self) {
        self.lock = None;
    }

    /// Puts the file in place of its target, durably.
    ///
    /// # Errors
    /// [`Error::Publish`]: the target is unchanged. [`Error::Sync`]: it is the new file.
    pub fn publish(self) -> Result<(), Error> {
        let Self { temporary, target, .. } = self;
        refuse_to_replace(&target)?;
        match temporary.persist(&target) {
            Ok(()) => sync_folder(&target),
            Err(error) => Err(Error::Publish { target, source: error.error }),
        }
    }

    /// Leaves the temporary file on disk for a caller who records that it is to be published.
    ///
    /// # Errors
    /// [`Error::Publish`], if the file cannot be kept.
    pub fn write_down(self) -> Result<WrittenDown, Error> {
        let Self { temporary, target, .. } = self;
        WrittenDown::keep(temporary, &target).map_err(|source| Error::Publish { target, source })
    }
}

/// A finished file that is safe on disk and the target that it is to replace, for a record that outlives the process. The
/// paths are absolute; a link that is changed later changes neither.
#[derive(Debug, Serialize, Deserialize)]
pub struct WrittenDown {
    temporary: PathBuf,
    target: PathBuf,
}

impl WrittenDown {
    /// Keeps a temporary file that is to replace `target`.
    fn keep(temporary: TempPath, target: &Path) -> io::Result<Self> {
        let kept = Self { temporary: path::absolute(&temporary)?, target: path::absolute(target)? };
        temporary.keep()?;
        Ok(kept)
    }

    /// Whether the file is still to be put in place.
    pub fn waits(&self) -> bool {
        self.temporary.exists()
    }

    /// Puts the file in place of its target, durably.
    ///
    /// # Errors
    /// [`Error::Publish`], [`Error::Sync`].
    pub fn publish(&self) -> Result<(), Error> {
        replace(&self.temporary, &self.target)
    }

    /// Removes the file; the target is left as it is.
    ///
    /// # Errors
    /// [`Error::Remove`], [`Error::Sync`].
    pub fn discard(&self) -> Result<(), Error> {
        remove(&self.temporary)
    }
}

/// Whether an error says that the file system has no second names, or no more of them.
fn has_no_links(error: &io::Error) -> bool {
    let kinds = [io::ErrorKind::PermissionDenied, io::ErrorKind::Unsupported, io::ErrorKind::TooManyLinks];
    kinds.contains(&error.kind())
}

/// Copies a file to a new one, and makes that safe on disk.
fn copy(file: &Path, new: &Path) -> io::Result<()> {
    let mut source = regular::open(file)?;
    let mut copy = File::options().write(true).create_new(true).open(new)?;
    io::copy(&mut source, &mut copy).and_then(|_| copy.sync_all()).inspect_err(|_| {
        // A part of a copy is of no use.
        let _ = fs::remove_file(new);
    })
}

/// Puts `file` in place of `target`, durably.
fn replace(file: &Path, target: &Path) -> Result<(), Error> {
    refuse_to_replace(target)?;
    #[expect(clippy::disallowed_methods, reason = "this is the module that publishes")]
    match fs::rename(file, target) {
        Ok(()) => sync_folder(target),
        Err(source) => Err(Error::Publish { target: target.to_owned(), source }),
    }
}

/// What took the target's place since it was looked at is not replaced unless it is a regular file.
fn refuse_to_replace(target: &Path) -> Result<(), Error> {
    let failed = |source| Error::Publish { target: target.to_owned(), source };
    match fs::symlink_metadata(target) {
        Ok(there) => match special(there.file_type()) {
            None => Ok(()),
            Some(what) => Err(failed(io::Error::other(format!("it is {what} now, not a file")))),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed(error)),
    }
}

/// How the names of the temporary files of a target begin, and of no other target in its folder. The first characters and
/// a digest stand for a long name, so that the whole stays below the 255 bytes that a name may have.
fn temporary_prefix(target: &Path) -> String {
    const SHOWN: usize = 48;
    let name = target.file_name().unwrap_or_default();
    match name.to_str() {
        Some(name) if name.len() <= SHOWN => format!(".{name}."),
        _ => {
            let shown: String = name.to_string_lossy().chars().take(SHOWN).collect();
            format!(".{shown}-{}.", Digest::of(name.as_encoded_bytes()).short())
        }
    }
}

/// Writes a small file atomically and durably.
///
/// # Errors
/// All of [`Error`].
pub fn write(target: &Path, bytes: &[u8]) -> Result<(), Error> {
    sealed(target, bytes)?.publish()
}

/// Writes a small file atomically and durably, unless there is one of its name; whether it was written.
///
/// # Errors
/// All of [`Error`].
pub fn create(target: &Path, bytes: &[u8]) -> Result<bool, Error> {
    let SealedFile { temporary, target, .. } = sealed(target, bytes)?;
    match temporary.persist_noclobber(&target) {
        Ok(()) => sync_folder(&target).map(|()| true),
        Err(failed) if failed.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(failed) => Err(Error::Publish { target, source: failed.error }),
    }
}

fn sealed(target: &Path, bytes: &[u8]) -> Result<SealedFile, Error> {
    let mut file = PendingFile::create(target)?;
    match file.write_all(bytes) {
        Ok(()) => file.seal(),
        Err(source) => Err(Error::Write { target: target.to_owned(), written: file.written(), source }),
    }
}

/// Opens a file to add lines to it: for logs, which are not atomic.
///
/// # Errors
/// Those of [`target()`]; [`Error::Create`].
pub fn append(path: &Path) -> Result<File, Error> {
    open(path, File::options().append(true))
}

/// Opens a file to read it and to write over what it holds: for a lock.
///
/// # Errors
/// Those of [`target()`]; [`Error::Create`].
pub fn open_lock(path: &Path) -> Result<File, Error> {
    open(path, File::options().read(true).write(true).truncate(false))
}

fn open(path: &Path, options: &mut OpenOptions) -> Result<File, Error> {
    let target = target(path)?;
    let folder = make_folder_of(&target)?;
    let opened = options.create(true).open(&target);
    opened.map_err(|source| Error::Create { folder: folder.to_owned(), source })
}

/// Makes `link` point at `target`, in one step.
///
/// # Errors
/// [`Error::Create`], [`Error::Link`], [`Error::Sync`].
pub fn link(target: &Path, link: &Path) -> Result<(), Error> {
    let temporary = links::beside(link, |name| std::os::unix::fs::symlink(target, name))?;
    match temporary.persist(link) {
        Ok(()) => sync_folder(link),
        Err(error) => Err(Error::Link { link: link.to_owned(), source: error.error }),
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

/// The identity of a file, by any of the names and links that lead to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    /// The file that a path leads to, if there is one.
    pub fn of(path: &Path) -> Option<Self> {
        let found = fs::metadata(path).ok()?;
        Some(Self { device: found.dev(), inode: found.ino() })
    }
}

/// Whether two paths lead to one file that is there, by any names and links.
pub fn is_same_file(one: &Path, other: &Path) -> bool {
    FileId::of(one).is_some_and(|one| FileId::of(other) == Some(one))
}

#[cfg(test)]
mod tests;

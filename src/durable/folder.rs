//! Folders: made and removed durably, and cleared of what killed processes left.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::target::{folder_of, in_the_way, refuse_detour, refuse_home, refuse_strange};
use super::{Error, TEMPORARY_SUFFIX, temporary_prefix};

/// Makes a folder and those around it that are missing, durably.
///
/// # Errors
/// Those of making or syncing one of them; a file in the way is named.
pub fn make_folder(folder: &Path) -> io::Result<()> {
    refuse_home(folder).and_then(|()| refuse_detour(folder)).map_err(io::Error::other)?;
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(error) = in_the_way(folder) {
        return Err(error);
    }
    refuse_strange(folder).map_err(io::Error::other)?;
    let parent = folder_of(folder);
    make_folder(parent)?;
    match new_folder(folder) {
        // Another process made it meanwhile.
        Err(_) if folder.is_dir() => Ok(()),
        made => made,
    }
}

/// Makes the folder of a file, and returns it.
pub(super) fn make_folder_of(file: &Path) -> Result<&Path, Error> {
    let folder = folder_of(file);
    match make_folder(folder) {
        Ok(()) => Ok(folder),
        Err(source) => Err(Error::Create { folder: folder.to_owned(), source }),
    }
}

/// Refuses what is not a folder and cannot be made one. It looks at the disk and changes nothing.
///
/// # Errors
/// [`Error::Home`], [`Error::Detour`], [`Error::Create`].
pub fn folder(path: &Path) -> Result<(), Error> {
    refuse_home(path)?;
    refuse_detour(path)?;
    match in_the_way(path) {
        None => Ok(()),
        Some(source) => Err(Error::Create { folder: path.to_owned(), source }),
    }
}

/// Refuses a folder in which no file could be made, or that could not be made itself. No file is left there.
///
/// # Errors
/// Those of [`folder`]; [`Error::Create`].
pub fn check_writable(path: &Path) -> Result<(), Error> {
    folder(path)?;
    let there = path.ancestors().find(|there| there.is_dir()).unwrap_or(Path::new("."));
    // Where the system can, this file never has a name.
    tempfile::tempfile_in(there)
        .map(drop)
        .map_err(|source| Error::Create { folder: there.to_owned(), source })
}

/// Makes a folder that must not be there yet, durably.
///
/// # Errors
/// Those of making or syncing it.
pub fn new_folder(folder: &Path) -> io::Result<()> {
    fs::create_dir(folder)?;
    File::open(folder_of(folder))?.sync_all()
}

/// Gives a folder another name, in one step.
///
/// # Errors
/// [`Error::Publish`], [`Error::Sync`].
pub fn rename_folder(folder: &Path, name: &Path) -> Result<(), Error> {
    #[expect(clippy::disallowed_methods, reason = "this is the module that publishes")]
    match fs::rename(folder, name) {
        Ok(()) => sync_folder(name),
        Err(source) => Err(Error::Publish { target: name.to_owned(), source }),
    }
}

/// The temporary name of a folder that is being made or removed; [`sweep`] leaves folders alone.
pub fn unfinished(folder: &Path) -> PathBuf {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    folder.with_file_name(format!(".{name}{TEMPORARY_SUFFIX}"))
}

/// Removes a folder with all that is in it.
///
/// # Errors
/// [`Error::Remove`], [`Error::Sync`].
pub fn remove_folder(folder: &Path) -> Result<(), Error> {
    fs::remove_dir_all(folder).map_err(|source| Error::Remove { path: folder.to_owned(), source })?;
    sync_folder(folder)
}

/// Removes a folder, durably, if it is empty; one that is not, or is not there, is fine.
///
/// # Errors
/// [`Error::Remove`], [`Error::Sync`].
pub fn remove_empty_folder(folder: &Path) -> Result<(), Error> {
    match fs::remove_dir(folder) {
        Ok(()) => sync_folder(folder),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty) => {
            Ok(())
        }
        Err(source) => Err(Error::Remove { path: folder.to_owned(), source }),
    }
}

/// Removes the temporary files that killed processes left in `folder`; how many. Those that a process is writing stay.
///
/// # Errors
/// Those of reading the folder or removing a file. A folder that is not there has none.
pub fn sweep(folder: &Path) -> io::Result<usize> {
    sweep_where(folder, &|name| name.starts_with('.') && name.ends_with(TEMPORARY_SUFFIX))
}

/// Removes the temporary files that killed processes left of one target; how many. In a folder that others use too, theirs
/// stay: a file that waits to be published is not being written.
///
/// # Errors
/// As of [`sweep`].
pub fn sweep_of(target: &Path) -> io::Result<usize> {
    let prefix = temporary_prefix(target);
    sweep_where(folder_of(target), &|name| {
        let random = name.strip_prefix(&prefix).and_then(|rest| rest.strip_suffix(TEMPORARY_SUFFIX));
        random.is_some_and(|random| !random.contains('.'))
    })
}

fn sweep_where(folder: &Path, is_ours: &dyn Fn(&str) -> bool) -> io::Result<usize> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        other => other?,
    };
    let mut removed = 0;
    for entry in entries {
        let entry = entry?;
        let (path, name, kind) = (entry.path(), entry.file_name(), entry.file_type()?);
        // A device or a FIFO is not ours, even with such a name; to open one may block.
        if is_ours(&name.to_string_lossy())
            && (kind.is_symlink() || kind.is_file() && !is_being_written(&path))
        {
            fs::remove_file(&path)?;
            removed += 1;
        }
    }
    Ok(removed)
}

fn is_being_written(temporary: &Path) -> bool {
    let file = File::open(temporary);
    file.is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
}

pub(super) fn sync_folder(target: &Path) -> Result<(), Error> {
    let unopened = |error: io::Error| {
        io::Error::new(error.kind(), format!("its folder cannot be opened to save the change: {error}"))
    };
    File::open(folder_of(target))
        .map_err(unopened)
        .and_then(|folder| folder.sync_all())
        .map_err(|source| Error::Sync { path: target.to_owned(), source })
}

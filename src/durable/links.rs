//! Second names of files, which keep a file without its first name; and the clock of the file system.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::{Builder, TempPath};

use super::folder::{make_folder_of, sync_folder};
use super::{Error, TEMPORARY_SUFFIX, WrittenDown, target, temporary_prefix};

/// Gives the file that `path` leads to another name; the folder of that name is made if it is missing.
///
/// # Errors
/// Those of [`target()`]; [`Error::Create`]; [`Error::Link`], also if the name is on another file system.
pub fn second_name(path: &Path, name: &Path) -> Result<(), Error> {
    let file = target(path)?;
    make_folder_of(name)?;
    match fs::hard_link(file, name) {
        Ok(()) => sync_folder(name),
        Err(source) => Err(Error::Link { link: name.to_owned(), source }),
    }
}

/// Prepares `file`, which keeps its name, to replace the file that `path` leads to.
///
/// # Errors
/// Those of [`target()`]; [`Error::Create`]; [`Error::Link`].
pub fn put_down(file: &Path, path: &Path) -> Result<WrittenDown, Error> {
    let target = target(path)?;
    let temporary = beside(&target, |name| fs::hard_link(file, name))?;
    WrittenDown::keep(temporary, &target).map_err(|source| Error::Link { link: target, source })
}

/// A temporary name for a file that is to replace `target`, which `make` gives it.
pub(super) fn beside(target: &Path, make: impl FnMut(&Path) -> io::Result<()>) -> Result<TempPath, Error> {
    let folder = make_folder_of(target)?;
    let mut name = Builder::new();
    let prefix = temporary_prefix(target);
    let named = name.prefix(&prefix).suffix(TEMPORARY_SUFFIX).make_in(folder, make);
    let temporary = named.map_err(|source| Error::Link { link: target.to_owned(), source })?.into_temp_path();
    sync_folder(&temporary)?;
    Ok(temporary)
}

/// How long to wait for the clock of a file system: the coarsest one in use has steps of two seconds.
const LONGEST_STEP: Duration = Duration::from_millis(2_500);

/// Waits until the clock of the file system has moved on since the file was changed, so that a later change gives the file
/// another time of change. The clock is that of `folder`, on the same file system: a file is made and removed there.
///
/// # Errors
/// If the file is gone, no file can be made in the folder, or the clock does not move.
pub fn settle_by(path: &Path, folder: &Path) -> io::Result<()> {
    let since = |metadata: fs::Metadata| (metadata.ctime(), metadata.ctime_nsec());
    let changed = since(fs::metadata(path)?);
    let deadline = Instant::now() + LONGEST_STEP;
    loop {
        let probe = Builder::new().prefix(".clock.").suffix(TEMPORARY_SUFFIX).tempfile_in(folder)?;
        if since(File::metadata(probe.as_file())?) > changed {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(io::Error::other("the clock of the file system does not move"));
        }
        thread::sleep(Duration::from_millis(1));
    }
}

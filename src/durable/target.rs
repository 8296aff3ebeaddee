//! Which file is replaced when a path is written to: the one decision that everything written goes through.
//!
//! Links are followed and stay; what is not a regular file is refused. It looks at the disk and changes nothing.

use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use super::Error;
use crate::characters::strange_in_name;
use crate::regular::{special, special_at};

/// Links to links that are followed, as many as the kernel follows.
const MAX_LINKS: usize = 40;

/// The folder for the temporary rows of an output: where the output goes, which has room for it, even behind a link.
///
/// # Errors
/// Those of [`target`].
pub fn scratch(path: &Path) -> Result<PathBuf, Error> {
    target(path).map(|file| folder_of(&file).to_owned())
}

/// The file that writing to `path` makes or replaces: `path` itself, or what it leads to if it is a link.
///
/// # Errors
/// [`Error::NotAFile`] for a folder, device, FIFO or socket; [`Error::NoName`]; [`Error::Name`]; [`Error::Home`];
/// [`Error::Detour`]; [`Error::DeadLink`];
/// [`Error::Look`], also for links in a circle and for names that are too long.
pub fn target(path: &Path) -> Result<PathBuf, Error> {
    let look = |source| Error::Look { path: path.to_owned(), source };
    let regular = |there: Metadata| match special(there.file_type()) {
        None => Ok(()),
        Some(_) if is_of_parts(path) => Err(Error::NotAFile {
            path: path.to_owned(),
            what: "the link of an output of parts (you can remove it with `rm`)",
        }),
        Some(what) => Err(Error::NotAFile { path: path.to_owned(), what }),
    };
    refuse_home(path)?;
    // The kernel knows best where a path leads: the text of `/dev/stdout`, a link, need not be a path.
    let is_there = match fs::metadata(path) {
        Ok(there) => regular(there).map(|()| true)?,
        Err(error) => match in_the_way(folder_of(path)) {
            None if error.kind() == ErrorKind::NotFound => false,
            in_the_way => return Err(look(in_the_way.unwrap_or(error))),
        },
    };
    if !names_a_file(path) {
        return Err(Error::NoName { path: path.to_owned() });
    }
    refuse_detour(path)?;
    let mut file = path.to_owned();
    for _ in 0..=MAX_LINKS {
        match fs::symlink_metadata(&file) {
            Ok(there) if there.is_symlink() => {
                let to = fs::read_link(&file).map_err(look)?;
                file = folder_of(&file).join(to);
            }
            Ok(there) => return regular(there).map(|()| file),
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(look(error)),
            Err(_) if is_there => {
                return Err(Error::NotAFile { path: path.to_owned(), what: "a file without a name" });
            }
            // A folder is not made where a link leads: its disk may not be mounted.
            Err(_) if file != path && !folder_of(&file).is_dir() => {
                return Err(Error::DeadLink { link: path.to_owned(), file });
            }
            Err(_) => return refuse_strange(&file).map(|()| file),
        }
    }
    Err(look(io::Error::other("too many levels of links")))
}

/// Whether a path is a link into a folder of parts.
fn is_of_parts(link: &Path) -> bool {
    fs::read_link(link).is_ok_and(|to| to.parent().is_some_and(|folder| folder.ends_with(".ssp/parts")))
}

/// Whether a path can be that of a file: it is not empty and does not end with `/`, `.` or `..`.
pub fn names_a_file(path: &Path) -> bool {
    // `Path` drops a `/` and a `.` at the end, which mean a folder.
    let last = path.as_os_str().as_bytes().rsplit(|byte| *byte == b'/').next();
    !matches!(last, None | Some(b"" | b"." | b".."))
}

/// Refuses a path that begins with `~` or `~user`: a shell means a home folder by it, the file system a folder of this name.
pub(super) fn refuse_home(path: &Path) -> Result<(), Error> {
    match path.components().next() {
        Some(Component::Normal(first)) if first.as_bytes().starts_with(b"~") => {
            Err(Error::Home { path: path.to_owned() })
        }
        _ => Ok(()),
    }
}

/// Refuses to make a file or folder whose name has a blank at its end or a character that cannot be seen: it was not meant, and
/// another program would not find it. What is there already can be replaced.
pub(super) fn refuse_strange(path: &Path) -> Result<(), Error> {
    let Some(name) = path.file_name().map(|name| name.to_string_lossy()) else { return Ok(()) };
    match strange_in_name(&name) {
        Some(strange) => Err(Error::Name { name: name.into_owned(), strange }),
        None => Ok(()),
    }
}

/// Refuses a path that goes into a folder that is not there and back: making that folder would not be what was meant.
pub(super) fn refuse_detour(path: &Path) -> Result<(), Error> {
    let is_missing = |path: &Path| fs::metadata(path).is_err_and(|error| error.kind() == ErrorKind::NotFound);
    let back = path.ancestors().find(|part| part.ends_with("..") && is_missing(part));
    match back.and_then(Path::parent) {
        Some(folder) => Err(Error::Detour { path: path.to_owned(), folder: folder.to_owned() }),
        None => Ok(()),
    }
}

/// What keeps a folder from being there or being made: the first thing on its path that is not a folder.
pub(super) fn in_the_way(folder: &Path) -> Option<io::Error> {
    let there = folder.ancestors().find_map(|path| Some((path, fs::symlink_metadata(path).ok()?)));
    let (path, found) = there.filter(|(path, _)| !path.is_dir())?;
    let what = if found.is_symlink() {
        "a link to a folder that does not exist".to_owned()
    } else {
        format!("{}, not a folder", special_at(path).unwrap_or("a file"))
    };
    Some(io::Error::new(io::ErrorKind::NotADirectory, format!("`{}` is {what}", path.display())))
}

pub(super) fn folder_of(target: &Path) -> &Path {
    match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

//! Which file is replaced when a path is written to: the one decision that everything written goes through.
//!
//! Links are followed and stay; what is not a regular file is refused. It looks at the disk and changes nothing.

use std::fs::{self, FileType, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::{Component, Path, PathBuf};

use super::Error;
use super::folder::{folder_of, in_the_way};
use crate::characters::strange_in_name;

/// Links to links that are followed, as many as the kernel follows.
const MAX_LINKS: usize = 40;

/// The file that writing to `path` makes or replaces: `path` itself, or what it leads to if it is a link.
///
/// # Errors
/// [`Error::NotAFile`] for a folder, device, FIFO or socket; [`Error::NoName`]; [`Error::Name`]; [`Error::Home`]; [`Error::DeadLink`];
/// [`Error::Look`], also for links in a circle and for names that are too long.
pub fn target(path: &Path) -> Result<PathBuf, Error> {
    let look = |source| Error::Look { path: path.to_owned(), source };
    let regular = |there: Metadata| match special(there.file_type()) {
        None => Ok(()),
        Some(what) => Err(Error::NotAFile { path: path.to_owned(), what }),
    };
    refuse_home(path)?;
    // The kernel knows best where a path leads: the text of `/dev/stdout`, a link, need not be a path.
    let is_there = match fs::metadata(path) {
        Ok(there) => regular(there).map(|()| true)?,
        Err(error) if error.kind() == ErrorKind::NotFound => false,
        Err(error) => return Err(look(in_the_way(folder_of(path)).unwrap_or(error))),
    };
    if path.file_name().is_none() || path.as_os_str().as_bytes().ends_with(b"/") {
        return Err(Error::NoName { path: path.to_owned() });
    }
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
    Err(look(io::Error::other("too many links lead from one to the next")))
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

/// What stands in the way of a file; none if it is a regular file itself.
pub(super) fn special(there: FileType) -> Option<&'static str> {
    match there {
        file if file.is_file() => None,
        folder if folder.is_dir() => Some("a folder"),
        fifo if fifo.is_fifo() => Some("a FIFO"),
        socket if socket.is_socket() => Some("a socket"),
        link if link.is_symlink() => Some("a link"),
        _ => Some("a device"),
    }
}

//! Why a file could not be written.

use std::io;
use std::path::PathBuf;

use crate::characters::Strange;

/// Why a file could not be written.
#[expect(missing_docs, reason = "the messages say what the fields are")]
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The path leads to something that must not be replaced by a file.
    #[error("`{}` is {what}, not a file to write", path.display())]
    NotAFile { path: PathBuf, what: &'static str },
    /// The path is that of a folder: it ends with `/`, `.` or `..`, or is empty.
    #[error("`{}` does not name a file", path.display())]
    NoName { path: PathBuf },
    #[error("`{}` begins with `~`, which only a shell expands, and only outside quotes: write the whole path", path.display())]
    Home { path: PathBuf },
    /// A name that no one means: with a blank at its end, or a character that cannot be seen.
    #[error("the name {name:?} of a file or folder to make has {strange}")]
    Name { name: String, strange: Strange },
    /// The path goes into a folder that is not there, and back with `..`.
    #[error("`{}` goes through `{}`, which does not exist; write the path without `..`", path.display(), folder.display())]
    Detour { path: PathBuf, folder: PathBuf },
    /// The path is a link into a folder that is not there, such as one on a disk that is not mounted.
    #[error(
        "`{}` is a link to `{}`, and the folder of that file does not exist; make the folder or remove the link",
        link.display(), file.display()
    )]
    DeadLink { link: PathBuf, file: PathBuf },
    /// Something else is where a link to a folder of parts is to be.
    #[error(
        "`{}` is {what}, but it must become a link to the folder of the parts: move it away, or write another `out`",
        path.display()
    )]
    InTheWay { path: PathBuf, what: &'static str },
    /// It is not possible to find out what is at the path.
    #[error("cannot write to `{}`", path.display())]
    Look { path: PathBuf, source: io::Error },
    /// The temporary file beside the target could not be made.
    #[error("cannot write in folder `{}`", folder.display())]
    Create { folder: PathBuf, source: io::Error },
    /// Writing, flushing or syncing failed.
    #[error("cannot write `{}` ({written} bytes were written)", target.display())]
    Write { target: PathBuf, written: u64, source: io::Error },
    /// The finished file could not be moved over its target.
    #[error("cannot put the finished file in place of `{}`", target.display())]
    Publish { target: PathBuf, source: io::Error },
    /// One of several files could not be published, and not all others could be put back.
    #[error("publication failed, and these files could not be restored (all others were): {}", files.join(", "))]
    NotRestored { files: Vec<String>, source: Box<Self> },
    /// A file was put in place or removed, but it is not certain that a power cut would leave it so.
    #[error("`{}` was changed, but the change may be lost in a power cut", path.display())]
    Sync { path: PathBuf, source: io::Error },
    #[error("cannot make the link `{}`", link.display())]
    Link { link: PathBuf, source: io::Error },
    #[error("cannot remove `{}`", path.display())]
    Remove { path: PathBuf, source: io::Error },
}

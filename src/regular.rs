//! Reading files: only regular ones, since opening a FIFO or a device may block for ever.
//!
//! Not a place for writing: see `durable`, which refuses the same kinds of files.

use std::fs::{self, File, FileType};
use std::io::{self, Read};
use std::path::Path;

/// What a file is, if it is not a regular one.
#[must_use]
pub(crate) fn special(there: FileType) -> Option<&'static str> {
    use std::os::unix::fs::FileTypeExt;
    match there {
        file if file.is_file() => None,
        folder if folder.is_dir() => Some("a folder"),
        fifo if fifo.is_fifo() => Some("a FIFO"),
        socket if socket.is_socket() => Some("a socket"),
        link if link.is_symlink() => Some("a link"),
        _ => Some("a device"),
    }
}

/// What is at a path, with links followed, if it exists and is not a regular file.
#[must_use]
pub(crate) fn special_at(path: &Path) -> Option<&'static str> {
    special(fs::metadata(path).ok()?.file_type())
}

/// Opens a regular file to read it.
///
/// # Errors
/// `InvalidData` for what is not a regular file; those of opening it.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    match special_at(path) {
        Some(what) => {
            let message = format!("it is {what}, not a file to read");
            Err(io::Error::new(io::ErrorKind::InvalidData, message))
        }
        None => File::open(path),
    }
}

/// The content of a regular file.
///
/// # Errors
/// Those of [`open()`] and of reading.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The content of a regular file that is a text.
///
/// # Errors
/// Those of [`open()`] and of reading; `InvalidData` for what is not UTF-8.
pub(crate) fn read_to_string(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    open(path)?.read_to_string(&mut text)?;
    Ok(text)
}

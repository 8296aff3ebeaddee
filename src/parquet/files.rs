//! Which files an input names: a file, all Parquet files of a folder, or what a glob matches.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The files that a path names, in the order of their names.
///
/// A folder stands for the `*.parquet` and `*.parq` files in it; a path with `*`, `?` or `[` that is no file itself is a
/// glob.
///
/// # Errors
/// If there is no such file, or a folder cannot be read.
pub fn files(path: &Path) -> io::Result<Vec<PathBuf>> {
    let text = path.to_string_lossy();
    if path.is_dir() {
        let mut files = Vec::new();
        for entry in fs::read_dir(path)? {
            let file = entry?.path();
            if file.extension().is_some_and(|extension| extension == "parquet" || extension == "parq") {
                files.push(file);
            }
        }
        files.sort();
        return non_empty(files, "the folder has no *.parquet or *.parq file");
    }
    if text.contains(['*', '?', '[']) && !path.exists() {
        let matches =
            glob::glob(&text).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let mut files = matches.collect::<Result<Vec<_>, _>>().map_err(io::Error::from)?;
        files.sort();
        return non_empty(files, "no file matches");
    }
    fs::metadata(path)?;
    Ok(vec![path.to_owned()])
}

fn non_empty(files: Vec<PathBuf>, message: &str) -> io::Result<Vec<PathBuf>> {
    if files.is_empty() { Err(io::Error::new(io::ErrorKind::NotFound, message)) } else { Ok(files) }
}

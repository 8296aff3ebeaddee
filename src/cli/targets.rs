//! Where outputs go, looked at before anything is read or connected to.
//!
//! `durable` decides which file a path leads to; this compares these files with each other.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Bound;
use std::path::{Path, PathBuf};

use anyhow::anyhow;

use super::failure::Failure;
use super::messages::OTHER_OUTPUT;
use crate::durable::{self, is_same_file};
use crate::parquet::files;
use crate::pipeline::plain;

/// The one name of the file that a path leads to: absolute, without links and `..`.
///
/// # Errors
/// Those of [`durable::target`], for what is not a file to write.
pub(super) fn place(path: &Path) -> Result<PathBuf, durable::Error> {
    let failed = |source| durable::Error::Look { path: path.to_owned(), source };
    let path = std::path::absolute(durable::target(path)?).map_err(failed)?;
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return Ok(plain(&path)) };
    Ok(resolved(folder).join(name))
}

/// The absolute path without links and `..`. Folders at its end need not exist.
pub(super) fn resolved(path: &Path) -> PathBuf {
    let path = &std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let there = path.ancestors().find_map(|there| Some((there, fs::canonicalize(there).ok()?)));
    let resolved = there.and_then(|(there, found)| Some(found.join(path.strip_prefix(there).ok()?)));
    plain(&resolved.unwrap_or_else(|| path.to_owned()))
}

/// Those of the places that cannot be files together with another place: one is in the other, as if that were a folder.
pub(super) fn clashes<'a, T>(
    places: &'a BTreeMap<PathBuf, T>,
    place: &'a Path,
) -> impl Iterator<Item = (&'a PathBuf, &'a T)> {
    let around = place.ancestors().skip(1).filter_map(|folder| places.get_key_value(folder));
    // Paths are in the order of their parts: what is in a folder follows it.
    let after = places.range::<Path, _>((Bound::Excluded(place), Bound::Unbounded));
    around.chain(after.take_while(move |(within, _)| within.starts_with(place)))
}

/// Refuses a folder of the command line that is not one and cannot be made.
///
/// # Errors
/// A [`Failure`] of the command line.
pub(super) fn check_folder(folder: &Path) -> Result<(), Failure> {
    durable::folder(folder).map_err(|error| Failure::usage(error).hint("name another folder with --dir"))
}

/// Refuses an output of the command line that is not a file to write.
///
/// # Errors
/// A [`Failure`] of the command line.
pub(super) fn check(output: &Path) -> Result<(), Failure> {
    durable::target(output).map(drop).map_err(|error| Failure::usage(error).hint(OTHER_OUTPUT))
}

/// Refuses an output that is not a file to write, or is also an input, be it by another name or a link.
pub(crate) fn check_output<'a>(
    output: &Path,
    inputs: impl IntoIterator<Item = (&'static str, &'a Path)>,
) -> Result<(), Failure> {
    check(output)?;
    check_inputs(inputs, |file| is_same_file(file, output).then(|| output.to_owned()))
}

/// Refuses a command line that would replace one of its inputs. `output_of` is the output that is the same file as an input. An
/// input that does not exist is an error when it is read.
pub(crate) fn check_inputs<'a>(
    inputs: impl IntoIterator<Item = (&'static str, &'a Path)>,
    output_of: impl Fn(&Path) -> Option<PathBuf>,
) -> Result<(), Failure> {
    for (table, path) in inputs {
        if let Some(output) = files(path).unwrap_or_default().iter().find_map(|file| output_of(file)) {
            let error = anyhow!("`{}` is the input {table}: it would be replaced", output.display());
            return Err(Failure::usage(error).hint(OTHER_OUTPUT));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_places_inside_each_other_clash() {
        let names =
            ["/o/a", "/o/a-b", "/o/a.b", "/o/a/b", "/o/a/b!c", "/o/a/b/c", "/o/a/b/d/e", "/o/a/bc", "/o/b"];
        let places: BTreeMap<_, _> = names.into_iter().map(|name| (PathBuf::from(name), name)).collect();
        let found = |place| {
            let found = clashes(&places, Path::new(place));
            found.map(|(_, name)| *name).collect::<Vec<_>>()
        };
        assert_eq!(found("/o/a/b"), ["/o/a", "/o/a/b/c", "/o/a/b/d/e"]);
        assert_eq!(found("/o/a/b/d/e"), ["/o/a/b", "/o/a"]);
        assert_eq!(found("/o/b"), [""; 0]);
    }
}

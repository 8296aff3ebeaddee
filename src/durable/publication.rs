//! Several files put in their places: all of them or none.
//!
//! Until the last is there, what they replace is kept beside them, to be put back if one cannot be published. A process
//! that is killed right then leaves some new and some old; `run` writes down first what it is to publish, and so can finish.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tempfile::{Builder, TempPath};

use super::target::folder_of;
use super::{Error, SealedFile, TEMPORARY_SUFFIX, refuse_to_replace, remove, replace, temporary_prefix};
use crate::errors;

/// A target that may have been replaced.
struct Replaced {
    target: PathBuf,
    /// The file that was there, if there was one.
    old: Option<TempPath>,
}

/// Puts all files in their places; if one cannot be, all targets are restored.
///
/// # Errors
/// Those of [`SealedFile::publish`]; [`Error::NotRestored`] if a target cannot be restored.
pub fn publish_all(files: Vec<SealedFile>) -> Result<(), Error> {
    // One is replaced in one step: there is no other to put back.
    if files.len() == 1 {
        return files.into_iter().try_for_each(SealedFile::publish);
    }
    let mut replaced = Vec::with_capacity(files.len());
    for file in files {
        let result = keep_old(file.target()).and_then(|kept| {
            replaced.push(kept);
            file.publish()
        });
        if let Err(error) = result {
            return Err(put_back(replaced, error));
        }
    }
    Ok(())
}

/// Keeps the file at a target beside it.
fn keep_old(target: &Path) -> Result<Replaced, Error> {
    Ok(Replaced { target: target.to_owned(), old: set_aside(target)? })
}

/// Gives a target that exists a second name beside it, or moves it there where that is not possible: a file of another
/// user, or a file system without hard links. It returns none if there is no such file.
pub(super) fn set_aside(target: &Path) -> Result<Option<TempPath>, Error> {
    let failed = |source| Error::Publish { target: target.to_owned(), source };
    refuse_to_replace(target)?;
    if !target.exists() {
        return Ok(None);
    }
    let second_name = |path: &Path| match fs::hard_link(target, path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            replace(target, path).map_err(io::Error::other)
        }
        other => other,
    };
    let old = Builder::new()
        .prefix(&temporary_prefix(target))
        .suffix(TEMPORARY_SUFFIX)
        .make_in(folder_of(target), second_name)
        .map_err(failed)?;
    Ok(Some(old.into_temp_path()))
}

/// Undoes what was done, the last first; the error to report.
fn put_back(replaced: Vec<Replaced>, source: Error) -> Error {
    let mut files = Vec::new();
    for Replaced { target, old } in replaced.into_iter().rev() {
        let (result, kept) = match old {
            None => (remove(&target), String::new()),
            Some(old) => {
                let kept = format!("; the old one is kept as `{}`", old.display());
                (restore(old, &target), kept)
            }
        };
        if let Err(error) = result {
            let why = errors::chain(&error).join(": ");
            files.push(format!("`{}` ({why}{kept})", target.display()));
        }
    }
    if files.is_empty() { source } else { Error::NotRestored { files, source: Box::new(source) } }
}

fn restore(old: TempPath, target: &Path) -> Result<(), Error> {
    let old =
        old.keep().map_err(|error| Error::Publish { target: target.to_owned(), source: error.error })?;
    replace(&old, target)?;
    // Two names of one file are not made one by a rename.
    remove(&old)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests lay out files")]
mod tests {
    use tempfile::TempDir;

    use super::*;

    /// The error and its causes.
    fn refused(files: Vec<SealedFile>) -> String {
        errors::chain(&publish_all(files).unwrap_err()).join(": ")
    }

    fn sealed(folder: &TempDir, name: &str) -> SealedFile {
        crate::durable::sealed(&folder.path().join(name), b"new").unwrap()
    }

    fn found(folder: &TempDir) -> Vec<String> {
        let mut found: Vec<String> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| {
                let path = entry.unwrap().path();
                let content = fs::read_to_string(&path).unwrap_or_else(|_| "folder".to_owned());
                format!("{}: {content}", path.file_name().unwrap().to_string_lossy())
            })
            .collect();
        found.sort();
        found
    }

    fn folder() -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a"), "old").unwrap();
        fs::write(folder.path().join("d"), "old").unwrap();
        folder
    }

    #[test]
    fn all_are_put_in_place_and_nothing_is_left_beside() {
        let folder = folder();
        publish_all(["a", "b", "d"].map(|name| sealed(&folder, name)).into()).unwrap();
        assert_eq!(found(&folder), ["a: new", "b: new", "d: new"]);
    }

    #[test]
    fn a_target_that_became_a_folder_leaves_all_as_they_were() {
        let folder = folder();
        let files = ["a", "b", "c", "d"].map(|name| sealed(&folder, name));
        fs::create_dir(folder.path().join("c")).unwrap();
        let text = refused(files.into());
        assert!(text.starts_with("cannot put") && text.ends_with("it is a folder now, not a file"), "{text}");
        assert_eq!(found(&folder), ["a: old", "c: folder", "d: old"]);
    }

    #[test]
    fn a_rename_that_fails_leaves_all_as_they_were() {
        for last in ["c", "d"] {
            let folder = folder();
            let files = ["a", "b", last].map(|name| sealed(&folder, name));
            fs::remove_file(files[2].temporary()).unwrap();
            let text = refused(files.into());
            assert!(text.starts_with("cannot put the finished file in place of"), "{text}");
            assert_eq!(found(&folder), ["a: old", "d: old"]);
        }
    }

    #[test]
    fn what_cannot_be_put_back_is_named() {
        let folder = folder();
        let [a, d] = ["a", "d"].map(|name| folder.path().join(name));
        let mut replaced: Vec<Replaced> = [&a, &d].map(|target| keep_old(target).unwrap()).into();
        let kept = replaced[1].old.as_ref().unwrap().to_path_buf();
        replaced.push(Replaced { target: folder.path().join("new"), old: None });
        fs::remove_file(&d).unwrap();
        fs::create_dir(&d).unwrap();
        let said = put_back(replaced, Error::NoName { path: PathBuf::new() }).to_string();
        let expected = format!(
            "publication failed, and these files could not be restored (all others were): `{0}` (cannot put the \
             finished file in place of `{0}`: it is a folder now, not a file; the old one is kept as `{1}`)",
            d.display(),
            kept.display()
        );
        assert_eq!(said, expected);
        assert_eq!(fs::read_to_string(kept).unwrap(), "old");
    }
}

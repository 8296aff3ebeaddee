//! Putting the finished files in their places: all of them or none.
//!
//! Until the last is there, what they replace is kept beside them, to be put back if one cannot be published. A process
//! that is killed right then leaves some new and some old: there is no next start that could finish it, as a run has.

use std::path::{Path, PathBuf};

use tempfile::TempPath;

use crate::cli::failure::{Exit, Failure};
use crate::durable::{self, Error, SealedFile};
use crate::errors;

/// A target that may have been replaced.
struct Replaced {
    target: PathBuf,
    /// What stood there, if something did.
    old: Option<TempPath>,
}

/// Puts all files in their places; if one cannot be, every target is again what it was.
pub(super) fn publish(files: Vec<SealedFile>) -> Result<(), Failure> {
    let alone = files.len() == 1;
    let mut replaced = Vec::with_capacity(files.len());
    for file in files {
        let result = if alone {
            file.publish()
        } else {
            keep_old(file.target()).and_then(|kept| {
                replaced.push(kept);
                file.publish()
            })
        };
        if let Err(error) = result {
            let failure = Failure::new(Exit::Failed, error);
            return Err(if alone { failure } else { failure.hint(put_back(replaced)) });
        }
    }
    Ok(())
}

/// Keeps what stands at a target beside it.
fn keep_old(target: &Path) -> Result<Replaced, Error> {
    Ok(Replaced { target: target.to_owned(), old: durable::set_aside(target)? })
}

/// Undoes what was done, the last first, and says what came of it.
fn put_back(replaced: Vec<Replaced>) -> String {
    let mut wrong = Vec::new();
    for Replaced { target, old } in replaced.into_iter().rev() {
        let shown = target.display();
        let result = match old {
            None => durable::remove(&target).map_err(|error| (error, String::new())),
            Some(old) => {
                let kept = format!("; the old one is kept as `{}`", old.display());
                old.keep()
                    .map_err(|error| Error::Publish { target: target.clone(), source: error.error })
                    .and_then(|old| {
                        durable::publish_written_down(&old, &target)?;
                        // Two names of one file are not made one by a rename.
                        durable::remove(&old)
                    })
                    .map_err(|error| (error, kept))
            }
        };
        if let Err((error, kept)) = result {
            wrong.push(format!("`{shown}` ({}{kept})", errors::chain(&error).join(": ")));
        }
    }
    if wrong.is_empty() {
        "every output is as it was: they are published together or not at all".to_owned()
    } else {
        format!("these could not be put back as they were, all others are: {}", wrong.join(", "))
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests lay out files")]
mod tests {
    use std::fs;
    use std::io::Write as _;

    use tempfile::TempDir;

    use super::*;
    use crate::durable::PendingFile;

    fn sealed(folder: &TempDir, name: &str) -> SealedFile {
        let mut pending = PendingFile::create(&folder.path().join(name)).unwrap();
        pending.write_all(b"new").unwrap();
        pending.seal().unwrap()
    }

    /// Names and contents.
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
        publish(["a", "b", "d"].map(|name| sealed(&folder, name)).into()).unwrap();
        assert_eq!(found(&folder), ["a: new", "b: new", "d: new"]);
    }

    #[test]
    fn a_target_that_became_a_folder_leaves_all_as_they_were() {
        let folder = folder();
        let files = ["a", "b", "c", "d"].map(|name| sealed(&folder, name));
        fs::create_dir(folder.path().join("c")).unwrap();
        let text = publish(files.into()).unwrap_err().text(false);
        assert!(text.contains("it is a folder now") && text.contains("every output is as it was"), "{text}");
        assert_eq!(found(&folder), ["a: old", "c: folder", "d: old"]);
    }

    #[test]
    fn a_rename_that_fails_leaves_all_as_they_were() {
        for last in ["c", "d"] {
            let folder = folder();
            let files = ["a", "b", last].map(|name| sealed(&folder, name));
            fs::remove_file(files[2].temporary()).unwrap();
            let text = publish(files.into()).unwrap_err().text(false);
            assert!(text.contains("every output is as it was"), "{text}");
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
        let said = put_back(replaced);
        let expected = format!(
            "these could not be put back as they were, all others are: `{0}` (cannot put the finished file in place of \
             `{0}`: it is a folder now, not a file; the old one is kept as `{1}`)",
            d.display(),
            kept.display()
        );
        assert_eq!(said, expected);
        assert_eq!(fs::read_to_string(kept).unwrap(), "old");
    }
}

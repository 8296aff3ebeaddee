//! Links to folders of finished files: the folder is made whole before the link leads to it, and is never changed.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::folder::{make_folder_of, sync_folder};
use super::links::beside;
use super::target::{folder_of, refuse_strange};
use super::{Error, SealedFile, folder, link, new_folder, remove, remove_folder, rename_folder, unfinished};
use crate::regular::special;

/// Makes a folder of finished files, each with the name that it is to have there; the folder is there whole or not at all.
///
/// # Errors
/// [`Error::Create`], [`Error::Publish`], [`Error::Sync`].
pub fn fill_folder(folder: &Path, files: Vec<(String, SealedFile)>) -> Result<(), Error> {
    let filling = start_folder(folder)?;
    for (name, SealedFile { temporary, .. }) in files {
        let target = filling.join(name);
        temporary.persist(&target).map_err(|error| Error::Publish { target, source: error.error })?;
    }
    finish_folder(&filling, folder)
}

/// Makes a folder in which files of another one have second names; the folder is there whole or not at all.
///
/// # Errors
/// [`Error::Create`], [`Error::Link`], [`Error::Publish`], [`Error::Sync`].
pub fn link_folder(files: &[PathBuf], folder: &Path) -> Result<(), Error> {
    let filling = start_folder(folder)?;
    for file in files {
        let name = filling.join(file.file_name().unwrap_or_default());
        fs::hard_link(file, &name).map_err(|source| Error::Link { link: name, source })?;
    }
    finish_folder(&filling, folder)
}

/// A new folder that is to become `folder`.
fn start_folder(folder: &Path) -> Result<PathBuf, Error> {
    let filling = unfinished(folder);
    // A killed process may have left it.
    if filling.is_dir() {
        remove_folder(&filling)?;
    }
    let parent = make_folder_of(folder)?;
    new_folder(&filling).map_err(|source| Error::Create { folder: parent.to_owned(), source })?;
    Ok(filling)
}

fn finish_folder(filling: &Path, folder: &Path) -> Result<(), Error> {
    // The names in it, whichever they are.
    sync_folder(&filling.join("part"))?;
    rename_folder(filling, folder)
}

/// Refuses a path at which no link to a folder can be put, or where something else is; `is_ours` says of a link that is there
/// whether it may be replaced. It looks at the disk and changes nothing.
///
/// # Errors
/// [`Error::InTheWay`]; those of [`folder()`](folder()); [`Error::Name`]; [`Error::Look`].
pub fn check_link(path: &Path, is_ours: impl Fn(&Path) -> bool) -> Result<(), Error> {
    folder(folder_of(path))?;
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => refuse_strange(path),
        Err(source) => Err(Error::Look { path: path.to_owned(), source }),
        Ok(there) if there.is_symlink() && is_ours(path) => Ok(()),
        Ok(there) => {
            let what = match special(there.file_type()) {
                _ if there.is_symlink() => "a link that leads elsewhere",
                what => what.unwrap_or("a file"),
            };
            Err(Error::InTheWay { path: path.to_owned(), what })
        }
    }
}

/// A link that is to be put in place, for a record that outlives the process. Its paths are relative to a folder that may be
/// copied or moved with the record.
#[derive(Debug, Serialize, Deserialize)]
pub struct FolderLink {
    link: PathBuf,
    /// The same link by its temporary name.
    #[serde(default)]
    temporary: PathBuf,
    /// The folder that it is to lead to, as the link says it.
    to: PathBuf,
}

impl FolderLink {
    /// A relative link at a path below `base` to a folder: both may be moved together. It is made beside its place, so that a
    /// failure is known before anything is replaced.
    ///
    /// # Errors
    /// [`Error::Create`] if the folder of the link cannot be made; [`Error::Link`], [`Error::Sync`].
    pub fn new(base: &Path, link: &Path, folder: &Path) -> Result<Self, Error> {
        let place = base.join(link);
        let failed = |source| Error::Link { link: place.clone(), source };
        let from = make_folder_of(&place)?;
        let way = fs::canonicalize(from).and_then(|from| Ok(way(&from, &fs::canonicalize(folder)?)));
        let to = way.map_err(failed)?;
        let temporary = beside(&place, |name| symlink(&to, name))?;
        let temporary = temporary.keep().map_err(|error| failed(error.error))?;
        let temporary = link.with_file_name(temporary.file_name().unwrap_or_default());
        Ok(Self { link: link.to_owned(), temporary, to })
    }

    /// Whether the folder is there to which the link is to lead.
    pub fn can_lead(&self, base: &Path) -> bool {
        folder_of(&base.join(&self.link)).join(&self.to).is_dir()
    }

    /// Whether the link is in its place.
    pub fn is_put(&self, base: &Path) -> bool {
        fs::read_link(base.join(&self.link)).is_ok_and(|to| to == self.to)
    }

    /// Refuses if something else than a link is in the place of the link.
    ///
    /// # Errors
    /// Those of [`check_link`].
    pub fn check(&self, base: &Path) -> Result<(), Error> {
        check_link(&base.join(&self.link), |_| true)
    }

    /// Puts the link in place, durably. It may be there.
    ///
    /// # Errors
    /// [`Error::InTheWay`] if something else than a link is there; [`Error::Link`], [`Error::Publish`], [`Error::Sync`].
    pub fn publish(&self, base: &Path) -> Result<(), Error> {
        self.check(base)?;
        let (place, temporary) = (base.join(&self.link), base.join(&self.temporary));
        if self.is_put(base) {
            return sync_folder(&place);
        }
        // A sweep may have removed the temporary name.
        if fs::read_link(&temporary).is_ok_and(|to| to == self.to) {
            return rename_folder(&temporary, &place);
        }
        link(&self.to, &place)
    }

    /// Removes the temporary name; what is in the place of the link is left as it is.
    ///
    /// # Errors
    /// [`Error::Remove`], [`Error::Sync`].
    pub fn discard(&self, base: &Path) -> Result<(), Error> {
        let temporary = base.join(&self.temporary);
        if temporary.is_symlink() { remove(&temporary) } else { Ok(()) }
    }
}

/// The relative path from one absolute folder to another.
fn way(from: &Path, to: &Path) -> PathBuf {
    let shared = from.components().zip(to.components()).take_while(|(one, other)| one == other).count();
    let up = from.components().skip(shared).map(|_| "..");
    up.map(Path::new).chain(to.components().skip(shared).map(|part| Path::new(part.as_os_str()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_goes_up_and_down() {
        for (from, to, expected) in [
            ("/a/data", "/a/data/.ssp/parts/x", ".ssp/parts/x"),
            ("/a/data/b/c", "/a/data/.ssp/parts/x", "../../.ssp/parts/x"),
            ("/big", "/a/data", "../a/data"),
        ] {
            assert_eq!(way(Path::new(from), Path::new(to)), Path::new(expected));
        }
    }
}

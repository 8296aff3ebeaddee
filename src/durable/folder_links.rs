//! Links to folders of finished files: the folder is made whole before the link leads to it, and is never changed.

use std::fs;
use std::io;
use std::path::{self, Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::folder::sync_folder;
use super::target::{folder_of, refuse_strange};
use super::{
    Error, SealedFile, folder, link, make_folder, new_folder, remove_folder, rename_folder, unfinished,
};
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
    let failed = |source| Error::Create { folder: folder_of(folder).to_owned(), source };
    make_folder(folder_of(folder)).and_then(|()| new_folder(&filling)).map_err(failed)?;
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

/// A link that is to be put in place, for a record that outlives the process.
#[derive(Debug, Serialize, Deserialize)]
pub struct FolderLink {
    /// An absolute path.
    link: PathBuf,
    /// The folder that it is to lead to, as the link says it.
    to: PathBuf,
}

impl FolderLink {
    /// A link that is to lead to a folder, by the way from one to the other: both may be moved together.
    ///
    /// # Errors
    /// [`Error::Create`] if the folder of the link cannot be made; [`Error::Link`].
    pub fn new(link: &Path, folder: &Path) -> Result<Self, Error> {
        let failed = |source| Error::Link { link: link.to_owned(), source };
        let beside = folder_of(link);
        make_folder(beside).map_err(|source| Error::Create { folder: beside.to_owned(), source })?;
        let way = fs::canonicalize(beside).and_then(|from| Ok(way(&from, &fs::canonicalize(folder)?)));
        Ok(Self { link: path::absolute(link).map_err(failed)?, to: way.map_err(failed)? })
    }

    /// Whether the folder is there to which the link is to lead.
    #[must_use]
    pub fn can_lead(&self) -> bool {
        folder_of(&self.link).join(&self.to).is_dir()
    }

    /// Puts the link in place, durably. It may be there.
    ///
    /// # Errors
    /// [`Error::InTheWay`] if something else than a link is there; [`Error::Link`], [`Error::Sync`].
    pub fn publish(&self) -> Result<(), Error> {
        check_link(&self.link, |_| true)?;
        link(&self.to, &self.link)
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

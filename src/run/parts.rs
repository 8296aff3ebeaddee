//! Outputs of parts: the link at `out` leads to a folder below `.ssp/parts`, which has the parts and is never changed.
//!
//! The name of the folder is that of the output, with its digest; the name of a part has the digest of the part. A reader that
//! opens a part after the link was put elsewhere finds none of that name. A folder that no link leads to any more is kept until
//! the next run but one. Not a place for how the link and the record are published together (see `publish`).

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::digest::Digest;
use crate::durable::{self, FolderLink, SealedFile};
use crate::errors;
use crate::pipeline::plain;
use crate::plan::Output;
use crate::regular;

/// The folder of all parts, below the output folder.
const FOLDER: &str = ".ssp/parts";
/// The names of folders that no link led to when the last run began, in [`FOLDER`].
const REPLACED: &str = "replaced.json";
/// Digits of a part's digest in its name.
const DIGITS: usize = 8;

/// Where a stage makes its parts.
pub(super) fn target(out_dir: &Path, stage: &str) -> PathBuf {
    out_dir.join(FOLDER).join(format!("{stage}.parquet"))
}

/// Gives parts their names, in order.
pub(super) fn named(files: Vec<SealedFile>) -> Vec<(String, SealedFile)> {
    let name = |(number, file): (usize, SealedFile)| {
        let digest = &file.digest().short()[..DIGITS];
        (format!("part-{number:05}-{digest}.parquet"), file)
    };
    files.into_iter().enumerate().map(name).collect()
}

/// The digest of an output of parts: that of its list, a line for each part, in the order of the names.
pub(super) fn digest(parts: impl Iterator<Item = (String, Digest)>) -> Digest {
    let mut lines: Vec<String> = parts.map(|(name, digest)| format!("{name} {digest}\n")).collect();
    lines.sort();
    Digest::of(lines.concat().as_bytes())
}

/// What is in the folder of an output, in the order of the names. Readers take hidden names for no data.
pub(super) fn list(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path()));
    let mut files = entries.collect::<io::Result<Vec<_>>>()?;
    files.retain(|file| !name_of(file).starts_with('.'));
    files.sort();
    Ok(files)
}

/// The files of an output: its only one, or its parts.
pub(super) fn files(output: &Output, path: &Path) -> io::Result<Vec<PathBuf>> {
    if output.parts.is_some() { list(path) } else { Ok(vec![path.to_owned()]) }
}

/// The bytes of the files of an output.
///
/// # Errors
/// If a file is missing.
pub fn output_bytes(output: &Output, path: &Path) -> io::Result<u64> {
    let bytes = |file: &PathBuf| fs::metadata(file).map(|found| found.len());
    files(output, path)?.iter().map(bytes).sum()
}

/// The digest of an output, by reading all of it.
pub(super) fn digest_of_output(output: &Output, path: &Path) -> io::Result<Digest> {
    if output.parts.is_none() {
        return Digest::of_file(path);
    }
    let found =
        list(path)?.into_iter().map(|file| Digest::of_file(&file).map(|digest| (name_of(&file), digest)));
    Ok(digest(found.collect::<io::Result<Vec<_>>>()?.into_iter()))
}

/// Whether the files of an output at two paths are the same ones, by other names.
pub(super) fn are_same_files(output: &Output, one: &Path, other: &Path) -> bool {
    let (Ok(one), Ok(other)) = (files(output, one), files(output, other)) else { return false };
    let is_same = |(one, other): (&PathBuf, &PathBuf)| {
        durable::is_same_file(one, other) && (output.parts.is_none() || name_of(one) == name_of(other))
    };
    one.len() == other.len() && one.iter().zip(&other).all(is_same)
}

/// The folder by whose clock the age of a file is told: readers list the folder of a part, so it is the one above.
pub(super) fn clock(file: &Path) -> PathBuf {
    let beside = file.parent().filter(|beside| !beside.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let real = fs::canonicalize(beside).unwrap_or_else(|_| beside.to_owned());
    real.parent().filter(|above| above.ends_with(FOLDER)).map_or_else(|| real.clone(), Path::to_owned)
}

pub(super) fn name_of(file: &Path) -> String {
    file.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Refuses a path at which the link of an output of parts cannot be put, or where something else is.
///
/// # Errors
/// Those of [`durable::check_link`].
pub fn check_link(out_dir: &Path, out: &Path) -> Result<(), durable::Error> {
    durable::check_link(out, |link| is_ours(out_dir, link))
}

/// Whether a link leads into the folder of parts, whether or not what it leads to is there; or led there before the output
/// folder was moved.
pub(super) fn is_ours(out_dir: &Path, link: &Path) -> bool {
    let Ok(to) = fs::read_link(link) else { return false };
    let path = link.strip_prefix(out_dir).unwrap_or(link);
    let is_of_this = || output_of(&name_of(&to)).is_some_and(|(output, _)| output == plain(path));
    if !link.exists() && to.parent().is_some_and(|folder| folder.ends_with(FOLDER)) && is_of_this() {
        return true;
    }
    let parts = out_dir.join(FOLDER);
    let parts =
        fs::canonicalize(parts).or_else(|_| fs::canonicalize(out_dir).map(|out_dir| out_dir.join(FOLDER)));
    let lead = || Some(fs::canonicalize(link.parent()?).ok()?.join(&to));
    lead().is_some_and(|lead| plain(&lead).parent() == parts.ok().as_deref())
}

/// Puts finished parts into a new folder; the link that is to lead there.
///
/// # Errors
/// If the folder cannot be made, or something else than a link is at `out`.
pub(super) fn write_down(
    out_dir: &Path,
    path: &Path,
    digest: Digest,
    parts: Vec<(String, SealedFile)>,
) -> Result<FolderLink, durable::Error> {
    with_folder(out_dir, path, digest, |folder| durable::fill_folder(folder, parts))
}

/// Gives parts that are kept elsewhere second names in a new folder; the link that is to lead there.
pub(super) fn put_down(
    out_dir: &Path,
    path: &Path,
    digest: Digest,
    parts: &[PathBuf],
) -> Result<FolderLink, durable::Error> {
    with_folder(out_dir, path, digest, |folder| durable::link_folder(parts, folder))
}

fn with_folder(
    out_dir: &Path,
    path: &Path,
    digest: Digest,
    make: impl FnOnce(&Path) -> Result<(), durable::Error>,
) -> Result<FolderLink, durable::Error> {
    let out = out_dir.join(path);
    check_link(out_dir, &out)?;
    let folder = new_folder(out_dir, path, digest);
    make(&folder)?;
    FolderLink::new(out_dir, path, &folder)
}

/// A folder for an output whose name no other has or had in this run: `a%2Fb-0123456789ab` for `a/b`.
fn new_folder(out_dir: &Path, path: &Path, digest: Digest) -> PathBuf {
    let first = format!("{}-{}", escaped(path), digest.short());
    let further = (2..).map(|number| format!("{first}.{number}"));
    let names = std::iter::once(first.clone()).chain(further);
    let mut folders = names.map(|name| out_dir.join(FOLDER).join(name));
    folders.find(|folder| fs::symlink_metadata(folder).is_err()).unwrap_or_default()
}

fn escaped(path: &Path) -> String {
    plain(path).to_string_lossy().replace('%', "%25").replace('/', "%2F")
}

/// The path of the output of a folder and its digest as the name has it; `None` if it is not the name of such a folder.
fn output_of(name: &str) -> Option<(PathBuf, &str)> {
    let (path, digest) = name.rsplit_once('-')?;
    let digest = digest.split('.').next()?;
    is_short_digest(digest).then(|| (PathBuf::from(path.replace("%2F", "/").replace("%25", "%")), digest))
}

/// Whether a text may be one of [`Digest::short`].
pub(super) fn is_short_digest(text: &str) -> bool {
    text.len() == Digest::of(b"").short().len() && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// The folders of parts that no link leads to, also by another name beside the output or in the output folder. The folder of
/// a record is kept too, unless the link of the output leads to another one.
fn unnamed(out_dir: &Path, recorded: &[Output]) -> Vec<String> {
    let entries = fs::read_dir(out_dir.join(FOLDER)).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let mut names: Vec<String> = folders.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    let outs: Vec<PathBuf> = names.iter().filter_map(|name| Some(out_dir.join(output_of(name)?.0))).collect();
    let folders: BTreeSet<&Path> = outs.iter().filter_map(|out| out.parent()).chain([out_dir]).collect();
    let entries = folders.into_iter().flat_map(|folder| fs::read_dir(folder).into_iter().flatten().flatten());
    let links = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_symlink()));
    let links =
        links.map(|entry| entry.path()).filter(|link| !name_of(link).ends_with(durable::TEMPORARY_SUFFIX));
    let links = links.chain(outs.iter().cloned());
    let led_to: BTreeSet<PathBuf> = links.filter_map(|link| fs::canonicalize(link).ok()).collect();
    names.retain(|name| {
        let Some((path, digest)) = output_of(name) else { return false };
        let Ok(folder) = fs::canonicalize(out_dir.join(FOLDER).join(name)) else { return false };
        let out = out_dir.join(&path);
        let leads_elsewhere = out.exists() && is_ours(out_dir, &out);
        let mut recorded = recorded.iter();
        let is_recorded = recorded.any(|output| output.path == path && output.digest.short() == digest);
        !led_to.contains(&folder) && (leads_elsewhere || !is_recorded)
    });
    names.sort();
    names
}

fn replaced(out_dir: &Path) -> BTreeSet<String> {
    let text = regular::read_to_string(&out_dir.join(FOLDER).join(REPLACED)).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

/// The folders of parts that readers no longer need: no link has led to them since before the last run began.
#[must_use]
pub fn expendable(out_dir: &Path, recorded: &[Output]) -> Vec<PathBuf> {
    let replaced = replaced(out_dir);
    let names = unnamed(out_dir, recorded).into_iter().filter(|name| replaced.contains(name));
    names.map(|name| out_dir.join(FOLDER).join(name)).collect()
}

/// Removes what readers no longer need and what killed processes left, as a run begins, under the lock. The texts say what
/// could not be removed: a later run tries again.
pub(super) fn clear(out_dir: &Path, recorded: &[Output]) -> Vec<String> {
    let parts = out_dir.join(FOLDER);
    let entries = fs::read_dir(&parts).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_unfinished = |path: &PathBuf| {
        let name = name_of(path);
        name.starts_with('.') && name.ends_with(durable::TEMPORARY_SUFFIX) && path.is_dir()
    };
    let old = entries.filter(is_unfinished).chain(expendable(out_dir, recorded));
    let removed: Vec<_> = old.map(|folder| durable::remove_folder(&folder)).collect();
    let mut failed: Vec<durable::Error> = removed.into_iter().filter_map(Result::err).collect();
    let replaced_now: BTreeSet<String> = unnamed(out_dir, recorded).into_iter().collect();
    if replaced_now != replaced(out_dir) {
        let text = serde_json::to_vec(&replaced_now).unwrap_or_default();
        failed.extend(durable::write(&parts.join(REPLACED), &text).err());
    }
    let said = |error: &durable::Error| format!("old parts are kept: {}", errors::chain(error).join(": "));
    failed.iter().map(said).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_folder_tells_its_output() {
        let digest = Digest::of(b"x");
        for path in ["x", "a/b", "a%2Fb", "a-b/c-d", "%25"] {
            let folder = new_folder(Path::new("d"), Path::new(path), digest);
            let name = name_of(&folder);
            assert_eq!(output_of(&name), Some((PathBuf::from(path), digest.short().as_str())), "{name}");
            let again = format!("{name}.2");
            assert_eq!(output_of(&again), output_of(&name));
        }
        for other in ["", "x", "x-12", "x-0123456789zz", "notes-2026"] {
            assert_eq!(output_of(other), None, "{other}");
        }
    }

    #[test]
    fn the_digest_is_that_of_names_and_contents() {
        let [one, two] = [b"1", b"2"].map(|bytes| Digest::of(bytes));
        let of = |parts: &[(&str, Digest)]| {
            digest(parts.iter().map(|(name, digest)| ((*name).to_owned(), *digest)))
        };
        assert_eq!(of(&[("a", one), ("b", two)]), of(&[("b", two), ("a", one)]));
        assert_eq!(of(&[("a", one)]), Digest::of(format!("a {one}\n").as_bytes()));
        assert_ne!(of(&[("a", one), ("b", two)]), of(&[("a", two), ("b", one)]));
        assert_ne!(of(&[("a", one), ("b", two)]), of(&[("a", one)]));
    }
}

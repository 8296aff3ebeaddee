//! Digests of files, remembered by what the file system says of them.
//!
//! A remembered digest is believed while device, inode, size and both times of the file are the same, and only if the
//! file was older than [`SETTLED`] when it was hashed: a younger one may change again within the clock's step.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::digest::{Digest, Hasher};
use crate::durable;
use crate::plan::Output;
use crate::threads::compute;

use super::Error;
use super::parts;
use super::store::Store;

/// Where digests are remembered.
const FILE: &str = "digests.json";

/// How old a file must be for its digest to be remembered \[s\]: the coarsest clock of a file system in use.
const SETTLED: i64 = 2;

/// Seconds since 1970 and nanoseconds.
type Time = (i64, i64);

/// What the file system says of a file's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
    size: u64,
    modified: Time,
    changed: Time,
}

impl Identity {
    /// Of a file.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let metadata = fs::metadata(path)?;
        Ok(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }

    /// The size of the file.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Whether this may be the same content, seen from another machine: device and times of change can differ there.
    pub(super) fn looks_like(&self, other: &Self) -> bool {
        self.size == other.size && self.modified == other.modified
    }

    fn is_settled(&self, now: Time) -> bool {
        // A time in the future is no settled one either: a clock was set back.
        let (seconds, nanos) = self.modified.max(self.changed);
        (seconds.saturating_add(SETTLED), nanos) < now
    }
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Remembered {
    identity: Identity,
    digest: Digest,
}

/// By path, as it is from any working directory. One that is no text cannot be written down, and is not remembered.
type Known = BTreeMap<String, Remembered>;

#[derive(Debug, Default)]
pub(super) struct Digests {
    known: Mutex<Known>,
    verify: bool,
    /// The working directory.
    folder: PathBuf,
}

impl Digests {
    /// With what earlier runs remembered; with `verify`, nothing is believed and every file is read.
    pub(super) fn read(store: &Store, verify: bool) -> Self {
        let known = Mutex::new(store.read_json(FILE).unwrap_or_default());
        Self { known, verify, folder: env::current_dir().unwrap_or_default() }
    }

    fn name_of(&self, path: &Path) -> Option<String> {
        self.folder.join(path).into_os_string().into_string().ok()
    }

    /// Keeps what is remembered for the next run, but for files that are gone.
    pub(super) fn write(&self, store: &Store) -> Result<(), Error> {
        let mut known = self.lock();
        // Each night may have inputs and parts of other names.
        known.retain(|path, _| Path::new(path).exists());
        store.write_json(FILE, &*known)
    }

    /// The digest of a file, and what the file system said of it when it was read.
    ///
    /// # Errors
    /// If the file cannot be read, or changes while it is read.
    pub(super) fn of_file(&self, path: &Path) -> io::Result<(Digest, Identity)> {
        let looked_at = Utc::now();
        let before = Identity::of(path)?;
        if !self.verify
            && let Some(remembered) = self.name_of(path).and_then(|name| self.lock().get(&name).copied())
            && remembered.identity == before
        {
            return Ok((remembered.digest, before));
        }
        let digest = compute(|| Digest::of_file(path))?;
        if Identity::of(path)? != before {
            return Err(io::Error::other("the file changed while it was read"));
        }
        self.remember(path, before, digest, looked_at);
        Ok((digest, before))
    }

    /// Remembers the digest of a file that was hashed after it was `looked_at`.
    pub(super) fn remember(&self, path: &Path, identity: Identity, digest: Digest, looked_at: DateTime<Utc>) {
        let Some(name) = self.name_of(path) else { return };
        let mut known = self.lock();
        if identity.is_settled((looked_at.timestamp(), looked_at.timestamp_subsec_nanos().into())) {
            known.insert(name, Remembered { identity, digest });
        } else {
            known.remove(&name);
        }
    }

    /// Remembers the digest of a file, young as it is: every later change is noticed.
    pub(super) fn remember_settled(&self, path: &Path, identity: Identity, digest: Digest) {
        if let Some(name) = self.name_of(path)
            && durable::settle_by(path, &parts::clock(path)).is_ok()
            && Identity::of(path).is_ok_and(|now| now == identity)
        {
            self.lock().insert(name, Remembered { identity, digest });
        }
    }

    /// Makes or removes second names of files. That changes the times of the files and not their content: what is remembered of
    /// the content of the files at `paths` stays known.
    pub(super) fn through<T>(&self, paths: &[PathBuf], relink: impl FnOnce() -> T) -> T {
        let known = |path: &PathBuf| {
            let remembered = self.lock().get(&self.name_of(path)?).copied()?;
            (Identity::of(path).ok()? == remembered.identity).then_some(remembered)
        };
        let known: Vec<_> = paths.iter().filter_map(|path| Some((path, known(path)?))).collect();
        let result = relink();
        for (path, Remembered { identity, digest }) in known {
            if let Ok(now) = Identity::of(path)
                && identity == (Identity { changed: identity.changed, ..now })
            {
                self.remember_settled(path, now, digest);
            }
        }
        result
    }

    /// The digest of an output, a file or the parts of a folder, and what the file system said of its files.
    ///
    /// # Errors
    /// If a file cannot be read, or changes while it is read.
    pub(super) fn of_output(
        &self,
        output: &Output,
        path: &Path,
    ) -> io::Result<(Digest, Vec<(PathBuf, Identity)>)> {
        let mut found = Vec::new();
        for file in parts::files(output, path)? {
            let (digest, identity) = self.of_file(&file)?;
            found.push((file, digest, identity));
        }
        let names = found.iter().map(|(file, digest, _)| (parts::name_of(file), *digest));
        let digest = match found.as_slice() {
            [(_, digest, _)] if output.parts.is_none() => *digest,
            _ => parts::digest(names),
        };
        Ok((digest, found.into_iter().map(|(file, _, identity)| (file, identity)).collect()))
    }

    /// The digest of an input: a file, all files of a folder, or all files that a glob names; and the files.
    ///
    /// # Errors
    /// If there is no such file, or one cannot be read.
    pub(super) fn of_input(&self, path: &Path) -> io::Result<(Digest, Vec<(PathBuf, Identity)>)> {
        let files = crate::stages::input_files(path)?;
        if let [only] = files.as_slice()
            && only == path
        {
            let (digest, identity) = self.of_file(only)?;
            return Ok((digest, vec![(only.clone(), identity)]));
        }
        let mut hasher = Hasher::default();
        let mut identities = Vec::new();
        for file in files {
            let (digest, identity) = self.of_file(&file)?;
            let name =
                file.strip_prefix(path).or_else(|_| file.strip_prefix(fixed_part(path))).unwrap_or(&file);
            hasher.update(name.as_os_str().as_bytes());
            hasher.update(format!("\0{digest}\n").as_bytes());
            identities.push((file, identity));
        }
        Ok((hasher.finish(), identities))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The digest of the file of an output, if it is another than the recorded one. The file is read unless an earlier run
/// remembered its digest and the file has not changed since.
pub(crate) fn other_digest(store: &Store, output: &Output, path: &Path) -> io::Result<Option<Digest>> {
    let (digest, _) = Digests::read(store, false).of_output(output, path)?;
    Ok((digest != output.digest).then_some(digest))
}

/// The folders of a glob before the first that is a pattern: where the files are does not count, only how they are named.
fn fixed_part(glob: &Path) -> PathBuf {
    let is_pattern = |part: &&OsStr| part.as_bytes().iter().any(|byte| b"*?[".contains(byte));
    glob.iter().take_while(|part| !is_pattern(part)).collect()
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests lay out files")]
mod tests {
    use super::*;

    #[test]
    fn a_young_file_is_not_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        fs::write(&path, b"one").unwrap();
        let digests = Digests::default();
        assert_eq!(digests.of_file(&path).unwrap().0, Digest::of(b"one"));
        assert!(digests.lock().is_empty());
    }

    #[test]
    fn a_remembered_digest_is_believed_unless_all_is_verified() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        fs::write(&path, b"one").unwrap();
        let wrong = Remembered { identity: Identity::of(&path).unwrap(), digest: Digest::of(b"other") };
        let digests = Digests::default();
        digests.lock().insert(path.to_str().unwrap().to_owned(), wrong);
        assert_eq!(digests.of_file(&path).unwrap().0, Digest::of(b"other"));
        let store = Store::new(folder.path());
        digests.write(&store).unwrap();
        assert_eq!(Digests::read(&store, false).of_file(&path).unwrap().0, Digest::of(b"other"));
        assert_eq!(Digests::read(&store, true).of_file(&path).unwrap().0, Digest::of(b"one"));
        store.write_json(FILE, &[1]).unwrap();
        assert_eq!(Digests::read(&store, false).of_file(&path).unwrap().0, Digest::of(b"one"));
    }

    #[test]
    fn a_file_is_young_by_when_it_was_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        fs::write(&path, b"one").unwrap();
        // Long ago by now, but not when it was looked at.
        let identity = Identity { modified: (1000, 0), changed: (1000, 0), ..Identity::of(&path).unwrap() };
        let digests = Digests::default();
        for (looked_at, remembered) in [(1001, false), (2000, true)] {
            let looked_at = DateTime::from_timestamp(looked_at, 0).unwrap();
            digests.remember(&path, identity, Digest::of(b"one"), looked_at);
            assert_eq!(!digests.lock().is_empty(), remembered);
        }
    }

    /// A digest is remembered at once, and every later change is seen, even at once and with the same size and time.
    #[test]
    fn a_file_is_known_as_soon_as_the_clock_has_moved() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let digests = Digests::default();
        for round in 0..50 {
            fs::write(&path, format!("one {round:02}")).unwrap();
            let (identity, digest) = (Identity::of(&path).unwrap(), Digest::of_file(&path).unwrap());
            digests.remember_settled(&path, identity, digest);
            assert_eq!(digests.lock().len(), 1);
            let modified = fs::metadata(&path).unwrap().modified().unwrap();
            fs::write(&path, format!("two {round:02}")).unwrap();
            fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
            assert_eq!(digests.of_file(&path).unwrap().0, Digest::of(format!("two {round:02}").as_bytes()));
        }
    }

    #[test]
    fn a_second_name_leaves_the_digest_known() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        fs::write(&path, b"one").unwrap();
        let digests = Digests::default();
        digests.remember_settled(&path, Identity::of(&path).unwrap(), Digest::of(b"one"));
        let paths = [path.clone()];
        digests.through(&paths, || durable::second_name(&path, &folder.path().join("g")).unwrap());
        let known = digests.lock()[path.to_str().unwrap()];
        assert_eq!(known.identity, Identity::of(&path).unwrap());
        // A change while links are made is a change.
        digests.through(&paths, || fs::write(&path, b"other").unwrap());
        assert_ne!(digests.lock()[path.to_str().unwrap()].identity, Identity::of(&path).unwrap());
        assert_eq!(digests.of_file(&path).unwrap().0, Digest::of(b"other"));
    }

    #[test]
    fn a_path_that_is_no_text_is_read_again_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(std::ffi::OsStr::from_bytes(b"\xff"));
        fs::write(&path, b"one").unwrap();
        // Long settled, so that only its name speaks against it.
        let identity = Identity { modified: (0, 0), changed: (0, 0), ..Identity::of(&path).unwrap() };
        let digests = Digests::default();
        digests.remember(&path, identity, Digest::of(b"one"), Utc::now());
        assert_eq!(digests.of_file(&path).unwrap().0, Digest::of(b"one"));
        digests.write(&Store::new(folder.path())).unwrap();
        digests.remember(Path::new("f"), identity, Digest::of(b"one"), Utc::now());
        assert_eq!(digests.lock().keys().collect::<Vec<_>>(), ["f"]);
    }

    #[test]
    fn files_that_are_gone_are_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let (store, kept) = (Store::new(folder.path()), folder.path().join("night-2.parquet"));
        let digests = Digests { folder: folder.path().to_owned(), ..Digests::default() };
        fs::write(&kept, b"one").unwrap();
        let identity = Identity { modified: (0, 0), changed: (0, 0), ..Identity::of(&kept).unwrap() };
        for name in ["night-1.parquet", "night-2.parquet"] {
            digests.remember(Path::new(name), identity, Digest::of(b"one"), Utc::now());
        }
        digests.write(&store).unwrap();
        // Also from another working directory.
        let read = Digests::read(&store, false);
        assert_eq!(read.lock().keys().collect::<Vec<_>>(), [kept.to_str().unwrap()]);
    }

    #[test]
    fn a_folder_is_the_names_and_contents_of_its_files() {
        let folder = tempfile::tempdir().unwrap();
        let digests = Digests::default();
        assert!(digests.of_input(folder.path()).is_err());
        fs::write(folder.path().join("a.parquet"), b"1").unwrap();
        let (one, seen) = digests.of_input(folder.path()).unwrap();
        assert_eq!(seen.len(), 1);
        fs::write(folder.path().join("b.parquet"), b"2").unwrap();
        let (two, _) = digests.of_input(folder.path()).unwrap();
        assert_ne!(one, two);
        let (glob, seen) = digests.of_input(&folder.path().join("*.parquet")).unwrap();
        assert_eq!((glob, seen.len()), (two, 2));
        fs::write(folder.path().join("notes.txt"), b"3").unwrap();
        assert_eq!(digests.of_input(folder.path()).unwrap().0, two);
    }
}

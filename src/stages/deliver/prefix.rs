//! What is done under the prefix of one delivery: it is claimed, filled, closed with the manifest, or cleared.
//!
//! If there is a manifest, there are all objects that it names: it is put last, and no object is removed where it may be.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::Error;
use super::intent::{Intent, Planned};
use super::manifest::id_of;
use super::objects::{CLAIM, MANIFEST, Table, each};
use crate::errors::{Class, Classified};
use crate::monitor::Monitor;
use crate::store::{self, Checksums, Stores, Url};

/// Objects that are put at once, at most: each has two parts in memory.
const MOST_AT_ONCE: usize = 8;
/// How often the manifest is put if the store does not answer, and the pause before each.
const MANIFEST_ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_secs(1);

/// The prefix of a delivery.
pub(super) struct Prefix {
    stores: Stores,
    base: Url,
    intent: Mutex<Intent>,
    /// The file of the intent.
    state: PathBuf,
    at_once: usize,
}

/// The result of removing a delivery.
pub(super) struct Cleared {
    /// The objects that are still there, in the order of their names.
    pub left: Vec<String>,
    /// The first error.
    pub why: Option<Error>,
}

impl Prefix {
    pub(super) fn new(stores: Stores, base: Url, intent: Intent, state: PathBuf, threads: usize) -> Self {
        Self { stores, base, intent: Mutex::new(intent), state, at_once: threads.min(MOST_AT_ONCE) }
    }

    /// The intent as it is now.
    pub(super) fn intent(&self) -> Intent {
        self.intent.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The manifest's URL; of a delivery without one, the prefix.
    pub(super) fn address(&self) -> Url {
        if self.intent().with_manifest { self.base.join(MANIFEST) } else { self.base.join("") }
    }

    /// The manifest of the delivery, if that is complete.
    pub(super) fn complete(&self) -> Result<Option<String>, Error> {
        let intent = self.intent();
        if intent.complete.is_some() || !intent.with_manifest {
            return Ok(intent.complete);
        }
        Ok(self.own(MANIFEST)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// Refuses a new prefix at which there is an object already: none is replaced.
    pub(super) fn refuse_taken(&self) -> Result<(), Error> {
        let mut names: Vec<String> =
            self.intent().objects.into_iter().map(|planned| planned.object).collect();
        names.push(MANIFEST.to_owned());
        each(self.at_once, &names, |name| {
            let url = self.base.join(name);
            if self.stores.exists(&url)? { Err(Error::Taken(url)) } else { Ok(()) }
        })
    }

    /// Makes the prefix that of this delivery.
    pub(super) fn claim(&self, claim: String) -> Result<(), Error> {
        self.create(CLAIM, claim).map(drop)
    }

    /// Puts all objects, and proves each by what the store says of it; with `again`, only those that are not proven yet.
    pub(super) fn fill(&self, tables: &[Table], again: bool, monitor: &Monitor) -> Result<(), Error> {
        let objects: Vec<_> = tables.iter().flat_map(|table| &table.objects).enumerate().collect();
        each(self.at_once, &objects, |(index, object)| {
            let url = self.base.join(&object.name);
            if !(again && self.stores.proves(&url, &object.sums)?) {
                self.put(*index, &url, &object.path)?;
                if !self.stores.proves(&url, &object.sums)? {
                    let path = object.path.clone();
                    let is_same = Checksums::of_file(&path, monitor)? == object.sums;
                    return Err(if is_same { Error::NotProven(url) } else { Error::Changed { path } });
                }
            }
            monitor.advance(object.rows, object.sums.bytes);
            Ok(())
        })
    }

    fn put(&self, index: usize, url: &Url, path: &Path) -> Result<(), Error> {
        let Some(Planned { sums, upload, .. }) = self.intent().objects.into_iter().nth(index) else {
            return Ok(());
        };
        if let Some(upload) = upload {
            // Its parts would stay there, and cost money; a store that has none by this name says so.
            let _ = self.stores.abort_upload(url, &upload);
        }
        let upload = self.stores.start_upload(url, sums.bytes)?;
        if upload.is_some() {
            self.note(|intent| intent.objects[index].upload.clone_from(&upload))?;
        }
        self.stores.put_file(url, path, sums.bytes, upload.as_deref())?;
        if upload.is_some() {
            self.note(|intent| intent.objects[index].upload = None)?;
        }
        Ok(())
    }

    /// Ends the delivery: puts the manifest, if there is to be one. The manifest that is there.
    pub(super) fn close(&self, mut manifest: String, monitor: &Monitor) -> Result<String, Error> {
        // A copy of the output folder, restored while this delivery ran, may have cleared the prefix.
        if self.own(CLAIM)?.is_none() {
            return Err(Error::Lost(self.base.join(CLAIM)));
        }
        if self.intent().with_manifest {
            let mut attempt = 1;
            manifest = loop {
                match self.create(MANIFEST, manifest.clone()) {
                    // It may be there for all that is known. Asking once more tells.
                    Err(Error::Store(source)) if source.class().may_pass() => {
                        if attempt == MANIFEST_ATTEMPTS || !monitor.sleep(PAUSE) {
                            return Err(Error::Unsure { url: self.base.join(MANIFEST), source });
                        }
                        attempt += 1;
                    }
                    other => break other?,
                }
            };
        }
        self.note(|intent| intent.complete = Some(manifest.clone()))?;
        Ok(manifest)
    }

    /// Puts one of the two objects that describe the delivery, unless it is there; the text that is there.
    fn create(&self, name: &str, text: String) -> Result<String, Error> {
        let url = self.base.join(name);
        if self.stores.create(&url, text.clone().into())? {
            return Ok(text);
        }
        // The answer to an earlier attempt was lost, or a killed run has put it.
        match self.own(name)? {
            Some(found) => Ok(String::from_utf8_lossy(&found).into_owned()),
            None => Err(Error::Taken(url)),
        }
    }

    /// One of these two objects, if it is there and of this delivery.
    fn own(&self, name: &str) -> Result<Option<Vec<u8>>, store::Error> {
        match self.stores.get(&self.base.join(name)) {
            Ok(bytes) => Ok(Some(bytes.to_vec()).filter(|bytes| id_of(bytes) == Some(self.intent().id))),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Removes what an earlier run has put, unless it may be complete: without a manifest only the intent says that, and it may
    /// be an old one that was restored.
    pub(super) fn clear_unless_complete(&self) -> Cleared {
        if self.intent().with_manifest {
            return self.clear();
        }
        match self.own(CLAIM) {
            Ok(found) => {
                let left = found.map(|_| self.base.to_string()).into_iter().collect();
                Cleared { left, why: None }
            }
            Err(error) => Cleared { left: vec![self.base.to_string()], why: Some(error.into()) },
        }
    }

    /// Removes what this delivery has put, the claim last. What is not claimed by it is left alone.
    pub(super) fn clear(&self) -> Cleared {
        let intent = self.intent();
        let all = |why: Error| Cleared { left: vec![self.base.to_string()], why: Some(why) };
        match self.own(CLAIM) {
            Ok(Some(_)) => {}
            Ok(None) => return Cleared { left: Vec::new(), why: self.tidy(&intent).err() },
            Err(error) => return all(error.into()),
        }
        match self.own(MANIFEST) {
            Ok(None) => {}
            Ok(Some(_)) => return Cleared { left: vec![self.base.to_string()], why: None },
            Err(error) => return all(error.into()),
        }
        let left: Mutex<(Vec<String>, Option<Error>)> = Mutex::default();
        let noted = || left.lock().unwrap_or_else(PoisonError::into_inner);
        let remove = |url: &Url, upload: Option<&str>| {
            if let Err(error) = self.remove(url, upload) {
                let mut left = noted();
                left.0.push(url.to_string());
                left.1.get_or_insert(error.into());
            }
        };
        let is_useless = || {
            let ends = |error: &Error| error.class().may_pass() || error.class() == Class::Stopped;
            noted().1.as_ref().is_some_and(ends)
        };
        // It returns no error.
        let _ = each(self.at_once, &intent.objects, |planned| {
            let url = self.base.join(&planned.object);
            if is_useless() {
                // The store does not answer: each further object would take minutes.
                noted().0.push(url.to_string());
            } else {
                remove(&url, planned.upload.as_deref());
            }
            Ok(())
        });
        let is_empty = noted().0.is_empty();
        if is_empty {
            remove(&self.base.join(CLAIM), None);
        }
        let (mut left, mut why) = left.into_inner().unwrap_or_else(PoisonError::into_inner);
        left.sort();
        why = why.or_else(|| self.tidy(&intent).err());
        Cleared { left, why }
    }

    fn remove(&self, url: &Url, upload: Option<&str>) -> Result<(), store::Error> {
        if let Some(upload) = upload {
            // One that has ended is unknown to the store, which may say so in any way.
            let has_ended = self.stores.exists(url)?;
            self.stores
                .abort_upload(url, upload)
                .or_else(|error| if has_ended { Ok(()) } else { Err(error) })?;
        }
        self.stores.delete(url)
    }

    /// Removes what is left of folders. A store has none.
    fn tidy(&self, intent: &Intent) -> Result<(), Error> {
        let mut folders: Vec<&str> =
            intent.objects.iter().filter_map(|planned| Some(planned.object.rsplit_once('/')?.0)).collect();
        folders.dedup();
        for folder in folders {
            Stores::tidy(&self.base.join(folder))?;
        }
        Ok(Stores::tidy(&self.base)?)
    }

    /// Removes the temporary files of a killed run.
    pub(super) fn sweep(&self) -> Result<(), Error> {
        self.tidy(&self.intent())
    }

    /// Writes the intent down, changed.
    fn note(&self, change: impl FnOnce(&mut Intent)) -> Result<(), Error> {
        let mut intent = self.intent.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut intent);
        intent.write(&self.state)
    }
}

//! What is written to stores and files: whole objects, each proven by what is read of it afterwards.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use bytes::Bytes;

use super::checksums::PART;
use super::{Checksums, Error, Meta, Scheme, Stores, Url};
use crate::digest::Hasher;
use crate::durable::{self, PendingFile};
use crate::regular;

/// The bytes that are copied or read back at once.
const BLOCK: u64 = 8 << 20;

impl Stores {
    /// Refuses a target that cannot be written, before anything is done for it. Nothing is asked of the store.
    pub(crate) fn check_target(&self, url: &Url) -> Result<(), Error> {
        match url.scheme() {
            Scheme::File => Ok(()),
            Scheme::Http | Scheme::Https => Err(Error::ReadOnly(url.clone())),
            Scheme::S3 | Scheme::Gs => self.client(url).map(drop),
        }
    }

    /// Puts a small object unless there is one of its name; whether it was put. If the answer of the store was lost, it may be
    /// there all the same.
    pub(crate) fn create(&self, url: &Url, bytes: Bytes) -> Result<bool, Error> {
        match url.path() {
            Some(path) => Ok(durable::create(&path, &bytes)?),
            None => self.client(url)?.put(url, bytes, true, &self.monitor),
        }
    }

    /// Starts the upload of an object that is too large for one request; `None` if this one is not.
    pub(crate) fn start_upload(&self, url: &Url, bytes: u64) -> Result<Option<String>, Error> {
        if url.scheme() == Scheme::File || bytes <= PART {
            return Ok(None);
        }
        self.client(url)?.start_upload(url, &self.monitor).map(Some)
    }

    /// Puts a file of this size, in its upload if one was started, which is still there after an error. An object of this name
    /// is replaced.
    pub(crate) fn put_file(
        &self,
        url: &Url,
        file: &Path,
        bytes: u64,
        upload: Option<&str>,
    ) -> Result<(), Error> {
        if let Some(path) = url.path() {
            return self.copy(file, &path);
        }
        let client = self.client(url)?;
        if let Some(upload) = upload {
            return client.upload(url, file, bytes, upload, &self.monitor);
        }
        let failed = |source| Error::Source { path: file.to_owned(), source };
        let whole = regular::read(file).map_err(failed)?;
        client.put(url, whole.into(), false, &self.monitor).map(drop)
    }

    /// Gives up an upload that was started; one that is gone is fine.
    pub(crate) fn abort_upload(&self, url: &Url, upload: &str) -> Result<(), Error> {
        self.client(url)?.abort_upload(url, upload, &self.monitor)
    }

    /// Removes an object; one that is not there is fine.
    pub(crate) fn delete(&self, url: &Url) -> Result<(), Error> {
        match url.path() {
            Some(path) => Ok(durable::remove(&path)?),
            None => self.client(url)?.delete(url, &self.monitor),
        }
    }

    /// Removes what killed processes left in a folder, and the folder if it is empty then. A store has no folders.
    pub(crate) fn tidy(folder: &Url) -> Result<(), Error> {
        let Some(path) = folder.path() else { return Ok(()) };
        durable::sweep(&path).map_err(|source| Error::File { url: folder.clone(), source })?;
        Ok(durable::remove_empty_folder(&path)?)
    }

    /// Whether there is an object of this name.
    pub(crate) fn exists(&self, url: &Url) -> Result<bool, Error> {
        match self.head(url) {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether the object that is there has these bytes: by its size and its `ETag`, if that is a checksum; else all of it is
    /// read.
    pub(crate) fn proves(&self, url: &Url, wanted: &Checksums) -> Result<bool, Error> {
        let meta = match self.head(url) {
            Err(error) if error.is_not_found() => return Ok(false),
            other => other?,
        };
        if meta.size != wanted.bytes {
            return Ok(false);
        }
        let etag = meta.version.as_deref().map(|etag| etag.trim_matches('"'));
        if etag == Some(&*wanted.etag) {
            return Ok(true);
        }
        let mut hasher = Hasher::default();
        self.read_through(url, &meta, &mut |bytes| hasher.update(bytes))?;
        Ok(hasher.finish() == wanted.blake3)
    }

    /// Reads all of an object, in order.
    fn read_through(&self, url: &Url, meta: &Meta, sink: &mut dyn FnMut(&[u8])) -> Result<(), Error> {
        if let Some(path) = url.path() {
            let failed = |source| Error::File { url: url.clone(), source };
            let mut file = regular::open(&path).map_err(failed)?;
            return self.in_blocks(&mut file, failed, &mut |bytes| {
                sink(bytes);
                Ok(())
            });
        }
        let mut start = 0;
        while start < meta.size {
            let end = meta.size.min(start + BLOCK);
            for (_, bytes) in self.stretches(url, meta, std::slice::from_ref(&(start..end)))? {
                sink(&bytes);
            }
            start = end;
        }
        Ok(())
    }

    /// Copies a file, durably.
    fn copy(&self, file: &Path, target: &Path) -> Result<(), Error> {
        let failed = |source| Error::Source { path: file.to_owned(), source };
        let mut source = regular::open(file).map_err(failed)?;
        let mut copy = PendingFile::create(target)?;
        self.in_blocks(&mut source, failed, &mut |bytes| {
            copy.write_all(bytes).map_err(|source| {
                let (target, written) = (target.to_owned(), copy.written());
                Error::Write(durable::Error::Write { target, written, source })
            })
        })?;
        Ok(copy.seal()?.publish()?)
    }

    /// The bytes of a file in blocks, until the work is stopped.
    fn in_blocks(
        &self,
        file: &mut fs::File,
        failed: impl Fn(io::Error) -> Error,
        each: &mut dyn FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut block = Vec::new();
        loop {
            if self.monitor.is_stopped() {
                return Err(Error::Stopped);
            }
            block.clear();
            if file.take(BLOCK).read_to_end(&mut block).map_err(&failed)? == 0 {
                return Ok(());
            }
            each(&block)?;
        }
    }
}

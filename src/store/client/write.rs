//! The writing side: objects that are put whole, in parts, or only where there is none.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use object_store::multipart::{MultipartStore, PartId};
use object_store::{ObjectStoreExt, PutMode, PutOptions};

use super::{Client, Error, Task, Url, key, start};
use crate::monitor::Monitor;
use crate::regular;
use crate::store::checksums::part_size;

/// Parts of one object that are in memory at once.
const IN_FLIGHT: usize = 2;

impl Client {
    /// Puts an object; with `create` only if there is none, which it returns.
    pub(in crate::store) fn put(
        &self,
        url: &Url,
        bytes: Bytes,
        create: bool,
        monitor: &Monitor,
    ) -> Result<bool, Error> {
        let (store, key) = (Arc::clone(&self.store), key(url)?);
        let mode = if create { PutMode::Create } else { PutMode::Overwrite };
        self.wait(url, monitor, async move {
            match store.put_opts(&key, bytes.into(), PutOptions::from(mode)).await {
                Ok(_) => Ok(true),
                Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. })
                    if create =>
                {
                    Ok(false)
                }
                Err(error) => Err(error),
            }
        })
    }

    /// Starts an upload in parts; its id.
    pub(in crate::store) fn start_upload(&self, url: &Url, monitor: &Monitor) -> Result<String, Error> {
        let (parts, key) = (self.parts(url)?, key(url)?);
        self.wait(url, monitor, async move { parts.create_multipart(&key).await })
    }

    /// Puts a file into an upload, and ends that: only then is there an object.
    pub(in crate::store) fn upload(
        &self,
        url: &Url,
        path: &Path,
        bytes: u64,
        upload: &str,
        monitor: &Monitor,
    ) -> Result<(), Error> {
        let failed = |source| Error::Source { path: path.to_owned(), source };
        let mut file = regular::open(path).map_err(failed)?;
        let mut tasks: VecDeque<Task<PartId>> = VecDeque::new();
        let mut done = Vec::new();
        let mut left = bytes;
        while left > 0 {
            if tasks.len() == IN_FLIGHT
                && let Some(task) = tasks.pop_front()
            {
                done.push(self.finish(url, monitor, &task)?);
            }
            let length = left.min(part_size(bytes));
            let mut part = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
            (&mut file).take(length).read_to_end(&mut part).map_err(failed)?;
            if part.len() as u64 != length {
                return Err(failed(io::Error::other("it became shorter while it was read")));
            }
            left -= length;
            let (parts, key, id, index) =
                (self.parts(url)?, key(url)?, upload.to_owned(), done.len() + tasks.len());
            tasks.push_back(start(async move {
                parts.put_part(&key, &id, index, Bytes::from(part).into()).await
            })?);
        }
        for task in tasks {
            done.push(self.finish(url, monitor, &task)?);
        }
        let (parts, key, id) = (self.parts(url)?, key(url)?, upload.to_owned());
        self.wait(url, monitor, async move { parts.complete_multipart(&key, &id, done).await.map(drop) })
    }

    /// Gives up an upload, and removes its parts.
    pub(in crate::store) fn abort_upload(
        &self,
        url: &Url,
        upload: &str,
        monitor: &Monitor,
    ) -> Result<(), Error> {
        let (parts, key, id) = (self.parts(url)?, key(url)?, upload.to_owned());
        let gone = self.wait(url, monitor, async move { parts.abort_multipart(&key, &id).await });
        gone.or_else(fine_if_missing)
    }

    pub(in crate::store) fn delete(&self, url: &Url, monitor: &Monitor) -> Result<(), Error> {
        let (store, key) = (Arc::clone(&self.store), key(url)?);
        self.wait(url, monitor, async move { store.delete(&key).await }).or_else(fine_if_missing)
    }

    fn parts(&self, url: &Url) -> Result<Arc<dyn MultipartStore>, Error> {
        self.parts.clone().ok_or_else(|| Error::ReadOnly(url.clone()))
    }
}

fn fine_if_missing(error: Error) -> Result<(), Error> {
    if error.is_not_found() { Ok(()) } else { Err(error) }
}

//! The stores of a run, each opened once.

use std::collections::HashMap;
use std::fs;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::client::Client;
use super::{Error, Scheme, Url, ranges};
use crate::environment::Environment;
use crate::monitor::Monitor;
use crate::regular;

/// Requests in flight at once, for each thread that computes: a thread would wait for most of them.
pub(crate) const REQUESTS_PER_JOB: usize = 8;

/// What a store says of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Its size in bytes.
    pub size: u64,
    /// Its `ETag` or generation: another one for other bytes. `None` if the store gives none.
    pub version: Option<String>,
    /// When it was written \[ms of Unix time\], as far as the store says.
    pub modified: i64,
}

/// Stores, opened when they are first asked, with the settings and credentials that the environment has. Clones share them.
#[derive(Clone, Default)]
pub struct Stores {
    opened: Arc<Opened>,
    pub(super) monitor: Monitor,
}

#[derive(Default)]
struct Opened {
    environment: Environment,
    clients: Mutex<HashMap<Url, Arc<Client>>>,
}

impl Stores {
    /// Stores that are asked no more once the monitor is stopped.
    pub(crate) fn new(environment: &Environment, monitor: &Monitor) -> Self {
        let opened = Opened { environment: environment.clone(), clients: Mutex::default() };
        Self { opened: Arc::new(opened), monitor: monitor.clone() }
    }

    /// The same stores, which are asked no more once this monitor is stopped.
    pub(crate) fn watched_by(&self, monitor: &Monitor) -> Self {
        Self { opened: Arc::clone(&self.opened), monitor: monitor.clone() }
    }

    /// The server that stands for a URL, if the environment says so.
    pub(crate) fn endpoint(url: &Url, environment: &Environment) -> Result<Option<String>, Error> {
        Client::endpoint(url, environment)
    }

    /// What the store says of an object.
    pub(crate) fn head(&self, url: &Url) -> Result<Meta, Error> {
        match url.path() {
            Some(path) => {
                let found = fs::metadata(path).map_err(|source| of_file(url, source))?;
                Ok(Meta { size: found.len(), version: None, modified: 0 })
            }
            None => self.client(url)?.head(url, &self.monitor),
        }
    }

    /// A whole object, which is small.
    pub(crate) fn get(&self, url: &Url) -> Result<Bytes, Error> {
        match url.path() {
            Some(path) => Ok(regular::read(&path).map_err(|source| of_file(url, source))?.into()),
            None => Ok(self.client(url)?.get(url, None, &self.monitor)?.1),
        }
    }

    /// A stretch of an object of a store, and what the store says of it.
    pub(super) fn range(&self, url: &Url, range: Range<u64>) -> Result<(Meta, Bytes), Error> {
        self.client(url)?.get(url, Some(range), &self.monitor)
    }

    /// Stretches of an object of a store, each with its start; all that is wanted is in them.
    pub(super) fn stretches(
        &self,
        url: &Url,
        known: &Meta,
        wanted: &[Range<u64>],
    ) -> Result<Vec<(u64, Bytes)>, Error> {
        self.client(url)?.stretches(url, known, ranges::requests(wanted), &self.monitor)
    }

    pub(super) fn client(&self, url: &Url) -> Result<Arc<Client>, Error> {
        let mut clients = self.opened.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let store = url.store();
        if let Some(client) = clients.get(&store) {
            return Ok(Arc::clone(client));
        }
        debug_assert!(url.scheme() != Scheme::File, "files have no client");
        let client = Arc::new(Client::open(url, &self.opened.environment)?);
        clients.insert(store, Arc::clone(&client));
        Ok(client)
    }
}

fn of_file(url: &Url, source: std::io::Error) -> Error {
    Error::File { url: url.clone(), source }
}

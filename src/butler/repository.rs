//! A repository: its configuration and its registry, open to read.

use std::collections::HashMap;
use std::fs;
use std::sync::{Mutex, PoisonError};

use super::config::Config;
use super::database::{self, Database};
use super::dataset::Dataset;
use super::error::Error;
use super::locate::Location;
use super::place::{Place, without_login};
use super::registry::{self, Contents, Selection};
use super::versions;
use crate::environment::Environment;
use crate::monitor::Monitor;
use crate::store::{Stores, scheme};

const COPY_FILES: &str = "copy the files to a local folder and give that folder with `--datastore-root`";
const LEAVE_OUT: &str =
    "its full URI is recorded, so `--datastore-root` does not apply: leave it out with `--where`";

/// A repository, open to read.
pub struct Repository {
    name: String,
    config: Config,
    database: Mutex<Box<dyn Database>>,
    stores: Stores,
}

impl Repository {
    /// Opens a repository: a folder, a `butler.yaml`, or a label of the repository index.
    ///
    /// # Errors
    /// [`Error::NoRepository`], [`Error::OpenRegistry`] or [`Error::NoRegistry`] if it cannot be reached; [`Error::Config`],
    /// [`Error::Manager`], [`Error::Remote`] or [`Error::RemoteButler`] if it is of a kind that is not read.
    pub fn open(repo: &str, env: &Environment) -> Result<Self, Error> {
        Self::open_with(repo, env, &Monitor::default())
    }

    /// As [`Self::open`]. Queries on the registry, now and later, are cancelled when the monitor is stopped.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_with(repo: &str, env: &Environment, monitor: &Monitor) -> Result<Self, Error> {
        let stores = Stores::new(env, monitor);
        let config = Config::find(repo, env, &stores)?;
        let mut database = database::open(&config.registry, env, monitor)?;
        let what = "attributes";
        let attributes = in_one_state(&mut *database, what, |database| {
            let rows = database.rows(versions::ATTRIBUTES_SQL, &[]).map_err(|error| {
                if database::lacks_table(&error) {
                    Error::NoRegistry { repo: repo.to_owned(), table: versions::ATTRIBUTES }
                } else {
                    Error::query(what, error)
                }
            })?;
            let pairs =
                rows.iter().map(|row| Ok((row.text(0, what)?.to_owned(), row.text(1, what)?.to_owned())));
            pairs.collect::<Result<HashMap<_, _>, Error>>()
        })?;
        versions::check(&attributes)?;
        Ok(Self { name: without_login(repo), config, database: Mutex::new(database), stores })
    }

    /// Checks that there is a repository of this name: its configuration is read, its registry is not opened. Returns `false`
    /// if the configuration is in a store, which is not asked.
    pub(crate) fn is_there(repo: &str, env: &Environment) -> Result<bool, Error> {
        let stores = Stores::new(env, &Monitor::default());
        if Config::place(repo, env, &stores)?.0.path().is_none() {
            return Ok(false);
        }
        Config::find(repo, env, &stores).map(|_| true)
    }

    /// The same repository, its files under another folder.
    ///
    /// # Errors
    /// [`Error::SeveralDatastores`], unless the repository has exactly one datastore of files;
    /// [`Error::NoDatastoreRoot`], [`Error::Remote`].
    pub fn with_datastore_root(mut self, root: &str) -> Result<Self, Error> {
        let [datastore] = &mut self.config.datastores[..] else {
            let names: Vec<&str> = self.config.datastores.iter().map(|store| store.name.as_str()).collect();
            let (count, names) = (names.len(), names.join(", "));
            return Err(Error::SeveralDatastores { repo: self.name, count, names });
        };
        let root = Place::parse(root)
            .map_err(|unread| Error::remote("the root given for the datastore", unread, COPY_FILES))?;
        if let Some(path) = root.path()
            && let Err(source) = fs::read_dir(path)
        {
            return Err(Error::NoDatastoreRoot { path: path.to_owned(), source });
        }
        datastore.root = Ok(root);
        Ok(self)
    }

    /// The datasets of a selection, as one state of the registry has them, ordered by data ID, then run, then identity.
    /// No file is looked at.
    ///
    /// ```
    /// # fn main() -> Result<(), ssp::butler::Error> {
    /// use ssp::{butler::{Repository, Selection}, environment::Environment};
    ///
    /// let environment = Environment::default();
    /// let repository = Repository::open("fixtures/survey/butler", &environment)?;
    /// let datasets = repository.datasets(&Selection {
    ///     collections: vec!["LSSTCam/runs/DRP/FL/w_2025_19/DM-50795".to_owned()],
    ///     dataset_type: "dia_source_visit".to_owned(),
    ///     condition: Some("visit > 0".to_owned()),
    ///     find_first: true,
    ///     keep_duplicates: false,
    /// })?;
    /// assert!(!datasets.is_empty() && datasets.iter().all(|dataset| dataset.records.len() == 1));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::NoCollection`], [`Error::NoDatasetType`] with names that are near, [`Error::Condition`],
    /// [`Error::Calibration`]; [`Error::Query`] if the database fails.
    pub fn datasets(&self, selection: &Selection) -> Result<Vec<Dataset>, Error> {
        let mut database = self.database.lock().unwrap_or_else(PoisonError::into_inner);
        let tables: Vec<&str> = self.config.datastores.iter().map(|store| store.table.as_str()).collect();
        in_one_state(&mut **database, "datasets", |database| {
            registry::datasets(database, &self.name, selection, &self.config.renames, &tables)
        })
    }

    /// The names of its collections and dataset types.
    pub(crate) fn contents(&self) -> Result<Contents, Error> {
        let mut database = self.database.lock().unwrap_or_else(PoisonError::into_inner);
        in_one_state(&mut **database, "collections", |database| {
            registry::contents(database, &self.config.renames)
        })
    }

    /// Where the files of a dataset may be, in the order in which they are tried.
    ///
    /// # Errors
    /// [`Error::Remote`] if all of them are elsewhere.
    pub fn locate(&self, dataset: &Dataset) -> Result<Vec<Location>, Error> {
        let mut unread = None;
        let mut found = Vec::new();
        for record in &dataset.records {
            match Location::of(record, &self.config.datastores[record.datastore].root) {
                Ok(location) => found.push(location),
                Err(error) => unread = Some((error, record)),
            }
        }
        match unread {
            Some((error, record)) if found.is_empty() => {
                let advice = if scheme(&record.path).is_some() { LEAVE_OUT } else { COPY_FILES };
                Err(Error::remote(format!("dataset {dataset}"), error, advice))
            }
            _ => Ok(found),
        }
    }

    /// Whether a file of a dataset may be in a store.
    pub(crate) fn is_remote(&self, dataset: &Dataset) -> bool {
        dataset.records.iter().any(|record| match scheme(&record.path) {
            Some(scheme) => scheme != "file",
            None => matches!(self.config.datastores[record.datastore].root, Ok(Place::Remote(_))),
        })
    }

    /// The stores that its files may be in.
    pub(super) fn stores(&self) -> &Stores {
        &self.stores
    }
}

/// Reads while the database shows one state.
fn in_one_state<T>(
    database: &mut dyn Database,
    what: &'static str,
    read: impl FnOnce(&mut dyn Database) -> Result<T, Error>,
) -> Result<T, Error> {
    database.begin().map_err(|error| Error::query(what, error))?;
    let found = read(database);
    let ended = database.end().map_err(|error| Error::query(what, error));
    let found = found?;
    ended.map(|()| found)
}

//! The files of datasets: where each is, found and checked, opened. Not a place for their rows.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::dataset::Dataset;
use super::error::{Error, Problem};
use super::locate::Location;
use super::place::Place;
use super::repository::Repository;
use super::zip::{Member, ZipFiles};
use crate::monitor::Monitor;
use crate::parquet::read::TableReader;
use crate::parquet::source::Section;
use crate::store::{self, Object, Stores, Url};
use crate::threads::compute;

/// Objects of stores that stay open, each with the bytes at its end: 64 MB.
const MOST_OBJECTS: usize = 1_024;

/// A file that was found and not opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    /// Which of the places of the dataset it is at.
    pub place: usize,
    /// Its size.
    pub bytes: u64,
    /// Which version of it a store has; none of a file of this machine.
    pub version: Option<String>,
}

/// A file that is open.
pub(super) struct Opened {
    /// Which of the places of the dataset it is at.
    pub place: usize,
    pub table: TableReader,
    /// Which version of it a store has.
    pub version: Option<String>,
}

/// Opens the files of one repository; threads may share it.
pub(super) struct Files<'a> {
    repository: &'a Repository,
    stores: Stores,
    zips: ZipFiles,
    objects: Mutex<HashMap<Url, Arc<Object>>>,
}

impl<'a> Files<'a> {
    /// Those of a repository. Stores are asked no more once the monitor is stopped.
    pub(super) fn new(repository: &'a Repository, monitor: &Monitor) -> Self {
        let stores = repository.stores().watched_by(monitor);
        Self { repository, stores, zips: ZipFiles::default(), objects: Mutex::default() }
    }

    /// See [`super::reader::Reader::find`].
    pub(super) fn find(&self, dataset: &Dataset) -> Option<Stored> {
        for (place, location) in self.repository.locate(dataset).ok()?.into_iter().enumerate() {
            let found = match (&location.place, &location.member) {
                (Place::Local(path), _) => match fs::metadata(path) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    found => (found.ok().filter(fs::Metadata::is_file)?.len(), None),
                },
                (Place::Remote(url), None) => match self.stores.head(url) {
                    Err(error) if error.is_not_found() => continue,
                    found => found.ok().map(|meta| (meta.size, meta.version))?,
                },
                (Place::Remote(url), Some(_)) => match self.object(url, None) {
                    Err(error) if error.is_not_found() => continue,
                    object => {
                        object.ok().map(|object| (object.meta().size, object.meta().version.clone()))?
                    }
                },
            };
            let (length, version) = found;
            if location.place.path().is_none() && version.is_none() {
                return None;
            }
            let bytes = match &location.member {
                None => length,
                Some(name) => {
                    let zip = self.section(&location).ok()?.ok()?;
                    self.zips.size(&location.place, &zip, name).ok()?
                }
            };
            let is_sound = location.size.is_none_or(|recorded| recorded == bytes);
            return is_sound.then_some(Stored { place, bytes, version });
        }
        None
    }

    /// Opens the first file of a dataset that is there, in the order of its datastores.
    pub(super) fn open_first(&self, dataset: &Dataset) -> Result<Result<Opened, Problem>, Error> {
        let mut problem = Problem::NotStored;
        for (place, location) in self.repository.locate(dataset)?.into_iter().enumerate() {
            match self.open_at(dataset, place, &location)? {
                // As Butler: only a file that is not there makes it try the next datastore.
                Err(missing @ Problem::Missing(_)) => {
                    if matches!(problem, Problem::NotStored) {
                        problem = missing;
                    }
                }
                found => return Ok(found),
            }
        }
        Ok(Err(problem))
    }

    fn open_at(
        &self,
        dataset: &Dataset,
        place: usize,
        location: &Location,
    ) -> Result<Result<Opened, Problem>, Error> {
        let section = match self.section(location)? {
            Ok(section) => section,
            Err(problem) => return Ok(Err(problem)),
        };
        let version = section.version().map(str::to_owned);
        match self.table(location, section) {
            Err(problem) => Ok(Err(problem)),
            Ok(Ok(table)) => Ok(Ok(Opened { place, table, version })),
            // A store that fails says nothing of the file.
            Ok(Err(source)) if store::Error::within(&source).is_some() => {
                Err(Error::Rows { dataset: dataset.to_string(), source })
            }
            Ok(Err(source)) => Ok(Err(Problem::NotParquet { formatter: location.formatter.clone(), source })),
        }
    }

    fn table(
        &self,
        location: &Location,
        section: Section,
    ) -> Result<Result<TableReader, crate::parquet::Error>, Problem> {
        let sized = |name: String, found: u64| match location.size {
            Some(recorded) if recorded != found => Err(Problem::Size { name, recorded, found }),
            _ => Ok(()),
        };
        let place = &location.place;
        let Some(name) = &location.member else {
            sized(place.to_string(), section.length())?;
            return Ok(TableReader::from_section(Path::new(&place.to_string()), section));
        };
        let (member, size) = self.zips.member(place, &section, name).map_err(|source| Problem::Zip {
            place: place.clone(),
            member: name.clone(),
            source,
        })?;
        let label = format!("{place}#{name}");
        sized(label.clone(), size)?;
        let label = Path::new(&label);
        Ok(match member {
            Member::Stored(section) => TableReader::from_section(label, section),
            Member::Inflated(bytes) => TableReader::from_bytes(label, bytes),
        })
    }

    fn section(&self, location: &Location) -> Result<Result<Section, Problem>, Error> {
        let place = &location.place;
        match place {
            Place::Local(path) => Ok(Section::open(path).map_err(|source| match source.kind() {
                io::ErrorKind::NotFound => Problem::Missing(place.clone()),
                _ => Problem::Open { place: place.clone(), source },
            })),
            Place::Remote(url) => match self.object(url, location.size.filter(|_| location.member.is_none()))
            {
                Ok(object) => Ok(Ok(Section::of_object(object))),
                Err(error) if error.is_not_found() => Ok(Err(Problem::Missing(place.clone()))),
                Err(error) => Err(error.into()),
            },
        }
    }

    /// An object, open: as it was when it was first opened here, as long as it stays open.
    fn object(&self, url: &Url, expected: Option<u64>) -> Result<Arc<Object>, store::Error> {
        let known = self.objects.lock().unwrap_or_else(PoisonError::into_inner).get(url).cloned();
        if let Some(object) = known {
            return Ok(object);
        }
        let object = Arc::new(Object::open(&self.stores, url, expected)?);
        let mut objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        if objects.len() < MOST_OBJECTS {
            objects.insert(url.clone(), Arc::clone(&object));
        }
        Ok(object)
    }

    /// Does something with a dataset's file: on this thread if that must wait for a store, else in the pool.
    pub(super) fn attend<T: Send>(&self, dataset: &Dataset, work: impl FnOnce() -> T + Send) -> T {
        if self.repository.is_remote(dataset) { work() } else { compute(work) }
    }
}

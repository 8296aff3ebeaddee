//! `butler.yaml`: where the registry is, and where the files are.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::document::{self, typed};
use super::error::Error;
use super::index;
use super::place::{Place, Unread, without_login};
use crate::environment::Environment;
use crate::store::{Stores, scheme};

/// What stands for the repository's root in the configuration.
const ROOT_TAG: &str = "<butlerRoot>";
const CONFIG_FILE: &str = "butler.yaml";
const COPY_CONFIG: &str = "give a local copy of its `butler.yaml` (and of its registry, if that is SQLite), and a \
    copy of its files with `--datastore-root`";
const DEFAULT_REGISTRY: &str = "sqlite:///<butlerRoot>/gen3.sqlite3";
const DEFAULT_DATASTORE_ROOT: &str = "<butlerRoot>/datastore";
const DEFAULT_RECORDS_TABLE: &str = "file_datastore_records";

/// The configuration of one repository. Not for logs: it may hold a password.
pub(super) struct Config {
    pub registry: RegistryConfig,
    /// The file datastores, in the order in which they are searched.
    pub datastores: Vec<DatastoreConfig>,
    /// Names of dataset types that are replaced.
    pub renames: Renames,
}

/// Names that a configuration gives to dataset types: by the registry's name, the one that is seen.
#[derive(Debug, Default)]
pub(super) struct Renames(BTreeMap<String, String>);

impl Renames {
    /// The registry's name for a dataset type; one that was given another name is not seen any more.
    pub(super) fn stored<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        let renamed = self.0.iter().find(|(_, seen)| *seen == name);
        match renamed {
            Some((stored, _)) => Some(stored),
            None => (!self.0.contains_key(name)).then_some(name),
        }
    }

    /// The name that is seen.
    pub(super) fn visible<'a>(&'a self, stored: &'a str) -> &'a str {
        self.0.get(stored).map_or(stored, String::as_str)
    }
}

/// Where the registry's database is.
pub(super) struct RegistryConfig {
    /// The URL as `SQLAlchemy` writes it, the root put in.
    pub url: String,
    /// The PostgreSQL schema that holds the tables.
    pub namespace: Option<String>,
    /// What the URL may leave out.
    pub parts: UrlParts,
}

/// What the URL of a database may leave out.
#[derive(Default, Deserialize)]
pub(super) struct UrlParts {
    pub username: Option<String>,
    pub password: Option<String>,
    pub host: Option<String>,
    pub port: Option<u16>,
    pub database: Option<String>,
}

/// A datastore of files.
#[derive(Debug)]
pub(super) struct DatastoreConfig {
    /// A label for people.
    pub name: String,
    /// What relative paths are relative to.
    pub root: Result<Place, Unread>,
    /// The table of the registry's database that records its files.
    pub table: String,
}

#[derive(Deserialize)]
struct Document {
    cls: Option<String>,
    root: Option<String>,
    registry: Option<RegistryDocument>,
    datastore: Option<DatastoreDocument>,
    remote_butler: Option<RemoteDocument>,
}

#[derive(Deserialize)]
struct RemoteDocument {
    url: Option<String>,
}

#[derive(Default, Deserialize)]
struct RegistryDocument {
    db: Option<String>,
    namespace: Option<String>,
    managers: Option<ManagersDocument>,
    #[serde(flatten)]
    parts: UrlParts,
}

#[derive(Deserialize)]
struct ManagersDocument {
    datasets: Option<Value>,
}

#[derive(Default, Deserialize)]
struct DatastoreDocument {
    cls: Option<String>,
    name: Option<String>,
    root: Option<String>,
    records: Option<RecordsDocument>,
    datastores: Option<Vec<ChildDocument>>,
}

#[derive(Deserialize)]
struct RecordsDocument {
    table: Option<String>,
}

/// A child of a chained datastore: its configuration, or a mapping that holds it.
#[derive(Deserialize)]
struct ChildDocument {
    datastore: Option<DatastoreDocument>,
    #[serde(flatten)]
    bare: DatastoreDocument,
}

#[derive(Deserialize)]
struct OverridesDocument {
    config: Option<OverridesConfig>,
}

#[derive(Deserialize)]
struct OverridesConfig {
    overrides: Option<BTreeMap<String, Override>>,
}

#[derive(Deserialize)]
struct Override {
    rename: Option<String>,
}

impl Config {
    /// Where the configuration of a repository is, by its folder, `butler.yaml` or label; with the labels that are known.
    pub(super) fn place(
        repo: &str,
        env: &Environment,
        stores: &Stores,
    ) -> Result<(Place, Vec<String>), Error> {
        // A broken index matters only to those who need it: a URI or a path is not a label.
        let labels = index::labels(env, stores);
        let known = labels.as_ref().map(|labels| labels.keys().cloned().collect()).unwrap_or_default();
        let target = match labels {
            Ok(labels) => labels.get(repo).cloned().unwrap_or_else(|| repo.to_owned()),
            Err(_) if scheme(repo).is_some() || repo.contains('/') || Path::new(repo).exists() => {
                repo.to_owned()
            }
            Err(error) => return Err(error),
        };
        let place = Place::parse(&target).map_err(|unread| {
            // What is no label is the URI, and may hold a password.
            let label = if target == repo { String::new() } else { format!(" `{repo}`") };
            Error::remote(format!("the repository{label}"), unread, COPY_CONFIG)
        })?;
        let is_folder = match &place {
            Place::Local(path) => path.is_dir(),
            Place::Remote(url) => {
                let extension = Path::new(url.key()).extension();
                extension.is_none_or(|found| found != "yaml" && found != "yml")
            }
        };
        Ok((if is_folder { place.join(CONFIG_FILE) } else { place }, known))
    }

    /// Finds and reads the configuration of a repository.
    pub(super) fn find(repo: &str, env: &Environment, stores: &Stores) -> Result<Self, Error> {
        let (place, known) = Self::place(repo, env, stores)?;
        let text = place.read(stores).map_err(|source| Error::NoRepository {
            repo: without_login(repo),
            place: place.clone(),
            known,
            source,
        })?;
        let document = document::read(&place, &text, stores)?;
        Self::from_document(&without_login(repo), &place, document)
    }

    fn from_document(repo: &str, place: &Place, value: Value) -> Result<Self, Error> {
        let origin = format!("`{place}`");
        let document: Document = typed(value, &origin)?;
        let remote = document.cls.as_deref().is_some_and(|class| class.ends_with("RemoteButler"));
        if remote || document.remote_butler.is_some() {
            let url = document.remote_butler.and_then(|remote| remote.url).unwrap_or_default();
            return Err(Error::RemoteButler { repo: repo.to_owned(), url: without_login(&url) });
        }
        let root = document.root.as_deref().map_or_else(|| Ok(place.folder()), Place::parse);
        let registry = document.registry.unwrap_or_default();
        let datasets = registry.managers.and_then(|managers| managers.datasets);
        let url = registry.db.as_deref().unwrap_or(DEFAULT_REGISTRY);
        if url.contains(ROOT_TAG) {
            let unread = match &root {
                Ok(Place::Local(_)) => None,
                Ok(Place::Remote(url)) => {
                    Some(Unread { uri: url.to_string(), message: "SQLite reads only local files".to_owned() })
                }
                Err(unread) => Some(unread.clone()),
            };
            if let Some(unread) = unread {
                return Err(Error::remote(format!("the registry of `{repo}`"), unread, COPY_CONFIG));
            }
        }
        let url = substitute(url, &root, &origin)?;
        Ok(Self {
            registry: RegistryConfig { url, namespace: registry.namespace, parts: registry.parts },
            datastores: datastores(document.datastore.unwrap_or_default(), &root, &origin)?,
            renames: renames(datasets, &origin)?,
        })
    }
}

fn substitute(text: &str, root: &Result<Place, Unread>, origin: &str) -> Result<String, Error> {
    if !text.contains(ROOT_TAG) {
        return Ok(text.to_owned());
    }
    let root = match root {
        Ok(Place::Local(root)) => root.to_str().map(str::to_owned).ok_or_else(|| {
            let message =
                format!("its root `{}` is not UTF-8, so it cannot be written as a URL", root.display());
            Error::Config { origin: origin.to_owned(), message }
        })?,
        Ok(Place::Remote(url)) => url.to_string(),
        Err(unread) => unread.uri.clone(),
    };
    Ok(text.replace(ROOT_TAG, root.trim_end_matches('/')))
}

/// The file datastores of a configuration; those that hold no files (in memory, or metrics) are left out.
fn datastores(
    document: DatastoreDocument,
    root: &Result<Place, Unread>,
    origin: &str,
) -> Result<Vec<DatastoreConfig>, Error> {
    let class = document.cls.as_deref().unwrap_or("FileDatastore").rsplit('.').next().unwrap_or_default();
    match class {
        "ChainedDatastore" => {
            let children = document.datastores.unwrap_or_default().into_iter();
            let children =
                children.map(|child| datastores(child.datastore.unwrap_or(child.bare), root, origin));
            Ok(children.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
        }
        "FileDatastore" => {
            let written = document.root.as_deref().unwrap_or(DEFAULT_DATASTORE_ROOT);
            let table = document.records.and_then(|records| records.table);
            Ok(vec![DatastoreConfig {
                name: document.name.unwrap_or_else(|| format!("FileDatastore@{written}")),
                root: match written.strip_prefix(ROOT_TAG).and_then(|rest| rest.strip_prefix('/')) {
                    Some(rest) => root.clone().map(|root| root.join(rest)),
                    None if written == ROOT_TAG => root.clone(),
                    None => Place::parse(&substitute(written, root, origin)?),
                },
                table: table.unwrap_or_else(|| DEFAULT_RECORDS_TABLE.to_owned()),
            }])
        }
        other => {
            tracing::debug!(datastore = other, config = origin, "a datastore without files is not searched");
            Ok(Vec::new())
        }
    }
}

/// The names that a configuration gives to dataset types.
fn renames(datasets: Option<Value>, origin: &str) -> Result<Renames, Error> {
    let Some(value @ Value::Object(_)) = datasets else { return Ok(Renames::default()) };
    let document: OverridesDocument = typed(value, origin)?;
    let overrides = document.config.and_then(|config| config.overrides).unwrap_or_default();
    Ok(Renames(overrides.into_iter().filter_map(|(stored, over)| Some((stored, over.rename?))).collect()))
}

//! `butler.yaml`: where the registry is, and where the files are.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::document::{self, typed};
use super::error::{Error, without_login};
use super::index;
use super::place::Place;
use crate::environment::Environment;
use crate::regular;

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
    pub root: Place,
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
    /// Finds and reads the configuration of a repository: a folder, a `butler.yaml`, or a label.
    pub(super) fn find(repo: &str, env: &Environment) -> Result<Self, Error> {
        // A broken index matters only to those who need it: a path that is there is not a label.
        let labels = index::labels(env);
        let known = labels.as_ref().map(|labels| labels.keys().cloned().collect()).unwrap_or_default();
        let target = match labels {
            Ok(labels) => labels.get(repo).cloned().unwrap_or_else(|| repo.to_owned()),
            Err(_) if Path::new(repo).exists() => repo.to_owned(),
            Err(error) => return Err(error),
        };
        let mut path = match Place::parse(&target) {
            Place::Local(path) => path,
            Place::Remote(uri) => {
                // What is no label is the URI, and may hold a password.
                let label = if target == repo { String::new() } else { format!(" `{repo}`") };
                return Err(Error::remote(format!("the repository{label}"), &uri, COPY_CONFIG));
            }
        };
        if path.is_dir() {
            path.push(CONFIG_FILE);
        }
        let text = regular::read_to_string(&path).map_err(|source| Error::NoRepository {
            repo: repo.to_owned(),
            path: path.clone(),
            known,
            source,
        })?;
        Self::from_document(repo, &path, document::read(&path, &text)?)
    }

    fn from_document(repo: &str, path: &Path, value: Value) -> Result<Self, Error> {
        let origin = format!("`{}`", path.display());
        let document: Document = typed(value, &origin)?;
        let remote = document.cls.as_deref().is_some_and(|class| class.ends_with("RemoteButler"));
        if remote || document.remote_butler.is_some() {
            let url = document.remote_butler.and_then(|remote| remote.url).unwrap_or_default();
            return Err(Error::RemoteButler { repo: repo.to_owned(), url: without_login(&url) });
        }
        let root = match document.root.as_deref().map(Place::parse) {
            None => Place::Local(path.parent().unwrap_or(Path::new("/")).to_owned()),
            Some(root) => root,
        };
        let registry = document.registry.unwrap_or_default();
        let datasets = registry.managers.and_then(|managers| managers.datasets);
        let url = registry.db.as_deref().unwrap_or(DEFAULT_REGISTRY);
        if let (Place::Remote(uri), true) = (&root, url.contains(ROOT_TAG)) {
            return Err(Error::remote(format!("the registry of `{repo}`"), uri, COPY_CONFIG));
        }
        let url = substitute(url, &root, &origin)?;
        Ok(Self {
            registry: RegistryConfig { url, namespace: registry.namespace, parts: registry.parts },
            datastores: datastores(document.datastore.unwrap_or_default(), &root, &origin)?,
            renames: renames(datasets, &origin)?,
        })
    }
}

fn substitute(text: &str, root: &Place, origin: &str) -> Result<String, Error> {
    let root = match root {
        Place::Local(_) if !text.contains(ROOT_TAG) => return Ok(text.to_owned()),
        Place::Local(root) => root.to_str().ok_or_else(|| {
            let message =
                format!("its root `{}` is not UTF-8, so it cannot be written as a URL", root.display());
            Error::Config { origin: origin.to_owned(), message }
        })?,
        Place::Remote(root) => root.trim_end_matches('/'),
    };
    Ok(text.replace(ROOT_TAG, root))
}

/// The file datastores of a configuration; those that hold no files (in memory, or metrics) are left out.
fn datastores(
    document: DatastoreDocument,
    root: &Place,
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
                root: Place::parse(&substitute(written, root, origin)?),
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

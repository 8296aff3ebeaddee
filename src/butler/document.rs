//! YAML files of Butler's configuration, with what they include, as one value.

use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use serde_saphyr::{IncludeRequest, IncludeResolveError, InputSource, ResolvedInclude};

use super::error::Error;
use super::place::Place;
use crate::store::{Stores, scheme};

/// The key that names files whose values the including file overrides.
const INCLUDE_KEY: &str = "includeConfigs";
/// More files within each other than this are a circle.
const MAX_DEPTH: usize = 16;

/// Reads a file, its `!include` tags and its `includeConfigs` keys.
pub(super) fn read(place: &Place, text: &str, stores: &Stores) -> Result<Value, Error> {
    read_nested(place, text, stores, 0)
}

/// Reads a text that may not include anything.
pub(super) fn parse(text: &str, origin: &str) -> Result<Value, Error> {
    serde_saphyr::from_str_with_options(text, serde_saphyr::options! { with_snippet: false })
        .map_err(|error| Error::Config { origin: origin.to_owned(), message: error.to_string() })
}

/// A value as what it must be. The message of an error never shows a text of the document, which may be a password.
pub(super) fn typed<T: DeserializeOwned>(value: Value, origin: &str) -> Result<T, Error> {
    serde_json::from_value(value).map_err(|error| {
        let said = error.to_string();
        let message = match (said.find('"'), said.rfind('"')) {
            (Some(open), Some(close)) => format!("{}...{}", &said[..=open], &said[close..]),
            _ => said,
        };
        Error::Config { origin: origin.to_owned(), message }
    })
}

fn read_nested(place: &Place, text: &str, stores: &Stores, depth: usize) -> Result<Value, Error> {
    let failed = |message: String| Error::Config { origin: format!("`{place}`"), message };
    if depth > MAX_DEPTH {
        return Err(failed(format!("more than {MAX_DEPTH} files include each other")));
    }
    let options = {
        let (folder, stores) = (place.folder(), stores.clone());
        serde_saphyr::options! { with_snippet: false }
            .with_include_resolver(move |request| include(&folder, &request, &stores))
    };
    let value: Value =
        serde_saphyr::from_str_with_options(text, options).map_err(|error| failed(error.to_string()))?;
    expand(value, place, stores, depth)
}

/// What `!include` names: a path relative to the file with the tag, or a URI.
fn include(
    folder: &Place,
    request: &IncludeRequest<'_>,
    stores: &Stores,
) -> Result<ResolvedInclude, IncludeResolveError> {
    let failed = |message: String| IncludeResolveError::from(std::io::Error::other(message));
    let from = request.from_id.map(|id| beside(id, folder).map(|from| from.folder()));
    let folder = from.transpose().map_err(failed)?.unwrap_or_else(|| folder.clone());
    let place = beside(request.spec, &folder).map_err(failed)?;
    let place = match place {
        Place::Local(path) => Place::Local(std::fs::canonicalize(path)?),
        remote @ Place::Remote(_) => remote,
    };
    let text = place.read(stores).map_err(|error| failed(error.to_string()))?;
    let name = place.to_string();
    Ok(ResolvedInclude::new(name.clone(), name, InputSource::Text(text)))
}

/// A file by its URI, or by its path relative to a folder.
fn beside(name: &str, folder: &Place) -> Result<Place, String> {
    match scheme(name) {
        Some(_) => Place::parse(name).map_err(|unread| format!("`{}`: {}", unread.uri, unread.message)),
        None if name.starts_with('/') => Ok(Place::Local(name.into())),
        None => Ok(folder.join(name)),
    }
}

/// Replaces every `includeConfigs` key by the values of its files, under those that stand beside it.
fn expand(value: Value, place: &Place, stores: &Stores, depth: usize) -> Result<Value, Error> {
    let failed = |message: String| Error::Config { origin: format!("`{place}`"), message };
    let Value::Object(map) = value else { return Ok(value) };
    let mut own = Map::new();
    let mut included = Map::new();
    for (key, value) in map {
        if key != INCLUDE_KEY {
            own.insert(key, expand(value, place, stores, depth)?);
            continue;
        }
        let names = match value {
            Value::Array(names) => names,
            one => vec![one],
        };
        for name in names {
            let Value::String(name) = name else {
                return Err(failed(format!("`{INCLUDE_KEY}` must name files, not {name}")));
            };
            let (file, text) = find(&name, &place.folder(), stores)
                .map_err(|message| failed(format!("`{INCLUDE_KEY}` names `{name}`, {message}")))?;
            if let Value::Object(more) = read_nested(&file, &text, stores, depth + 1)? {
                update(&mut included, more);
            }
        }
    }
    update(&mut included, own);
    Ok(Value::Object(included))
}

/// As Butler does: relative to the working directory, else to the including file. With its text.
fn find(name: &str, folder: &Place, stores: &Stores) -> Result<(Place, String), String> {
    let here = Path::new(name);
    let place = if here.is_file() { Place::Local(here.to_owned()) } else { beside(name, folder)? };
    if place.path().is_some_and(|path| !path.is_file()) {
        return Err("which does not exist".to_owned());
    }
    let text = place.read(stores).map_err(|error| format!("but `{place}` cannot be read: {error}"))?;
    Ok((place, text))
}

/// Puts `over` over `under`, mapping by mapping.
fn update(under: &mut Map<String, Value>, over: Map<String, Value>) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(Value::Object(under)), Value::Object(over)) => update(under, over),
            (_, value) => {
                under.insert(key, value);
            }
        }
    }
}

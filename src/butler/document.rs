//! YAML files of Butler's configuration, with what they include, as one value.

use std::fs;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use serde_saphyr::{IncludeRequest, IncludeResolveError, InputSource, ResolvedInclude};

use super::error::Error;
use crate::regular;

/// The key that names files whose values the including file overrides.
const INCLUDE_KEY: &str = "includeConfigs";
/// More files within each other than this are a circle.
const MAX_DEPTH: usize = 16;

/// Reads a file, its `!include` tags and its `includeConfigs` keys.
pub(super) fn read(path: &Path, text: &str) -> Result<Value, Error> {
    read_nested(path, text, 0)
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

fn read_nested(path: &Path, text: &str, depth: usize) -> Result<Value, Error> {
    let failed = |message: String| Error::Config { origin: format!("`{}`", path.display()), message };
    if depth > MAX_DEPTH {
        return Err(failed(format!("more than {MAX_DEPTH} files include each other")));
    }
    let folder = path.parent().unwrap_or(Path::new("")).to_owned();
    let options = {
        let folder = folder.clone();
        serde_saphyr::options! { with_snippet: false }
            .with_include_resolver(move |request| include(&folder, &request))
    };
    let value: Value =
        serde_saphyr::from_str_with_options(text, options).map_err(|error| failed(error.to_string()))?;
    expand(value, path, &folder, depth)
}

/// What `!include` names: a path relative to the file with the tag.
fn include(folder: &Path, request: &IncludeRequest<'_>) -> Result<ResolvedInclude, IncludeResolveError> {
    let folder = request.from_id.and_then(|id| Path::new(id).parent()).unwrap_or(folder);
    let path = fs::canonicalize(folder.join(request.spec))?;
    let text = regular::read_to_string(&path)?;
    let name = path.to_string_lossy().into_owned();
    Ok(ResolvedInclude::new(name.clone(), name, InputSource::Text(text)))
}

/// Replaces every `includeConfigs` key by the values of its files, under those that stand beside it.
fn expand(value: Value, path: &Path, folder: &Path, depth: usize) -> Result<Value, Error> {
    let failed = |message: String| Error::Config { origin: format!("`{}`", path.display()), message };
    let Value::Object(map) = value else { return Ok(value) };
    let mut own = Map::new();
    let mut included = Map::new();
    for (key, value) in map {
        if key != INCLUDE_KEY {
            own.insert(key, expand(value, path, folder, depth)?);
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
            let file = find(&name, folder)
                .ok_or_else(|| failed(format!("`{INCLUDE_KEY}` names `{name}`, which does not exist")))?;
            let text = regular::read_to_string(&file)
                .map_err(|error| failed(format!("cannot read `{}`: {error}", file.display())))?;
            if let Value::Object(more) = read_nested(&file, &text, depth + 1)? {
                update(&mut included, more);
            }
        }
    }
    update(&mut included, own);
    Ok(Value::Object(included))
}

/// As Butler does: relative to the working directory, else to the including file.
fn find(name: &str, folder: &Path) -> Option<PathBuf> {
    [PathBuf::from(name), folder.join(name)].into_iter().find(|path| path.is_file())
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

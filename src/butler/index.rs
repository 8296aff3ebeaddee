//! The repository index: labels that stand for repositories.

use std::collections::BTreeMap;

use super::document;
use super::error::Error;
use super::place::Place;
use crate::environment::Environment;
use crate::environment::NotUtf8;
use crate::regular;

/// Holds the index itself.
const REPOSITORIES: &str = "DAF_BUTLER_REPOSITORIES";
/// Names the file that holds it.
const INDEX: &str = "DAF_BUTLER_REPOSITORY_INDEX";
const COPY_INDEX: &str = "set `DAF_BUTLER_REPOSITORY_INDEX` to a local copy of it, or give the repository's folder \
    instead of a label";

/// The labels and what they stand for; none if no index is named.
pub(super) fn labels(env: &Environment) -> Result<BTreeMap<String, String>, Error> {
    let wrong =
        |error: NotUtf8| Error::Config { origin: format!("`{}`", error.name), message: error.to_string() };
    env.check_utf8("DAF_BUTLER_").map_err(wrong)?;
    let set = |name: &str| env.variables.get(name).filter(|value| !value.is_empty());
    let (text, origin) = match (set(REPOSITORIES), set(INDEX)) {
        (None, None) => return Ok(BTreeMap::new()),
        (Some(_), Some(_)) => {
            let message = format!("it and `{INDEX}` are both set: unset one of them");
            return Err(Error::Config { origin: format!("`{REPOSITORIES}`"), message });
        }
        (Some(text), None) => (text.clone(), format!("`{REPOSITORIES}`")),
        (None, Some(uri)) => {
            let origin = format!("`{uri}` (named by `{INDEX}`)");
            let path = match Place::parse(uri) {
                Place::Local(path) => path,
                Place::Remote(uri) => return Err(Error::remote("the repository index", &uri, COPY_INDEX)),
            };
            let read = regular::read_to_string(&path);
            let text =
                read.map_err(|error| Error::Config { origin: origin.clone(), message: error.to_string() })?;
            (text, origin)
        }
    };
    document::typed(
        document::parse(&text, &origin)?,
        &format!("{origin}, which must map labels to repositories"),
    )
}

//! The repository index: labels that stand for repositories.

use std::collections::BTreeMap;

use super::document;
use super::error::Error;
use super::place::{Place, without_login};
use crate::environment::{Environment, NotUtf8};
use crate::store::{self, Stores};

/// Holds the index itself.
const REPOSITORIES: &str = "DAF_BUTLER_REPOSITORIES";
/// Names the file that holds it.
const INDEX: &str = "DAF_BUTLER_REPOSITORY_INDEX";
const COPY_INDEX: &str = "set `DAF_BUTLER_REPOSITORY_INDEX` to a local copy of it, or give the repository's folder \
    instead of a label";

/// The labels and what they stand for; none if no index is named.
pub(super) fn labels(env: &Environment, stores: &Stores) -> Result<BTreeMap<String, String>, Error> {
    let wrong =
        |error: NotUtf8| Error::Config { origin: format!("`{}`", error.name), message: error.to_string() };
    env.check_utf8("DAF_BUTLER_").map_err(wrong)?;
    let (text, origin) = match (env.variable(REPOSITORIES), env.variable(INDEX)) {
        (None, None) => return Ok(BTreeMap::new()),
        (Some(_), Some(_)) => {
            let message = format!("it and `{INDEX}` are both set: unset one of them");
            return Err(Error::Config { origin: format!("`{REPOSITORIES}`"), message });
        }
        (Some(text), None) => (text.to_owned(), format!("`{REPOSITORIES}`")),
        (None, Some(uri)) => {
            let origin = format!("`{}` (named by `{INDEX}`)", without_login(uri));
            let place = Place::parse(uri)
                .map_err(|unread| Error::remote("the repository index", unread, COPY_INDEX))?;
            let text = place.read(stores).map_err(|error| match error.downcast::<store::Error>() {
                Ok(error) => Error::Store(*error),
                Err(error) => Error::Config { origin: origin.clone(), message: error.to_string() },
            })?;
            (text, origin)
        }
    };
    document::typed(
        document::parse(&text, &origin)?,
        &format!("{origin}, which must map labels to repositories"),
    )
}

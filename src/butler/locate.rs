//! A record's path to a file, or a member of a zip file.

use percent_encoding::percent_decode_str;

use super::dataset::Record;
use super::place::{Place, Unread};
use crate::store::scheme;

/// What the fragment of a path starts with if it names a member of a zip file.
const ZIP_MEMBER: &str = "zip-path=";

/// A file of a dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    pub place: Place,
    /// The member, if the file is a zip file.
    pub member: Option<String>,
    /// The size that was recorded, of the member if there is one.
    pub size: Option<u64>,
    /// The Python class that wrote it.
    pub formatter: String,
}

impl Location {
    /// Where a record's file is.
    pub(super) fn of(record: &Record, root: &Result<Place, Unread>) -> Result<Self, Unread> {
        let (path, member) = split_member(&record.path);
        let place = match (scheme(path), root) {
            (Some(_), _) => Place::parse(path)?,
            // Recorded as the file is named: nothing is decoded.
            (None, Ok(root @ Place::Local(_))) => root.join(path),
            // As the Butler takes it for a part of a URI.
            (None, Ok(root @ Place::Remote(_))) => {
                let path = path.split(['?', '#']).next().unwrap_or_default();
                root.join(&percent_decode_str(path).decode_utf8_lossy())
            }
            (None, Err(Unread { uri, message })) => {
                let uri = format!("{}/{path}", uri.trim_end_matches('/'));
                return Err(Unread { uri, message: message.clone() });
            }
        };
        Ok(Self { place, member, size: record.size, formatter: record.formatter.clone() })
    }
}

/// A fragment can only be in the last segment: a `#` before it is part of a folder's name.
fn split_member(path: &str) -> (&str, Option<String>) {
    let name = path.rfind('/').map_or(0, |slash| slash + 1);
    let Some(hash) = path[name..].rfind('#') else { return (path, None) };
    let fragment = percent_decode_str(&path[name + hash + 1..]).decode_utf8_lossy();
    match fragment.strip_prefix(ZIP_MEMBER) {
        Some(member) => (&path[..name + hash], Some(member.to_owned())),
        None => (path, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location(path: &str) -> Result<(String, Option<String>), String> {
        let record = Record { datastore: 0, path: path.to_owned(), formatter: String::new(), size: None };
        let found = Location::of(&record, &Place::parse("/root"));
        found.map(|found| (found.place.to_string(), found.member)).map_err(|unread| unread.uri)
    }

    #[test]
    fn relative_paths_are_taken_verbatim() {
        assert_eq!(location("a b/%41 (+é).parq"), Ok(("/root/a b/%41 (+é).parq".to_owned(), None)));
        assert_eq!(location("run#1/x.parq"), Ok(("/root/run#1/x.parq".to_owned(), None)));
    }

    #[test]
    fn uris_are_decoded() {
        assert_eq!(location("file:///x/sp%20ace%25.parq"), Ok(("/x/sp ace%.parq".to_owned(), None)));
        assert_eq!(location("s3://b/x%20y.parq"), Ok(("s3://b/x%20y.parq".to_owned(), None)));
        assert_eq!(location("davs://b/x.parq"), Err("davs://b/x.parq".to_owned()));
    }

    #[test]
    fn zip_members_are_in_the_last_segment() {
        let (zip, member) = ("/root/run#1/a.zip".to_owned(), Some("b c.parq".to_owned()));
        assert_eq!(location("run#1/a.zip#zip-path=b%20c.parq"), Ok((zip, member.clone())));
        let found = location("s3://b/run%231/a.zip#zip-path=b%20c.parq");
        assert_eq!(found, Ok(("s3://b/run%231/a.zip".to_owned(), member)));
    }
}

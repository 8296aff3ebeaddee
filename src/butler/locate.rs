//! A record's path to a file, or a member of a zip file.

use std::path::PathBuf;

use percent_encoding::percent_decode_str;

use super::dataset::Record;
use super::place::{Place, scheme};

/// What the fragment of a path starts with if it names a member of a zip file.
const ZIP_MEMBER: &str = "zip-path=";

/// A file of a dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    pub path: PathBuf,
    /// The member, if the file is a zip file.
    pub member: Option<String>,
    /// The size that was recorded, of the member if there is one.
    pub size: Option<u64>,
    /// The Python class that wrote it.
    pub formatter: String,
}

impl Location {
    /// Where a record's file is; the error is the URI of one that is elsewhere.
    pub(super) fn of(record: &Record, root: &Place) -> Result<Self, String> {
        let (path, member) = split_member(&record.path);
        let place = match (scheme(path), root) {
            (Some(_), _) => Place::parse(path),
            // Recorded as the file is named: nothing is decoded.
            (None, Place::Local(root)) => Place::Local(root.join(path)),
            (None, Place::Remote(root)) => Place::Remote(format!("{}/{path}", root.trim_end_matches('/'))),
        };
        match place {
            Place::Remote(uri) => Err(uri),
            Place::Local(path) => {
                let (size, formatter) = (record.size, record.formatter.clone());
                Ok(Self { path, member, size, formatter })
            }
        }
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
        let root = Place::Local(PathBuf::from("/root"));
        Location::of(&record, &root).map(|found| (found.path.to_string_lossy().into_owned(), found.member))
    }

    #[test]
    fn relative_paths_are_taken_verbatim() {
        assert_eq!(location("a b/%41 (+é).parq"), Ok(("/root/a b/%41 (+é).parq".to_owned(), None)));
        assert_eq!(location("run#1/x.parq"), Ok(("/root/run#1/x.parq".to_owned(), None)));
    }

    #[test]
    fn uris_are_decoded() {
        assert_eq!(location("file:///x/sp%20ace%25.parq"), Ok(("/x/sp ace%.parq".to_owned(), None)));
        assert_eq!(location("s3://b/x.parq"), Err("s3://b/x.parq".to_owned()));
    }

    #[test]
    fn zip_members_are_in_the_last_segment() {
        let (zip, member) = ("/root/run#1/a.zip".to_owned(), Some("b c.parq".to_owned()));
        assert_eq!(location("run#1/a.zip#zip-path=b%20c.parq"), Ok((zip, member)));
    }
}

//! Where something is, as Butler writes it: a path or a URI.

use std::fmt;
use std::path::{Path, PathBuf};

use percent_encoding::percent_decode_str;

use crate::regular;
use crate::store::{Stores, Url, scheme};

/// A file or folder, here or in a store.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// On this machine.
    Local(PathBuf),
    /// In a store.
    Remote(Url),
}

/// A URI that is not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unread {
    /// The URI, without what it may hold of secrets.
    pub uri: String,
    /// Why it is not read.
    pub message: String,
}

impl Place {
    /// A path (relative to the working directory) or a URI; those are percent-encoded.
    pub(super) fn parse(text: &str) -> Result<Self, Unread> {
        match scheme(text) {
            None => Ok(Self::Local(absolute(Path::new(text)))),
            Some("file") => Ok(Self::Local(absolute(&file_path(text)))),
            Some(_) => {
                let unread = |message| Unread { uri: without_login(text), message };
                Url::parse(text).map(Self::Remote).map_err(unread)
            }
        }
    }

    /// Its path, if it is on this machine.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Local(path) => Some(path),
            Self::Remote(_) => None,
        }
    }

    /// Something below it, by a path that is not encoded.
    pub(super) fn join(&self, path: &str) -> Self {
        match self {
            Self::Local(folder) => Self::Local(folder.join(path)),
            Self::Remote(url) => Self::Remote(url.join(path)),
        }
    }

    /// The folder that it is in.
    pub(super) fn folder(&self) -> Self {
        match self {
            Self::Local(path) => Self::Local(path.parent().unwrap_or(Path::new("")).to_owned()),
            Self::Remote(url) => Self::Remote(url.parent()),
        }
    }

    /// The text of a small file.
    pub(super) fn read(&self, stores: &Stores) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
        match self {
            Self::Local(path) => Ok(regular::read_to_string(path)?),
            Self::Remote(url) => Ok(String::from_utf8(stores.get(url)?.into())?),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(path) => path.display().fmt(f),
            Self::Remote(url) => url.fmt(f),
        }
    }
}

/// A URI without what it may hold of secrets: a user and a password, also one with a `/` in it, and the query, which may be a
/// signature.
pub(super) fn without_login(uri: &str) -> String {
    let Some((scheme, rest)) = uri.split_once("://") else { return uri.to_owned() };
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let host = rest.split('/').next().unwrap_or_default();
    let searched = if host.contains(':') { rest } else { host };
    format!("{scheme}://{}", &rest[searched.rfind('@').map_or(0, |at| at + 1)..])
}

/// The path of a `file://` URI: without the host, decoded byte for byte.
fn file_path(uri: &str) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    let rest = &uri["file://".len()..];
    let path = rest.find('/').map_or(rest, |slash| &rest[slash..]);
    PathBuf::from(std::ffi::OsString::from_vec(percent_decode_str(path).collect()))
}

fn absolute(path: &Path) -> PathBuf {
    // It fails for the empty path and where there is no working directory: then the path itself says most.
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_uris_are_decoded_and_paths_are_not() {
        let parsed = |text: &str| Place::parse(text).unwrap();
        let local = |path: &str| Place::Local(PathBuf::from(path));
        assert_eq!(parsed("file:///a/sp%20ace%20%2B%C3%A9.parq"), local("/a/sp ace +é.parq"));
        assert_eq!(parsed("file://host/a%41"), local("/aA"));
        assert_eq!(parsed("/a/b%41 c"), local("/a/b%41 c"));
        assert_eq!(parsed("s3://bucket/x%20y").join("a b").to_string(), "s3://bucket/x%20y/a%20b");
        assert_eq!(parsed("s3://bucket/x%20y").path(), None);
    }

    #[test]
    fn what_is_of_no_store_is_refused_without_its_secrets() {
        for (uri, shown, said) in [
            ("davs://me:hunter2@there/x", "davs://there/x", "`davs` is not one of"),
            ("s3://key:hunter2@bucket/x", "s3://bucket/x", "profile"),
            ("https://there/x?sig=hunter2", "https://there/x", "query"),
        ] {
            let unread = Place::parse(uri).unwrap_err();
            assert!(unread.uri == shown && unread.message.contains(said), "{unread:?}");
        }
    }

    #[test]
    fn a_uri_is_shown_without_its_secrets() {
        for (uri, shown) in [
            ("s3://bucket/a@b.parq", "s3://bucket/a@b.parq"),
            ("https://me:hunter2@there/repo", "https://there/repo"),
            ("https://me:hun/ter2@there/repo", "https://there/repo"),
            ("https://there:443/x?sig=hunter2", "https://there:443/x"),
            ("s3://bucket/x#hunter2", "s3://bucket/x"),
            ("/a/path?x", "/a/path?x"),
        ] {
            assert_eq!(without_login(uri), shown);
        }
    }
}

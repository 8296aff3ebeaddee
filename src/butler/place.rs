//! Where something is, as Butler writes it: a path or a URI.

use std::path::{Path, PathBuf};

use percent_encoding::percent_decode_str;

/// A file or folder, here or elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Local(PathBuf),
    /// A URI that only a network reaches.
    Remote(String),
}

impl Place {
    /// A path (relative to the working directory) or a URI; those of files are percent-encoded.
    pub(super) fn parse(text: &str) -> Self {
        match scheme(text) {
            Some("file") => Self::Local(absolute(&file_path(text))),
            Some(_) => Self::Remote(text.to_owned()),
            None => Self::Local(absolute(Path::new(text))),
        }
    }
}

/// The scheme of a URI; a path has none.
pub(super) fn scheme(text: &str) -> Option<&str> {
    let (scheme, _) = text.split_once("://")?;
    let word = scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    (word && scheme.starts_with(|c: char| c.is_ascii_alphabetic())).then_some(scheme)
}

/// The path of a `file://` URI: without the host, decoded.
fn file_path(uri: &str) -> PathBuf {
    let rest = &uri["file://".len()..];
    let path = rest.find('/').map_or(rest, |slash| &rest[slash..]);
    decode(path)
}

/// Percent-decoded, byte for byte.
fn decode(text: &str) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    let bytes: Vec<u8> = percent_decode_str(text).collect();
    PathBuf::from(std::ffi::OsString::from_vec(bytes))
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
        let local = |path: &str| Place::Local(PathBuf::from(path));
        assert_eq!(Place::parse("file:///a/sp%20ace%20%2B%C3%A9.parq"), local("/a/sp ace +é.parq"));
        assert_eq!(Place::parse("file://host/a%41"), local("/aA"));
        assert_eq!(Place::parse("/a/b%41 c"), local("/a/b%41 c"));
        assert_eq!(Place::parse("s3://bucket/x"), Place::Remote("s3://bucket/x".to_owned()));
        assert_eq!(scheme("/a://b"), None);
        assert_eq!(scheme("1a://b"), None);
    }
}

//! The URL of an object, of a folder of objects, or of a file.

use std::fmt;
use std::path::{Path, PathBuf};

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

/// What cannot stand for itself in the path of a URL.
const ENCODED: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'%').add(b'<').add(b'>').add(b'?').add(b'`');

/// Where an object is, and how it is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scheme {
    /// A bucket of S3.
    S3,
    /// A bucket of Google Cloud Storage.
    Gs,
    /// A web server; it is only read.
    Http,
    /// A web server with TLS; it is only read.
    Https,
    /// A file of this machine.
    File,
}

impl Scheme {
    /// The scheme as a URL has it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Gs => "gs",
            Self::Http => "http",
            Self::Https => "https",
            Self::File => "file",
        }
    }
}

/// A URL. What is shown of it has no login.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Url {
    scheme: Scheme,
    /// The name of the profile that has the credentials.
    login: Option<String>,
    /// The bucket, or the host and its port; empty for a file.
    host: String,
    /// What follows the first `/`, decoded.
    key: String,
}

impl Url {
    /// Reads a URL. The error says what is wrong with it, without it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let name = scheme(text).ok_or("it has no scheme, such as `s3://`")?;
        let rest = &text[name.len() + "://".len()..];
        let all = [Scheme::S3, Scheme::Gs, Scheme::Http, Scheme::Https, Scheme::File];
        let Some(scheme) = all.into_iter().find(|scheme| scheme.name().eq_ignore_ascii_case(name)) else {
            return Err(format!("`{name}` is not one of s3, gs, http, https and file"));
        };
        if scheme == Scheme::File {
            let path = rest.find('/').map_or("", |slash| &rest[slash + 1..]);
            let key = decoded(path)?;
            return Ok(Self { scheme, login: None, host: String::new(), key });
        }
        let web = matches!(scheme, Scheme::Http | Scheme::Https);
        if web && rest.contains('?') {
            return Err("a URL with a query (`?`) is not read, so a signature in it has no effect".to_owned());
        }
        // As the Butler: what follows is no part of the key.
        let rest = rest.split(['?', '#']).next().unwrap_or_default();
        let (place, key) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, host) = place.rsplit_once('@').map_or((None, place), |(login, host)| (Some(login), host));
        if web && login.is_some() {
            return Err("there is a user before `@`, which is not supported".to_owned());
        }
        let is_name = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
        if login.is_some_and(|login| login.is_empty() || !is_name(login))
            || host.contains(':') && key.contains('@')
        {
            return Err("only the name of a profile may be before `@`, and no key".to_owned());
        }
        let holder = if web { "host" } else { "bucket" };
        if host.is_empty() {
            return Err(format!("it has no {holder}"));
        }
        if !(if web { is_host(host) } else { is_name(host) }) {
            return Err(format!("its {holder} has characters that no such name has"));
        }
        let (key, host) = (decoded(key)?, host.to_owned());
        Ok(Self { scheme, login: login.map(str::to_owned), host, key })
    }

    /// The URL of a file, if its path is absolute and UTF-8.
    pub(crate) fn of_file(path: &Path) -> Option<Self> {
        let key = path.to_str()?.strip_prefix('/')?.to_owned();
        Some(Self { scheme: Scheme::File, login: None, host: String::new(), key })
    }

    pub(crate) fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The bucket, or the host and its port.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// The key of the object, decoded.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// Whether it has a login. The name of a profile of s3 is none.
    pub(crate) fn has_login(&self) -> bool {
        self.login.is_some() && self.scheme != Scheme::S3
    }

    /// The name of the profile.
    #[cfg(feature = "stores")]
    pub(super) fn login(&self) -> Option<&str> {
        self.login.as_deref()
    }

    /// The path of a file.
    pub(crate) fn path(&self) -> Option<PathBuf> {
        (self.scheme == Scheme::File).then(|| PathBuf::from(format!("/{}", self.key)))
    }

    /// Something below this one, by a path that is not encoded. `.` and `..` in it are followed.
    pub(crate) fn join(&self, path: &str) -> Self {
        let mut segments: Vec<&str> = self.key.split('/').filter(|segment| !segment.is_empty()).collect();
        for segment in path.split('/') {
            match segment {
                "" | "." => {}
                ".." => drop(segments.pop()),
                segment => segments.push(segment),
            }
        }
        let slash = if path.is_empty() || path.ends_with('/') { "/" } else { "" };
        Self { key: segments.join("/") + slash, ..self.clone() }
    }

    /// The folder that it is in.
    pub(crate) fn parent(&self) -> Self {
        let key = self.key.trim_end_matches('/').rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
        Self { key, ..self.clone() }
    }

    /// The same store without a key: what one client serves.
    pub(super) fn store(&self) -> Self {
        Self { key: String::new(), ..self.clone() }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.scheme.name())?;
        if let (Scheme::S3, Some(profile)) = (self.scheme, &self.login) {
            write!(f, "{profile}@")?;
        }
        write!(f, "{}/{}", self.host, utf8_percent_encode(&self.key, ENCODED))
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn decoded(path: &str) -> Result<String, String> {
    let text = percent_decode_str(path).decode_utf8().map_err(|_| "its path is not UTF-8")?;
    Ok(text.into_owned())
}

/// Whether a text is the name or the address of a host, perhaps with a port.
pub(super) fn is_host(text: &str) -> bool {
    let (name, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) => {
            (address.replace(':', ""), rest.strip_prefix(':').or(rest.is_empty().then_some("0")))
        }
        None => match text.split_once(':') {
            Some((name, port)) => (name.to_owned(), Some(port)),
            None => (text.to_owned(), Some("0")),
        },
    };
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    !name.is_empty() && name.chars().all(fits) && port.is_some_and(|port| port.parse::<u16>().is_ok())
}

/// The scheme of a URL; a path has none.
#[must_use]
pub fn scheme(text: &str) -> Option<&str> {
    let (scheme, _) = text.split_once("://")?;
    let word = scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    (word && scheme.starts_with(|c: char| c.is_ascii_alphabetic())).then_some(scheme)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_decoded_and_shown_encoded() {
        let url = Url::parse("s3://bucket/a%20b/50%25%23+%C3%A9.parq").unwrap();
        assert_eq!((url.host(), url.key()), ("bucket", "a b/50%#+é.parq"));
        assert_eq!(url.to_string(), "s3://bucket/a%20b/50%25%23+%C3%A9.parq");
        assert_eq!(Url::parse(&url.to_string()), Ok(url));
        assert_eq!(Url::parse("gs://b").unwrap().join("x y").to_string(), "gs://b/x%20y");
        assert_eq!(Url::parse("file:///a%20b/").unwrap().join("c").path(), Some(PathBuf::from("/a b/c")));
        assert_eq!(Url::parse("file://host/a").unwrap().path(), Some(PathBuf::from("/a")));
        assert_eq!(Url::parse("https://h:8/a/b/c.yaml").unwrap().parent().to_string(), "https://h:8/a/b");
        assert_eq!((scheme("/a://b"), scheme("1a://b")), (None, None));
        assert_eq!(Url::parse("s3://b/x.parq?versionId=1#a").unwrap().key(), "x.parq");
        assert_eq!(Url::parse("s3://b/x/").unwrap().join("./a//../b/c").to_string(), "s3://b/x/b/c");
        assert_eq!(Url::parse("https://[::1]:8/x").unwrap().host(), "[::1]:8");
    }

    #[test]
    fn no_login_is_shown_but_the_name_of_a_profile() {
        for (text, shown) in
            [("s3://usdf@bucket/x", "s3://usdf@bucket/x"), ("https://there:8080/x", "https://there:8080/x")]
        {
            let url = Url::parse(text).unwrap();
            assert_eq!((url.to_string(), format!("{url:?}")), (shown.to_owned(), shown.to_owned()));
        }
    }

    #[test]
    fn what_is_no_url_of_a_store_is_refused() {
        for (text, said) in [
            ("/a/b", "no scheme"),
            ("az://b/x", "not one of s3"),
            ("s3:///x", "no bucket"),
            ("https:///x", "no host"),
            ("https://h/x?sig=hunter2", "query"),
            ("s3://b/%ff", "UTF-8"),
            ("s3://key:hunter2@b/x", "profile"),
            ("s3://key:hun/ter2@b/x", "profile"),
            ("http://me:hunter2@h/x", "user"),
            ("http://me:hun/ter2@h/x", "profile"),
            ("http://me:12/hunter2@h/x", "profile"),
            ("http://hunter 2/x", "host"),
            ("http://h:99999/x", "host"),
            ("s3://b u/x", "bucket"),
        ] {
            let error = Url::parse(text).unwrap_err();
            assert!(error.contains(said) && !error.contains("hunter2"), "{text}: {error}");
        }
    }
}

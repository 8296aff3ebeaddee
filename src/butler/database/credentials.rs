//! Butler's own file of database credentials: `~/.lsst/db-auth.yaml`.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use glob::Pattern;
use serde::Deserialize;

use crate::butler::error::Error;
use crate::environment::Environment;
use crate::postgres::connect::parse_dsn;

/// Holds the credentials themselves, as JSON.
const INLINE: &str = "LSST_DB_AUTH_CREDENTIALS";
const FILE: &str = "LSST_DB_AUTH";
/// The file in the home folder, unless one is named.
const DEFAULT_FILE: &str = ".lsst/db-auth.yaml";
/// The permissions of all but the owner.
const OTHERS: u32 = 0o077;

/// The database that credentials are for.
pub(super) struct Login {
    pub user: Option<String>,
    pub host: String,
    pub port: Option<String>,
    pub database: String,
}

/// An entry of the file.
#[derive(Deserialize)]
pub(super) struct Credentials {
    url: String,
    pub username: Option<String>,
    pub password: String,
}

/// The first entry that fits, if there is one.
pub(super) fn find(wanted: &Login, env: &Environment) -> Result<Option<Credentials>, Error> {
    let Some((origin, text)) = read(env)? else { return Ok(None) };
    // The message of the parser may show the line, and so the password.
    let entries: Vec<Credentials> = serde_saphyr::from_str(&text).map_err(|error| {
        let at = error.location().map(|at| format!(" (line {})", at.line())).unwrap_or_default();
        wrong(&origin, format!("it must be a list of entries with `url`, `username` and `password`{at}"))
    })?;
    for (number, entry) in entries.into_iter().enumerate() {
        let number = number + 1;
        if fits(wanted, &entry.url).map_err(|message| wrong(&origin, format!("entry {number}: {message}")))? {
            return Ok(Some(entry));
        }
    }
    Ok(None)
}

fn wrong(origin: &str, message: String) -> Error {
    Error::Config { origin: origin.to_owned(), message }
}

/// The credentials as text, and where they are from.
fn read(env: &Environment) -> Result<Option<(String, String)>, Error> {
    env.check_utf8(FILE).map_err(|error| wrong(&format!("`{}`", error.name), error.to_string()))?;
    if let Some(text) = env.variable(INLINE) {
        return Ok(Some((format!("`{INLINE}`"), text.to_owned())));
    }
    let named = |path: &str| {
        path.strip_prefix("~/").and_then(|rest| env.in_home(rest)).unwrap_or_else(|| path.into())
    };
    let path = env.variable(FILE).map(named).or_else(|| env.in_home(DEFAULT_FILE));
    let Some(path) = path else { return Ok(None) };
    let Ok(metadata) = fs::metadata(&path) else { return Ok(None) };
    let origin = format!("`{}`", path.display());
    if metadata.permissions().mode() & OTHERS != 0 {
        let message = format!("others may read it: chmod 600 {}", path.display());
        return Err(wrong(&origin, message));
    }
    let text = fs::read_to_string(&path).map_err(|error| wrong(&origin, error.to_string()))?;
    Ok(Some((origin, text)))
}

/// Whether an entry's URL, in which host and database are patterns, is for the database.
fn fits(wanted: &Login, url: &str) -> Result<bool, String> {
    let (scheme, rest) = url.split_once("://").ok_or("its `url` does not name a type of database")?;
    if scheme.contains('+') {
        return Err(format!(
            "its `url` must start with `{}://`",
            scheme.split('+').next().unwrap_or_default()
        ));
    }
    if scheme != "postgresql" {
        return Ok(false);
    }
    let pairs = parse_dsn(&format!("postgresql://{rest}")).map_err(|error| format!("its `url`: {error}"))?;
    let part = |name: &str| pairs.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str());
    if part("dbname").is_some_and(|pattern| !matches(pattern, &wanted.database))
        || part("user").is_some_and(|user| wanted.user.as_deref() != Some(user))
    {
        return Ok(false);
    }
    let host = part("host").ok_or("its `url` has no host")?;
    Ok(matches(&host.to_lowercase(), &wanted.host)
        && part("port").is_none_or(|port| wanted.port.as_deref() == Some(port)))
}

/// Whether a text fits a pattern as Python's `fnmatch` has it: `*`, `?` (which a URL cannot hold) and `[0-9]`; a bracket
/// that is not closed stands for itself.
fn matches(pattern: &str, text: &str) -> bool {
    let mut pattern = pattern.to_owned();
    while pattern.contains("**") {
        pattern = pattern.replace("**", "*");
    }
    loop {
        let error = match Pattern::new(&pattern) {
            Ok(pattern) => return pattern.matches(text),
            Err(error) => error,
        };
        match pattern.char_indices().nth(error.pos) {
            Some((at, '[')) => pattern.replace_range(at..=at, "[[]"),
            _ => return pattern == text,
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests lay out files")]
mod tests {
    use super::*;

    fn wanted() -> Login {
        let text = |text: &str| text.to_owned();
        Login {
            user: Some(text("me")),
            host: text("db.example.org"),
            port: Some(text("5432")),
            database: text("lsst_1"),
        }
    }

    #[test]
    fn entries_fit_as_they_do_in_python() {
        for url in [
            "postgresql://*",
            "postgresql://*.example.org",
            "postgresql://DB.example.org/lsst_*",
            "postgresql://db.example.org/**",
            "postgresql://db.example.org/lsst_[0-9]",
            "postgresql://db.example.org:5432/lsst_1",
            "postgresql://me@db.example.org/",
            "postgresql://*/[!x]*",
            "postgresql://*/lsst_[]1]",
        ] {
            assert_eq!(fits(&wanted(), url), Ok(true), "{url}");
        }
        for url in [
            "sqlite://*",
            "postgresql://*.example.com",
            "postgresql://db.example.org:5433",
            "postgresql://you@db.example.org",
            "postgresql://db.example.org/lsst",
            // To a URL, a question mark is the beginning of its query.
            "postgresql://db.example.org/lsst_?",
            "postgresql://*/lsst_[",
            "postgresql://*/lsst_[1",
            "postgresql://*/lsst_[9-0]",
            "postgresql://*/LSST_1",
            // What does not fit needs no host.
            "postgresql:///other",
            "postgresql://you@/lsst_1",
        ] {
            assert_eq!(fits(&wanted(), url), Ok(false), "{url}");
        }
        assert_eq!(fits(&Login { port: None, ..wanted() }, "postgresql://*:5432"), Ok(false));
        for url in ["postgresql+psycopg2://*", "db.example.org", "postgresql:///lsst_1"] {
            assert!(fits(&wanted(), url).is_err(), "{url}");
        }
        for (pattern, text, expected) in [
            ("lsst_[", "lsst_[", true),
            ("*[", "lsst_[", true),
            ("a[b][", "ab[", true),
            ("é[[", "é[[", true),
            ("a[[]b]", "ab[", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern}");
        }
    }

    #[test]
    fn credentials_that_are_not_utf8_are_refused_and_not_shown() {
        use std::os::unix::ffi::OsStringExt;
        for name in [INLINE, FILE] {
            let value = std::ffi::OsString::from_vec(b"hunter2\xf6".to_vec());
            let env = Environment { not_utf8: [(name.to_owned(), value)].into(), ..Environment::default() };
            let error = find(&wanted(), &env).err().unwrap().to_string();
            assert!(error.contains(name) && error.contains("is not UTF-8"), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn an_entry_that_does_not_fit_does_not_hide_the_next() {
        let json = r#"[{"url": "postgresql://*/lsst_[", "password": "first"},
                       {"url": "postgresql://*", "username": "late", "password": "second"}]"#;
        let variables = [(INLINE.to_owned(), json.to_owned())].into();
        let env = Environment { variables, ..Environment::default() };
        assert_eq!(find(&wanted(), &env).unwrap().unwrap().password, "second");
    }

    #[test]
    fn a_file_that_others_may_read_is_refused_and_no_secret_is_shown() {
        let folder = tempfile::tempdir().unwrap();
        let home = Some(folder.path().to_owned());
        let env = Environment { home, ..Environment::default() };
        assert!(find(&wanted(), &env).unwrap().is_none());
        fs::create_dir(folder.path().join(".lsst")).unwrap();
        let path = folder.path().join(DEFAULT_FILE);
        let chmod = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        fs::write(&path, b"- url: postgresql://*\n  username: u\n  password: hunter2\n").unwrap();
        chmod(0o644);
        assert!(find(&wanted(), &env).err().unwrap().to_string().contains("chmod 600"));
        chmod(0o600);
        let found = find(&wanted(), &env).unwrap().unwrap();
        assert_eq!((found.username.as_deref(), found.password.as_str()), (Some("u"), "hunter2"));
        fs::write(&path, b"- url: postgresql://*\n  password: {hunter2\n").unwrap();
        chmod(0o600);
        let error = find(&wanted(), &env).err().unwrap().to_string();
        assert!(error.contains("must be a list") && !error.contains("hunter2"), "{error}");
    }
}

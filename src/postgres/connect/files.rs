//! libpq's two files: named groups of settings, and passwords.
//!
//! The crates that read them hand over a finished configuration and lose where a setting came from; hence our own.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::settings::{Origin, Secret, Setting, Settings};
use crate::environment::Environment;
use crate::regular;

/// Where Debian's libpq looks when `PGSYSCONFDIR` is not set; upstream's folder depends on how it was built.
const SYSTEM_FOLDER: &str = "/etc/postgresql-common";

/// Why a service cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    #[error("service `{service}` is not defined (looked in {})", looked.join(", "))]
    NotDefined { service: String, looked: Vec<String> },
    #[error("cannot read service file `{}`", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    /// A line that is no setting.
    #[error("{}:{line}: {problem}", path.display())]
    Line { path: PathBuf, line: usize, problem: String },
}

/// Adds the settings of a service.
pub(super) fn add_service(
    service: &str,
    environment: &Environment,
    settings: &mut Settings,
) -> Result<(), ServiceError> {
    let named = environment.variable("PGSERVICEFILE").map(PathBuf::from);
    let must_exist = named.is_some();
    let own = named.or_else(|| environment.in_home(".pg_service.conf"));
    let system = Path::new(environment.variable("PGSYSCONFDIR").unwrap_or(SYSTEM_FOLDER));
    let system = system.join("pg_service.conf");
    let files = own.into_iter().map(|path| (path, must_exist)).chain([(system, false)]);
    let mut looked = Vec::new();
    for (path, must_exist) in files {
        looked.push(path.display().to_string());
        if !must_exist && !path.exists() {
            continue;
        }
        let bytes =
            regular::read(&path).map_err(|source| ServiceError::Read { path: path.clone(), source })?;
        if add_from(&String::from_utf8_lossy(&bytes), &path, service, settings)? {
            return Ok(());
        }
    }
    Err(ServiceError::NotDefined { service: service.to_owned(), looked })
}

/// Adds the settings of a service if the text defines it; whether it does. As in libpq, only the lines of the service
/// are checked.
fn add_from(text: &str, path: &Path, service: &str, settings: &mut Settings) -> Result<bool, ServiceError> {
    let mut inside = false;
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        let wrong = |problem: String| ServiceError::Line { path: path.to_owned(), line: number, problem };
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(group) = line.strip_prefix('[') {
            if inside {
                break;
            }
            inside = group.strip_prefix(service).is_some_and(|rest| rest.starts_with(']'));
            continue;
        }
        if !inside {
            continue;
        }
        if line.contains(char::REPLACEMENT_CHARACTER) {
            return Err(wrong("it is not UTF-8".to_owned()));
        }
        if line.starts_with("ldap") {
            return Err(wrong("services in LDAP are not supported".to_owned()));
        }
        let (name, value) = line.split_once('=').ok_or_else(|| wrong("it is not `name=value`".to_owned()))?;
        if name == "service" {
            return Err(wrong("a service cannot name another service".to_owned()));
        }
        let origin = Origin::ServiceFile { path: path.to_owned(), line: number };
        settings.add(name, value, origin).map_err(|problem| wrong(format!("`{name}` {problem}")))?;
    }
    Ok(inside)
}

/// The login that a password is for.
pub(super) struct Login<'a> {
    pub host: &'a str,
    pub port: u16,
    pub dbname: &'a str,
    pub user: &'a str,
}

/// The password for one server, as far as one is known.
#[derive(Default)]
pub(super) struct Password {
    pub found: Option<Setting>,
    /// A password file that must not be used, and why.
    pub warning: Option<String>,
}

/// What the password file at a path says.
pub(super) fn password(path: &Path, wanted: &Login<'_>) -> Password {
    let Ok(metadata) = fs::metadata(path) else { return Password::default() };
    let ignored = |why: &str| {
        let warning = format!("password file `{}` is ignored: {why}", path.display());
        Password { found: None, warning: Some(warning) }
    };
    if metadata.is_file() && metadata.permissions().mode() & 0o077 != 0 {
        return ignored("others can read it; its permissions must be 0600 or less");
    }
    let bytes = match regular::read(path) {
        Ok(bytes) => bytes,
        Err(error) => return ignored(&error.to_string()),
    };
    let found = find_in(&String::from_utf8_lossy(&bytes), wanted);
    let Some((password, line)) = found else { return Password::default() };
    // Another password than the one in the file must not be sent.
    if password.contains(char::REPLACEMENT_CHARACTER) {
        return ignored(&format!("the password in line {line} is not UTF-8"));
    }
    let origin = Origin::PasswordFile { path: path.to_owned(), line };
    Password { found: Some(Setting { value: Secret::from(password), origin }), warning: None }
}

fn find_in(text: &str, wanted: &Login<'_>) -> Option<(String, usize)> {
    let port = wanted.port.to_string();
    let expected = [wanted.host, &port, wanted.dbname, wanted.user];
    text.lines().enumerate().find_map(|(index, line)| {
        if line.is_empty() || line.starts_with('#') {
            return None;
        }
        let mut rest = line;
        for value in expected {
            rest = matched(rest, value)?;
        }
        Some((unescaped(rest), index + 1))
    })
}

/// What follows the field and its colon, if the field is `*` or, its escapes taken out, the value.
fn matched<'a>(line: &'a str, value: &str) -> Option<&'a str> {
    if let Some(rest) = line.strip_prefix("*:") {
        return Some(rest);
    }
    let mut value = value.chars();
    let mut chars = line.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            ':' => return value.next().is_none().then(|| &line[at + 1..]),
            '\\' => {
                let (_, escaped) = chars.next()?;
                (value.next() == Some(escaped)).then_some(())?;
            }
            c => (value.next() == Some(c)).then_some(())?,
        }
    }
    None
}

/// The password, its escapes taken out; as in libpq it ends at a colon that is not escaped.
fn unescaped(text: &str) -> String {
    let mut chars = text.chars();
    let mut plain = String::with_capacity(text.len());
    while let Some(c) = chars.next() {
        match c {
            ':' => break,
            '\\' => plain.push(chars.next().unwrap_or('\\')),
            c => plain.push(c),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# comment\n[other]\nnonsense\n[mpc]\n  host=h1\nport=5433  \nhost=h2\noptions=-c a=b\n[mpc]\nuser=u\n";

    fn read(text: &str, service: &str) -> Result<Option<Settings>, String> {
        let mut settings = Settings::default();
        let found = add_from(text, Path::new("f"), service, &mut settings).map_err(|e| e.to_string())?;
        Ok(found.then_some(settings))
    }

    #[test]
    fn the_first_value_of_the_first_group_counts() {
        let settings = read(FILE, "mpc").unwrap().unwrap();
        assert_eq!(settings.value("host"), Some("h1"));
        assert_eq!(settings.origin("host"), Origin::ServiceFile { path: "f".into(), line: 5 });
        assert_eq!(settings.value("port"), Some("5433"));
        assert_eq!(settings.value("options"), Some("-c a=b"));
        assert_eq!(settings.value("user"), None);
    }

    #[test]
    fn mistakes_count_only_in_the_service_that_is_used() {
        assert!(read(FILE, "none").unwrap().is_none());
        for (text, expected) in [
            // What may be a password is not shown.
            ("[s]\npassword secret", "f:2: it is not `name=value`"),
            ("[s]\n\nhost = h", "f:3: `host ` is not a connection setting of libpq"),
            ("[s]\nuser=K\u{fffd}ln", "f:2: it is not UTF-8"),
            ("[s]\nservice=t", "f:2: a service cannot name another service"),
            ("[s]\nldap://x", "f:2: services in LDAP are not supported"),
            ("[s]\nsslcrldir=x", "f:2: `sslcrldir` is not supported here: remove it"),
        ] {
            assert_eq!(read(text, "s").unwrap_err(), expected);
        }
    }

    fn found(text: &str, host: &str, port: u16, dbname: &str, user: &str) -> Option<(String, usize)> {
        find_in(text, &Login { host, port, dbname, user })
    }

    #[test]
    fn the_first_line_that_fits_counts() {
        let text = "# c\n\nh:5432:d:u:one\nh:*:*:u:two\n*:*:*:*:three\r\n";
        assert_eq!(found(text, "h", 5432, "d", "u"), Some(("one".into(), 3)));
        assert_eq!(found(text, "h", 1, "x", "u"), Some(("two".into(), 4)));
        assert_eq!(found(text, "g", 1, "x", "v"), Some(("three".into(), 5)));
    }

    #[test]
    fn escapes_are_taken_out() {
        let text = "a\\:b:1:d\\\\e:*:p\\:q\\\\r\\:s\n\\*:1:d:u:star\n";
        assert_eq!(found(text, "a:b", 1, r"d\e", "u"), Some((r"p:q\r:s".into(), 1)));
        assert_eq!(found(text, "*", 1, "d", "u"), Some(("star".into(), 2)));
        assert_eq!(found("*:*:*:*:end:more", "*", 1, "d", "u"), Some(("end".into(), 1)));
        assert_eq!(found(text, "x", 1, "d", "u"), None);
    }

    #[test]
    fn a_field_must_fit_as_a_whole() {
        for line in ["host:1:d:u:p", "h*:1:d:u:p", "h:11:d:u:p", "h:1:d:u", "h:1:dd:u:p"] {
            assert_eq!(found(line, "h", 1, "d", "u"), None, "{line}");
        }
    }

    #[test]
    fn a_file_that_others_can_read_is_ignored() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pass");
        crate::durable::write(&path, b"*:*:*:*:p\n").unwrap();
        let wanted = Login { host: "h", port: 1, dbname: "d", user: "u" };
        for (mode, used) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false), (0o601, false)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let Password { found, warning } = password(&path, &wanted);
            assert_eq!((found.is_some(), warning.is_none()), (used, used), "{mode:o}");
        }
        crate::durable::write(&path, b"x:*:*:*:K\xf6ln\nh:*:*:*:K\xf6ln\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let warning = |path: &Path| password(path, &wanted).warning.unwrap();
        assert!(warning(&path).ends_with("is ignored: the password in line 2 is not UTF-8"));
        assert!(warning(folder.path()).contains("it is a folder, not a file to read"));
        let none = password(&folder.path().join("none"), &wanted);
        assert!(none.found.is_none() && none.warning.is_none());
    }
}

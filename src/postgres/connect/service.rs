//! Service files: named groups of settings.
//!
//! The crates that read them hand over a finished configuration and lose where a setting came from; hence our own.

use std::path::{Path, PathBuf};

use super::settings::{Origin, Refused, Settings};
use crate::environment::Environment;
use crate::regular;

/// Where Debian's libpq looks when `PGSYSCONFDIR` is not set; upstream's folder depends on how it was built.
const SYSTEM_FOLDER: &str = "/etc/postgresql-common";

/// Why a service cannot be used.
#[expect(missing_docs, reason = "the messages say what the fields are")]
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// No file has it.
    #[error("service `{service}` is not defined (looked in {})", looked.join(", "))]
    NotDefined { service: String, looked: Vec<String> },
    /// A file that has to be there cannot be read.
    #[error("cannot read service file `{}`", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    /// A line that is no setting.
    #[error("{}:{line}: {problem}", path.display())]
    Line { path: PathBuf, line: usize, problem: String },
}

/// Adds the settings of a service.
///
/// # Errors
/// [`ServiceError`].
pub(super) fn add(
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
        settings.add(name, value, origin).map_err(|refused| match refused {
            Refused::Unknown => wrong(format!("`{name}` is not a connection setting of libpq")),
            Refused::NotSupported => wrong(format!("`{name}` is not supported with this value")),
        })?;
    }
    Ok(inside)
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
            ("[s]\nsslcrldir=x", "f:2: `sslcrldir` is not supported with this value"),
        ] {
            assert_eq!(read(text, "s").unwrap_err(), expected);
        }
    }
}

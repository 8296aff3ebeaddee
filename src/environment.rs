//! What the process's surroundings say about a connection: variables, home folder, user.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

/// The surroundings of the process, as far as libpq looks at them.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// Environment variables.
    pub variables: BTreeMap<String, String>,
    /// Environment variables whose values are not UTF-8: they are not the same as variables that are not set.
    pub not_utf8: BTreeMap<String, OsString>,
    /// The user's home folder.
    pub home: Option<PathBuf>,
    /// The operating system's name for the user.
    pub user: Option<String>,
}

/// A variable that is set, but not to text.
#[derive(Debug, thiserror::Error)]
#[error("the value of environment variable `{name}` is not UTF-8: set it again in UTF-8, or unset it")]
pub struct NotUtf8 {
    /// Its name.
    pub name: String,
}

impl Environment {
    /// Those of this process. A variable whose name is not UTF-8 is left out: it cannot be asked for.
    #[must_use]
    pub fn of_process() -> Self {
        let mut found = Self { home: std::env::home_dir(), user: whoami::username().ok(), ..Self::default() };
        for (name, value) in std::env::vars_os() {
            let Ok(name) = name.into_string() else { continue };
            match value.into_string() {
                Ok(value) => drop(found.variables.insert(name, value)),
                Err(value) => drop(found.not_utf8.insert(name, value)),
            }
        }
        found
    }

    /// The value of a variable as it is, UTF-8 or not.
    #[must_use]
    pub fn raw(&self, name: &str) -> Option<OsString> {
        self.variables.get(name).map(OsString::from).or_else(|| self.not_utf8.get(name).cloned())
    }

    /// Refuses variables with this beginning that are set and are not UTF-8.
    ///
    /// # Errors
    /// [`NotUtf8`], with the name of the first.
    pub fn check_utf8(&self, beginning: &str) -> Result<(), NotUtf8> {
        let mut names = self.not_utf8.keys().filter(|name| name.starts_with(beginning));
        names.next().map_or(Ok(()), |name| Err(NotUtf8 { name: name.clone() }))
    }

    /// Removes the variables whose names do not fit, UTF-8 or not.
    pub(crate) fn retain(&mut self, fits: impl Fn(&str) -> bool) {
        self.variables.retain(|name, _| fits(name));
        self.not_utf8.retain(|name, _| fits(name));
    }

    /// A variable that is set and not empty.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A file in the home folder.
    pub(super) fn in_home(&self, path: &str) -> Option<PathBuf> {
        self.home.as_ref().map(|home| home.join(path))
    }
}

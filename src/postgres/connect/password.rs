//! The password of a login: which one, and what to say of it when the login fails.

use super::attempt::AttemptError;
use super::endpoint::{Endpoint, SOCKET_FOLDERS};
use super::login::LoginError;
use super::passfile::{self, Login};
use super::settings::{Origin, Secret};
use super::target::Target;

/// libpq's name in the password file for servers that are reached by the usual socket.
const LOCAL: &str = "localhost";
/// SQLSTATE of a password that is wrong.
const INVALID_PASSWORD: &str = "28P01";

/// The password for one server, as far as one is known.
pub(super) struct Password {
    found: Option<(Secret, Origin)>,
    /// A password file that must not be used, and why.
    pub warning: Option<String>,
}

impl Password {
    /// What is said, else what the password file says.
    pub(super) fn find(target: &Target, endpoint: &Endpoint) -> Self {
        if let Some(found) = &target.password {
            return Self { found: Some(found.clone()), warning: None };
        }
        let Some(path) = &target.password_file else { return Self { found: None, warning: None } };
        let host = match endpoint.socket() {
            Some(_) if SOCKET_FOLDERS.contains(&endpoint.host.as_str()) => LOCAL,
            _ => &endpoint.host,
        };
        let wanted = Login { host, port: endpoint.port, dbname: &target.dbname, user: &target.user };
        let (found, warning) = passfile::find(path, &wanted);
        Self { found, warning }
    }

    pub(super) fn secret(&self) -> Option<&Secret> {
        self.found.as_ref().map(|(secret, _)| secret)
    }

    /// The error, with where a wrong password came from, or why the file was not used that may have the right one.
    pub(super) fn remark_on(&self, error: AttemptError) -> AttemptError {
        let AttemptError::Login { cause, .. } = error else { return error };
        let remark = match (&self.found, &cause) {
            (Some((_, origin)), LoginError::Refused(error)) if error.code == INVALID_PASSWORD => {
                Some(format!("the password is from {origin}"))
            }
            _ => self.warning.clone(),
        };
        AttemptError::Login { remark: remark.map(|remark| format!(" ({remark})")).unwrap_or_default(), cause }
    }
}

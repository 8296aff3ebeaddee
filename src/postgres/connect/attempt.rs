//! Why no server can be used.

use std::fmt;
use std::io;

use super::login::LoginError;
use super::tls::TlsError;

/// Why no server could be used.
#[derive(Debug)]
pub struct ConnectError {
    /// What was tried, in order; never empty.
    pub attempts: Vec<Attempt>,
}

/// One server that was tried.
#[derive(Debug)]
pub struct Attempt {
    /// Host, port, database and user, with their origins.
    pub settings: String,
    /// What failed.
    pub error: AttemptError,
}

/// Why a server could not be used.
#[expect(missing_docs, reason = "the messages say what the fields are")]
#[derive(Debug, thiserror::Error)]
pub enum AttemptError {
    /// The host name has no address.
    #[error("the host name cannot be looked up")]
    Lookup(#[source] io::Error),
    /// The server cannot be reached.
    #[error("the server cannot be reached (is it running, and does it listen there?)")]
    Reach(#[source] io::Error),
    /// TLS cannot be set up on our side.
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("the TLS handshake failed")]
    Handshake(#[source] io::Error),
    /// TLS is asked for and the server has none.
    #[error("sslmode is {0}, but the server has no TLS")]
    NoTls(&'static str),
    #[error("the login failed{remark}")]
    Login {
        remark: String,
        #[source]
        cause: LoginError,
    },
    /// The server is not of the kind that `target_session_attrs` asks for.
    #[error("the server is not {0}, which target_session_attrs requires")]
    Kind(&'static str),
}

impl From<LoginError> for AttemptError {
    fn from(cause: LoginError) -> Self {
        Self::Login { remark: String::new(), cause }
    }
}

/// SQLSTATE of a server that starts, stops or recovers.
const CANNOT_CONNECT_NOW: &str = "57P03";

impl AttemptError {
    /// Whether a server that could be reached turned the login down. As with libpq, no other host is tried then: none of
    /// them shall see a password that was meant for this one.
    pub(super) fn is_refusal(&self) -> bool {
        match self {
            Self::Login { cause: LoginError::Refused(error), .. } => error.code != CANNOT_CONNECT_NOW,
            Self::Login { cause, .. } => !matches!(cause, LoginError::Io(_)),
            _ => false,
        }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [attempt] = self.attempts.as_slice() {
            return write!(f, "cannot connect to Postgres: {}", attempt.settings);
        }
        write!(f, "cannot connect to Postgres: none of {} servers can be used", self.attempts.len())?;
        for attempt in &self.attempts {
            write!(f, "\n  {}: {}", attempt.settings, attempt.error)?;
            let mut cause = std::error::Error::source(&attempt.error);
            while let Some(error) = cause {
                write!(f, ": {error}")?;
                cause = error.source();
            }
        }
        Ok(())
    }
}

impl std::error::Error for ConnectError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self.attempts.as_slice() {
            [attempt] => Some(&attempt.error),
            _ => None,
        }
    }
}

impl ConnectError {
    /// Whether trying again may help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.attempts.iter().any(|attempt| match &attempt.error {
            AttemptError::Lookup(_) | AttemptError::Reach(_) | AttemptError::Kind(_) => true,
            AttemptError::Login { cause: LoginError::Refused(error), .. } => error.is_transient(),
            AttemptError::Handshake(error) | AttemptError::Login { cause: LoginError::Io(error), .. } => {
                error.kind() != io::ErrorKind::InvalidData
            }
            AttemptError::Tls(_) | AttemptError::NoTls(_) | AttemptError::Login { .. } => false,
        })
    }
}

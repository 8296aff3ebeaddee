//! Why it is not clear what to connect to.

use super::service::ServiceError;
use super::settings::Origin;
use crate::dsn::DsnError;
use crate::environment::NotUtf8;

/// Why it is not clear what to connect to.
#[expect(missing_docs, reason = "the messages say what the fields are")]
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// The connection string cannot be read.
    #[error("cannot read the connection string of {given_by}")]
    Dsn { given_by: String, source: DsnError },
    /// A name in the connection string that libpq does not know.
    #[error("`{name}` ({origin}) is not a connection setting of libpq")]
    Unknown { name: String, origin: Origin },
    /// A setting whose value asks for something that is not done here.
    #[error("`{name}` ({origin}) is not supported with this value")]
    NotSupported { name: String, origin: Origin },
    /// A value that does not fit its setting.
    #[error("`{name}` ({origin}) {problem}")]
    Value { name: &'static str, origin: Origin, problem: String },
    /// A variable that may say what to connect to cannot be read.
    #[error(transparent)]
    NotUtf8(NotUtf8),
    /// The service cannot be used.
    #[error("cannot use service `{service}` ({origin})")]
    Service { service: String, origin: Origin, source: ServiceError },
}

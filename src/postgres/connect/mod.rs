//! From what people say about a connection to a socket on which a session is open, by libpq's rules.
//!
//! [`settings`](Origin), [`crate::dsn`], `service`, `passfile` gather names and values; [`Target`] checks them; `open` tries the
//! hosts in turn over `socket` and `tls` and logs in. Not a place for queries.

mod attempt;
mod choices;
mod endpoint;
mod login;
mod open;
mod params;
mod passfile;
mod password;
mod service;
mod settings;
mod socket;
mod target;
mod target_error;
#[cfg(test)]
mod tests;
mod tls;

pub use crate::dsn::DsnError;
pub use attempt::{Attempt, AttemptError, ConnectError};
pub use choices::SslMode;
pub(crate) use endpoint::DEFAULT_PORT;
pub use endpoint::Endpoint;
pub use login::LoginError;
pub(super) use open::{Session, SessionHandle, cancel, open};
pub use params::ConnectParams;
pub use service::ServiceError;
pub(crate) use settings::parse_dsn;
pub use settings::{Origin, Secret};
pub(super) use socket::Socket;
pub use target::Target;
pub use target_error::TargetError;
pub use tls::TlsError;

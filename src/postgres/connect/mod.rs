//! From what people say about a connection to a socket on which a session is open, by libpq's rules.
//!
//! [`settings`](Origin), [`crate::dsn`] and `files` gather names and values; [`Target`] checks them, each as `values` reads
//! it; `open` tries the hosts in turn over `socket` and `tls`, and `login` proves who we are. Not a place for queries.

mod files;
mod login;
mod open;
mod settings;
mod socket;
mod target;
#[cfg(test)]
mod tests;
mod tls;
mod values;

pub use crate::dsn::DsnError;
pub use files::ServiceError;
pub use login::LoginError;
pub use open::{Attempt, AttemptError, ConnectError};
pub(super) use open::{Session, SessionHandle, cancel, open};
pub(crate) use settings::parse_dsn;
pub use settings::{Origin, Secret};
pub(super) use socket::Socket;
pub use target::{ConnectParams, Target};
pub use tls::TlsError;
pub(crate) use values::DEFAULT_PORT;
pub use values::{Endpoint, SslMode, TargetError};

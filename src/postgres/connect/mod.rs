//! From the settings of a connection to a socket on which a session is open, by libpq's rules.
//!
//! `settings`, [`crate::dsn`] and `files` gather names and values; [`Target`] checks them, each as `values` reads
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

pub(super) use login::LoginError;
pub(super) use open::{AttemptError, ConnectError, Session, SessionHandle, cancel, open};
pub use settings::Secret;
pub(crate) use settings::parse_dsn;
pub(super) use socket::Socket;
pub use target::{ConnectParams, Target};
pub use values::SslMode;
pub(crate) use values::{DEFAULT_PORT, TargetError};

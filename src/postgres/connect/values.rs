//! Values of settings: reading them as what they must be, and what is wrong with them.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::files::ServiceError;
use super::settings::{Origin, Settings};
use crate::dsn::DsnError;
use crate::environment::NotUtf8;

/// Why it is not clear what to connect to.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    #[error("cannot read the connection string of {given_by}")]
    Dsn { given_by: String, source: DsnError },
    /// A setting that libpq does not know, or a value that does not fit it or is not supported.
    #[error("`{name}` ({origin}) {problem}")]
    Value { name: String, origin: Origin, problem: String },
    /// A variable that may say what to connect to cannot be read.
    #[error(transparent)]
    NotUtf8(NotUtf8),
    #[error("cannot use service `{service}` ({origin})")]
    Service { service: String, origin: Origin, source: ServiceError },
}

/// How a connection uses TLS, as libpq defines it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SslMode {
    /// Never use TLS.
    Disable,
    /// Use TLS only if the server requires TLS.
    Allow,
    /// Use TLS if the server supports TLS.
    Prefer,
    /// Always use TLS. If a root certificate exists, check the server's certificate.
    Require,
    /// Always use TLS. A known certificate authority must have signed the server's certificate.
    VerifyCa,
    /// The same as `verify-ca`. In addition, the server's certificate must contain the host name of the server.
    VerifyFull,
}

pub(super) const SSL_MODES: &[(&str, SslMode)] = &[
    ("disable", SslMode::Disable),
    ("allow", SslMode::Allow),
    ("prefer", SslMode::Prefer),
    ("require", SslMode::Require),
    ("verify-ca", SslMode::VerifyCa),
    ("verify-full", SslMode::VerifyFull),
];

impl SslMode {
    /// libpq's name for it.
    pub fn name(self) -> &'static str {
        SSL_MODES.iter().find(|(_, mode)| *mode == self).map_or("prefer", |(name, _)| name)
    }
}

/// How much a login is tied to the TLS channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChannelBinding {
    Disable,
    Prefer,
    Require,
}

pub(super) const CHANNEL_BINDINGS: &[(&str, ChannelBinding)] = &[
    ("disable", ChannelBinding::Disable),
    ("prefer", ChannelBinding::Prefer),
    ("require", ChannelBinding::Require),
];

/// Which servers will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SessionAttrs {
    Any,
    ReadWrite,
    ReadOnly,
    Primary,
    Standby,
    PreferStandby,
}

pub(super) const SESSION_ATTRS: &[(&str, SessionAttrs)] = &[
    ("any", SessionAttrs::Any),
    ("read-write", SessionAttrs::ReadWrite),
    ("read-only", SessionAttrs::ReadOnly),
    ("primary", SessionAttrs::Primary),
    ("standby", SessionAttrs::Standby),
    ("prefer-standby", SessionAttrs::PreferStandby),
];

/// TCP keepalives; the kernel's own values where nothing is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Keepalives {
    pub on: bool,
    pub idle: Option<Duration>,
    pub interval: Option<Duration>,
    pub count: Option<u32>,
    pub user_timeout: Option<Duration>,
}

impl Settings {
    /// The error for a setting whose value has this problem.
    pub(super) fn wrong(&self, name: &'static str, problem: impl Into<String>) -> TargetError {
        TargetError::Value { name: name.to_owned(), origin: self.origin(name), problem: problem.into() }
    }

    pub(super) fn choice<T: Copy>(
        &self,
        name: &'static str,
        choices: &[(&str, T)],
        default: T,
    ) -> Result<T, TargetError> {
        let Some(value) = self.value(name) else { return Ok(default) };
        let chosen = choices.iter().find(|(choice, _)| *choice == value).map(|(_, choice)| *choice);
        chosen.ok_or_else(|| {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            self.wrong(name, format!("is `{value}`, but must be one of: {}", names.join(", ")))
        })
    }

    /// A whole number; for libpq a negative one means that nothing is said.
    pub(super) fn whole(&self, name: &'static str) -> Result<Option<u64>, TargetError> {
        let Some(value) = self.value(name) else { return Ok(None) };
        match value.trim().parse::<i32>() {
            Ok(number) => Ok(u64::try_from(number).ok()),
            Err(_) => Err(self.wrong(name, format!("is `{value}`, which is not a whole number"))),
        }
    }
}

pub(crate) const DEFAULT_PORT: u16 = 5432;
/// Where Debian's and upstream's servers put their sockets.
pub(super) const SOCKET_FOLDERS: [&str; 2] = ["/var/run/postgresql", "/tmp"];

/// One server to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// The host as given: a name, an address, or the folder of a unix socket.
    pub host: String,
    /// The address to use instead of looking the name up.
    pub address: Option<IpAddr>,
    pub port: u16,
}

impl Endpoint {
    /// The unix socket, if it is one.
    pub(super) fn socket(&self) -> Option<PathBuf> {
        let local = self.address.is_none() && self.host.starts_with(['/', '@']);
        local.then(|| Path::new(&self.host).join(format!(".s.PGSQL.{}", self.port)))
    }
}

/// The servers that the settings name, in order.
pub(super) fn endpoints(settings: &Settings) -> Result<Vec<Endpoint>, TargetError> {
    let list = |name| -> Vec<&str> {
        settings.value(name).map(|value| value.split(',').collect()).unwrap_or_default()
    };
    let (hosts, addresses, ports) = (list("host"), list("hostaddr"), list("port"));
    if !hosts.is_empty() && !addresses.is_empty() && hosts.len() != addresses.len() {
        let problem = format!("names {} hosts, but `host` names {}", addresses.len(), hosts.len());
        return Err(settings.wrong("hostaddr", problem));
    }
    let count = hosts.len().max(addresses.len()).max(1);
    if ports.len() > 1 && ports.len() != count {
        return Err(settings.wrong("port", format!("gives {} ports for {count} hosts", ports.len())));
    }
    (0..count)
        .map(|index| {
            let port = match ports.get(index).or(ports.last().filter(|_| ports.len() == 1)) {
                None | Some(&"") => DEFAULT_PORT,
                Some(port) => match port.trim().parse::<u16>() {
                    Ok(port) if port > 0 => port,
                    _ => return Err(settings.wrong("port", format!("is `{port}`, which is not a port"))),
                },
            };
            let address = |text: &&str| {
                let wrong =
                    |_| settings.wrong("hostaddr", format!("is `{text}`, which is not an IP address"));
                text.parse::<IpAddr>().map_err(wrong)
            };
            let address = addresses.get(index).filter(|text| !text.is_empty()).map(address).transpose()?;
            let host = match (hosts.get(index).copied().filter(|host| !host.is_empty()), address) {
                (Some(host), _) => host.to_owned(),
                (None, Some(address)) => address.to_string(),
                (None, None) => socket_folder(port),
            };
            Ok(Endpoint { host, address, port })
        })
        .collect()
}

/// The folder in which a server's socket is, or would be.
fn socket_folder(port: u16) -> String {
    let has_socket = |folder: &&&str| Path::new(folder).join(format!(".s.PGSQL.{port}")).exists();
    let exists = |folder: &&&str| Path::new(folder).is_dir();
    let found = SOCKET_FOLDERS.iter().find(has_socket).or_else(|| SOCKET_FOLDERS.iter().find(exists));
    (*found.unwrap_or(&SOCKET_FOLDERS[1])).to_owned()
}

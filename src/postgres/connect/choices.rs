//! Values of settings: reading them as what they must be.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::settings::Settings;
use super::target_error::TargetError;

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
    #[must_use]
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

/// Reads values of settings as what they must be.
pub(super) struct Read<'a>(pub &'a Settings);

impl Read<'_> {
    pub(super) fn wrong(&self, name: &'static str, problem: impl Into<String>) -> TargetError {
        TargetError::Value { name, origin: self.0.origin(name), problem: problem.into() }
    }

    pub(super) fn choice<T: Copy>(
        &self,
        name: &'static str,
        choices: &[(&str, T)],
        default: T,
    ) -> Result<T, TargetError> {
        let Some(value) = self.0.value(name) else { return Ok(default) };
        choice(choices, value).map_err(|problem| self.wrong(name, problem))
    }

    /// A whole number; for libpq a negative one means that nothing is said.
    pub(super) fn whole(&self, name: &'static str) -> Result<Option<u64>, TargetError> {
        let Some(value) = self.0.value(name) else { return Ok(None) };
        match value.trim().parse::<i32>() {
            Ok(number) => Ok(u64::try_from(number).ok()),
            Err(_) => Err(self.wrong(name, format!("is `{value}`, which is not a whole number"))),
        }
    }
}

fn choice<T: Copy>(choices: &[(&str, T)], value: &str) -> Result<T, String> {
    choices.iter().find(|(name, _)| *name == value).map(|(_, choice)| *choice).ok_or_else(|| {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        format!("is `{value}`, but must be one of: {}", names.join(", "))
    })
}

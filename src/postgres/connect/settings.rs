//! The settings of a connection by name, and where each came from.
//!
//! libpq's names and environment variables. Not a place for what a value means: see [`super::target`].

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use crate::dsn::{self, DsnError};

/// Where a setting came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Given to [`super::ConnectParams`]: the command line or the pipeline file.
    Given(String),
    /// A part of the connection string.
    Dsn(String),
    ServiceFile {
        path: PathBuf,
        line: usize,
    },
    /// An environment variable.
    Environment(String),
    PasswordFile {
        path: PathBuf,
        line: usize,
    },
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given(by) => f.write_str(by),
            Self::Dsn(by) => write!(f, "connection string of {by}"),
            Self::ServiceFile { path, line } => write!(f, "service file {}:{line}", path.display()),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::PasswordFile { path, line } => write!(f, "password file {}:{line}", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

/// A value that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The value itself, for the server only.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(value: String) -> Self {
        Self(value)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// What is known about a setting's name.
pub(super) struct Keyword {
    pub name: &'static str,
    /// The environment variable that gives it.
    pub variable: Option<&'static str>,
    support: Support,
}

/// What we do about a setting.
enum Support {
    Obeyed,
    /// It changes nothing here: it is about GSSAPI, old protocols or the text encoding, which is always UTF-8.
    NoEffect,
    /// Ignoring it would be wrong; only these values, which ask for nothing, are taken.
    Only(&'static [&'static str]),
}

const fn obeyed(name: &'static str, variable: Option<&'static str>) -> Keyword {
    Keyword { name, variable, support: Support::Obeyed }
}

const fn no_effect(name: &'static str, variable: Option<&'static str>) -> Keyword {
    Keyword { name, variable, support: Support::NoEffect }
}

const fn only(
    name: &'static str,
    variable: Option<&'static str>,
    values: &'static [&'static str],
) -> Keyword {
    Keyword { name, variable, support: Support::Only(values) }
}

/// Every setting that libpq knows, so that a name that it does not know is a mistake here too.
pub(super) const KEYWORDS: &[Keyword] = &[
    obeyed("service", Some("PGSERVICE")),
    obeyed("host", Some("PGHOST")),
    obeyed("hostaddr", Some("PGHOSTADDR")),
    obeyed("port", Some("PGPORT")),
    obeyed("dbname", Some("PGDATABASE")),
    obeyed("user", Some("PGUSER")),
    obeyed("password", Some("PGPASSWORD")),
    obeyed("passfile", Some("PGPASSFILE")),
    obeyed("connect_timeout", Some("PGCONNECT_TIMEOUT")),
    obeyed("application_name", Some("PGAPPNAME")),
    obeyed("fallback_application_name", None),
    obeyed("options", Some("PGOPTIONS")),
    obeyed("target_session_attrs", Some("PGTARGETSESSIONATTRS")),
    obeyed("sslmode", Some("PGSSLMODE")),
    obeyed("sslrootcert", Some("PGSSLROOTCERT")),
    obeyed("sslcert", Some("PGSSLCERT")),
    obeyed("sslkey", Some("PGSSLKEY")),
    obeyed("sslcrl", Some("PGSSLCRL")),
    obeyed("sslsni", Some("PGSSLSNI")),
    obeyed("ssl_min_protocol_version", Some("PGSSLMINPROTOCOLVERSION")),
    obeyed("channel_binding", Some("PGCHANNELBINDING")),
    obeyed("keepalives", None),
    obeyed("keepalives_idle", None),
    obeyed("keepalives_interval", None),
    obeyed("keepalives_count", None),
    obeyed("tcp_user_timeout", None),
    no_effect("client_encoding", Some("PGCLIENTENCODING")),
    no_effect("sslcompression", Some("PGSSLCOMPRESSION")),
    no_effect("krbsrvname", Some("PGKRBSRVNAME")),
    no_effect("gsslib", Some("PGGSSLIB")),
    no_effect("gssdelegation", Some("PGGSSDELEGATION")),
    only("load_balance_hosts", Some("PGLOADBALANCEHOSTS"), &["disable"]),
    only("gssencmode", Some("PGGSSENCMODE"), &["disable", "prefer"]),
    only("replication", None, &["false", "off", "no", "0"]),
    only("requirepeer", Some("PGREQUIREPEER"), &[]),
    only("require_auth", Some("PGREQUIREAUTH"), &[]),
    only("sslcrldir", Some("PGSSLCRLDIR"), &[]),
    only("sslpassword", None, &[]),
    only("sslcertmode", Some("PGSSLCERTMODE"), &["allow"]),
    only("sslnegotiation", Some("PGSSLNEGOTIATION"), &["postgres"]),
    only("ssl_max_protocol_version", Some("PGSSLMAXPROTOCOLVERSION"), &["TLSv1.3"]),
];

/// What is known about a name, if it is a setting's.
pub(super) fn keyword(name: &str) -> Option<&'static Keyword> {
    KEYWORDS.iter().find(|keyword| keyword.name == name)
}

/// The pairs of a connection string, in order.
pub(crate) fn parse_dsn(text: &str) -> Result<Vec<(String, String)>, DsnError> {
    dsn::parse(text, |name| keyword(name).is_some())
}

/// A value and where it came from.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    pub value: Secret,
    pub origin: Origin,
}

/// Settings by name. The first value that is given for a name stays, so sources are added in their precedence.
#[derive(Clone, Debug, Default)]
pub(super) struct Settings(BTreeMap<&'static str, Setting>);

impl Settings {
    /// Adds a value unless there is one. The error is what is wrong with the name, or with a value that is not supported.
    pub(super) fn add(&mut self, name: &str, value: impl Into<String>, origin: Origin) -> Result<(), String> {
        let value = value.into();
        let keyword = keyword(name).ok_or("is not a connection setting of libpq")?;
        if let Support::Only(values) = keyword.support
            && !values.contains(&value.as_str())
            && !value.is_empty()
        {
            let remedy = if values.is_empty() { "" } else { ", or write one of: " };
            return Err(format!("is not supported here: remove it{remedy}{}", values.join(", ")));
        }
        self.0.entry(keyword.name).or_insert(Setting { value: Secret(value), origin });
        Ok(())
    }

    /// The setting, if it was given and is not empty: for libpq an empty value is none.
    pub(super) fn get(&self, name: &str) -> Option<&Setting> {
        self.0.get(name).filter(|setting| !setting.value.reveal().is_empty())
    }

    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.get(name).map(|setting| setting.value.reveal())
    }

    pub(super) fn origin(&self, name: &str) -> Origin {
        self.get(name).map_or(Origin::Default, |setting| setting.origin.clone())
    }
}

//! The flags that say which database to connect to. Not a place for passwords: see `fast_export`, which takes one.

use clap::Args;

use super::failure::Failure;
use super::words::word_of;
use crate::dsn::has_password;
use crate::postgres::connect::Secret;
use crate::postgres::{ConnectParams, SslMode};

/// Which database.
#[derive(Clone, Debug, Default, Args)]
#[group(skip)]
pub(crate) struct ConnectionFlags {
    /// Name of a service: a named group of connection settings in the service file
    #[arg(long, help_heading = "Database")]
    pub service: Option<String>,
    /// Connection string: a URI, or `key=value` pairs
    #[arg(long, help_heading = "Database")]
    pub dsn: Option<Secret>,
    /// Host name, IP address, or folder of the server's unix socket
    #[arg(long, help_heading = "Database")]
    pub host: Option<String>,
    /// Port of the server
    #[arg(long, help_heading = "Database")]
    pub port: Option<String>,
    /// Name of the database
    #[arg(long, help_heading = "Database")]
    pub dbname: Option<String>,
    /// Name of the database user
    #[arg(long, help_heading = "Database")]
    pub user: Option<String>,
    /// When to use TLS (an encrypted connection). The values have the same meaning as for psql
    #[arg(long, help_heading = "Database", value_parser = word_of::<SslMode>())]
    pub sslmode: Option<SslMode>,
}

impl ConnectionFlags {
    /// What the flags say about the connection.
    pub(crate) fn params(&self) -> ConnectParams {
        ConnectParams {
            service: self.service.clone(),
            dsn: self.dsn.clone(),
            host: self.host.clone(),
            port: self.port.clone(),
            dbname: self.dbname.clone(),
            user: self.user.clone(),
            password: None,
            sslmode: self.sslmode,
            given_by: "command line".to_owned(),
        }
    }

    /// Whether no flag was given.
    pub(crate) fn is_empty(&self) -> bool {
        let texts = [&self.service, &self.host, &self.port, &self.dbname, &self.user];
        texts.iter().all(|text| text.is_none()) && self.dsn.is_none() && self.sslmode.is_none()
    }

    /// Whether a password can be read off the command line.
    pub(crate) fn shows_password(&self) -> bool {
        self.dsn.as_ref().is_some_and(|dsn| has_password(dsn.reveal()))
    }

    /// Refuses a connection string with a password.
    ///
    /// # Errors
    /// A [`Failure`] of the command line.
    pub(crate) fn refuse_password(&self) -> Result<(), Failure> {
        if !self.shows_password() {
            return Ok(());
        }
        let error = anyhow::anyhow!("`--dsn` contains a password, which other users of this machine can see");
        Err(Failure::usage(error)
            .hint("leave the password out of `--dsn`, and write it into ~/.pgpass or a service file"))
    }
}

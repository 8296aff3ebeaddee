//! What people say about a connection, and all settings that follow from it.

use super::choices::SslMode;
use super::service;
use super::settings::{KEYWORDS, Origin, Refused, Secret, Settings, parse_dsn};
use super::target_error::TargetError;
use crate::environment::Environment;

/// What is said about a connection by flags or a pipeline file; the rest comes from the surroundings.
#[derive(Clone, Debug, Default)]
pub struct ConnectParams {
    /// A service of the service file.
    pub service: Option<String>,
    /// A connection string.
    pub dsn: Option<Secret>,
    /// Host name, address, or the folder of a unix socket; several with commas.
    pub host: Option<String>,
    /// Port; several with commas.
    pub port: Option<String>,
    /// Database name.
    pub dbname: Option<String>,
    /// User name.
    pub user: Option<String>,
    /// Password.
    pub password: Option<Secret>,
    /// How TLS is used.
    pub sslmode: Option<SslMode>,
    /// Who says all this, for messages: `command line`, or the pipeline file.
    pub given_by: String,
}

/// All settings that somebody gave.
pub(super) fn gather(params: &ConnectParams, environment: &Environment) -> Result<Settings, TargetError> {
    environment.check_utf8("PG").map_err(TargetError::NotUtf8)?;
    let mut settings = Settings::default();
    let by = || Origin::Given(params.given_by.clone());
    let given = [
        ("service", params.service.clone()),
        ("host", params.host.clone()),
        ("port", params.port.clone()),
        ("dbname", params.dbname.clone()),
        ("user", params.user.clone()),
        ("password", params.password.as_ref().map(|password| password.reveal().to_owned())),
        ("sslmode", params.sslmode.map(|mode| mode.name().to_owned())),
    ];
    for (name, value) in given {
        if let Some(value) = value {
            add(&mut settings, name, value, by())?;
        }
    }
    if let Some(text) = &params.dsn {
        let pairs = parse_dsn(text.reveal())
            .map_err(|source| TargetError::Dsn { given_by: params.given_by.clone(), source })?;
        // Within a connection string, libpq lets the last value of a name win.
        for (name, value) in pairs.into_iter().rev() {
            add(&mut settings, &name, value, Origin::Dsn(params.given_by.clone()))?;
        }
    }
    if let Some(service) = settings.value("service").or_else(|| environment.variable("PGSERVICE")) {
        let service = service.to_owned();
        let origin = match settings.origin("service") {
            Origin::Default => Origin::Environment("PGSERVICE".to_owned()),
            origin => origin,
        };
        service::add(&service, environment, &mut settings).map_err(|source| TargetError::Service {
            service,
            origin,
            source,
        })?;
    }
    for keyword in KEYWORDS {
        if let Some(variable) = keyword.variable
            && let Some(value) = environment.variable(variable)
        {
            add(&mut settings, keyword.name, value.to_owned(), Origin::Environment(variable.to_owned()))?;
        }
    }
    Ok(settings)
}

fn add(settings: &mut Settings, name: &str, value: String, origin: Origin) -> Result<(), TargetError> {
    settings.add(name, value, origin.clone()).map_err(|refused| match refused {
        Refused::Unknown => TargetError::Unknown { name: name.to_owned(), origin },
        Refused::NotSupported => TargetError::NotSupported { name: name.to_owned(), origin },
    })
}

//! What people say about a connection, and all settings that follow from it.

use crate::dsn::DsnError;

use super::choices::SslMode;
use super::service::{self, ServiceError};
use super::settings::{KEYWORDS, Origin, Refused, Secret, Settings, parse_dsn};
use crate::environment::{Environment, NotUtf8};

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

/// Why it is not clear what to connect to.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// The connection string cannot be read.
    #[error("cannot read the connection string of {given_by}")]
    Dsn {
        /// Who gave it.
        given_by: String,
        /// The cause.
        source: DsnError,
    },
    /// A name in the connection string that libpq does not know.
    #[error("`{name}` ({origin}) is not a connection setting of libpq")]
    Unknown {
        /// The name.
        name: String,
        /// Where it is.
        origin: Origin,
    },
    /// A setting whose value asks for something that is not done here.
    #[error("`{name}` ({origin}) is not supported with this value")]
    NotSupported {
        /// The name.
        name: String,
        /// Where it is.
        origin: Origin,
    },
    /// A value that does not fit its setting.
    #[error("`{name}` ({origin}) {problem}")]
    Value {
        /// The name.
        name: &'static str,
        /// Where the value is from.
        origin: Origin,
        /// What is wrong.
        problem: String,
    },
    /// A variable that may say what to connect to cannot be read.
    #[error(transparent)]
    NotUtf8(NotUtf8),
    /// The service cannot be used.
    #[error("cannot use service `{service}` ({origin})")]
    Service {
        /// The service.
        service: String,
        /// Who named it.
        origin: Origin,
        /// The cause.
        source: ServiceError,
    },
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

//! A database to connect to: every setting checked, with its origin.

use std::path::PathBuf;
use std::time::Duration;

use super::files;
use super::settings::{KEYWORDS, Origin, Secret, Setting, Settings, parse_dsn};
use super::values::{
    CHANNEL_BINDINGS, ChannelBinding, Endpoint, Keepalives, SESSION_ATTRS, SSL_MODES, SessionAttrs, SslMode,
    TargetError, endpoints,
};
use crate::digest::Digest;
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
    /// The origin of all this, for messages: `command line`, or the pipeline file.
    pub given_by: String,
}

/// All settings that were given.
pub(super) fn gather(params: &ConnectParams, environment: &Environment) -> Result<Settings, TargetError> {
    environment.check_utf8("PG").map_err(TargetError::NotUtf8)?;
    let mut settings = Settings::default();
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
            add(&mut settings, name, &value, &Origin::Given(params.given_by.clone()))?;
        }
    }
    if let Some(text) = &params.dsn {
        let pairs = parse_dsn(text.reveal())
            .map_err(|source| TargetError::Dsn { given_by: params.given_by.clone(), source })?;
        // Within a connection string, libpq lets the last value of a name win.
        for (name, value) in pairs.into_iter().rev() {
            add(&mut settings, &name, &value, &Origin::Dsn(params.given_by.clone()))?;
        }
    }
    if let Some(service) = settings.value("service").or_else(|| environment.variable("PGSERVICE")) {
        let service = service.to_owned();
        let origin = match settings.origin("service") {
            Origin::Default => Origin::Environment("PGSERVICE".to_owned()),
            origin => origin,
        };
        files::add_service(&service, environment, &mut settings).map_err(|source| TargetError::Service {
            service,
            origin,
            source,
        })?;
    }
    for keyword in KEYWORDS {
        if let Some(variable) = keyword.variable
            && let Some(value) = environment.variable(variable)
        {
            add(&mut settings, keyword.name, value, &Origin::Environment(variable.to_owned()))?;
        }
    }
    Ok(settings)
}

fn add(settings: &mut Settings, name: &str, value: &str, origin: &Origin) -> Result<(), TargetError> {
    let refused = |problem| TargetError::Value { name: name.to_owned(), origin: origin.clone(), problem };
    settings.add(name, value, origin.clone()).map_err(refused)
}

/// A file that may be missing unless a setting names it.
#[derive(Clone, Debug)]
pub(super) struct UsualFile {
    pub path: PathBuf,
    pub given: bool,
}

impl UsualFile {
    /// Whether to do without it.
    pub(super) fn is_absent(&self) -> bool {
        !self.given && !self.path.exists()
    }
}

/// Files and choices for TLS.
#[derive(Clone, Debug)]
pub(super) struct TlsSettings {
    pub mode: SslMode,
    /// `None`: the authorities that the operating system knows.
    pub root: Option<PathBuf>,
    pub certificate: UsualFile,
    pub key: PathBuf,
    /// Lists of certificates that their authorities took back.
    pub revocations: UsualFile,
    pub name_indication: bool,
    pub only_tls13: bool,
}

/// A database to connect to.
#[derive(Clone, Debug)]
pub struct Target {
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) dbname: String,
    pub(super) user: String,
    pub(super) password: Option<Setting>,
    pub(super) password_file: Option<PathBuf>,
    pub(super) timeout: Option<Duration>,
    pub(super) session_attrs: SessionAttrs,
    pub(super) channel_binding: ChannelBinding,
    pub(super) keepalives: Keepalives,
    pub(super) tls: TlsSettings,
    /// What the server is told when the session starts, but user and database.
    pub(super) parameters: Vec<(String, String)>,
    service: Option<String>,
    origins: [(&'static str, Origin); 4],
}

/// The name by which the server shows our sessions by default.
const APPLICATION_NAME: &str = "ssp";
/// libpq waits at least this long for a host.
const LEAST_TIMEOUT_SECONDS: u64 = 2;
/// Variables that libpq hands to the server as settings of the session.
const SESSION_VARIABLES: [(&str, &str); 3] =
    [("PGTZ", "TimeZone"), ("PGDATESTYLE", "DateStyle"), ("PGGEQO", "geqo")];

impl Target {
    /// Finds every setting in libpq's precedence: what is given, the connection string, the service, the environment,
    /// the defaults.
    ///
    /// # Errors
    /// [`TargetError`]. Nothing is connected to.
    pub fn resolve(params: &ConnectParams, environment: &Environment) -> Result<Self, TargetError> {
        let settings = gather(params, environment)?;
        let user = settings.value("user").map(str::to_owned).or_else(|| environment.user.clone());
        let user =
            user.ok_or_else(|| settings.wrong("user", "is needed: the system has no name for this user"))?;
        let dbname = settings.value("dbname").unwrap_or(&user).to_owned();
        let session_variables = SESSION_VARIABLES.iter().filter_map(|(variable, name)| {
            Some(((*name).to_owned(), environment.variable(variable)?.to_owned()))
        });
        let application = ["application_name", "fallback_application_name"]
            .iter()
            .find_map(|name| settings.value(name))
            .unwrap_or(APPLICATION_NAME);
        let mut parameters = vec![
            ("client_encoding".to_owned(), "UTF8".to_owned()),
            ("application_name".to_owned(), application.to_owned()),
        ];
        parameters.extend(settings.value("options").map(|value| ("options".to_owned(), value.to_owned())));
        parameters.extend(session_variables);
        let passfile = settings.value("passfile").map(PathBuf::from);
        Ok(Self {
            endpoints: endpoints(&settings)?,
            dbname,
            user,
            password: settings.get("password").cloned(),
            password_file: passfile.or_else(|| environment.in_home(".pgpass")),
            timeout: settings
                .whole("connect_timeout")?
                .filter(|&seconds| seconds > 0)
                .map(|seconds| Duration::from_secs(seconds.max(LEAST_TIMEOUT_SECONDS))),
            session_attrs: settings.choice("target_session_attrs", SESSION_ATTRS, SessionAttrs::Any)?,
            channel_binding: settings.choice("channel_binding", CHANNEL_BINDINGS, ChannelBinding::Prefer)?,
            keepalives: keepalives(&settings)?,
            tls: tls(&settings, environment)?,
            parameters,
            service: settings.value("service").map(str::to_owned),
            origins: ["host", "port", "dbname", "user"].map(|name| {
                let by_address = name == "host" && settings.value("host").is_none();
                (name, settings.origin(if by_address { "hostaddr" } else { name }))
            }),
        })
    }

    /// The same, where connecting takes no longer than this unless a `connect_timeout` is set.
    pub(in crate::postgres) fn with_timeout(&self, timeout: Duration) -> Self {
        Self { timeout: self.timeout.or(Some(timeout)), ..self.clone() }
    }

    /// How long connecting may take.
    pub(in crate::postgres) fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    /// The target for people: the service if there is one, else host, port, database and user. Never a password.
    pub fn describe(&self) -> String {
        if let Some(service) = &self.service {
            return format!("service {service}");
        }
        let host = |endpoint: &Endpoint| format!("{}:{}", endpoint.host, endpoint.port);
        let hosts: Vec<String> = self.endpoints.iter().map(host).collect();
        format!("{} at {} as {}", self.dbname, hosts.join(","), self.user)
    }

    /// The name of the database.
    pub fn dbname(&self) -> &str {
        &self.dbname
    }

    /// The digest of what decides which server, database and role is connected to, with which settings of the session.
    pub fn digest(&self) -> String {
        let place = (&self.endpoints, &self.dbname, &self.user, self.session_attrs);
        Digest::of(format!("{place:?} {:?}", self.session_digest()).as_bytes()).short()
    }

    /// The digest of the settings that the session starts with, which may hold secrets; `None` if there are none.
    pub(in crate::postgres) fn session_digest(&self) -> Option<String> {
        let ours = |name: &str| ["client_encoding", "application_name"].contains(&name);
        let given: Vec<_> = self.parameters.iter().filter(|(name, _)| !ours(name)).collect();
        (!given.is_empty()).then(|| Digest::of(format!("{given:?}").as_bytes()).short())
    }

    /// A line each for host, port, database and user, with the origin. Never a password.
    pub fn explain(&self) -> Vec<String> {
        self.endpoints.iter().flat_map(|endpoint| self.explain_endpoint(endpoint)).collect()
    }

    pub(super) fn explain_endpoint(&self, endpoint: &Endpoint) -> Vec<String> {
        let values = [&endpoint.host, &endpoint.port.to_string(), &self.dbname, &self.user];
        let with_origin = |(value, (name, origin)): (&String, &(&str, Origin))| {
            let name = if *name == "dbname" { "database" } else { name };
            format!("{name} `{value}` ({origin})")
        };
        values.into_iter().zip(&self.origins).map(with_origin).collect()
    }
}

fn keepalives(settings: &Settings) -> Result<Keepalives, TargetError> {
    let seconds = |name| Ok(settings.whole(name)?.filter(|&seconds| seconds > 0).map(Duration::from_secs));
    Ok(Keepalives {
        on: settings.whole("keepalives")? != Some(0),
        idle: seconds("keepalives_idle")?,
        interval: seconds("keepalives_interval")?,
        count: settings.whole("keepalives_count")?.filter(|&n| n > 0).and_then(|n| u32::try_from(n).ok()),
        user_timeout: settings.whole("tcp_user_timeout")?.filter(|&ms| ms > 0).map(Duration::from_millis),
    })
}

/// The value of `sslrootcert` that means the authorities of the operating system.
const SYSTEM_ROOTS: &str = "system";

fn tls(settings: &Settings, environment: &Environment) -> Result<TlsSettings, TargetError> {
    let system = settings.value("sslrootcert") == Some(SYSTEM_ROOTS);
    let default = if system { SslMode::VerifyFull } else { SslMode::Prefer };
    let mode = settings.choice("sslmode", SSL_MODES, default)?;
    if system && mode != SslMode::VerifyFull {
        return Err(settings.wrong("sslmode", "must be verify-full when sslrootcert is system"));
    }
    let file = |name, default: &str| {
        let in_home = || environment.in_home(".postgresql").map(|folder| folder.join(default));
        settings.value(name).map(PathBuf::from).or_else(in_home).unwrap_or_default()
    };
    let usual =
        |name, default: &str| UsualFile { path: file(name, default), given: settings.value(name).is_some() };
    Ok(TlsSettings {
        mode,
        root: (!system).then(|| file("sslrootcert", "root.crt")),
        certificate: usual("sslcert", "postgresql.crt"),
        key: file("sslkey", "postgresql.key"),
        revocations: usual("sslcrl", "root.crl"),
        name_indication: settings.choice("sslsni", &[("1", true), ("0", false)], true)?,
        only_tls13: settings.choice(
            "ssl_min_protocol_version",
            &[("TLSv1", false), ("TLSv1.1", false), ("TLSv1.2", false), ("TLSv1.3", true)],
            false,
        )?,
    })
}

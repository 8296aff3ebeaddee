//! Registries in PostgreSQL.

use std::borrow::Cow;

use super::{Database, Dialect, Row, Value, credentials, quoted};
use crate::butler::config::RegistryConfig;
use crate::butler::error::{Cause, Error};
use crate::environment::Environment;
use crate::monitor::Monitor;
use crate::postgres::connect::parse_dsn;
use crate::postgres::{ConnectParams, DEFAULT_LOCK_TIMEOUT, Queries, Target};

struct Postgresql {
    queries: Queries,
    /// The schema that holds the tables.
    namespace: Option<String>,
}

/// Connects to the database of a configuration. What that leaves out comes from Butler's file of credentials, then from
/// where libpq looks.
pub(super) fn open(
    config: &RegistryConfig,
    env: &Environment,
    monitor: &Monitor,
) -> Result<Box<dyn Database>, Error> {
    let failed = |source: Cause| Error::OpenRegistry { place: "in PostgreSQL".to_owned(), source };
    let params = params(config, env)?;
    let target = Target::resolve(&params, env).map_err(|error| failed(error.into()))?;
    let queries = Queries::open(&target, monitor)
        .map_err(|error| Error::OpenRegistry { place: target.describe(), source: error.into() })?;
    for warning in queries.warnings() {
        tracing::warn!("{warning}");
    }
    Ok(Box::new(Postgresql { queries, namespace: config.namespace.clone() }))
}

fn params(config: &RegistryConfig, env: &Environment) -> Result<ConnectParams, Error> {
    let (_, rest) = config.url.split_once("://").unwrap_or_default();
    let url = format!("postgresql://{rest}");
    let failed = |source: Cause| Error::OpenRegistry { place: "in PostgreSQL".to_owned(), source };
    let pairs = parse_dsn(&url).map_err(|error| failed(error.into()))?;
    // What stands after the `?` is for libpq alone.
    let (own, _) = url.split_once('?').unwrap_or((&url, ""));
    let own = parse_dsn(own).unwrap_or(pairs);
    let in_url = |name: &str| own.iter().find(|(found, _)| found == name).map(|(_, value)| value.clone());
    let parts = &config.parts;
    let given = |name: &str, part: Option<String>| if in_url(name).is_some() { None } else { part };
    let mut params = ConnectParams {
        dsn: Some(url.clone().into()),
        host: given("host", parts.host.clone()),
        port: given("port", parts.port.map(|port| port.to_string())),
        dbname: given("dbname", parts.database.clone()),
        user: given("user", parts.username.clone()),
        password: given("password", parts.password.clone()).map(Into::into),
        given_by: "butler.yaml".to_owned(),
        ..ConnectParams::default()
    };
    let known = |name: &str, given: &Option<String>| in_url(name).or_else(|| given.clone());
    if let (Some(host), Some(database)) = (known("host", &params.host), known("dbname", &params.dbname)) {
        let wanted = credentials::Login {
            user: known("user", &params.user),
            host,
            port: known("port", &params.port),
            database,
        };
        if let Some(found) = credentials::find(&wanted, env)? {
            params.user = wanted.user.or(found.username);
            params.password = Some(found.password.into());
        }
    }
    Ok(params)
}

impl Database for Postgresql {
    fn begin(&mut self) -> Result<(), Cause> {
        let mut sql = format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL lock_timeout = {}",
            DEFAULT_LOCK_TIMEOUT.as_millis()
        );
        if let Some(namespace) = &self.namespace {
            sql += "; SET LOCAL search_path = ";
            sql += &quoted(namespace);
        }
        self.queries.rows("begin a transaction", &sql)?;
        Ok(())
    }

    fn end(&mut self) -> Result<(), Cause> {
        self.queries.rows("end a transaction", "ROLLBACK")?;
        Ok(())
    }

    fn dialect(&self) -> Dialect {
        Dialect::Postgresql
    }

    fn rows(&mut self, sql: &str, parameters: &[Value]) -> Result<Vec<Row>, Cause> {
        if parameters.len() > MOST_PARAMETERS {
            return Err(format!(
                "the query has {} parameters, but PostgreSQL allows at most {MOST_PARAMETERS}; in the condition, \
                give `IN` single values instead of ranges",
                parameters.len()
            )
            .into());
        }
        let texts = parameters.iter().map(text).collect::<Result<Vec<_>, Cause>>()?;
        let texts: Vec<Option<&str>> = texts.iter().map(Option::as_deref).collect();
        let found = self.queries.rows_with("read the registry", sql, &texts)?;
        let value = |text: Option<String>| text.map_or(Value::Null, Value::Text);
        Ok(found.into_iter().map(|row| Row(row.into_iter().map(value).collect())).collect())
    }
}

/// The protocol counts parameters with 16 bits.
const MOST_PARAMETERS: usize = u16::MAX as usize;

/// A parameter as text, from which the server reads its type.
fn text(value: &Value) -> Result<Option<Cow<'_, str>>, Cause> {
    match value {
        Value::Null => Ok(None),
        Value::Integer(number) => Ok(Some(number.to_string().into())),
        Value::Text(text) if text.contains('\0') => {
            Err(format!("{text:?} contains the character NUL, which PostgreSQL does not allow in text")
                .into())
        }
        Value::Text(text) => Ok(Some(text.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(url: &str, parts: &str, env: &Environment) -> ConnectParams {
        let parts = serde_json::from_str(parts).unwrap();
        params(&RegistryConfig { url: url.to_owned(), namespace: None, parts }, env).unwrap()
    }

    #[test]
    fn the_configuration_fills_what_the_url_leaves_out() {
        let parts = r#"{"username": "u", "host": "h", "port": 5433, "database": "d", "password": "p"}"#;
        let empty = resolved("postgresql+psycopg2://", parts, &Environment::default());
        assert_eq!((empty.user.as_deref(), empty.host.as_deref()), (Some("u"), Some("h")));
        assert_eq!((empty.port.as_deref(), empty.dbname.as_deref()), (Some("5433"), Some("d")));
        let full = resolved("postgresql://me:secret@there:1/db", parts, &Environment::default());
        assert_eq!((full.user, full.host, full.port, full.dbname), (None, None, None, None));
        assert!(full.password.is_none() && full.dsn.unwrap().reveal().contains("me:secret@there:1/db"));
    }

    #[test]
    fn credentials_are_looked_up_for_a_host_and_a_database() {
        let json = r#"[{"url": "postgresql://there/db", "username": "rubin", "password": "pw"}]"#;
        let variables = [("LSST_DB_AUTH_CREDENTIALS".to_owned(), json.to_owned())].into();
        let env = Environment { variables, ..Environment::default() };
        let found = resolved("postgresql://there/db", "{}", &env);
        assert_eq!((found.user.as_deref(), found.password.unwrap().reveal()), (Some("rubin"), "pw"));
        let found = resolved("postgresql://me@there/db", "{}", &env);
        assert_eq!((found.user.as_deref(), found.password.unwrap().reveal()), (Some("me"), "pw"));
        let elsewhere = resolved("postgresql://me@elsewhere/db", "{}", &env);
        assert!(elsewhere.password.is_none());
        let socket = resolved("postgresql://me@/db?host=/run/there", "{}", &env);
        assert!(socket.password.is_none());
    }
}

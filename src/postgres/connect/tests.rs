//! libpq's rules for settings, each from what is said to what is used.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::TempDir;

use super::settings::Secret;
use super::target::{ConnectParams, Target};
use super::values::SslMode;
use crate::environment::Environment;

/// A home folder with files in it.
fn home(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        crate::durable::write(&path, text.as_bytes()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    folder
}

fn environment(home: &Path, variables: &[(&str, &str)]) -> Environment {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Environment {
        variables,
        home: Some(home.to_owned()),
        user: Some("me".to_owned()),
        ..Environment::default()
    }
}

/// `name=value` pairs apart by `;`, as flags would give them.
fn params(flags: &str) -> ConnectParams {
    let mut params = ConnectParams { given_by: "command line".to_owned(), ..ConnectParams::default() };
    for (name, value) in flags.split(';').filter_map(|flag| flag.split_once('=')) {
        let value = Some(value.to_owned());
        match name {
            "service" => params.service = value,
            "dsn" => params.dsn = value.map(Secret::from),
            "host" => params.host = value,
            "port" => params.port = value,
            "dbname" => params.dbname = value,
            "user" => params.user = value,
            "password" => params.password = value.map(Secret::from),
            "sslmode" => params.sslmode = value.map(|value| serde_json::from_value(value.into()).unwrap()),
            other => panic!("{other}"),
        }
    }
    params
}

const SERVICES: &str = "[mpc]\nhost=s.example\nport=6000\ndbname=sdb\nuser=su\n[bad]\nhots=x\n";

fn resolved(flags: &str, variables: &[(&str, &str)]) -> Result<Target, String> {
    let home = home(&[(".pg_service.conf", SERVICES)]);
    Target::resolve(&params(flags), &environment(home.path(), variables)).map_err(|error| {
        let chain = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source());
        let text = chain.map(ToString::to_string).collect::<Vec<_>>().join(": ");
        text.replace(&home.path().display().to_string(), "~")
    })
}

#[test]
fn flags_go_before_the_string_the_service_the_environment_and_the_defaults() {
    let all = &[("PGHOST", "e.example"), ("PGPORT", "7000"), ("PGDATABASE", "edb"), ("PGUSER", "eu")][..];
    for (flags, variables, expected) in [
        ("host=f;port=1;dbname=fd;user=fu;service=mpc;dsn=host=d port=2 dbname=dd user=du", all, "f 1 fd fu"),
        ("service=mpc;dsn=host=d port=2 dbname=dd user=du", all, "d 2 dd du"),
        ("service=mpc;host=f", all, "f 6000 sdb su"),
        ("dsn=service=mpc host=d", all, "d 6000 sdb su"),
        ("", &[("PGSERVICE", "mpc"), ("PGHOST", "e.example")], "s.example 6000 sdb su"),
        ("", all, "e.example 7000 edb eu"),
        ("host=f", &[], "f 5432 me me"),
        ("host=f;user=u", &[], "f 5432 u u"),
        ("host=f", &[("PGPORT", "")], "f 5432 me me"),
        ("dsn=postgresql://du:secret@d:9/dd", &[("PGUSER", "eu")], "d 9 dd du"),
        ("dsn=host=a host=b", &[], "b 5432 me me"),
        ("", &[("PGHOSTADDR", "10.0.0.9"), ("PGPORT", "7000")], "10.0.0.9 7000 me me"),
    ] {
        let target = resolved(flags, variables).unwrap();
        let endpoint = &target.endpoints[0];
        let found = format!("{} {} {} {}", endpoint.host, endpoint.port, target.dbname, target.user);
        assert_eq!(found, expected, "{flags} {variables:?}");
    }
}

#[test]
fn the_origin_of_each_setting_is_told_and_never_a_password() {
    let home = home(&[(".pg_service.conf", SERVICES)]);
    let environment = environment(home.path(), &[("PGDATABASE", "edb"), ("PGPASSWORD", "env-secret")]);
    let params = params("dsn=port=2 password=dsn-secret service=mpc;user=fu;password=flag-secret");
    let target = Target::resolve(&params, &environment).unwrap();
    let service = home.path().join(".pg_service.conf").display().to_string();
    assert_eq!(
        target.explain(),
        [
            format!("host `s.example` (service file {service}:2)"),
            "port `2` (connection string of command line)".to_owned(),
            format!("database `sdb` (service file {service}:4)"),
            "user `fu` (command line)".to_owned(),
        ]
    );
    assert_eq!(target.describe(), "service mpc");
    let everything = format!("{target:?} {params:?}");
    assert!(!everything.contains("secret"), "{everything}");
    assert_eq!(target.password.unwrap().value.reveal(), "flag-secret");
}

#[test]
fn several_hosts_have_one_port_or_as_many() {
    for (flags, expected) in [
        ("host=a,b;port=1,2", "a:1 b:2"),
        ("host=a,b;port=1", "a:1 b:1"),
        ("host=a,b;port=,2", "a:5432 b:2"),
        ("host=a,b", "a:5432 b:5432"),
        ("dsn=postgresql://a:1,b,[::1]:3/d", "a:1 b:5432 ::1:3"),
        ("dsn=host=a,b hostaddr=10.0.0.1,10.0.0.2", "a:5432 b:5432"),
        ("dsn=hostaddr=10.0.0.1", "10.0.0.1:5432"),
    ] {
        let endpoints = resolved(flags, &[]).unwrap().endpoints;
        let found: Vec<String> = endpoints.iter().map(|end| format!("{}:{}", end.host, end.port)).collect();
        assert_eq!(found.join(" "), expected, "{flags}");
    }
}

#[test]
fn an_address_spares_the_look_up_and_the_host_stays_the_name() {
    for (flags, variables, expected) in [
        ("host=f", &[("PGHOSTADDR", "10.0.0.9")][..], ("f", Some("10.0.0.9"), "command line")),
        ("", &[("PGHOSTADDR", "::1")], ("::1", Some("::1"), "environment PGHOSTADDR")),
        ("", &[("PGHOST", "e"), ("PGHOSTADDR", "10.0.0.9")], ("e", Some("10.0.0.9"), "environment PGHOST")),
        (
            "dsn=hostaddr=10.0.0.1",
            &[("PGHOSTADDR", "10.0.0.9")],
            ("10.0.0.1", Some("10.0.0.1"), "connection string of command line"),
        ),
        ("host=f", &[("PGHOSTADDR", "")], ("f", None, "command line")),
    ] {
        let target = resolved(flags, variables).unwrap();
        let (endpoint, told) = (&target.endpoints[0], &target.explain()[0]);
        let address = endpoint.address.map(|address| address.to_string());
        assert_eq!(
            (endpoint.host.as_str(), address.as_deref()),
            (expected.0, expected.1),
            "{flags} {variables:?}"
        );
        assert_eq!(*told, format!("host `{}` ({})", expected.0, expected.2));
    }
    assert_eq!(
        resolved("", &[("PGHOSTADDR", "h")]).unwrap_err(),
        "`hostaddr` (environment PGHOSTADDR) is `h`, which is not an IP address"
    );
}

#[test]
fn mistakes_name_the_setting_and_where_it_is() {
    for (flags, variables, expected) in [
        ("port=x", &[][..], "`port` (command line) is `x`, which is not a port"),
        ("port=0", &[], "`port` (command line) is `0`, which is not a port"),
        ("port=65536", &[], "`port` (command line) is `65536`, which is not a port"),
        ("host=a,b;port=1,2,3", &[], "`port` (command line) gives 3 ports for 2 hosts"),
        (
            "dsn=host=a,b hostaddr=::1",
            &[],
            "`hostaddr` (connection string of command line) names 1 hosts, but `host` names 2",
        ),
        (
            "dsn=hostaddr=h",
            &[],
            "`hostaddr` (connection string of command line) is `h`, which is not an IP address",
        ),
        (
            "",
            &[("PGSSLMODE", "on")],
            "`sslmode` (environment PGSSLMODE) is `on`, but must be one of: disable, allow, prefer, require, \
            verify-ca, verify-full",
        ),
        (
            "",
            &[("PGCONNECT_TIMEOUT", "1s")],
            "`connect_timeout` (environment PGCONNECT_TIMEOUT) is `1s`, which is not a whole number",
        ),
        (
            "",
            &[("PGTARGETSESSIONATTRS", "master")],
            "`target_session_attrs` (environment PGTARGETSESSIONATTRS) is `master`, but must be one of: any, \
            read-write, read-only, primary, standby, prefer-standby",
        ),
        (
            "dsn=hots=a",
            &[],
            "`hots` (connection string of command line) is not a connection setting of libpq",
        ),
        (
            "dsn=host=a sslcrldir=x",
            &[],
            "`sslcrldir` (connection string of command line) is not supported here: remove it",
        ),
        (
            "",
            &[("PGLOADBALANCEHOSTS", "random")],
            "`load_balance_hosts` (environment PGLOADBALANCEHOSTS) is not supported here: remove it, or write one of: \
            disable",
        ),
        (
            "",
            &[("PGGSSENCMODE", "require")],
            "`gssencmode` (environment PGGSSENCMODE) is not supported here: remove it, or write one of: disable, prefer",
        ),
        ("dsn=host", &[], "cannot read the connection string of command line: `host` is not followed by `=`"),
        (
            "dsn=user='a",
            &[],
            "cannot read the connection string of command line: a quoted value does not end",
        ),
        (
            "service=none",
            &[("PGSYSCONFDIR", "/nonexistent")],
            "cannot use service `none` (command line): service `none` is not defined (looked in ~/.pg_service.conf, /nonexistent/pg_service.conf)",
        ),
        (
            "",
            &[("PGSERVICE", "bad")],
            "cannot use service `bad` (environment PGSERVICE): ~/.pg_service.conf:7: `hots` is not a connection setting of libpq",
        ),
        (
            "service=x",
            &[("PGSERVICEFILE", "/nonexistent/file")],
            "cannot use service `x` (command line): cannot read service file `/nonexistent/file`: No such file or directory (os error 2)",
        ),
        (
            "dsn=sslrootcert=system sslmode=require",
            &[],
            "`sslmode` (connection string of command line) must be verify-full when sslrootcert is system",
        ),
    ] {
        assert_eq!(resolved(flags, variables).unwrap_err(), expected);
    }
    let error = Target::resolve(&params("host=h"), &Environment::default()).unwrap_err();
    assert_eq!(error.to_string(), "`user` (default) is needed: the system has no name for this user");
}

#[test]
fn the_system_s_service_file_is_the_second_choice() {
    let own = home(&[(".pg_service.conf", "[a]\nhost=own\n")]);
    let system = home(&[("pg_service.conf", "[a]\nhost=system-a\n[b]\nhost=system-b\n")]);
    let folder = system.path().display().to_string();
    for (service, expected) in [("a", "own"), ("b", "system-b")] {
        let environment = environment(own.path(), &[("PGSYSCONFDIR", &folder), ("PGSERVICE", service)]);
        let target = Target::resolve(&params(""), &environment).unwrap();
        assert_eq!(target.endpoints[0].host, expected);
    }
}

#[test]
fn the_server_is_told_what_libpq_tells_it() {
    for (flags, variables, expected) in [
        ("", &[][..], "client_encoding=UTF8 application_name=ssp"),
        (
            "",
            &[("PGAPPNAME", "nightly"), ("PGOPTIONS", "-c geqo=off"), ("PGTZ", "UTC")],
            "client_encoding=UTF8 application_name=nightly options=-c geqo=off TimeZone=UTC",
        ),
        (
            "dsn=fallback_application_name=fb client_encoding=LATIN1",
            &[],
            "client_encoding=UTF8 application_name=fb",
        ),
    ] {
        let parameters = resolved(flags, variables).unwrap().parameters;
        let found: Vec<String> = parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(found.join(" "), expected);
    }
}

#[test]
fn tls_settings_have_libpq_s_defaults() {
    let target = resolved("", &[]).unwrap();
    assert_eq!(target.tls.mode, SslMode::Prefer);
    assert!(target.tls.root.unwrap().ends_with(".postgresql/root.crt"));
    assert!(target.tls.certificate.path.ends_with(".postgresql/postgresql.crt"));
    assert!(target.tls.key.ends_with(".postgresql/postgresql.key"));
    assert!(!target.tls.certificate.given);
    assert!(target.tls.revocations.path.ends_with(".postgresql/root.crl") && !target.tls.revocations.given);
    let tls = resolved("", &[("PGSSLCRL", "/env.crl")]).unwrap().tls;
    assert_eq!((tls.revocations.path.as_path(), tls.revocations.given), (Path::new("/env.crl"), true));
    for (flags, expected) in [
        ("", ["/env.crt", "/env.key"]),
        ("dsn=sslcert=/dsn.crt", ["/dsn.crt", "/env.key"]),
        ("dsn=sslkey=/dsn.key", ["/env.crt", "/dsn.key"]),
    ] {
        let tls = resolved(flags, &[("PGSSLCERT", "/env.crt"), ("PGSSLKEY", "/env.key")]).unwrap().tls;
        assert_eq!([&tls.certificate.path, &tls.key], expected.map(Path::new), "{flags}");
        assert!(tls.certificate.given);
    }
    let target =
        resolved("sslmode=verify-ca", &[("PGSSLROOTCERT", "/ca"), ("PGSSLMODE", "disable")]).unwrap();
    assert_eq!((target.tls.mode, target.tls.root.unwrap().as_path()), (SslMode::VerifyCa, Path::new("/ca")));
    let target = resolved("", &[("PGSSLROOTCERT", "system")]).unwrap();
    assert_eq!((target.tls.mode, target.tls.root), (SslMode::VerifyFull, None));
    assert_eq!(resolved("dsn=postgresql://h/d?ssl=true", &[]).unwrap().tls.mode, SslMode::Require);
}

#[test]
fn timeouts_and_keepalives_are_read() {
    let seconds = |flags: &str| resolved(flags, &[]).unwrap().timeout.map(|timeout| timeout.as_secs());
    assert_eq!(seconds(""), None);
    assert_eq!(seconds("dsn=connect_timeout=0"), None);
    assert_eq!(seconds("dsn=connect_timeout=-1"), None);
    assert_eq!(seconds("dsn=connect_timeout=1"), Some(2));
    assert_eq!(seconds("dsn=connect_timeout=30"), Some(30));
    assert!(resolved("", &[]).unwrap().keepalives.on);
    let off = resolved("dsn=keepalives=0 tcp_user_timeout=500", &[]).unwrap().keepalives;
    assert!(!off.on && off.user_timeout.is_some_and(|timeout| timeout.as_millis() == 500));
}

//! Logging in by libpq's rules, with TLS and without, on real servers.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use ssp::environment::Environment;
use ssp::monitor::Monitor;
use ssp::postgres::connect::Secret;
use ssp::postgres::{ConnectParams, Error, SessionOptions, Snapshot, Target};
use ssp::throwaway::ThrowawayOptions;
use tempfile::TempDir;

use crate::support::postgres::Server;

/// An authority and what it signs.
pub struct Authority(pub CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for a common name and other names, and its key.
    pub fn sign(&self, common: &str, names: &[&str]) -> (String, String) {
        let mut params =
            CertificateParams::new(names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>()).unwrap();
        params.distinguished_name.push(DnType::CommonName, common);
        params.serial_number = Some(SERIAL.into());
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }
}

/// The serial number of certificates.
pub const SERIAL: u64 = 7;

/// Files that only their owner can read.
pub fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

const HBA: &str = "local all all trust
hostnossl all plain_only 127.0.0.1/32 trust
hostssl all tls_only 127.0.0.1/32 trust
hostssl all by_certificate 127.0.0.1/32 cert
host all scram_user 127.0.0.1/32 scram-sha-256
host all md5_user 127.0.0.1/32 md5
host all clear_user 127.0.0.1/32 password
host all trusted 127.0.0.1/32 trust
";

const ROLES: &str = "CREATE ROLE plain_only LOGIN; CREATE ROLE tls_only LOGIN; CREATE ROLE by_certificate LOGIN;
    CREATE ROLE trusted LOGIN; CREATE ROLE scram_user LOGIN PASSWORD 'p ss''w:rd';
    CREATE ROLE clear_user LOGIN PASSWORD 'clear'; SET password_encryption = 'md5'; CREATE ROLE md5_user LOGIN PASSWORD 'five';";

pub fn server(certificate: &(String, String), clients: &Authority) -> Server {
    let server = Server::start(&ThrowawayOptions {
        tcp: true,
        settings: ["ssl=on", "ssl_cert_file=s.crt", "ssl_key_file=s.key", "ssl_ca_file=clients.crt"]
            .map(str::to_owned)
            .into(),
        files: vec![
            ("s.crt".into(), certificate.0.clone().into_bytes()),
            ("s.key".into(), certificate.1.clone().into_bytes()),
            ("clients.crt".into(), clients.pem().into_bytes()),
            ("pg_hba.conf".into(), HBA.into()),
        ],
        ..ThrowawayOptions::default()
    });
    server.run(ROLES);
    server
}

/// Connects and says whether TLS is used; or the error with its causes, the port and paths made constant.
pub fn connect(server: &Server, home: &TempDir, dsn: &str) -> Result<bool, String> {
    let port = server.throwaway.port();
    let dsn = format!("hostaddr=127.0.0.1 port={port} dbname=postgres {dsn}");
    let params =
        ConnectParams { dsn: Some(Secret::from(dsn)), given_by: "test".into(), ..ConnectParams::default() };
    let environment = Environment { home: Some(home.path().to_owned()), ..Environment::default() };
    let shown = |error: &Error| {
        let chain = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
        let text = chain.map(ToString::to_string).collect::<Vec<_>>().join(": ");
        text.replace(&port.to_string(), "PORT").replace(&home.path().display().to_string(), "~")
    };
    let target = Target::resolve(&params, &environment).map_err(|error| shown(&error.into()))?;
    let snapshot = Snapshot::open(&target, &SessionOptions::default()).map_err(|error| shown(&error))?;
    // A reader too: it is another connection.
    let rows = snapshot
        .watermark("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()", &Monitor::default())
        .map_err(|error| shown(&error))?;
    Ok(rows == r#"[["ssl"],["t"]]"#)
}

/// The error of [`connect`] to `db.example`.
pub fn failing(user: &str, cause: &str) -> Result<bool, String> {
    Err(format!(
        "cannot connect to Postgres: host `db.example` (connection string of test), port `PORT` (connection string of test), \
         database `postgres` (connection string of test), user `{user}` (connection string of test): {cause}"
    ))
}

const UNKNOWN: &str = "the TLS handshake failed: invalid peer certificate: UnknownIssuer";

#[test]
fn sslmodes_mean_what_libpq_means() {
    let authority = Authority::new("the authority");
    let server = server(
        &authority.sign("ignored.example", &["db.example", "*.wild.example", "127.0.0.1"]),
        &authority,
    );
    let with_root = tempfile::tempdir().unwrap();
    write(with_root.path(), ".postgresql/root.crt", &authority.pem());
    let wrong_root = tempfile::tempdir().unwrap();
    write(wrong_root.path(), ".postgresql/root.crt", &Authority::new("another one").pem());
    let no_root = tempfile::tempdir().unwrap();
    let rejected = |user: &str, encryption: &str| {
        failing(
            user,
            &format!(
                "the login failed: no pg_hba.conf entry for host \"127.0.0.1\", user \"{user}\", database \"postgres\", {encryption} (SQLSTATE 28000)"
            ),
        )
    };
    let wrong_name = |host: &str| {
        let result = connect(&server, &with_root, &format!("host={host} user=trusted sslmode=verify-full"));
        result.is_err_and(|error| error.contains("certificate not valid for name"))
    };
    for (home, dsn, expected) in [
        (&no_root, "user=trusted sslmode=disable", Ok(false)),
        (&no_root, "user=trusted sslmode=allow", Ok(false)),
        (&no_root, "user=trusted sslmode=prefer", Ok(true)),
        (&no_root, "user=trusted", Ok(true)),
        (&no_root, "user=trusted sslmode=require", Ok(true)),
        (&no_root, "user=tls_only sslmode=disable", rejected("tls_only", "no encryption")),
        (&no_root, "user=tls_only sslmode=allow", Ok(true)),
        (&no_root, "user=tls_only sslmode=prefer", Ok(true)),
        (&no_root, "user=plain_only sslmode=allow", Ok(false)),
        (&no_root, "user=plain_only sslmode=prefer", Ok(false)),
        (&no_root, "user=plain_only sslmode=require", rejected("plain_only", "SSL encryption")),
        (&wrong_root, "user=trusted sslmode=disable", Ok(false)),
        (&wrong_root, "user=trusted sslmode=require", failing("trusted", UNKNOWN)),
        (&wrong_root, "user=trusted sslmode=verify-ca", failing("trusted", UNKNOWN)),
        (&wrong_root, "user=trusted sslmode=verify-full", failing("trusted", UNKNOWN)),
        (&with_root, "user=trusted sslmode=require", Ok(true)),
        (&with_root, "user=trusted sslmode=verify-ca", Ok(true)),
        (&with_root, "user=trusted sslmode=verify-full", Ok(true)),
        (&with_root, "user=trusted sslmode=verify-full ssl_min_protocol_version=TLSv1.3", Ok(true)),
        (
            &no_root,
            "user=trusted sslmode=verify-ca",
            failing(
                "trusted",
                "sslmode verify-ca needs root certificates, but `~/.postgresql/root.crt` does not exist (give a file with sslrootcert, or use the system's certificates with sslrootcert=system)",
            ),
        ),
        (&no_root, "user=trusted sslrootcert=system", failing("trusted", UNKNOWN)),
    ] {
        assert_eq!(connect(&server, home, &format!("host=db.example {dsn}")), expected, "{dsn}");
    }
    for (host, expected) in [
        ("other.example", true),
        ("a.wild.example", false),
        ("a.b.wild.example", true),
        ("ignored.example", true),
        ("127.0.0.1", false),
    ] {
        assert_eq!(wrong_name(host), expected, "{host}");
    }
    assert_eq!(connect(&server, &with_root, "host=other.example user=trusted sslmode=verify-ca"), Ok(true));
}

#[test]
fn a_certificate_without_other_names_has_its_common_name() {
    let authority = Authority::new("the authority");
    let server = server(&authority.sign("db.example", &[]), &authority);
    let home = tempfile::tempdir().unwrap();
    write(home.path(), ".postgresql/root.crt", &authority.pem());
    assert_eq!(connect(&server, &home, "host=DB.example user=trusted sslmode=verify-full"), Ok(true));
    let error = connect(&server, &home, "host=other.example user=trusted sslmode=verify-full").unwrap_err();
    assert!(error.contains("certificate not valid for name"), "{error}");
}

#[test]
fn a_server_s_own_certificate_may_be_the_root() {
    let mut params = CertificateParams::new(vec!["db.example".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap().pem();
    let server = server(&(certificate.clone(), key.serialize_pem()), &Authority::new("clients"));
    let home = tempfile::tempdir().unwrap();
    write(home.path(), ".postgresql/root.crt", &certificate);
    assert_eq!(connect(&server, &home, "host=db.example user=trusted sslmode=verify-full"), Ok(true));
    assert!(connect(&server, &home, "host=other.example user=trusted sslmode=verify-full").is_err());
}

#[test]
fn clients_can_show_certificates() {
    let authority = Authority::new("the authority");
    let server = server(&authority.sign("db.example", &["db.example"]), &authority);
    let home = tempfile::tempdir().unwrap();
    let (certificate, key) = authority.sign("by_certificate", &[]);
    let mine = "host=db.example user=by_certificate sslmode=require";
    let refused = failing(
        "by_certificate",
        "the login failed: connection requires a valid client certificate (SQLSTATE 28000)",
    );
    assert_eq!(connect(&server, &home, mine), refused);
    let certificate = write(home.path(), "c.crt", &certificate);
    let key = write(home.path(), "c.key", &key);
    let given = format!("{mine} sslcert={} sslkey={}", certificate.display(), key.display());
    assert_eq!(connect(&server, &home, &given), Ok(true));
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let error = connect(&server, &home, &given).unwrap_err();
    assert!(
        error.ends_with("others can read the private key `~/c.key`: its permissions must be 0600 or less"),
        "{error}"
    );
    fs::remove_file(&key).unwrap();
    let error = connect(&server, &home, &given).unwrap_err();
    assert!(
        error.ends_with("cannot read the private key `~/c.key`: No such file or directory (os error 2)"),
        "{error}"
    );
    // In their usual place they are found.
    let (certificate, key) = authority.sign("by_certificate", &[]);
    write(home.path(), ".postgresql/postgresql.crt", &certificate);
    write(home.path(), ".postgresql/postgresql.key", &key);
    assert_eq!(connect(&server, &home, mine), Ok(true));
    // Somebody else's certificate.
    let (certificate, key) = authority.sign("somebody", &[]);
    write(home.path(), ".postgresql/postgresql.crt", &certificate);
    write(home.path(), ".postgresql/postgresql.key", &key);
    assert!(connect(&server, &home, mine).unwrap_err().contains("certificate authentication failed"));
}

#[test]
fn passwords_are_proved_in_every_way() {
    let authority = Authority::new("the authority");
    let server = server(&authority.sign("db.example", &["db.example"]), &authority);
    let port = server.throwaway.port();
    let home = tempfile::tempdir().unwrap();
    let bound = "channel_binding is `require`, but the server";
    let wrong = |user: &str| {
        failing(
            user,
            &format!(
                "the login failed (the password is from connection string of test): password authentication failed for user \"{user}\" (SQLSTATE 28P01)"
            ),
        )
    };
    let login = |text: &str| format!("the login failed: {text}");
    for (dsn, expected) in [
        ("user=scram_user password='p ss\\'w:rd' sslmode=disable", Ok(false)),
        ("user=scram_user password='p ss\\'w:rd' sslmode=require", Ok(true)),
        ("user=scram_user password='p ss\\'w:rd' sslmode=require channel_binding=require", Ok(true)),
        ("user=scram_user password='p ss\\'w:rd' sslmode=require channel_binding=disable", Ok(true)),
        (
            "user=scram_user password='p ss\\'w:rd' sslmode=disable channel_binding=require",
            failing("scram_user", &login(&format!("{bound} does not offer it on this connection"))),
        ),
        ("user=scram_user password=wrong", wrong("scram_user")),
        ("user=md5_user password=five", Ok(true)),
        ("user=md5_user password=six sslmode=disable", wrong("md5_user")),
        (
            "user=md5_user password=five channel_binding=require",
            failing("md5_user", &login(&format!("{bound} asks for a password without it"))),
        ),
        ("user=clear_user password=clear", Ok(true)),
        (
            "user=clear_user password=clear channel_binding=require",
            failing("clear_user", &login(&format!("{bound} asks for a password without it"))),
        ),
        (
            "user=trusted channel_binding=require",
            failing("trusted", &login(&format!("{bound} accepted the login without it"))),
        ),
        (
            "user=scram_user",
            failing(
                "scram_user",
                &login(
                    "the server asks for a password and none is known (use ~/.pgpass, a service file or PGPASSWORD)",
                ),
            ),
        ),
    ] {
        assert_eq!(connect(&server, &home, &format!("host=db.example {dsn}")), expected, "{dsn}");
    }
    write(
        home.path(),
        ".pgpass",
        &format!("# mine\nother:*:*:*:no\ndb.example:{port}:*:scram_user:p ss'w\\:rd\n"),
    );
    assert_eq!(connect(&server, &home, "host=db.example user=scram_user"), Ok(true));
    // The error names the place of a wrong password, and not that of a right one.
    write(home.path(), ".pgpass", "# wrong\n*:*:*:scram_user:wr\\:ong\n*:*:*:none:x\n");
    for (user, remark, refused) in [
        (
            "scram_user",
            " (the password is from password file ~/.pgpass:2)",
            "password authentication failed for user \"scram_user\" (SQLSTATE 28P01)",
        ),
        (
            "none",
            "",
            "no pg_hba.conf entry for host \"127.0.0.1\", user \"none\", database \"postgres\", SSL encryption (SQLSTATE 28000)",
        ),
    ] {
        let expected = failing(user, &format!("the login failed{remark}: {refused}"));
        assert_eq!(
            connect(&server, &home, &format!("host=db.example user={user} sslmode=require")),
            expected
        );
    }
    fs::set_permissions(home.path().join(".pgpass"), fs::Permissions::from_mode(0o644)).unwrap();
    let ignored =
        "password file `~/.pgpass` is ignored: others can read it; its permissions must be 0600 or less";
    let unknown =
        "the server asks for a password and none is known (use ~/.pgpass, a service file or PGPASSWORD)";
    let expected = failing("scram_user", &format!("the login failed ({ignored}): {unknown}"));
    assert_eq!(connect(&server, &home, "host=db.example user=scram_user"), expected);
}

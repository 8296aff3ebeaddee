//! What a run does with its database: all connections read one snapshot, and no password is written anywhere.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::site::{DATABASE, Site, files_with, put};
use crate::wait::eventually;

/// Two exports of one number that another session counts up all the time, read at once over connections of their own.
#[test]
fn exports_at_once_read_one_snapshot_over_several_connections() {
    let site = Site::new();
    site.sql("CREATE TABLE ticks (n int); INSERT INTO ticks VALUES (0)");
    for table in ["current_identifications", "numbered_identifications"] {
        let sql = "sql: SELECT n FROM ticks WHERE (SELECT pg_sleep(1.5)) IS NOT NULL";
        site.edit(&format!("table: {table}"), sql);
    }
    site.edit("connections: 2", "connections: 4");
    let mut writer = Command::new("psql")
        .args(["-X", "-q"])
        .args(site.psql_arguments().split(' '))
        .args(["-c", "DO $$ BEGIN LOOP UPDATE ticks SET n = n + 1; COMMIT; END LOOP; END $$"])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let ticks = || site.sql("SELECT n FROM ticks").trim().parse::<i64>().unwrap();
    eventually("the first tick", || ticks() > 0);
    let before = ticks();

    // The exports alone: these two tables are none that another stage can read.
    let mut run = site.command(&["-q", "-j", "4", "--stage", "mpc_orbits"]).spawn().unwrap();
    let readers = "SELECT count(DISTINCT pid) FROM pg_stat_activity WHERE application_name = 'ssp' AND state = 'active' \
                   AND query LIKE 'COPY%FROM ticks%' AND pid <> pg_backend_pid()";
    eventually("two backends at work at once", || site.sql(readers).trim() == "2");
    assert_eq!(run.wait().unwrap().code(), Some(0));
    assert!(ticks() > before + 10, "the number did not change while the run read");
    site.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'DO %'");
    writer.wait().unwrap();

    let outputs = site.outputs();
    assert!(outputs["current_identifications.parquet"] == outputs["numbered_identifications.parquet"]);
    let json = |name: &str| -> serde_json::Value {
        serde_json::from_str(&fs::read_to_string(site.path("data/.ssp").join(name)).unwrap()).unwrap()
    };
    let events = fs::read_to_string(site.path("data/.ssp/runs/latest/events.jsonl")).unwrap();
    assert_eq!(events.matches("\"event\":\"snapshot\"").count(), 1, "{events}");
    let snapshots: Vec<String> =
        ["obs_sbn", "mpc_orbits", "current_identifications", "numbered_identifications"]
            .map(|stage| json(&format!("stages/{stage}.json"))["generation"]["snapshot"].to_string())
            .into();
    assert!(snapshots.iter().all(|snapshot| *snapshot == snapshots[0]), "{snapshots:?}");
}

/// The part of the password that every way of quoting leaves as it is.
const CORE: &str = "Geheim";
const PASSWORD: &str = "Geheim:pa@ss 7";

/// A way to give a password: the pipeline's `dsn`, if it has one, and environment variables.
type Way = (&'static str, bool, Vec<(&'static str, String)>);

/// A site whose user `guest` has to prove a password.
fn guarded() -> Site {
    let site = Site::new();
    site.sql(&format!(
        "CREATE ROLE guest LOGIN PASSWORD '{PASSWORD}'; GRANT SELECT ON ALL TABLES IN SCHEMA public TO guest"
    ));
    let hba = PathBuf::from(site.sql("SHOW hba_file").trim());
    let rules = fs::read_to_string(&hba).unwrap();
    put(&hba, format!("local all guest scram-sha-256\n{rules}").as_bytes());
    site.sql("SELECT pg_reload_conf()");
    // Of two users the last counts.
    let as_guest = format!("{} -U guest", site.psql_arguments());
    eventually("the server asks for a password", || {
        let mut psql = Command::new("psql");
        psql.args(["-X", "-w", "-c", "SELECT 1"]).args(as_guest.split(' ')).env("PGPASSFILE", "/dev/null");
        !psql.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success()
    });
    site
}

fn ways(site: &Site, password: &str) -> Vec<Way> {
    let value = |name: &str| site.connection().find(|(known, _)| *known == name).unwrap().1;
    let (host, port) = (value("PGHOST"), value("PGPORT"));
    let encoded = password.replace('@', "%40").replace(':', "%3A").replace(' ', "%20");
    let uri = format!("postgresql://guest:{encoded}@/{DATABASE}?host={host}&port={port}");
    let keys = format!("host='{host}' port={port} dbname={DATABASE} user=guest password='{password}'");
    let secret = |name: &str, text: String| {
        let path = site.path(name);
        put(&path, text.as_bytes());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path.display().to_string()
    };
    let passfile = secret("secrets.pgpass", format!("*:*:*:guest:{}\n", password.replace(':', "\\:")));
    let service = secret("secrets.service", format!("[night]\nuser=guest\npassword={password}\n"));
    let guest = || ("PGUSER", "guest".to_owned());
    vec![
        ("a URI", true, vec![("SSP_DSN", uri)]),
        ("key=value", true, vec![("SSP_DSN", keys)]),
        ("PGPASSWORD", false, vec![guest(), ("PGPASSWORD", password.to_owned())]),
        ("a password file", false, vec![guest(), ("PGPASSFILE", passfile)]),
        (
            "a service file",
            false,
            vec![("PGSERVICE", "night".to_owned()), ("PGSERVICEFILE", service), guest()],
        ),
    ]
}

/// The files of the site's data that hold the password.
fn leaks(site: &Site) -> Vec<PathBuf> {
    files_with(&site.path("data"), CORE)
}

#[test]
fn a_password_is_written_nowhere() {
    let site = guarded();
    site.edit("SELECT * FROM obs_sbn", "SELECT *, 1/(id - id) FROM obs_sbn");
    site.edit(
        "stages:\n",
        "hooks:\n  on_failure: cat > data/told.json; tr '\\0' ' ' < /proc/$PPID/cmdline\n\nstages:\n",
    );
    site.edit("connections: 2", "connections: 2\n  retries: 0");
    let named = fs::read_to_string(site.path("pipelines/demo.yaml")).unwrap();
    let by_dsn = named.replace("dbname: mpc_sbn", "dsn: ${env:SSP_DSN}");
    let attempt = |(what, dsn, variables): &Way, arguments: &[&str], code: i32| {
        put(&site.path("pipelines/demo.yaml"), if *dsn { &by_dsn } else { &named }.as_bytes());
        let mut command = site.command(arguments);
        if *dsn {
            for name in ["PGHOST", "PGPORT", "PGUSER"] {
                command.env_remove(name);
            }
        }
        let output = command.envs(variables.clone()).output().unwrap();
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert_eq!(output.status.code(), Some(code), "{what}: {said}");
        assert!(!said.contains(CORE), "{what} {arguments:?}: {said}");
        assert_eq!(leaks(&site), Vec::<PathBuf>::new(), "{what} {arguments:?}");
        said
    };
    let run = ["-v", "--json", "--metrics-file", "data/m.prom"];
    for way in ways(&site, PASSWORD) {
        // That the query is what fails shows that the password was found and proved.
        let said = attempt(&way, &run, 1);
        assert!(said.contains("division by zero"), "{}: {said}", way.0);
        attempt(&way, &[&run[..], &["--log-format", "json"]].concat(), 1);
        for name in
            ["told.json", "m.prom", ".ssp/runs/latest/report.html", ".ssp/runs/latest/hook-on_failure.log"]
        {
            let path = site.path("data").join(name);
            assert!(path.exists(), "{}: no {name}", way.0);
            fs::remove_file(path).unwrap();
        }
        attempt(&way, &["validate", "--connect"], 0);
        attempt(&way, &["explain", "obs_sbn"], 0);
    }
    for way in ways(&site, &format!("{PASSWORD} not")) {
        let said = attempt(&way, &run, 4);
        assert!(said.contains("password authentication failed"), "{}: {said}", way.0);
        attempt(&way, &["validate", "--connect"], 4);
    }
    let gone = format!("postgresql://guest:{CORE}@/d?host=/nowhere");
    attempt(&("gone", true, vec![("SSP_DSN", gone)]), &run, 4);
    for broken in [
        "postgresql://guest:Geheim@h:port/d",
        "postgresql://guest:12/Geheim@h/d",
        "postgresql://guest:12@Geheim@h/d",
        "user=guest password='Geheim",
        "user=guest password=12 Geheim",
        "password=Geheim nonsense=1",
    ] {
        let said = site.command(&run).env("SSP_DSN", broken).output().unwrap();
        let text = String::from_utf8_lossy(&[said.stdout, said.stderr].concat()).into_owned();
        assert!(said.status.code().is_some_and(|code| code != 0) && !text.contains(CORE), "{broken}: {text}");
        assert_eq!(leaks(&site), Vec::<PathBuf>::new(), "{broken}");
    }
    for written in ["dsn: 'postgresql://guest:Geheim@h/d'", "dsn: host=h password=Geheim", "password: Geheim"]
    {
        put(&site.path("pipelines/demo.yaml"), named.replace("dbname: mpc_sbn", written).as_bytes());
        let said = site.ssp_run(&run).expect(2);
        said.says("a password does not belong in this file");
        assert!(!said.stderr.contains(CORE) && !said.stdout.contains(CORE), "{}", said.stderr);
        assert_eq!(leaks(&site), Vec::<PathBuf>::new());
    }
    // A file with the password is found.
    let probe = site.path("data/.ssp/probe");
    put(&probe, PASSWORD.as_bytes());
    assert_eq!(leaks(&site), [probe]);
}

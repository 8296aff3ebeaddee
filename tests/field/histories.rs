//! A server that goes back in time, or shows another state under the same name: a crash, a restart, a standby.

use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use ssp::throwaway::{Throwaway, ThrowawayOptions};

use crate::place::Place;

/// A commit that was seen, and is lost with a process of the server: all that could be compared is equal, and the rows are
/// others.
#[test]
fn a_commit_that_a_crash_took_back_is_not_taken_for_the_one_after_it() {
    let settings = ["wal_writer_delay=10s", "bgwriter_lru_maxpages=0", "full_page_writes=on"];
    let place = Place::with_settings(&settings, "CREATE TABLE t (a text); CHECKPOINT");
    place.pipeline("  t: {export: {table: t}, out: t.parquet}\n");
    let facts = || {
        place.sql(
            "SELECT pg_current_snapshot(), ctid, xmin, pg_relation_filenode('t'), system_identifier,
                    pg_postmaster_start_time() FROM t, pg_control_system()",
        )
    };
    let writer = place.sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'");
    let signal = |signal: &str| {
        assert!(Command::new("kill").args([signal, &writer]).status().unwrap().success());
    };
    // The log stays in memory.
    signal("-STOP");
    place.sql("INSERT INTO t VALUES ('lost')");
    let seen = facts();
    place.ssp_run(&["-q"]).expect(0);
    assert_eq!(place.rows("out/t.parquet"), ["lost"]);
    signal("-KILL");
    let began = Instant::now();
    let answers = || {
        let mut psql = Command::new("psql");
        psql.env_clear().envs(&place.environment).args(["-X", "-c", "SELECT 1"]).stderr(Stdio::null());
        psql.stdout(Stdio::null()).status().unwrap().success()
    };
    sleep(Duration::from_millis(200));
    while !answers() {
        assert!(began.elapsed() < Duration::from_mins(1), "the server does not come back");
        sleep(Duration::from_millis(50));
    }
    assert_eq!(place.sql("SELECT count(*) FROM t"), "0", "the commit was not lost: this test shows nothing");
    place.sql("SET synchronous_commit = on; INSERT INTO t VALUES ('kept')");
    assert_eq!(facts(), seen, "the states can be told apart: this test shows nothing");
    place.ssp_run(&["-q"]).expect(0);
    assert_eq!(place.rows("out/t.parquet"), ["kept"]);
    let line = &place.last_run()["t"];
    assert!(line.contains("some data of the snapshot was not on the server's disk"), "{line}");
}

#[test]
fn a_restart_is_not_proven_unchanged_and_costs_what_reads_the_database_alone() {
    let mut place = Place::empty();
    let folder = place.path("server");
    let start = || Throwaway::start(&folder, true).unwrap();
    let server = start();
    for (name, value) in
        [("PGHOST", server.socket_folder().display().to_string()), ("PGUSER", "ssp".to_owned())]
    {
        place.environment.insert(name.to_owned(), value);
    }
    place.environment.insert("PGDATABASE".to_owned(), "postgres".to_owned());
    place.pipeline("  a: {export: {sql: SELECT 1 AS a}, out: a.parquet}\n");
    place.ssp_run(&["-q"]).expect(0);
    place.ssp_run(&["-q"]).expect(0);
    assert_eq!(place.last_run()["a"], "up_to_date");
    server.stop();
    let _server = start();
    place.ssp_run(&["-q"]).expect(0);
    assert_eq!(place.last_run()["a"], "unchanged data_changed: server start");
    place.ssp_run(&["-q"]).expect(0);
    assert_eq!(place.last_run()["a"], "up_to_date");
}

/// psql in the middle of a transaction.
struct Open(Child, ChildStdin);

impl Open {
    fn transaction(place: &Place, sql: &str) -> Self {
        let mut psql = Command::new("psql");
        psql.env_clear().envs(&place.environment).args(["-X", "-q"]).stdin(Stdio::piped());
        let mut child = psql.stdout(Stdio::null()).spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        writeln!(input, "BEGIN; {sql};").unwrap();
        Self(child, input)
    }

    fn commit(mut self) {
        writeln!(self.1, "COMMIT;").unwrap();
        drop(self.1);
        assert!(self.0.wait().unwrap().success());
    }
}

/// A snapshot of a standby leaves transactions out of its text: two with the same text show other rows.
#[test]
fn a_standby_never_gives_stale_rows() {
    let settings = ["wal_level=replica", "max_wal_senders=5", "wal_receiver_status_interval=1s"];
    let options = ThrowawayOptions { settings: settings.map(str::to_owned).to_vec(), ..Default::default() };
    let primary = Place::with_server(&options, "CREATE TABLE obs (id int); INSERT INTO obs VALUES (1), (2)");
    let mut standby = Place::empty();
    let folder = standby.path("standby");
    std::fs::create_dir(&folder).unwrap();
    let owner = std::fs::metadata(primary.server.as_ref().unwrap().path("data")).unwrap();
    std::os::unix::fs::chown(&folder, Some(owner.uid()), Some(owner.gid())).unwrap();
    // The account of the server must get to its folder.
    std::fs::set_permissions(standby.path(""), std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut backup = Command::new("pg_basebackup");
    backup.env_clear().envs(&primary.environment).args(["-R", "-X", "stream", "-c", "fast", "-D"]);
    backup.arg(folder.join("data")).current_dir(&folder).uid(owner.uid()).gid(owner.gid());
    let output =
        backup.output().expect("pg_basebackup is there (on Debian: apt-get install postgresql-client)");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let server = Throwaway::start_with(&folder, &options).unwrap();
    standby.environment.clone_from(&primary.environment);
    standby.environment.insert("HOME".to_owned(), standby.path("home").display().to_string());
    standby.environment.insert("PGHOST".to_owned(), server.socket_folder().display().to_string());
    standby.pipeline("  obs: {export: {sql: SELECT * FROM obs ORDER BY id}, out: obs.parquet}\n");

    let open = "SELECT count(*) = {} FROM pg_stat_activity WHERE state = 'idle in transaction' AND backend_xid IS NOT NULL";
    let oldest = Open::transaction(&primary, "CREATE TABLE hold (a int)");
    primary.until(&open.replace("{}", "1"));
    let second = Open::transaction(&primary, "INSERT INTO obs VALUES (3)");
    primary.until(&open.replace("{}", "2"));
    primary.sql("INSERT INTO obs VALUES (4)");
    standby.until("SELECT count(*) = 3 FROM obs");
    standby.ssp_run(&["-q"]).expect(0);
    assert_eq!(standby.rows("out/obs.parquet"), ["1", "2", "4"]);
    second.commit();
    standby.until("SELECT count(*) = 4 FROM obs");
    standby.ssp_run(&["-q"]).expect(0);
    assert_eq!(standby.rows("out/obs.parquet"), ["1", "2", "3", "4"]);
    let line = &standby.last_run()["obs"];
    assert!(line.contains("the server is a standby"), "{line}");
    // Its record proves no state after it became the primary, without a restart.
    standby.sql("SELECT pg_promote()");
    standby.until("SELECT NOT pg_is_in_recovery()");
    standby.ssp_run(&["-q"]).expect(0);
    assert!(standby.last_run()["obs"].starts_with("unchanged data_changed"));
    standby.ssp_run(&["-q"]).expect(0);
    assert_eq!(standby.last_run()["obs"], "up_to_date");
    oldest.commit();
}

//! `max_age`, a watermark and `--reuse-exports` are the user's word, which holds for what it was given for.

use crate::place::Place;
use crate::unchanged::TABLES;

/// `max_age` and a watermark are the user's word on the data, not on which rows were asked for.
#[test]
fn the_users_word_holds_for_the_same_session_alone() {
    let place = Place::with(TABLES);
    place.sql(
        "CREATE POLICY by_default ON guarded USING (stn = coalesce(nullif(current_setting('app.station', true), ''), 'X05'));
         DROP POLICY by_setting ON guarded;
         CREATE SCHEMA other; CREATE TABLE other.guarded AS SELECT 99 AS id;
         GRANT USAGE ON SCHEMA other TO reader; GRANT SELECT ON other.guarded TO reader;",
    );
    let stage = "  a: {export: {sql: SELECT id FROM guarded, watermark: SELECT 1 AS a}, out: a.parquet}\n";
    let plain = "{user: reader}";
    let optioned = |station: &str| format!("{{dsn: \"user=reader options='-c app.station={station}'\"}}");
    let steps = [
        ("", plain.to_owned(), "1"),
        ("", optioned("T05"), "2"),
        ("", optioned("X05"), "1"),
        ("", optioned("T05"), "2"),
        ("", plain.to_owned(), "1"),
        ("ALTER ROLE reader SET app.station = 'T05'", plain.to_owned(), "2"),
        ("ALTER ROLE reader RESET app.station", plain.to_owned(), "1"),
        ("ALTER DATABASE postgres SET app.station = 'T05'", plain.to_owned(), "2"),
        ("ALTER DATABASE postgres RESET app.station", plain.to_owned(), "1"),
        ("ALTER ROLE reader SET search_path = other, public", plain.to_owned(), "99"),
    ];
    for (sql, database, row) in &steps {
        place.sql(sql);
        place.pipeline_on(database, stage);
        place.ssp_run(&["-q"]).expect(0);
        assert_eq!(place.rows("out/a.parquet"), [*row], "{sql} {database}");
        place.ssp_run(&["--check"]).expect(0);
    }
    // Without a connection, the settings with which one would be made must be the same.
    place.sql("ALTER ROLE reader RESET search_path");
    let young = |database: String| database.replace('}', ", max_age: 20h}");
    for (station, row) in [("X05", "1"), ("T05", "2")] {
        place.pipeline_on(&young(optioned(station)), stage);
        place.ssp_run(&["-q"]).expect(0);
        assert_eq!(place.rows("out/a.parquet"), [row]);
    }
}

#[test]
fn another_watermark_is_no_word_on_the_data() {
    let place = Place::with("CREATE TABLE a (n int); INSERT INTO a VALUES (1)");
    let stage = |watermark: &str| {
        format!("  a: {{export: {{table: a, watermark: \"{watermark}\"}}, out: a.parquet}}\n")
    };
    place.pipeline(&stage("SELECT count(*) AS n FROM a"));
    place.ssp_run(&["-q"]).expect(0);
    place.sql("UPDATE a SET n = 2");
    place.ssp_run(&["-q"]).expect(0);
    assert_eq!(place.last_run()["a"], "up_to_date");
    place.pipeline(&stage("SELECT 1::int8 AS n"));
    place.ssp_run(&["-q"]).expect(0);
    assert_eq!(place.last_run()["a"], "done data_changed: watermark query");
    assert_eq!(place.rows("out/a.parquet"), ["2"]);
    // A server that does not tell which it is, with two databases.
    place.sql(
        "REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC; CREATE ROLE reader LOGIN;
               GRANT SELECT ON a TO reader",
    );
    place.sql("CREATE DATABASE twin TEMPLATE postgres");
    for (name, line) in [("postgres", "up_to_date"), ("twin", "unchanged data_changed: database")] {
        let database = format!("{{user: reader, dbname: {name}}}");
        place.pipeline_on(&database.replace("twin", "postgres"), &stage("SELECT 1::int8 AS n"));
        place.ssp_run(&["-q"]).expect(0);
        place.pipeline_on(&database, &stage("SELECT 1::int8 AS n"));
        place.ssp_run(&["-q"]).expect(0);
        assert_eq!(place.last_run()["a"], line);
    }
}

#[test]
fn exports_are_not_reused_for_another_database_and_always_is_always() {
    let place = Place::with("CREATE TABLE a (n int)");
    place.sql("CREATE DATABASE twin TEMPLATE postgres");
    let stage = "  a: {export: {table: a, refresh: always}, out: a.parquet}\n";
    place.pipeline_on("{max_age: 20h}", stage);
    for line in ["done never_run: ", "unchanged data_changed: refresh: always"] {
        place.ssp_run(&["-q"]).expect(0);
        assert_eq!(place.last_run()["a"], line);
    }
    place.ssp_run(&["-q", "--reuse-exports"]).expect(0);
    assert_eq!(place.last_run()["a"], "up_to_date");
    place.pipeline_on("{max_age: 20h, dbname: twin}", stage);
    place.ssp_run(&["-q", "--reuse-exports"]).expect(2).says("it was read from database `postgres`");
}

#[test]
fn a_watermark_is_evaluated_once_per_run() {
    let place = Place::with_settings(&["log_statement=all"], TABLES);
    place.pipeline(
        "  a: {export: {sql: SELECT id FROM obs, watermark: SELECT max(id) AS w FROM obs}, out: a.parquet}\n",
    );
    let log = place.server.as_ref().unwrap().path("server.log");
    let evaluated =
        || std::fs::read_to_string(&log).unwrap().matches("SELECT max(id) AS w FROM obs\n").count();
    for expected in 1..=3 {
        place.sql("UPDATE obs SET mag = mag");
        place.ssp_run(&["-q"]).expect(0);
        assert_eq!(evaluated(), expected);
    }
    assert!(place.last_run()["a"].starts_with("up_to_date"));
}

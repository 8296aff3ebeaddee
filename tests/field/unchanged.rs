//! An export is skipped only where its answer is proven to be the same.

use crate::place::{Place, Said};

pub const TABLES: &str = "
CREATE EXTENSION citext; CREATE EXTENSION file_fdw;
CREATE TABLE obs (id int PRIMARY KEY, stn text, at timestamptz, day date, mag float8, tags text[], doc jsonb,
                  twice int GENERATED ALWAYS AS (id * 2) STORED, name citext);
INSERT INTO obs (id, stn, at, day, mag, tags, doc, name)
SELECT g, 'X' || g, '2026-01-01 UTC'::timestamptz + g * interval '1 day', '2026-01-01'::date + g,
                       g / 2.0, ARRAY['a', g::text], jsonb_build_object('k', g), 'N' || g
FROM generate_series(1, 20) g;
CREATE VIEW seen AS SELECT id, stn FROM obs WHERE day > '2020-01-01';
CREATE VIEW recent AS SELECT id FROM obs WHERE at > now() - interval '1000 years';
CREATE VIEW over_recent AS SELECT * FROM recent;
CREATE MATERIALIZED VIEW kept AS SELECT id FROM obs;
CREATE TABLE parts (id int, stn text) PARTITION BY LIST (stn);
CREATE TABLE parts_x PARTITION OF parts FOR VALUES IN ('X');
CREATE TABLE parent (id int); CREATE TABLE child () INHERITS (parent);
CREATE UNLOGGED TABLE fleeting (id int);
CREATE TABLE loose (id int); CREATE UNLOGGED TABLE loose_child () INHERITS (loose);
CREATE TYPE colour AS ENUM ('red', 'blue'); CREATE TABLE colours (c colour); INSERT INTO colours VALUES ('red');
CREATE TABLE spans (s tstzrange);
CREATE SEQUENCE counter;
CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
CREATE FOREIGN TABLE far (id int) SERVER files OPTIONS (program 'echo 1');
CREATE TABLE mixed (id int) PARTITION BY LIST (id);
CREATE FOREIGN TABLE mixed_far PARTITION OF mixed FOR VALUES IN (1) SERVER files OPTIONS (program 'echo 1');
CREATE FUNCTION lies() RETURNS timestamptz IMMUTABLE LANGUAGE sql AS 'SELECT clock_timestamp()';
CREATE DOMAIN small AS int CHECK (lies() IS NOT NULL);
CREATE FUNCTION near(int, int) RETURNS bool VOLATILE LANGUAGE sql AS 'SELECT $1 = $2';
CREATE OPERATOR ~~~ (LEFTARG = int, RIGHTARG = int, FUNCTION = near);
CREATE TABLE guarded (id int, stn text); INSERT INTO guarded VALUES (1, 'X05'), (2, 'T05');
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
CREATE POLICY by_setting ON guarded USING (stn = current_setting('app.station', true));
CREATE TABLE plain_guard (id int, stn text);
ALTER TABLE plain_guard ENABLE ROW LEVEL SECURITY;
CREATE POLICY by_value ON plain_guard USING (stn = 'X05');
CREATE ROLE reader LOGIN;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader; GRANT SELECT ON counter TO reader;
CREATE ROLE other LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO other; GRANT other TO reader;
";

/// Queries whose answer is the same as long as no transaction writes.
const PROVEN: [&str; 34] = [
    "SELECT * FROM obs",
    "SELECT id, stn FROM seen",
    "SELECT * FROM kept",
    "SELECT * FROM parts",
    "SELECT * FROM parent",
    "SELECT * FROM plain_guard",
    "SELECT 1 AS a",
    "VALUES (1), (2)",
    "TABLE obs",
    "SELECT id::text AS a, mag::text AS b, id::numeric AS c FROM obs",
    "SELECT stn, count(*), sum(id), avg(mag), array_agg(id ORDER BY id) AS ids FROM obs GROUP BY stn HAVING count(*) > 0",
    "SELECT id, row_number() OVER (PARTITION BY stn ORDER BY id) AS n FROM obs",
    "SELECT id, sum(id) OVER (ORDER BY id RANGE BETWEEN 2 PRECEDING AND CURRENT ROW) AS n FROM obs",
    "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT * FROM r",
    "SELECT id FROM obs UNION SELECT id FROM kept EXCEPT SELECT 3",
    "SELECT a.id, b.stn FROM obs a LEFT JOIN seen b USING (id), LATERAL (SELECT a.id + 1 AS next) c",
    "SELECT id FROM obs WHERE at >= '2026-01-05 00:00+00' AND day < '2026-02-01' AND day + 1 > '2026-01-02'",
    "SELECT id FROM obs WHERE stn LIKE 'X%' AND id IN (1, 2, 3) AND mag BETWEEN 0 AND 5 AND NOT stn IS NULL",
    "SELECT tags[1] AS tag, doc->'k' AS k, doc->>'k' AS t, ARRAY[id, 2] AS pair, ROW(id, stn) = ROW(1, 'X1') AS r FROM obs",
    "SELECT CASE WHEN id > 3 THEN 'far' ELSE 'near' END AS c, coalesce(stn, '') AS s, greatest(id, 2) AS g, nullif(id, 1) AS n FROM obs",
    "SELECT id FROM obs WHERE (id, stn) > (3, 'X') AND id = ANY (ARRAY[4, 5, 6]) AND id IS DISTINCT FROM 5",
    "SELECT DISTINCT ON (stn) stn, id FROM obs ORDER BY stn, id LIMIT 3",
    "SELECT id FROM obs o WHERE EXISTS (SELECT FROM seen s WHERE s.id = o.id) AND id > (SELECT min(id) FROM kept)",
    "SELECT stn, id, grouping(stn) AS g, count(*) FROM obs GROUP BY GROUPING SETS ((stn), (id), ())",
    "SELECT name FROM obs WHERE name = 'n1'",
    "SELECT g, upper('nowhere') AS u FROM generate_series(1, 3) AS g",
    "SELECT tableoid FROM obs",
    "SELECT id FROM obs WHERE id IN (SELECT id FROM seen) AND id NOT IN (SELECT -1) AND id > ANY (SELECT 0 FROM kept)",
    "SELECT id FROM obs WHERE (id, stn) IN (SELECT id, stn FROM seen)",
    "SELECT (SELECT count(*) FROM kept)::text AS n",
    "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 5) CYCLE n SET again USING path
     SELECT n FROM r",
    "SELECT id FROM obs WHERE stn = 'now' OR stn LIKE '%today%' OR id = 1",
    "SELECT c FROM colours",
    "SELECT id FROM obs WHERE id + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 > 0",
];

/// Queries whose answer can be another though no transaction writes, and a part of the rule that `explain` names.
const NOT_PROVEN: [(&str, &str); 39] = [
    ("SELECT id FROM obs WHERE at > now() - interval '2 seconds'", "functions now, timestamptz_mi_interval"),
    ("SELECT id FROM obs WHERE day = current_date", "CURRENT_DATE"),
    ("SELECT current_user AS u", "CURRENT_USER"),
    ("SELECT random() AS r", "function random"),
    ("SELECT clock_timestamp() AS t", "function clock_timestamp"),
    ("SELECT current_setting('work_mem') AS s", "function current_setting"),
    ("SELECT to_char(at, 'YYYY') AS s FROM obs", "function to_char"),
    ("SELECT json_agg(id) AS j FROM obs", "json_agg"),
    ("SELECT at::text FROM obs", "function timestamptz_out"),
    ("SELECT day::text FROM obs", "function date_out"),
    ("SELECT id FROM obs WHERE substr('2020-01-02', 1, 10)::date > '2020-01-01'", "function date_in"),
    ("SELECT id FROM obs WHERE day > at", "function date_gt_timestamptz"),
    ("SELECT id FROM obs WHERE day = 'today'", "`today`"),
    ("SELECT id FROM obs WHERE day > 'Yesterday'::date", "`yesterday`"),
    ("SELECT 'now'::timestamptz AS t", "`now`"),
    ("SELECT '{tomorrow}'::date[] AS d", "`tomorrow`"),
    ("SELECT '[today,)'::daterange::text AS d", "`today`"),
    ("SELECT E'n\\x6fw'::timestamptz AS t", "query"),
    ("SELECT * FROM recent", "now"),
    ("SELECT * FROM over_recent", "now"),
    ("SELECT * FROM fleeting", "fleeting is an unlogged table"),
    ("SELECT * FROM loose", "loose_child is an unlogged table"),
    ("SELECT last_value FROM counter", "counter is a sequence"),
    ("SELECT * FROM far", "far is a foreign table"),
    ("SELECT * FROM mixed", "mixed_far is a foreign table"),
    ("SELECT lies() AS t", "function lies is declared immutable, but this cannot be verified"),
    ("SELECT id FROM obs WHERE id ~~~ 3", "function near"),
    ("SELECT id FROM obs TABLESAMPLE bernoulli (100)", "TABLESAMPLE"),
    ("SELECT id, ctid::text FROM obs", "system column ctid"),
    ("SELECT id FROM obs WHERE xmax = 0", "system column xmax"),
    ("SELECT relname::text FROM pg_class WHERE relname = 'obs'", "pg_class is a system table"),
    ("SELECT pid FROM pg_stat_activity", "pg_stat_get_activity"),
    ("SELECT table_name::text FROM information_schema.tables WHERE table_name = 'obs'", "COERCETODOMAIN"),
    ("SELECT xmlelement(name a, id)::text AS x FROM obs", "XMLEXPR"),
    ("SELECT id FROM guarded", "function current_setting"),
    ("SELECT id FROM obs ORDER BY (SELECT random())", "function random"),
    ("WITH c AS (SELECT now() AS t) SELECT 1 AS a FROM c", "function now"),
    // The export itself casts it to text.
    ("SELECT s FROM spans", "function range_out"),
    ("SELECT id::small AS id FROM obs", "COERCETODOMAIN"),
];

fn stages<'a>(name: &str, queries: impl Iterator<Item = &'a str>) -> String {
    let quoted = |sql: &str| serde_json::to_string(sql).unwrap();
    let stage = |(number, sql)| {
        format!("  {name}{number}: {{export: {{sql: {}}}, out: {name}{number}.parquet}}\n", quoted(sql))
    };
    queries.enumerate().map(stage).collect()
}

#[test]
fn only_what_rests_on_permanent_tables_alone_is_skipped() {
    let place = Place::with(TABLES);
    let not_proven = NOT_PROVEN.iter().map(|(sql, _)| *sql);
    let stages = stages("proven", PROVEN.into_iter()) + &stages("not", not_proven);
    place.pipeline_on("{user: reader}", &stages);
    place.ssp_run(&["-q"]).expect(0);
    place.ssp_run(&["-q"]).expect(0);
    let run = place.last_run();
    for (number, sql) in PROVEN.into_iter().enumerate() {
        assert_eq!(run[&format!("proven{number}")], "up_to_date", "{sql}");
    }
    for (number, (sql, rule)) in NOT_PROVEN.into_iter().enumerate() {
        let line = &run[&format!("not{number}")];
        assert!(line.contains(" data_changed: ") && line.contains(rule), "{sql}: {line}");
    }
    place.ssp_run(&["explain", "not0"]).expect(0).says("not proven unchanged: the query uses functions now,");
    // Any write is noticed, also one that is no business of the query.
    place.sql("CREATE TABLE new (a int)");
    place.ssp_run(&["-q"]).expect(0);
    assert_eq!(place.last_run()["proven0"], "unchanged data_changed: snapshot");
}

/// The `database` of a file, variables of the environment, and the reason that they give.
type Change = (&'static str, &'static [(&'static str, &'static str)], &'static str);

/// The place where a session looks and its settings, each by a way of its own: the rows may be others.
#[test]
fn another_session_is_another_answer() {
    let place = Place::with(TABLES);
    let stage = "  a: {export: {sql: SELECT id FROM obs}, out: a.parquet}\n";
    place.put("service.conf", "[plain]\nuser=reader\n[zoned]\nuser=reader\noptions=-c timezone=Asia/Tokyo\n");
    let changes: [Change; 9] = [
        ("{user: other}", &[], "role"),
        ("{dsn: \"user=reader options='-c app.station=X05'\"}", &[], "session options"),
        ("{dsn: \"user=reader options='-c role=other'\"}", &[], "role"),
        ("{user: reader}", &[("PGOPTIONS", "-c search_path=elsewhere,public")], "session options"),
        ("{user: reader}", &[("PGTZ", "Asia/Tokyo")], "session options"),
        ("{service: zoned}", &[], "session options"),
        ("{user: reader, dbname: twin}", &[], "database"),
        ("{user: reader}", &[("PGOPTIONS", "-c enable_seqscan=off")], "session options"),
        ("{user: reader}", &[("PGTARGETSESSIONATTRS", "read-write")], "connection settings"),
    ];
    place.sql("CREATE DATABASE twin TEMPLATE postgres");
    for (database, variables, rule) in changes {
        place.pipeline_on("{user: reader}", stage);
        place.ssp_run(&["-q", "-f"]).expect(0);
        place.ssp_run(&["--check"]).expect(0);
        place.pipeline_on(database, stage);
        let mut command = place.program("ssp-run");
        command.env("PGSERVICEFILE", place.path("service.conf")).args(["-q", "pipeline.yaml"]);
        command.envs(variables.iter().copied());
        Said::from(command.output().unwrap()).expect(0);
        let line = &place.last_run()["a"];
        assert!(line.starts_with("unchanged data_changed: ") && line.contains(rule), "{database}: {line}");
    }
    // The name and the timeout of a session do not matter.
    place.pipeline_on("{user: reader}", stage);
    place.ssp_run(&["-q", "-f"]).expect(0);
    place.pipeline_on("{user: reader}", &stage.replace("out:", "timeout: 1h, out:"));
    let mut check = place.program("ssp-run");
    Said::from(check.env("PGAPPNAME", "x").args(["--check", "pipeline.yaml"]).output().unwrap()).expect(0);
}

/// What the tool adds to a query, and what a type brings along, is asked for too.
#[test]
fn casts_and_operator_classes_count_as_the_query() {
    let place = Place::with(
        "CREATE TABLE words (id int, d text); INSERT INTO words VALUES (1, 'now');
         CREATE TYPE pair AS (a int); CREATE TABLE pairs (p pair); INSERT INTO pairs VALUES (ROW(1));
         CREATE FUNCTION pair_text(pair) RETURNS text VOLATILE LANGUAGE sql AS 'SELECT clock_timestamp()::text';
         CREATE CAST (pair AS text) WITH FUNCTION pair_text(pair); CREATE TABLE t (id int)",
    );
    place.pipeline(
        "  a: {export: {table: words, types: {d: timestamp}}, out: a.parquet}\n  \
           b: {export: {table: pairs}, out: b.parquet}\n  c: {export: {table: t}, out: c.parquet}\n",
    );
    place.ssp_run(&["-q"]).expect(0);
    place.ssp_run(&["-q"]).expect(0);
    let run = place.last_run();
    assert!(run["a"].contains("function timestamp_in"), "{run:?}");
    assert!(run["b"].contains("function pair_text"), "{run:?}");
    assert_eq!(run["c"], "up_to_date");
    place.sql(
        "CREATE FUNCTION flip(point, point) RETURNS int VOLATILE LANGUAGE sql AS 'SELECT 1';
         CREATE OPERATOR CLASS flip_ops DEFAULT FOR TYPE point USING btree AS
             OPERATOR 1 <<, OPERATOR 3 ~=, OPERATOR 5 >>, FUNCTION 1 flip(point, point)",
    );
    place.ssp_run(&["-q"]).expect(0);
    place.ssp_run(&["-q"]).expect(0);
    assert!(place.last_run()["c"].contains("function flip of an operator class"), "{:?}", place.last_run());
}

/// A session that reads after the server loaded its settings again has others than those that were recorded.
#[test]
fn settings_that_are_loaded_again_during_a_run_leave_a_doubt() {
    let place = Place::with("CREATE TABLE t (id int)");
    place.pipeline(
        "  a: {export: {sql: SELECT pg_sleep(2)::text AS s}, out: a.parquet}\n  b: {export: {table: t}, out: b.parquet}\n",
    );
    let mut run = place.program("ssp-run").args(["-q", "-j", "1", "pipeline.yaml"]).spawn().unwrap();
    place.until("SELECT count(*) > 0 FROM pg_stat_activity WHERE query LIKE 'COPY%pg_sleep%'");
    place.sql("ALTER SYSTEM SET timezone = 'Asia/Tokyo'");
    place.sql("SELECT pg_reload_conf()");
    assert!(run.wait().unwrap().success());
    place.sql("ALTER SYSTEM RESET timezone");
    place.sql("SELECT pg_reload_conf()");
    place.ssp_run(&["-q"]).expect(0);
    let line = &place.last_run()["b"];
    assert!(line.contains("reloaded during the run"), "{line}");
}

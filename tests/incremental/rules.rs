//! Which exports are incremental, and what is said of those that are not.

use crate::place::{Came, EXPORT, Place, TABLE, put};

const TABLES: &str = "
    CREATE SCHEMA s; CREATE TYPE colour AS ENUM ('red', 'blue'); CREATE TYPE pair AS (a int, b int);
    CREATE DOMAIN short AS varchar(10); CREATE TABLE s.named (n int);
    CREATE FUNCTION own_equal(int, text) RETURNS bool IMMUTABLE LANGUAGE sql AS 'SELECT $1::text = $2';
    CREATE OPERATOR === (LEFTARG = int, RIGHTARG = text, FUNCTION = own_equal);
    CREATE TABLE t (id int, v text, m numeric, f float4, d date, ts timestamptz, j jsonb, p point, r int4range, a text[],
                    u uuid, b bytea, i interval, o oid, c colour, g regclass, e money, k pair, w short, ws short[],
                    cs colour[], iv int2vector);
    INSERT INTO t SELECT n, 'v' || n, n, n, '2026-01-01'::date + n % 100, '2026-01-01', '{\"x\": [1]}', point(n, n), int4range(1, n + 2),
        array['a'], gen_random_uuid(), 'b', '1 day', n, 'red', 's.named'::regclass, 1, (1, 2)::pair, 'w', '{w}', '{red}',
        '1 2'
        FROM generate_series(1, 500) n;
    CREATE VIEW seen AS SELECT id, v FROM t;
    CREATE TABLE parent (id int); CREATE TABLE child () INHERITS (parent); INSERT INTO child VALUES (1);
    CREATE TABLE parts (id int) PARTITION BY LIST (id); CREATE TABLE part PARTITION OF parts DEFAULT;
    CREATE UNLOGGED TABLE unlogged (id int); CREATE MATERIALIZED VIEW kept AS SELECT 1 AS id;
    CREATE TABLE secured (id int); ALTER TABLE secured ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
    CREATE TABLE made (id int, twice int GENERATED ALWAYS AS (2 * id) STORED); INSERT INTO made VALUES (1);
    CREATE ROLE reader LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader;
    CREATE TABLE granted (id int, secret text); ALTER TABLE granted ALTER secret SET STORAGE PLAIN; GRANT SELECT (id) ON granted TO reader;";

/// Runs one export of a query twice, with a change between; what the second run came to.
fn twice(place: &Place, query: &str) -> Came {
    let stage =
        format!("t: {{export: {{sql: {}, cell_pages: 1}}, out: t.parquet}}", serde_json::json!(query));
    place.pipeline(&[&stage]);
    let _ = std::fs::remove_dir_all(place.path("data"));
    let _ = std::fs::remove_dir_all(place.path("full"));
    place.run("data", &["-q"]);
    place.sql("UPDATE t SET id = id WHERE id = 7; SELECT txid_current()");
    place.both("t")
}

#[test]
fn plain_columns_and_conditions_are_incremental() {
    let place = Place::with(TABLES, &[]);
    for query in [
        "SELECT * FROM made",
        "SELECT id, v AS other, t.m FROM t",
        "SELECT id, v, m, f, d, ts, j, p, r, a, u, b, i, o, w, ws, iv FROM public.t AS x",
        "SELECT id FROM t WHERE v IN ('v1', 'v2') OR id BETWEEN 5 AND 400 AND NOT (m < 3.5) AND f <> 2",
        "SELECT id FROM t WHERE v LIKE 'v1%' AND d >= '2026-01-05' AND u IS NOT NULL AND id = ANY ('{1,2,30}')",
        "SELECT id FROM t WHERE w = 'w' AND j @> '{}' AND (id > 3) IS TRUE AND v IS DISTINCT FROM 'v3'",
        "SELECT id, j->'x' AS x, id + 1 AS more FROM t -- a comment",
        "SELECT id FROM t WHERE ts > '2025-12-31 00:00+00'",
        "SELECT id FROM t WHERE id = 3",
    ] {
        let came = twice(&place, query);
        assert!(
            came.cells().is_some_and(|(_, copied)| copied > 0 || query.contains("made")),
            "{query}: {came:?}"
        );
        assert_eq!(came.why(), "", "{query}");
    }
}

#[test]
fn others_are_not_and_say_why() {
    let place = Place::with(TABLES, &[]);
    for (query, why) in [
        ("SELECT id, upper(v) AS v FROM t", "it calls a function"),
        ("SELECT id FROM t WHERE abs(id) > 3", "it calls a function"),
        ("SELECT id, (SELECT max(n) FROM s.named) AS n FROM t", "it has a subquery"),
        ("SELECT id FROM t WHERE id IN (SELECT n FROM s.named)", "it has a subquery"),
        ("SELECT id, xmax FROM t", "system column"),
        ("SELECT id, ctid FROM t", "system column"),
        ("SELECT t FROM t", "whole row"),
        ("SELECT id FROM t WHERE d > 'yesterday'", "`yesterday` in a literal depends on the clock"),
        ("SELECT id, current_date AS d FROM t", "CURRENT_DATE"),
        ("SELECT id FROM t WHERE ts > d", "can change without a write"),
        ("SELECT id FROM t WHERE id === '3'", "not part of the server"),
        ("SELECT id, g FROM t", "column `g`: values of type regclass"),
        ("SELECT id FROM t WHERE g = 's.named'::regclass", "regclass"),
        ("SELECT id, c FROM t", "column `c`: values of type colour"),
        ("SELECT id, cs FROM t", "column `cs`: values of type colour[]"),
        ("SELECT id FROM t WHERE c = 'red'", "colour"),
        ("SELECT id, e FROM t", "money"),
        ("SELECT id, k FROM t", "pair"),
        ("SELECT id, CASE WHEN id > 1 THEN 1 END AS one FROM t", "more than columns, literals and operators"),
        ("SELECT id FROM t ORDER BY id", "SELECT ... FROM one table WHERE ..."),
        ("SELECT DISTINCT id FROM t", "SELECT ... FROM one table WHERE ..."),
        ("SELECT id FROM seen", "a view or a subquery"),
        ("SELECT id FROM parent", "others inherit from"),
        ("SELECT id FROM parts", "a partitioned table"),
        ("SELECT id FROM unlogged", "an unlogged table"),
        ("SELECT id FROM kept", "a materialized view"),
        ("SELECT relname, relpages FROM pg_class", "a system table"),
    ] {
        let came = twice(&place, query);
        assert!(came.cells().is_none() && came.why().contains(why), "{query}: {came:?}");
    }
}

#[test]
fn a_role_that_may_read_only_some_columns_reads_all_each_time() {
    let place =
        Place::with(TABLES, &["t: {export: {sql: SELECT id FROM granted, cell_pages: 1}, out: t.parquet}"]);
    // A page for each row, so that the table is large enough to be read in parts by those who may.
    place.sql("INSERT INTO granted SELECT n, repeat('x', 7000) FROM generate_series(1, 2100) n");
    place.as_user("reader");
    for n in 0..2 {
        let came = place.both("t");
        assert!(came.why().contains("may read only some columns"), "{came:?}");
        place.as_user("ssp");
        place.sql(&format!("INSERT INTO granted VALUES (-{n})"));
        place.as_user("reader");
    }
    place.pipeline(&["t: {export: {sql: SELECT id FROM secured, cell_pages: 1}, out: t.parquet}"]);
    assert!(place.both("t").why().contains("row security"));
}

/// A check that is new, or has another limit, is done on all rows, also if none of them changed.
#[test]
fn a_changed_check_is_done_though_nothing_changed() {
    let place = Place::with(TABLE, &[EXPORT]);
    place.both("t");
    for (checks, code) in
        [("min_rows: 1500", 0), ("min_rows: 1501", 5), ("unique: [id]", 0), ("unique: [pad]", 5)]
    {
        let stage =
            format!("t: {{export: {{table: t, cell_pages: 2}}, checks: {{{checks}}}, out: t.parquet}}");
        place.pipeline(&[&stage]);
        place.sql("SELECT txid_current()");
        let output = place.command("data", &["-q"]).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{checks}: {}", String::from_utf8_lossy(&output.stderr));
        if code == 0 {
            place.sql("SELECT txid_current()");
            place.run("data", &["-q"]);
            assert_eq!(place.came("data", "t").cells().unwrap().0, 0, "{checks}");
        }
    }
}

#[test]
fn it_can_be_switched_off() {
    let place = Place::with(TABLE, &[EXPORT]);
    place.both("t");
    let change = || place.sql("UPDATE t SET v = 'x' WHERE id = 5");
    for stage in ["incremental: false", "watermark: SELECT txid_current()"] {
        place.pipeline(&[&format!("t: {{export: {{table: t, cell_pages: 2, {stage}}}, out: t.parquet}}")]);
        change();
        let came = place.both("t");
        assert_eq!(came.cells().unwrap().1, 0, "{came:?}");
    }
    // By the defaults, too, which a stage may overrule.
    place.pipeline(&[EXPORT]);
    let text = std::fs::read_to_string(place.path("p.yaml")).unwrap();
    put(&place.path("p.yaml"), text.replace("stages:", "defaults: {incremental: false}\nstages:").as_bytes());
    change();
    assert_eq!(place.both("t").cells().unwrap().1, 0);
    place.pipeline(&[EXPORT]);
    change();
    place.both("t");
    change();
    assert!(place.both("t").cells().unwrap().1 > 0);
    for flag in ["--full", "--force", "--force-stage=t"] {
        change();
        place.run("data", &["-q", flag]);
        assert_eq!(place.came("data", "t").cells().unwrap().1, 0, "{flag}");
    }
    // What is up to date is read again, too.
    place.run("data", &["-q", "--full"]);
    let came = place.came("data", "t");
    assert_eq!((came.status.as_str(), came.cells().unwrap().1), ("unchanged", 0));
    for wrong in ["0", "3", "-2", "x", "8589934592"] {
        place.pipeline(&[&format!("t: {{export: {{table: t, cell_pages: {wrong}}}, out: t.parquet}}")]);
        let output = place.command("data", &[]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("cell_pages"), "{said}");
    }
}

/// The plan, `explain`, the line of the stage and the report say what is read and what is copied, or why all is read.
#[test]
fn people_are_told() {
    let place =
        Place::with(TABLE, &[EXPORT, "u: {export: {sql: SELECT upper(v) AS v FROM t}, out: u.parquet}"]);
    let explain = |stage: &str| {
        let output = place.program("data").args(["explain", stage, "p.yaml"]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(explain("t").contains("incremental after the next run"), "{}", explain("t"));
    let first = place.run("data", &[]);
    assert!(!first.contains("cells"), "{first}");
    assert!(explain("u").contains("not incremental: it calls a function"), "{}", explain("u"));
    place.sql("UPDATE t SET v = 'x' WHERE id = 5");
    let plan = place.run("data", &["-n"]);
    assert_eq!(plan.matches("(incremental: cells are compared in the snapshot)").count(), 1, "{plan}");
    assert!(explain("t").contains("incremental: cells are compared in the snapshot"), "{}", explain("t"));
    let plan: serde_json::Value =
        serde_json::from_slice(&place.command("data", &["-n", "--json"]).output().unwrap().stdout).unwrap();
    assert_eq!(plan["stages"][0]["incremental"], "incremental: cells are compared in the snapshot");
    let second = place.run("data", &[]);
    let (read, left) = place.came("data", "t").cells().unwrap();
    let said = format!("{read} of {} cells read, {left} copied", read + left);
    assert!(second.contains(&said), "{second}");
    let report = std::fs::read_to_string(place.path("data/.ssp/runs/latest/report.html")).unwrap();
    assert!(report.contains(&said), "{said}");
    place.stop();
    place.start();
    let third = place.run("data", &[]);
    assert!(third.contains(&format!("{0} of {0} cells read (server start changed)", read + left)), "{third}");
    place.sql("SELECT txid_current()");
    let fourth = place.run("data", &[]);
    assert!(fourth.contains(&format!("0 of {} cells read", read + left)), "{fourth}");
}

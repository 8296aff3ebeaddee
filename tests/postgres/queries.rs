//! What a query may be, and what is said when it is not.

use ssp::parquet::read::TableReader;
use ssp::stages::export::ExportSpec;

use crate::support::parquet::lines;
use crate::support::postgres::{Server, sql};

const TABLES: &str = "CREATE TABLE t (n int NOT NULL, s text, \"Odd name\" int);
    INSERT INTO t SELECT n, 's' || n, -n FROM generate_series(1, 5) AS n;
    CREATE FUNCTION pairs(OUT a int, OUT b text) RETURNS SETOF record LANGUAGE sql
        AS $$ SELECT n, n || '!' FROM generate_series(1, 2) AS n $$;
    CREATE TABLE none (); CREATE SCHEMA other; CREATE TABLE other.\"T.x\" (\"a\"\"b\" int); INSERT INTO other.\"T.x\" VALUES (7);";

#[test]
fn any_query_that_returns_rows_can_be_exported() {
    let server = Server::with(TABLES);
    for (query, expected) in [
        ("SELECT n FROM t ORDER BY n DESC", vec!["5", "4", "3", "2", "1"]),
        ("WITH x AS (SELECT n FROM t WHERE n > 3) SELECT * FROM x", vec!["4", "5"]),
        ("SELECT n FROM t WHERE n = 1 UNION ALL SELECT 9", vec!["1", "9"]),
        ("VALUES (1, 'a'), (2, NULL)", vec!["1 | a", "2 | NULL"]),
        ("SELECT * FROM pairs()", vec!["1 | 1!", "2 | 2!"]),
        ("TABLE t", vec!["1 | s1 | -1", "2 | s2 | -2", "3 | s3 | -3", "4 | s4 | -4", "5 | s5 | -5"]),
        ("SELECT n -- the number\nFROM t WHERE n = 2; -- done", vec!["2"]),
        ("/* a; b */ SELECT ';' AS semicolon ;", vec![";"]),
        (
            "SELECT n, interval '1 day' AS i FROM t ORDER BY s DESC LIMIT 2 -- cast and ordered",
            vec!["5 | 1 day", "4 | 1 day"],
        ),
        (
            "SELECT n AS \"Odd \"\"name\"\"\", now() - now() AS \"null\" FROM t WHERE n = 1",
            vec!["1 | 00:00:00"],
        ),
        ("SELECT 1 AS a WHERE false", vec![]),
    ] {
        let (file, rows) =
            server.export("q.parquet", &sql(query)).unwrap_or_else(|error| panic!("{query}: {error}"));
        assert_eq!(lines(&file), expected, "{query}");
        assert_eq!(rows, expected.len() as u64);
    }
}

/// With types of the user's that have the names of the system's, and come first.
#[test]
fn our_own_queries_use_the_types_of_the_system() {
    let server = Server::with(TABLES);
    let names = ["oid", "int8", "text", "tid", "xid", "regclass", "pg_lsn"];
    let domains = names.map(|name| format!("CREATE DOMAIN public.{name} AS pg_catalog.point;"));
    server.run(&(domains.concat() + "ALTER ROLE ALL SET search_path = public, pg_catalog"));
    for spec in [sql("SELECT n FROM t"), ExportSpec { table: Some("t".to_owned()), ..ExportSpec::default() }]
    {
        assert_eq!(server.export("t.parquet", &spec).unwrap().1, 5);
    }
}

#[test]
fn tables_can_be_named_with_columns_or_without() {
    let server = Server::with(TABLES);
    let table = |table: &str| ExportSpec { table: Some(table.to_owned()), ..ExportSpec::default() };
    let names = |columns: &[&str]| Some(columns.iter().map(|&column| column.to_owned()).collect::<Vec<_>>());
    for (spec, expected) in [
        (table("t"), "n,s,Odd name"),
        (table("public.t"), "n,s,Odd name"),
        (ExportSpec { columns: names(&["Odd name", "n"]), ..table("t") }, "Odd name,n"),
        (ExportSpec { exclude: names(&["s"]), ..table("t") }, "n,Odd name"),
        (table("other.\"T.x\""), "a\"b"),
    ] {
        let (file, _) = server.export("t.parquet", &spec).unwrap();
        let schema = TableReader::open(&file).unwrap().schema().clone();
        let found: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        assert_eq!(found.join(","), expected);
    }
    for (spec, expected) in [
        (table("T"), "there is no table \"T\" in the search path (names are case-sensitive)"),
        (
            ExportSpec { exclude: names(&["other"]), ..table("t") },
            "table \"t\" has no column `other` (it has: n, s, Odd name)",
        ),
        (
            ExportSpec { columns: names(&["N"]), ..table("t") },
            "table \"t\" has no column `N` (did you mean `n`?)",
        ),
        (
            ExportSpec { exclude: names(&["n", "s", "Odd name"]), ..table("t") },
            "the query returns no columns",
        ),
        (ExportSpec { columns: names(&[]), ..table("t") }, "`columns` is empty"),
        (
            ExportSpec { columns: names(&["n"]), exclude: names(&["s"]), ..table("t") },
            "give `columns` or `exclude`, not both",
        ),
        (ExportSpec { sql: Some("SELECT 1".into()), ..table("t") }, "`export` has both `sql` and `table`"),
        (ExportSpec::default(), "`export` needs `sql` or `table`"),
        (table("a.b.c.d"), "`a.b.c.d` is not a table's name: write `name` or `schema.name`"),
    ] {
        assert_eq!(server.export_error(&spec), expected);
    }
}

#[test]
fn mistakes_are_shown_where_they_are() {
    let server = Server::with(TABLES);
    let errors: Vec<String> = [
        "SELECT 1; SELECT 2",
        "INSERT INTO t VALUES (1)",
        "WITH x AS (INSERT INTO t VALUES (1) RETURNING n) SELECT * FROM x",
        "SELECT n\nFROM t\nWHERE nn > 1",
        "SELECT 'é', FROM t",
        "SELECT n, n FROM t",
        "SELECT FROM t",
        "TABLE none",
        "SELECT 1 / (n - 3) AS q FROM t",
        "SELECT pg_catalog.set_config('transaction_read_only', 'off', true)",
        "SELECT 'open",
        "  -- nothing",
        "SELECT $1::int AS a",
        "SELECT 1 AS a) TO STDOUT; DROP TABLE t; --",
    ]
    .iter()
    .map(|query| format!("{query}\n=> {}\n", server.export_error(&sql(query))))
    .collect();
    insta::assert_snapshot!(errors.join("\n"));
}

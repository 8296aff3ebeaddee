//! `fast-export` as text: exit code, what it prints, what it leaves.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use tempfile::TempDir;

use crate::support::parquet::lines;
use crate::support::postgres::Server;

/// A command with nothing of the user's surroundings but the path, in a folder of its own.
pub fn fast_export(folder: &Path) -> Command {
    let mut command = Command::cargo_bin("fast-export").unwrap();
    command.env_clear().env("HOME", folder).env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.current_dir(folder);
    command
}

/// Runs it and shows all of it; what changes from run to run is made constant.
fn shown(command: &mut Command, hide: &[(&str, &str)]) -> String {
    let output = command.output().unwrap();
    let mut text = format!(
        "exit {}\n{}{}",
        output.status.code().map_or("by signal".to_owned(), |code| code.to_string()),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap()
    );
    for (from, to) in hide {
        text = text.replace(from, to);
    }
    let seconds = |word: &str| word.parse::<f64>().is_ok() && word.contains('.');
    text.lines()
        .map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            match words.as_slice() {
                [before @ .., number, "s"] if seconds(number) => format!("{} TIME s", before.join(" ")),
                _ => line.to_owned(),
            }
        })
        .collect::<Vec<_>>()
        .join("\n")
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// The names in a folder, sorted.
pub fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn help_shows_how_it_is_used() {
    let folder = folder();
    insta::assert_snapshot!(shown(fast_export(folder.path()).arg("--help"), &[]));
    let version = shown(fast_export(folder.path()).arg("--version"), &[]);
    assert_eq!(version, format!("exit 0\nfast-export {}", env!("CARGO_PKG_VERSION")));
}

#[test]
fn mistakes_in_the_command_are_told_before_anything_is_done() {
    let folder = folder();
    let path = folder.path();
    fs::create_dir(path.join("folder")).unwrap();
    for (name, text) in [
        ("unknown.yaml", "- sql: SELECT 1\n  out: a.parquet\n  row_group: 5\n"),
        ("missing.yaml", "- sql: SELECT 1\n"),
        ("broken.yaml", "- sql: [\n"),
        ("map.yaml", "sql: SELECT 1\nout: a.parquet\n"),
        ("empty.yaml", "[]\n"),
        ("zero.json", r#"[{"sql": "SELECT 1", "out": "a.parquet", "row_group_size": 0}]"#),
        ("twice.yaml", "- {sql: SELECT 1, out: a.parquet}\n- {sql: SELECT 2, out: ./a.parquet}\n"),
        ("csv.yaml", "- {sql: SELECT 1, out: a}\n- {sql: SELECT 2, out: a.csv}\n"),
        ("insert.yaml", "- {sql: SELECT 1 AS a, out: a.parquet}\n- {sql: DELETE FROM t, out: b.parquet}\n"),
    ] {
        fs::write(path.join(name), text).unwrap();
    }
    let cases: &[&[&str]] = &[
        &[],
        &["--sql", "SELECT 1"],
        &["--out", "a.parquet"],
        &["--sql", "SELECT 1", "--out", "a.parquet", "--config", "c.yaml"],
        &["--sql", "SELECT 1", "--out", "a.parquet", "--compression", "zip"],
        &["--sql", "SELECT 1", "--out", "a.parquet", "--row-group-size", "0"],
        &["--sql", "SELECT 1", "--out", "a.parquet", "--block-size", "1"],
        &["--sql", "SELECT 1", "--out", "a.parquet", "--jobs", "0"],
        &["--sql", "SELECT 1", "--out", "a.parquet", "--sslmode", "on"],
        &["--sql", "SELECT 1", "--out", "folder"],
        &["--sql", "SELECT 1", "--out", "/"],
        &["--sql", "SELECT 1; SELECT 2", "--out", "a.parquet"],
        &["--sql", "SELECT 1", "--out", "a.parquet", "--port", "http"],
        &["--sql", "SELECT 1", "--out", "a.parquet", "--service", "none"],
        &["--sql", "SELECT 1", "--out", "a.parquet", "--dsn", "host=h passwd=secret"],
        &["--config", "none.yaml"],
        &["--config", "unknown.yaml"],
        &["--config", "missing.yaml"],
        &["--config", "broken.yaml"],
        &["--config", "map.yaml"],
        &["--config", "empty.yaml"],
        &["--config", "zero.json"],
        &["--config", "twice.yaml"],
        &["--config", "csv.yaml", "--keep-temp"],
        &["--config", "insert.yaml"],
    ];
    let home = path.display().to_string();
    let told: Vec<String> = cases
        .iter()
        .map(|arguments| {
            format!(
                "$ fast-export {}\n{}\n",
                arguments.join(" "),
                shown(fast_export(path).args(*arguments), &[(&home, "~")])
            )
        })
        .collect();
    insta::assert_snapshot!(told.join("\n"));
    assert!(names(path).iter().all(|name| !name.contains("parquet")));
}

const TABLES: &str = "CREATE TABLE t AS SELECT n, 'row \"' || n || '\"' AS s FROM generate_series(1, 1234) AS n; CREATE TABLE u (a int, b text);";

#[test]
fn a_good_run_says_what_it_wrote() {
    let server = Server::with(TABLES);
    let uri = server.throwaway.uri();
    let folder = folder();
    let path = folder.path();
    fs::write(path.join("two.yaml"), "- sql: SELECT n FROM t\n  out: out/t.parquet\n  row_group_size: 500\n- sql: TABLE u;\n  out: u.parquet\n").unwrap();
    fs::write(path.join("one.json"), r#"[{"sql": "SELECT 1 AS one", "out": "one.parquet"}]"#).unwrap();
    let runs = [
        &["--sql", "SELECT * FROM t ORDER BY n", "--out", "t.parquet", "--keep-temp"][..],
        &["--config", "two.yaml", "--jobs", "1"],
        &["--config", "one.json", "--compression", "none"],
        &["--sql", "SELECT * FROM t", "--out", "quiet.parquet", "--silent"],
    ];
    let told = runs.map(|arguments| {
        let shown = shown(fast_export(path).args(["--dsn", &uri]).args(arguments), &[]);
        format!("$ fast-export --dsn URI {}\n{shown}\n\n", arguments.join(" "))
    });
    insta::assert_snapshot!(told.concat());
    assert_eq!(
        names(path),
        [
            "one.json",
            "one.parquet",
            "out",
            "quiet.parquet",
            "t.parquet",
            "t.parquet.csv",
            "two.yaml",
            "u.parquet"
        ]
    );
    assert_eq!(lines(&path.join("t.parquet"))[1], "2 | row \"2\"");
    let csv = fs::read_to_string(path.join("t.parquet.csv")).unwrap();
    assert!(csv.starts_with("n,s\n1,\"row \"\"1\"\"\"\n") && csv.lines().count() == 1235);
    let reader = ssp::parquet::read::TableReader::open(&path.join("out/t.parquet")).unwrap();
    assert_eq!((reader.rows(), reader.row_groups()), (1234, 3));
    assert_eq!(
        ssp::parquet::read::TableReader::open(&path.join("u.parquet")).unwrap().schema().fields().len(),
        2
    );
}

#[test]
fn a_failed_run_leaves_the_last_good_output() {
    let server = Server::with(TABLES);
    let folder = folder();
    let path = folder.path();
    fs::write(path.join("a.parquet"), "last good").unwrap();
    fs::write(path.join("list.yaml"), "- {sql: SELECT * FROM t, out: a.parquet}\n- {sql: SELECT 1 / (n - 600) AS q FROM t, out: b.parquet}\n").unwrap();
    let socket = server.throwaway.socket_folder().display().to_string();
    let database = ["--host", &socket, "--dbname", "postgres", "--user", "ssp"];
    let runs = [
        &["--sql", "SELECT x\nFROM t", "--out", "a.parquet"][..],
        &["--sql", "SELECT 1 / (n - 600) AS q FROM t", "--out", "a.parquet", "--keep-temp"],
        &["--sql", "SELECT 1 AS a", "--out", "/proc/nowhere/a.parquet"],
        &["--config", "list.yaml", "--jobs", "2"],
    ];
    let told = runs.map(|arguments| {
        let shown = shown(fast_export(path).args(database).args(arguments), &[]);
        format!("$ fast-export {}\n{shown}\n\n", arguments.join(" "))
    });
    insta::assert_snapshot!(told.concat());
    assert_eq!(names(path), ["a.parquet", "list.yaml"]);
    assert_eq!(fs::read(path.join("a.parquet")).unwrap(), b"last good");
}

/// While the second output is written, a folder takes its place.
#[test]
fn outputs_that_cannot_all_be_put_in_place_are_as_they_were() {
    let server = Server::with(TABLES);
    let folder = folder();
    let path = folder.path();
    fs::write(path.join("a.parquet"), "last good").unwrap();
    fs::write(
        path.join("list.yaml"),
        "- {sql: TABLE t, out: a.parquet}\n- {sql: SELECT pg_sleep(1), out: b.parquet}\n- {sql: TABLE u, out: c.parquet}\n",
    )
    .unwrap();
    let uri = server.throwaway.uri();
    let text = std::thread::scope(|scope| {
        let run = scope.spawn(|| {
            shown(fast_export(path).args(["--dsn", &uri, "--config", "list.yaml", "--keep-temp"]), &[])
        });
        while !names(path).iter().any(|name| name.starts_with(".b.parquet.")) {
            assert!(!run.is_finished(), "{}", names(path).join(" "));
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        fs::create_dir(path.join("b.parquet")).unwrap();
        run.join().unwrap()
    });
    let expected = "exit 1\nerror: cannot put the finished file in place of `b.parquet`\n  caused by: it is a folder now, not a file\n  \
                    hint: all outputs are unchanged: they are published together or not at all";
    assert_eq!(text, expected);
    assert_eq!(names(path), ["a.parquet", "b.parquet", "list.yaml"]);
    assert_eq!(fs::read(path.join("a.parquet")).unwrap(), b"last good");
    // With the folder gone all are published, and their CSV with them.
    fs::remove_dir(path.join("b.parquet")).unwrap();
    fast_export(path).args(["--dsn", &uri, "--config", "list.yaml", "--keep-temp"]).assert().success();
    let all = [
        "a.parquet",
        "a.parquet.csv",
        "b.parquet",
        "b.parquet.csv",
        "c.parquet",
        "c.parquet.csv",
        "list.yaml",
    ];
    assert_eq!(names(path), all);
    assert_eq!(fs::read_to_string(path.join("b.parquet.csv")).unwrap(), "pg_sleep\n\"\"\n");
    assert_eq!(fs::read_to_string(path.join("c.parquet.csv")).unwrap(), "a,b\n");
    assert_eq!(lines(&path.join("a.parquet")).len(), 1234);
}

#[test]
fn a_database_that_cannot_be_reached_is_exit_4_and_every_setting_is_traced() {
    let folder = folder();
    let path = folder.path();
    fs::write(path.join(".pg_service.conf"), "[mpc_sbn]\nhost=/nonexistent\nuser=reader\n").unwrap();
    let mut command = fast_export(path);
    command.env("PGDATABASE", "mpc").args([
        "--service",
        "mpc_sbn",
        "--port",
        "6432",
        "--sql",
        "SELECT 1",
        "--out",
        "a.parquet",
    ]);
    let home = path.display().to_string();
    insta::assert_snapshot!(shown(&mut command, &[(&home, "~")]));
}

#[test]
fn a_password_never_appears() {
    const PASSWORD: &str = "s3cr3t-pass";
    let server = Server::with("CREATE ROLE r LOGIN PASSWORD 'another';");
    let hba = server.throwaway.folder().join("data/pg_hba.conf");
    fs::write(&hba, "local all ssp trust\nlocal all r scram-sha-256\n").unwrap();
    server.run("SELECT pg_reload_conf();");
    let folder = folder();
    let path = folder.path();
    let socket = server.throwaway.socket_folder().display().to_string();
    fs::write(path.join("pass"), format!("*:*:*:*:{PASSWORD}\n")).unwrap();
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(path.join("pass"), private).unwrap();
    fs::write(
        path.join("services"),
        format!("[s]\nhost={socket}\ndbname=postgres\nuser=r\npassword={PASSWORD}\n"),
    )
    .unwrap();
    fs::write(path.join("mistaken"), format!("[s]\npassword {PASSWORD}\n")).unwrap();
    let dsn = format!("host={socket} dbname=postgres user=r password={PASSWORD}");
    let uri = format!("postgresql://r:{PASSWORD}@/postgres?host={socket}");
    let place = ["--host", &socket, "--dbname", "postgres", "--user", "r"];
    // Arguments, and a variable with its value.
    let ways = [
        ([&place[..], &["--password", PASSWORD]].concat(), None),
        (vec!["--dsn", &dsn], None),
        (vec!["--dsn", &uri], None),
        (place.to_vec(), Some(("PGPASSWORD", PASSWORD))),
        (place.to_vec(), Some(("PGPASSFILE", "pass"))),
        (vec!["--service", "s"], Some(("PGSERVICEFILE", "services"))),
        (vec!["--dsn", "postgresql://r:s3cr3t-pass@[::1/d"], None),
        (vec!["--dsn", "postgresql://r:12/s3cr3t-pass@h/d"], None),
        (vec!["--dsn", "postgresql://r:12@s3cr3t-pass@h/d"], None),
        (vec!["--dsn", "user=r password='s3cr3t-pass"], None),
        (vec!["--dsn", "user=r password=12 s3cr3t-pass"], None),
        (vec!["--service", "s"], Some(("PGSERVICEFILE", "mistaken"))),
        (vec!["--dsn", "user=r password=s3cr3t-pass nonsense=1"], None),
    ];
    for (arguments, variable) in ways {
        let mut command = fast_export(path);
        command.args(&arguments).envs(variable).env("RUST_BACKTRACE", "1").env("RUST_LOG", "trace");
        let text = shown(command.args(["--sql", "SELECT 1", "--out", "a.parquet", "--reraise"]), &[]);
        assert!(!text.starts_with("exit 0"), "{arguments:?}: {text}");
        assert!(!text.contains(PASSWORD), "{arguments:?}: {text}");
        let warned =
            text.contains("warning: other users of this machine can see a password on the command line");
        let on_the_command_line = arguments.iter().any(|argument| argument.contains(PASSWORD));
        assert!(warned == on_the_command_line || text.starts_with("exit 2"), "{arguments:?}: {text}");
    }
}

#[test]
fn reraise_prints_all_there_is() {
    let folder = folder();
    let mut command = fast_export(folder.path());
    command.env("RUST_BACKTRACE", "1").args([
        "--host",
        "/nonexistent",
        "--user",
        "u",
        "--sql",
        "SELECT 1",
        "--out",
        "a.parquet",
        "--reraise",
    ]);
    let text = shown(&mut command, &[]);
    assert!(
        text.contains("caused by: No such file or directory") && text.contains("Stack backtrace:"),
        "{text}"
    );
}

#[test]
fn a_list_may_have_more_outputs_than_files_may_be_open() {
    let server = Server::with("");
    let folder = folder();
    let path = folder.path();
    let list: Vec<String> =
        (0..300).map(|n| format!("- {{sql: SELECT {n} AS n, out: o/{n}.parquet}}\n")).collect();
    fs::write(path.join("list.yaml"), list.concat()).unwrap();
    let mut shell = std::process::Command::new("sh");
    let limited = format!("ulimit -n 260; exec {} \"$@\"", env!("CARGO_BIN_EXE_fast-export"));
    shell.current_dir(path).args([
        "-c",
        &limited,
        "sh",
        "--dsn",
        &server.throwaway.uri(),
        "--config",
        "list.yaml",
    ]);
    let output = shell.args(["--silent", "--jobs", "2"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(fs::read_dir(path.join("o")).unwrap().count(), 300);
}

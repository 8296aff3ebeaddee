//! What is in the outputs: `head`, `describe` and `diff`, and the changes on the report page.

use std::fs;

use serde_json::Value;

use crate::parquet::lines;
use crate::said::Streams;
use crate::site::{Site, put};

/// A site whose outputs are those of a run, with the id of the run. The tests say which generations are kept.
fn ran() -> (Site, String) {
    let site = Site::new();
    site.edit("\nkeep: 7", "\n#");
    let run = run(&site);
    (site, run)
}

/// Keeps the current outputs as a generation.
fn keep(site: &Site, run: &str) {
    let generation = site.path(&format!("data/.ssp/generations/{run}"));
    fs::create_dir_all(generation.join(".ssp/stages")).unwrap();
    for (from, to) in [("data", ""), ("data/.ssp/stages", ".ssp/stages")] {
        for file in fs::read_dir(site.path(from)).unwrap().map(|entry| entry.unwrap().path()) {
            if file.is_file() {
                fs::hard_link(&file, generation.join(to).join(file.file_name().unwrap())).unwrap();
            }
        }
    }
    let current = site.path("data/.ssp/generations/current");
    let _ = fs::remove_file(&current);
    std::os::unix::fs::symlink(run, current).unwrap();
}

/// Runs the pipeline, and returns the id of the run.
fn run(site: &Site) -> String {
    site.ssp_run(&["-q"]).expect(0);
    site.last_id()
}

fn good(site: &Site, arguments: &[&str]) -> String {
    let Streams { code, stdout, stderr } = site.ssp_run(arguments);
    assert_eq!((code, stderr.as_str()), (Some(0), ""), "{stdout}");
    let fits = |line: &str| line.chars().count() <= 80;
    assert!(arguments.contains(&"--json") || stdout.lines().all(fits), "{stdout}");
    stdout
}

#[track_caller]
fn bad(site: &Site, arguments: &[&str], code: i32, said: &str) {
    site.ssp_run(arguments).expect(code).says(said);
}

/// The texts of a line of a table.
fn cells(line: &str) -> Vec<&str> {
    line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn head_shows_the_first_rows() {
    let (site, _) = ran();
    let text = good(&site, &["head", "ssobject", "-n", "2"]);
    let shown: Vec<Vec<&str>> = text.lines().map(cells).collect();
    let rows = lines(&site.path("data/ssobject.parquet"));
    let values: Vec<&str> = rows[1].split(" | ").collect();
    assert_eq!(shown[0][..2], ["ssObjectId", "designation"]);
    assert!(shown[2].len() >= 4 && values.starts_with(&shown[2]), "{text}");
    assert!(
        text.contains(&format!("2 of {} rows\n", rows.len())) && text.contains(" more columns: "),
        "{text}"
    );

    let text = good(&site, &["head", "ssobject", "--columns", "MOIDEarth,ssObjectId", "-n", "1000000"]);
    assert_eq!(text.lines().count(), rows.len() + 2, "{text}");
    assert_eq!(cells(text.lines().next().unwrap()), ["MOIDEarth", "ssObjectId"]);
    let text = good(&site, &["head", "ssobject", "-n", "0", "--columns", "nObs"]);
    assert_eq!(text, format!("nObs\n0 of {} rows\n", rows.len()));
    assert_eq!(good(&site, &["head", "ssobject", "-n", "0", "--json"]), "");

    // Read as another program reads it: all digits of ids, floats of single precision, NULL.
    let text = good(&site, &["head", "ssobject", "-n", "100", "--json"]);
    assert_eq!(text.lines().count(), rows.len());
    for (line, row) in text.lines().zip(&rows) {
        let object = json(line);
        let values: Vec<&str> = row.split(" | ").collect();
        assert_eq!(object["ssObjectId"].to_string(), values[0]);
        let moid = object["MOIDEarth"].as_f64();
        #[expect(clippy::cast_possible_truncation, reason = "the column is in single precision")]
        let moid = moid.map(|moid| moid as f32);
        assert_eq!(moid, values[5].parse::<f32>().ok());
    }
}

#[test]
fn head_keeps_a_row_on_its_line() {
    let site = Site::new();
    let long = "x".repeat(100);
    site.sql(&format!(
        "UPDATE obs_sbn SET remarks = E'a\\tb\\n\\x1b[31mred', prog = '', notes = '{long}' WHERE id = \
         (SELECT min(id) FROM obs_sbn WHERE stn = 'X05')"
    ));
    site.ssp_run(&["-q"]).expect(0);
    let columns = "remarks,prog,notes,artsat,stn";
    let text = good(&site, &["head", "obs_sbn", "-n", "1", "--columns", columns]);
    let row = text.lines().nth(1).unwrap();
    assert!(row.starts_with(r"a\tb\n\u{1b}[31mred      "), "{text}");
    assert!(row.ends_with("xxx…  NULL    X05"), "{text}");
    let object = json(&good(&site, &["head", "obs_sbn", "-n", "1", "--columns", columns, "--json"]));
    assert_eq!(object["remarks"], "a\tb\n\u{1b}[31mred");
    assert_eq!((&object["prog"], &object["artsat"]), (&Value::from(""), &Value::Null));
    assert_eq!(object["notes"], long.as_str());
}

#[test]
fn what_is_not_there_is_said() {
    let site = Site::new();
    bad(&site, &["head", "ssobject"], 1, "stage `ssobject` has no output yet: `data/ssobject.parquet`");
    bad(&site, &["describe", "ssobjct"], 2, "(did you mean `ssobject`?)");
    bad(&site, &["diff"], 2, "there is no earlier generation to compare with");
    bad(&site, &["diff", "20260301"], 2, "no generation `20260301` was kept");
    fs::create_dir(site.path("data")).unwrap();
    put(&site.path("data/ssobject.parquet"), b"not Parquet at all");
    bad(&site, &["head", "ssobject"], 1, "cannot read `data/ssobject.parquet` as Parquet");
    let (site, run) = ran();
    bad(&site, &["head", "ssobject", "--columns", "nObs,desgnation"], 2, "(did you mean `designation`?)");
    keep(&site, &run);
    keep(&site, "20200101T000000Z");
    keep(&site, "20200102T000000Z");
    bad(&site, &["diff", "2020"], 2, "more than one generation begins with `2020`");
    bad(&site, &["diff", "obssbn"], 2, "neither a stage nor a kept generation (did you mean `obs_sbn`?)");
    bad(
        &site,
        &["diff", "20200101", "20200102", "20200101"],
        2,
        "the third argument, `20200101`, is not a stage",
    );
    bad(&site, &["diff", "obs_sbn", "ssobject"], 2, "one stage comes last, after the generations");
    bad(&site, &["diff", "1999"], 2, "hint: the newest kept generations are ");
    // The files are the same, and the key is wrong nevertheless.
    bad(&site, &["diff", "ssobject", "--key", "desgnation"], 2, "(did you mean `designation`?)");
    bad(&site, &["diff", "--key", "id"], 2, "`--key` needs a stage");
    fs::remove_file(site.path("data/ssobject.parquet")).unwrap();
    for command in ["head", "describe"] {
        bad(
            &site,
            &[command, "ssobject"],
            1,
            "the output of stage `ssobject` is missing: `data/ssobject.parquet`",
        );
        bad(&site, &[command, "ssobject"], 1, "`ssp-run --stage ssobject pipelines/demo.yaml`");
    }
    bad(&site, &["log", "latest", "ssobjct"], 2, "has no stage `ssobjct` (did you mean `ssobject`?)");
}

#[test]
fn describe_shows_columns_and_origin() {
    let (site, run) = ran();
    let text = good(&site, &["describe", "-p", "pipelines/demo.yaml", "ssobject"]);
    let rows = lines(&site.path("data/ssobject.parquet")).len();
    for part in [
        "ssobject (build-ssobject)\npath     data/ssobject.parquet\n".to_owned(),
        format!("rows     {rows}, in 1 row group\n"),
        format!("run      {run}, which wrote it\nkey      ssObjectId\n\ncolumn "),
        "\n    Smallest distance between the orbit and that of the Earth, as curves.\n".to_owned(),
    ] {
        assert!(text.contains(&part), "{part} in {text}");
    }
    assert!(!text.contains("warning"), "{text}");
    for command in ["head", "describe", "explain"] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let said = site.command(&[command, "ssobject"]).stdout(full).output().unwrap();
        let text = String::from_utf8_lossy(&said.stderr);
        assert_eq!(said.status.code(), Some(1), "{command} {text}");
        assert!(text.contains("cannot write to standard output"), "{command} {text}");
    }
    let found = json(&good(&site, &["describe", "ssobject", "--json"]));
    let record = json(&fs::read_to_string(site.path("data/.ssp/stages/ssobject.json")).unwrap());
    assert_eq!(found["digest"], record["output"]["digest"]);
    let columns = found["columns"].as_array().unwrap();
    let column = |name: &str| columns.iter().find(|column| column["name"] == name).unwrap();
    let ids: Vec<i64> = lines(&site.path("data/ssobject.parquet"))
        .iter()
        .map(|line| line.split(" | ").next().unwrap().parse().unwrap())
        .collect();
    let id = column("ssObjectId");
    assert_eq!(id["max"].as_i64(), ids.iter().copied().max());
    assert_eq!((&id["nulls"], &id["nullable"]), (&Value::from(0), &Value::from(false)));
    assert_eq!(column("MOIDEarth")["unit"], "au");

    // Another file of the same size, as an editor or a bad disk leaves it.
    let path = site.path("data/ssobject.parquet");
    let mut bytes = fs::read(&path).unwrap();
    bytes[100] ^= 1;
    put(&path, &bytes);
    let text = site.ssp_run(&["describe", "ssobject"]).stdout;
    assert!(text.contains("\nwarning  the file was changed after the run that wrote it"), "{text}");
    fs::remove_file(site.path("data/.ssp/stages/ssobject.json")).unwrap();
    let text = site.ssp_run(&["describe", "ssobject"]).stdout;
    assert!(text.contains("\nwarning  no run has recorded this file"), "{text}");

    // A type that no schema file can have, in the words of `validate`.
    let typed = "table: numbered_identifications\n      types: {id: 'decimal(12, 0)'}";
    site.edit("table: numbered_identifications", typed);
    site.ssp_run(&["-q", "--stage", "numbered_identifications"]).expect(0);
    let found = json(&good(&site, &["describe", "numbered_identifications", "--json"]));
    let types: Vec<&Value> =
        found["columns"].as_array().unwrap().iter().map(|column| &column["type"]).collect();
    assert!(types.contains(&&Value::from("Decimal128(12, 0)")), "{types:?}");
}

#[test]
fn diff_shows_what_changed_since_a_generation() {
    let (site, first) = ran();
    keep(&site, &first);
    let same = good(&site, &["diff"]);
    assert!(same.starts_with(&format!("old  generation {first}\nnew  the current outputs\n\n")), "{same}");
    assert_eq!(same.matches(" no difference\n").count(), 7, "{same}");

    site.sql(
        "UPDATE mpc_orbits SET q = q + 0.25 WHERE id IN (SELECT id FROM mpc_orbits ORDER BY id LIMIT 3)",
    );
    site.sql("UPDATE mpc_orbits SET e = NULL WHERE id = (SELECT max(id) FROM mpc_orbits)");
    let gone = site.sql(
        "DELETE FROM obs_sbn WHERE id = (SELECT max(id) FROM obs_sbn WHERE stn = 'X05') RETURNING obsid",
    );
    let gone = gone.lines().next().unwrap();
    let second = run(&site);
    let text = good(&site, &["diff", "obs_sbn"]);
    assert!(text.contains(": 0 added, 1 removed\n  no key:  set `key` in the pipeline file"), "{text}");
    let text = good(&site, &["diff", "obs_sbn", "--key", "obsid"]);
    assert!(text.contains(&format!(": 0 added, 1 removed, 0 changed\n  removed  {gone}\n")), "{text}");
    let text = good(&site, &["diff", &first, "mpc_orbits", "--key", "id"]);
    assert!(text.contains(" rows: 0 added, 0 removed, 4 changed\n"), "{text}");
    let columns: Vec<Vec<&str>> = text.lines().map(cells).collect();
    assert!(columns.contains(&vec!["q", "3", "0", "0", "0.25", "0.25", "0.25"]), "{text}");
    assert!(columns.contains(&vec!["e", "1", "0", "1", "-", "-", "-"]), "{text}");

    // A key that is not one is an error of its stage, and the others are compared.
    bad(&site, &["diff", "obs_sbn", "--key", "stn"], 1, "rows 1 and 2 both have X05");
    bad(&site, &["diff", "obs_sbn", "--key", "permid"], 1, "column `permid` of the key is NULL in row ");
    site.edit("    out: obs_sbn.parquet\n", "    out: obs_sbn.parquet\n    key: [stn]\n");
    let said = site.ssp_run(&["diff"]);
    assert_eq!(said.code, Some(1), "{}", said.stdout);
    assert!(said.stdout.contains("\nobs_sbn  cannot be compared\n") && said.stdout.contains("\nssobject  "));
    let found = json(&site.ssp_run(&["diff", "--json"]).stdout);
    assert!(found["stages"][0]["error"].as_str().unwrap().contains("is not unique"), "{found}");

    // The key is no reason to run again.
    site.edit("key: [stn]", "key: obsid");
    run(&site);
    assert_eq!(site.worked(), [""; 0]);
    let found = json(&good(&site, &["diff", &first[..15], "obs_sbn", "--json"]));
    assert_eq!((&found["old"], &found["new"]), (&Value::from(first.as_str()), &Value::Null));
    let stage = &found["stages"][0];
    assert_eq!(stage["removed"], serde_json::json!({"rows": 1, "first_keys": [gone]}));
    assert_eq!((&stage["key"][0], &stage["differs"]), (&Value::from("obsid"), &Value::from(true)));

    // Between two generations, and back.
    keep(&site, &second);
    let text = good(&site, &["diff", "current", &first, "obs_sbn"]);
    assert!(text.contains(&format!("old  generation {second}\nnew  generation {first}\n")), "{text}");
    assert!(text.contains(&format!("  added    {gone}\n")), "{text}");
    // The newest generation has the current outputs, so the one before is meant.
    let text = good(&site, &["diff", "obs_sbn"]);
    assert!(text.contains(&format!("old  generation {first}\n")), "{text}");
}

/// Here `ssp-run` keeps the generations.
#[test]
fn kept_generations_are_compared() {
    let site = Site::new();
    let first = run(&site);
    let text = good(&site, &["diff"]);
    assert!(text.starts_with(&format!("old  generation {first}\n")), "{text}");
    site.sql("UPDATE mpc_orbits SET q = q * 2 WHERE id = (SELECT min(id) FROM mpc_orbits)");
    let second = run(&site);
    let text = good(&site, &["diff", "mpc_orbits", "--key", "id"]);
    assert!(text.starts_with(&format!("old  generation {first}\nnew  the current outputs\n")), "{text}");
    assert!(text.contains(" 0 added, 0 removed, 1 changed\n"), "{text}");
    let text = good(&site, &["diff", &first, &second, "mpc_orbits", "--key", "id"]);
    assert!(text.contains(" 0 added, 0 removed, 1 changed\n"), "{text}");
    let page = fs::read_to_string(site.path("data/.ssp/runs/latest/report.html")).unwrap();
    assert!(page.contains(&format!("Changes since {first}")), "{page}");
    assert!(!good(&site, &["describe", "mpc_orbits"]).contains("warning"));
}

#[test]
fn a_key_of_no_column_is_a_mistake() {
    let site = Site::new();
    site.edit("    out: obs_sbn.parquet\n", "    out: obs_sbn.parquet\n    key: []\n");
    bad(&site, &["validate"], 2, "`key` needs the name of at least one column");
    site.edit("key: []", "key: {a: b}");
    site.ssp_run(&["validate"]).expect(2);
}

#[test]
fn the_report_names_objects_that_changed() {
    let (site, first) = ran();
    let page =
        |run: &str| fs::read_to_string(site.path(&format!("data/.ssp/runs/{run}/report.html"))).unwrap();
    assert!(!page(&first).contains("Changes since"));
    keep(&site, &first);
    let objects = lines(&site.path("data/ssobject.parquet"));
    let lost = objects.last().unwrap().split(" | ").nth(1).unwrap();
    site.sql(&format!("DELETE FROM obs_sbn WHERE provid = '{lost}'"));
    let second = run(&site);
    let text = page(&second);
    assert!(text.contains(&format!("Changes since {first}")), "{text}");
    assert!(text.contains(&format!("<li>1 lost object: {lost}</li>")), "{lost} in {text}");
    assert!(text.contains("<li>0 new objects</li>"), "{text}");
    keep(&site, &second);
    let third = run(&site);
    assert!(page(&third).contains(&format!("No change: the table is that of generation {second}")));

    // A generation that cannot be read is a line on the page, and no failed run.
    let kept = site.path(&format!("data/.ssp/generations/{third}"));
    keep(&site, &third);
    fs::remove_file(kept.join("ssobject.parquet")).unwrap();
    put(&kept.join("ssobject.parquet"), b"not Parquet");
    let other = objects[objects.len() - 2].split(" | ").nth(1).unwrap();
    site.sql(&format!("DELETE FROM obs_sbn WHERE provid = '{other}'"));
    let fourth = run(&site);
    let text = page(&fourth);
    assert!(text.contains("The table cannot be compared with the kept generation: cannot read"), "{text}");
}

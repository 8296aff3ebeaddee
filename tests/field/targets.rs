//! An output goes to a regular file at the named place, or is refused before any input is read.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, symlink};
use std::path::{Path, PathBuf};

use crate::place::{COLLECTION, Place, SURVEY_BUTLER, Said};
use crate::support::parquet::lines;

/// Fails if one of the special files is gone or is no longer what it was; there may be records beside them.
fn assert_special(place: &Place, folder: &str, kinds: &[(&str, &str)]) {
    for (kind, _) in kinds {
        for name in [(*kind).to_owned(), format!("link-to-{kind}")] {
            assert!(place.path(folder).join(&name).symlink_metadata().is_ok(), "{name} is gone");
        }
    }
    for entry in fs::read_dir(place.path(folder)).unwrap() {
        let entry = entry.unwrap();
        let (name, kind) = (entry.file_name(), entry.file_type().unwrap());
        let as_it_was = match name.to_str().unwrap() {
            "folder" => kind.is_dir(),
            "socket" => kind.is_socket(),
            "fifo" => kind.is_fifo(),
            "device" => kind.is_char_device(),
            ".ssp" => true,
            link => link.starts_with("link-to-") && kind.is_symlink(),
        };
        assert!(as_it_was, "{}", name.display());
    }
}

#[test]
fn only_regular_files_are_outputs_of_every_program() {
    let place = Place::without_server();
    let kinds = place.special_files("special");
    for (kind, what) in &kinds {
        for out in [format!("special/{kind}"), format!("special/link-to-{kind}")] {
            let refused =
                |said: Said| said.expect(2).says(&format!("`{out}` is {what}, not a file to write"));
            refused(place.run("fast-export", &["--sql", "SELECT 1", "--out", &out]));
            place.put(
                "list.yaml",
                format!("- {{sql: SELECT 1, out: a.parquet}}\n- {{sql: SELECT 1, out: {out}}}\n"),
            );
            refused(place.run("fast-export", &["--config", "list.yaml"]));
            refused(place.run("extract-catalog", &[&out, "no-repository", "c"]));
            refused(place.run("ssp-build-ssobject", &["no-input", "no-input", "-o", &out]));
            place.pipeline("  a: {export: {sql: SELECT 1 AS a}, out: a.parquet}\n");
            refused(place.ssp_run(&["--metrics-file", &out]));
        }
    }
    assert_special(&place, "special", &kinds);
    assert!(!place.path("out").exists() && !place.path("a.parquet").exists());
}

#[test]
fn the_csv_beside_an_output_goes_to_a_regular_file_too() {
    let place = Place::without_server();
    fs::create_dir(place.path("a.parquet.csv")).unwrap();
    place
        .run("fast-export", &["--sql", "SELECT 1", "--out", "a.parquet", "--keep-temp"])
        .expect(2)
        .says("`a.parquet.csv` is a folder, not a file to write");
}

#[test]
fn a_list_of_outputs_is_not_an_output() {
    let place = Place::without_server();
    let list = place.put("list.yaml", "- {sql: SELECT 1, out: link.parquet}\n");
    symlink("list.yaml", place.path("link.parquet")).unwrap();
    place
        .run("fast-export", &["--config", "list.yaml"])
        .expect(2)
        .says("`link.parquet` is the list of outputs: it would be replaced");
    assert!(fs::read_to_string(list).unwrap().starts_with("- {sql"));
}

/// All outputs of a pipeline are looked at together, by `validate` and before a run; only those of the stages that run count.
#[test]
fn a_pipeline_refuses_outputs_that_are_not_files_with_their_lines() {
    let place = Place::without_server();
    let kinds = place.special_files("out");
    let build = |name: &str, out: &str| {
        format!(
            "  {name}: {{build-ssobject: {{sssource: no.parquet, mpc_orbits: no.parquet}}, out: {out}}}\n"
        )
    };
    let stages: String = kinds.iter().map(|(kind, _)| build(kind, kind)).collect();
    place.pipeline(&(stages + &build("good", "good.parquet")));
    for command in [&["validate"][..], &[], &["-n"], &["--check"], &["--stage", "fifo"]] {
        let mut said = place.ssp_run(command).expect(2);
        for (index, (kind, what)) in kinds.iter().enumerate() {
            let line = format!(
                "pipeline.yaml:{}:3: the output of stage `{kind}` cannot be written: `out/{kind}` is {what}, not a \
                 file to write",
                index + 6
            );
            let selected = command.len() < 2 || *kind == "fifo";
            said = if selected { said.says(&line) } else { said.does_not_say(&line) };
        }
    }
    place.ssp_run(&["--stage", "good"]).expect(1).says("cannot read input `sssource`");
    assert_special(&place, "out", &kinds);
}

#[test]
fn outputs_that_lead_to_what_must_stay_are_refused() {
    let place = Place::without_server();
    place.put("out/real.parquet", "old");
    place.put("sssource.parquet", "read");
    place.put("schema.yaml", "columns: {}\n");
    for (link, to) in [
        ("one", "real.parquet"),
        ("two", "../out/real.parquet"),
        ("records", ".ssp/stages/one.json"),
        ("input", "../sssource.parquet"),
        ("schema", "../schema.yaml"),
        ("file", "../pipeline.yaml"),
        ("dead", "../unmounted/a.parquet"),
    ] {
        symlink(to, place.path("out").join(link)).unwrap();
    }
    fs::create_dir_all(place.path("out/.ssp/stages")).unwrap();
    let export =
        |name: &str, more: &str| format!("  {name}: {{export: {{sql: SELECT 1 AS a}}, out: {name}{more}}}\n");
    let names = ["one", "two", "records", "file", "dead"];
    let stages: String = names.iter().map(|name| export(name, "")).collect();
    let build = "{sssource: sssource.parquet, mpc_orbits: one}";
    place.pipeline(
        &(stages
            + &export("schema", ", schema: schema.yaml")
            + &format!("  input: {{build-ssobject: {build}, out: input}}\n")
            + "  good: {build-ssobject: {sssource: no.parquet, mpc_orbits: no.parquet}, out: good}\n"),
    );
    let said = place.ssp_run(&["validate"]).expect(2);
    for part in [
        "stage `two` cannot be written: `out/two` is the output of stage `one`",
        "stage `records` cannot be written: `out/records` is inside the folder of run records",
        "stage `input` cannot be written: `out/input` is a file that the run reads: it is `sssource` of stage `input`",
        "stage `schema` cannot be written: `out/schema` is a file that the run reads: it is the schema of stage `schema`",
        "stage `file` cannot be written: `out/file` is a file that the run reads: it is the pipeline file",
        "stage `dead` cannot be written: `out/dead` is a link to `out/../unmounted/a.parquet`, and the folder of that file \
         does not exist",
    ] {
        assert!(said.text.contains(part), "{part:?} is not in:\n{}", said.text);
    }
    // Those of the outputs, two inputs that are not there, and a schema file that is none.
    said.says("pipeline.yaml` has 9 mistakes; nothing was run");
    place
        .ssp_run(&["--stage", "good", "--metrics-file", "out/../out/real.parquet"])
        .expect(2)
        .says("`out/../out/real.parquet` is the output of stage `one`");
    assert_eq!(fs::read_to_string(place.path("out/real.parquet")).unwrap(), "old");
}

/// The link stays, its file is replaced, and the records go by that file.
#[test]
fn only_the_stage_that_reads_a_folder_may_not_write_into_it() {
    let place = Place::without_server();
    place.put("out/night/a.parquet", "read");
    place.put("out/night/b.parquet", "read");
    place.put("out/.ssp/parts/x/a.parquet", "read");
    symlink(".ssp/parts/x", place.path("out/parts")).unwrap();
    place.pipeline(
        "  own: {build-ssobject: {sssource: out/night, mpc_orbits: no.parquet}, out: night/a.parquet}\n  \
           other: {export: {sql: SELECT 1 AS a}, out: night/b.parquet}\n  \
           parts: {build-sssource: {obs_sbn: out/.ssp/parts/x/a.parquet, dia_sources: no.parquet, mpc_orbits: no.parquet, \
           current_identifications: no.parquet, numbered_identifications: no.parquet}, out: parts/}\n",
    );
    let said = place.ssp_run(&["validate"]).expect(2);
    for part in [
        "`out/night/a.parquet` is a file that the run reads: it is `sssource` of stage `own`",
        "is a file that the run reads: it is `obs_sbn` of stage `parts`",
    ] {
        assert!(said.text.contains(part), "{part:?} is not in:\n{}", said.text);
    }
    assert!(!said.text.contains("stage `other` cannot be written"), "{}", said.text);
}

#[test]
fn an_output_that_is_a_link_is_kept_up_to_date_where_it_leads() {
    let place = Place::with("CREATE TABLE t (a int); INSERT INTO t VALUES (1)");
    let (link, real) = (place.path("out/a.parquet"), place.put("big/a.parquet", "old"));
    fs::create_dir(place.path("out")).unwrap();
    symlink("../big/a.parquet", &link).unwrap();
    place.pipeline("  a: {export: {table: t}, out: a.parquet}\n");
    let leads_to = |file: &Path| {
        assert!(link.is_symlink());
        lines(file)
    };
    place.ssp_run(&[]).expect(0);
    assert_eq!(leads_to(&real).len(), 1);
    place.ssp_run(&["--check"]).expect(0);
    // A killed run leaves its temporary file where the link leads.
    let left = place.put("big/.a.parquet.abcdef.ssp-tmp", "half");
    place.put("big/a.parquet", "damaged");
    place.ssp_run(&["--check"]).expect(3).says("output_modified");
    place.ssp_run(&[]).expect(0);
    assert_eq!(leads_to(&real).len(), 1);
    assert!(!left.exists());
    // Another place for the readers: the output is made there.
    let other = place.path("big/b.parquet");
    fs::remove_file(&link).unwrap();
    symlink(&other, &link).unwrap();
    place.ssp_run(&["--check"]).expect(3).says("output_missing");
    place.ssp_run(&[]).expect(0);
    assert_eq!(leads_to(&other).len(), 1);
    // A link in the way of a link, and a group that is published together.
    symlink("b.parquet", place.path("big/c.parquet")).unwrap();
    symlink("../big/c.parquet", place.path("out/c.parquet")).unwrap();
    fs::remove_file(&link).unwrap();
    place.pipeline(
        "  a: {export: {table: t}, out: a.parquet}\n  c: {export: {sql: SELECT a FROM t UNION ALL TABLE t}, out: c.parquet}\n",
    );
    place.ssp_run(&[]).expect(0);
    assert_eq!((lines(&link).len(), lines(&other).len()), (1, 2));
    assert!(place.path("out/c.parquet").is_symlink() && place.path("big/c.parquet").is_symlink());
}

#[test]
fn the_other_programs_follow_a_link_too() {
    let place = Place::with("CREATE TABLE t AS SELECT generate_series(1, 3) AS a");
    fs::create_dir(place.path("big")).unwrap();
    for name in ["one", "two"] {
        place.put(&format!("big/{name}.parquet"), "old");
        symlink(format!("big/{name}.parquet"), place.path(format!("{name}.parquet"))).unwrap();
        symlink(format!("big/{name}.csv"), place.path(format!("{name}.parquet.csv"))).unwrap();
    }
    // Published alone, then with others and with what they replace kept beside them.
    for out in ["one", "two"] {
        place.put(
            "list.yaml",
            format!("- {{sql: TABLE t, out: {out}.parquet}}\n- {{sql: TABLE t, out: plain.parquet}}\n"),
        );
        place.run("fast-export", &["--sql", "TABLE t", "--out", "one.parquet"]).expect(0);
        place.run("fast-export", &["--config", "list.yaml", "--keep-temp"]).expect(0);
    }
    for name in ["one", "two"] {
        let link = place.path(format!("{name}.parquet"));
        assert!(link.is_symlink() && place.path(format!("{name}.parquet.csv")).is_symlink());
        assert_eq!(lines(&place.path("big").join(format!("{name}.parquet"))).len(), 3);
        assert!(place.path("big").join(format!("{name}.csv")).is_file());
    }
    assert_eq!(fs::read_dir(place.path("big")).unwrap().count(), 4);
}

#[test]
fn an_extract_follows_a_link_too() {
    let place = Place::empty();
    let real = place.put("big/dia.parquet", "");
    symlink("big/dia.parquet", place.path("dia.parquet")).unwrap();
    place.run("extract-catalog", &["dia.parquet", SURVEY_BUTLER, COLLECTION]).expect(0);
    assert!(place.path("dia.parquet").is_symlink() && fs::read(real).unwrap().starts_with(b"PAR1"));
    assert_eq!(fs::read_dir(place.path("big")).unwrap().count(), 1);
}

/// The text of such a link is not a path: the kernel follows it to what is open.
#[test]
fn standard_output_is_not_a_file_to_write() {
    let place = Place::without_server();
    symlink("/proc/self/fd/1", place.path("stdout.parquet")).unwrap();
    place
        .run("fast-export", &["--sql", "SELECT 1", "--out", "stdout.parquet"])
        .expect(2)
        .says("`stdout.parquet` is a FIFO, not a file to write");
    // A file that is open and was removed has no name that could be given to another.
    let gone = fs::File::options().write(true).create_new(true).open(place.path("gone")).unwrap();
    fs::remove_file(place.path("gone")).unwrap();
    let mut export = place.program("fast-export");
    export.args(["--sql", "SELECT 1", "--out", "stdout.parquet"]).stdout(gone);
    Said::from(export.output().unwrap()).expect(2).says("`stdout.parquet` is a file without a name");
    assert!(place.path("stdout.parquet").is_symlink());
}

/// Only a shell expands `~`, and it does not after `--out=`, in quotes or in a file.
#[test]
fn a_path_that_begins_with_a_tilde_is_refused() {
    let mut place = Place::without_server();
    let stage = "stages:\n  a: {export: {sql: SELECT 1 AS a}, out: a.parquet}\n";
    let build = |input: &str| {
        format!(
            "out_dir: out\nstages:\n  a: {{build-ssobject: {{sssource: {input}, mpc_orbits: o.parquet}}, out: a}}\n"
        )
    };
    let extract = "out_dir: out\nstages:\n  a: {extract: {collection: c}, out: a.parquet}\n";
    let cases = [
        (format!("out_dir: ~/sspdata\n{stage}"), "3:10: `out_dir`: `~/sspdata` begins with `~`"),
        (
            format!("out_dir: \"~\"\n{stage}"),
            "3:10: `out_dir`: `~` begins with `~`, which is not expanded here: write `${env:HOME}`",
        ),
        (format!("out_dir: ~me/d\n{stage}"), "which is not expanded here: write the whole path"),
        (
            format!("out_dir: ${{env:SSP_DATA:-d}}\n{stage}"),
            "3:10: `out_dir`: `${env:SSP_DATA:-d}` begins with `~`",
        ),
        (format!("vars: {{d: d}}\nout_dir: ${{d}}\n{stage}"), "4:10: `out_dir`: `~/given` begins with `~`"),
        (format!("root: ~/p\nout_dir: out\n{stage}"), "write `${env:HOME}/p`"),
        (
            stage.replace("a.parquet", "~/a.parquet") + "out_dir: out\n",
            "`out`: `~/a.parquet` begins with `~`",
        ),
        (
            stage.replace("a.parquet", "a.parquet, schema: ~/s.yaml") + "out_dir: out\n",
            "`schema`: `~/s.yaml`",
        ),
        (build("~/in.parquet"), "`sssource`: `~/in.parquet`"),
        (format!("butler: {{repo: ~/repo}}\n{extract}"), "`repo`: `~/repo` begins with `~`"),
        (
            format!(
                "butler: {{repo: r}}\n{}",
                extract.replace("c}", "c, filter: {ids: ~/i.parquet, column: c}}")
            ),
            "`ids`: `~/i.parquet`",
        ),
        (
            format!("out_dir: out\nhooks: {{on_success: [~/bin/tell, x]}}\n{stage}"),
            "`on_success`: `~/bin/tell`",
        ),
        (format!("out_dir: out\nhooks: {{on_failure: [tee, ~/log]}}\n{stage}"), "`on_failure`: `~/log`"),
    ];
    place.environment.insert("SSP_DATA".to_owned(), "~/from-cron".to_owned());
    for (rest, expected) in cases {
        place.put("pipeline.yaml", format!("version: 1\nname: tilde\n{rest}database: {{}}\n"));
        let set: &[&str] = if rest.contains("vars") { &["--set", "d=~/given"] } else { &[] };
        place.put("o.parquet", "");
        place.put(
            "r/butler.yaml",
            "datastore: {cls: lsst.daf.butler.datastores.fileDatastore.FileDatastore}\n",
        );
        place.ssp_run(&[&["validate"], set].concat()).expect(2).says(expected).says("1 mistake");
        place.ssp_run(set).expect(2).says(expected);
    }
    place.put("pipeline.yaml", format!("version: 1\nname: t\nout_dir: out\n{stage}database: {{}}\n"));
    place.put("list.yaml", "- {sql: SELECT 1, out: ~/a.parquet}\n");
    let shell = "which only a shell expands, and only outside quotes: write the whole path";
    place.run("fast-export", &["--sql", "SELECT 1", "--out=~/a.parquet"]).expect(2).says(shell);
    place.run("fast-export", &["--config", "list.yaml"]).expect(2).says(shell);
    place.run("extract-catalog", &["~/a.parquet", "r", "c"]).expect(2).says(shell);
    place.run("ssp-build-ssobject", &["s", "o", "--output=~/a.parquet"]).expect(2).says(shell);
    place.ssp_run(&["--metrics-file=~/m.prom"]).expect(2).says(shell);
    place.run("ssp-run", &["man", "--dir=~/man"]).expect(2).says(shell);
    place.run("ssp-run", &["demo", "--dir=~/demo"]).expect(2).says(shell);
    let names: Vec<PathBuf> =
        fs::read_dir(place.path("")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!names.iter().any(|path| path.file_name().unwrap().as_bytes().starts_with(b"~")), "{names:?}");
    // A shell expands the hook that is a text, and `./~` is a folder of that name.
    place.put(
        "pipeline.yaml",
        format!("version: 1\nname: t\nout_dir: ./~\nhooks: {{on_success: ls ~/}}\n{stage}database: {{}}\n"),
    );
    place.ssp_run(&["validate"]).expect(0);
}

/// A variable that is set is never taken for one that is not.
#[test]
fn a_variable_that_is_not_utf8_is_refused_by_its_name() {
    let place = Place::without_server();
    place.put(
        "pipeline.yaml",
        "version: 1\nname: t\nout_dir: ${env:SSP_DATA:-out}\ndatabase: {}\nbutler: {repo: label}\nstages:\n  \
         a: {export: {sql: SELECT 1 AS a}, out: a.parquet}\n  b: {extract: {collection: c}, out: b.parquet}\n",
    );
    let latin = OsStr::from_bytes(b"K\xf6ln");
    let with = |program: &str, name: &str, arguments: &[&str]| -> Said {
        place.program(program).env(name, latin).args(arguments).output().unwrap().into()
    };
    let not_utf8 = |name: &str| format!("environment variable `{name}` is not UTF-8");
    with("ssp-run", "SSP_DATA", &["pipeline.yaml"])
        .expect(2)
        .says("pipeline.yaml:3:10")
        .says(&not_utf8("SSP_DATA"));
    // The one that the default would have named is there.
    place.put("pipelines/daily.yaml", fs::read(place.path("pipeline.yaml")).unwrap());
    with("ssp-run", "SSP_PIPELINE", &["validate"])
        .expect(2)
        .says("the path of the pipeline file, `K\u{fffd}ln`, is not UTF-8");
    for name in ["PGHOST", "PGPASSWORD", "PGSERVICE", "PGOPTIONS", "PGPASSFILE"] {
        with("ssp-run", name, &["pipeline.yaml", "--stage", "a"]).says(&not_utf8(name)).expect(4);
        with("fast-export", name, &["--sql", "SELECT 1", "--out", "a.parquet"])
            .says(&not_utf8(name))
            .expect(2);
    }
    for name in ["DAF_BUTLER_REPOSITORIES", "DAF_BUTLER_REPOSITORY_INDEX"] {
        with("ssp-run", name, &["pipeline.yaml", "--stage", "b"]).says(&not_utf8(name));
        with("extract-catalog", name, &["a.parquet", "label", "c"]).says(&not_utf8(name));
    }
    // A variable that is not used may hold anything.
    with("ssp-run", "LESSOPEN", &["validate", "pipeline.yaml"])
        .expect(2)
        .says("has 1 mistake")
        .says("no Butler repository `label`");
    // No output was written before these were refused.
    assert!(!place.path("out/a.parquet").exists() && !place.path("a.parquet").exists());
}

#[test]
fn names_are_kept_exactly_as_they_are() {
    let place = Place::with("CREATE TABLE t AS SELECT 1 AS a");
    let long = format!("{}.parquet", "a".repeat(255 - ".parquet".len()));
    let names: [&OsStr; 3] =
        [OsStr::from_bytes(b"K\xf6ln.parquet"), long.as_ref(), "-; '\"$(x).parquet".as_ref()];
    for name in names {
        let out = Path::new("products").join(name);
        let arguments: [&OsStr; 4] = ["--sql".as_ref(), "TABLE t".as_ref(), "--out".as_ref(), out.as_ref()];
        place.run("fast-export", &arguments).expect(0);
        assert_eq!(lines(&place.path(&out)).len(), 1);
    }
    assert_eq!(fs::read_dir(place.path("products")).unwrap().count(), names.len());
    place.pipeline(&format!("  a: {{export: {{table: t}}, out: {long}}}\n"));
    place.ssp_run(&[]).expect(0);
    place.ssp_run(&["--check"]).expect(0);
    place.pipeline(&format!("  a: {{export: {{table: t}}, out: a{long}}}\n"));
    place.ssp_run(&["validate"]).expect(2).says("the output of stage `a` cannot be written").says("too long");
    // The records are text: they cannot say where this output is.
    fs::create_dir(place.path(names[0])).unwrap();
    fs::create_dir(place.path("out/linked")).unwrap();
    symlink(place.path(names[0]).join("a.parquet"), place.path("out/linked/a.parquet")).unwrap();
    place.pipeline("  a: {export: {table: t}, out: linked/a.parquet}\n");
    place
        .ssp_run(&[])
        .expect(2)
        .says("the path of `out/linked/a.parquet` is not UTF-8, but run records are UTF-8 text");
}

#[test]
fn a_file_in_the_way_of_a_folder_is_named() {
    let place = Place::without_server();
    place.put("taken", "");
    let taken = "`taken` is a file, not a folder";
    place.run("fast-export", &["--sql", "SELECT 1", "--out", "taken/x/a.parquet"]).expect(2).says(taken);
    place.run("extract-catalog", &["taken/a.parquet", "r", "c"]).expect(2).says(taken);
    place.run("ssp-build-ssobject", &["s", "o", "-o", "taken/a.parquet"]).expect(2).says(taken);
    place.put("pipeline.yaml", "version: 1\nname: t\nout_dir: taken/out\ndatabase: {}\nstages:\n  a: {export: {table: t}, out: a.parquet}\n");
    place.ssp_run(&[]).expect(2).says(taken);
}

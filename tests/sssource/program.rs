//! `ssp-build-sssource` as people use it: exit codes, texts and files.
#![expect(clippy::disallowed_methods, reason = "tests lay out files")]

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use ssp::parquet::read::TableReader;

use super::case::{Case, dia, obs, orbit, write_all};
use super::said::Streams;

/// The inputs, in the order of the command line.
const INPUTS: [&str; 5] = [
    "obs_sbn.parquet",
    "dia_sources.parquet",
    "mpc_orbits.parquet",
    "current_identifications.parquet",
    "numbered_identifications.parquet",
];
const ORDER: &str = "hint: the inputs are, in this order: OBS_SBN DIA_SOURCES MPC_ORBITS CURRENT_IDENTIFICATIONS \
                     NUMBERED_IDENTIFICATIONS\n";

/// A folder with the five inputs.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new(case: &Case) -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        place.put(case);
        place
    }

    fn put(&self, case: &Case) {
        write_all(self.folder.path(), case.tables());
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ssp-build-sssource"));
        command.args(arguments).current_dir(self.folder.path());
        command
    }

    fn run(&self, arguments: &[&str]) -> Streams {
        self.command(arguments).output().unwrap().into()
    }

    /// The program on the five inputs.
    fn build(&self, more: &[&str]) -> Streams {
        self.run(&with_inputs(more))
    }

    /// The bytes of a file that the program makes without saying anything.
    fn made(&self, name: &str, more: &[&str]) -> Vec<u8> {
        let said = self.build(&[&["--silent", "--output", name], more].concat());
        assert_eq!((said.code, said.stdout.as_str(), said.stderr.as_str()), (Some(0), "", ""), "{more:?}");
        fs::read(self.path(name)).unwrap()
    }

    /// The files that are no inputs.
    fn others(&self) -> Vec<String> {
        let names = fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
        names.retain(|name| !INPUTS.contains(&name.as_str()));
        names.sort();
        names
    }
}

fn with_inputs<'a>(more: &[&'a str]) -> Vec<&'a str> {
    INPUTS.iter().chain(more).copied().collect()
}

/// Three detections of two objects, with a column `car`, so that there is no warning.
fn quiet() -> Case {
    let mut case = Case::new();
    case.car_column = Some("car");
    let block = r#"{"coefficient_names": ["x", "y", "z", "vx", "vy", "vz"], "coefficient_values": [1, 2, 3, 4, 5, 6]}"#;
    for orbit in &mut case.orbits {
        orbit.car = Some(block.to_owned());
    }
    case
}

/// Many detections of many objects.
fn many(rows: i64) -> Case {
    let mut case = quiet();
    let car = case.orbits[0].car.clone();
    let names: Vec<(&'static str, &'static str)> = (0..20)
        .map(|k| {
            let letter = char::from(b'A' + k);
            (&*format!("2024 A{letter}1").leak(), &*format!("K24A01{letter}").leak())
        })
        .filter(|(name, _)| *name != "2024 AI1")
        .collect();
    case.orbits = names.iter().map(|(name, packed)| orbit(name, packed)).collect();
    for orbit in &mut case.orbits {
        orbit.car.clone_from(&car);
    }
    case.current = names.iter().map(|(name, _)| (*name, *name)).collect();
    case.dia = (0..rows).map(dia).collect();
    let name = |id: i64| names[usize::try_from(id * id % 19).unwrap()].0;
    let one = |id: i64| obs(&format!("o{id}"), &id.to_string(), id, Some(name(id)));
    case.obs = (0..rows).map(one).collect();
    case
}

#[test]
fn help_shows_examples() {
    let said = Place::new(&quiet()).run(&["--help"]);
    assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""));
    insta::assert_snapshot!(said.stdout);
}

#[test]
fn a_build_says_what_it_made() {
    let place = Place::new(&quiet());
    let said = place.build(&["--output", "sssource.parquet"]);
    assert_eq!((said.code, said.stdout.as_str()), (Some(0), ""));
    insta::with_settings!({filters => vec![(r"in \d+\.\d s", "in SECONDS s"), (r"[0-9.]+ kB", "SIZE")]}, {
        insta::assert_snapshot!(said.stderr);
    });
    assert_eq!(place.others(), ["sssource.parquet"]);
}

#[test]
fn threads_and_memory_change_no_byte() {
    let place = Place::new(&many(3_000));
    let expected = place.made("one.parquet", &["--jobs", "1"]);
    assert!(expected == place.made("eight.parquet", &["--jobs", "8"]), "-j 8");
    for memory in ["1B", "40K", "1M"] {
        assert!(expected == place.made("small.parquet", &["--jobs", "3", "--memory", memory]), "{memory}");
    }
    assert_ne!(expected, place.made("snappy.parquet", &["--compression", "snappy"]));
    assert_ne!(expected, place.made("plain.parquet", &["--encodings", "plain"]));
    assert_eq!(
        place.others(),
        ["eight.parquet", "one.parquet", "plain.parquet", "small.parquet", "snappy.parquet"]
    );
}

#[test]
fn folders_and_patterns_are_inputs() {
    let place = Place::new(&quiet());
    let expected = place.made("a.parquet", &[]);
    for (file, folder) in INPUTS.iter().zip(["obs", "dia", "orbits", "current", "numbered"]) {
        fs::create_dir(place.path(folder)).unwrap();
        fs::rename(place.path(file), place.path(&format!("{folder}/part-0.parquet"))).unwrap();
    }
    place
        .run(&["obs", "dia/", "orbits/*.parquet", "current", "numbered/part-?.parquet", "-o", "b.parquet"])
        .expect(0);
    assert!(fs::read(place.path("b.parquet")).unwrap() == expected);
}

#[test]
fn inputs_in_another_order_are_told_apart() {
    let place = Place::new(&quiet());
    for one in 0..INPUTS.len() {
        for other in 0..one {
            let mut inputs = INPUTS;
            inputs.swap(one, other);
            let said = place.run(&[&inputs[..], &["--output", "o.parquet"]].concat()).expect(1);
            assert!(said.stderr.contains("has no column") && said.stderr.ends_with(ORDER), "{}", said.stderr);
        }
    }
    assert_eq!(place.others(), Vec::<String>::new());
}

#[test]
fn an_output_is_not_one_of_the_inputs_nor_the_report() {
    let place = Place::new(&quiet());
    std::os::unix::fs::symlink("mpc_orbits.parquet", place.path("link.parquet")).unwrap();
    let before: Vec<Vec<u8>> = INPUTS.iter().map(|name| fs::read(place.path(name)).unwrap()).collect();
    for (input, table) in INPUTS.into_iter().map(|name| (name, name)).chain([("link.parquet", INPUTS[2])]) {
        let table = table.trim_end_matches(".parquet");
        for flags in [vec!["-o", input], vec!["-o", "o.parquet", "--report", input]] {
            let said = place.build(&flags).expect(2);
            let expected = format!("error: `{input}` is the input {table}: it would be replaced\n");
            assert!(said.stderr.starts_with(&expected), "{}", said.stderr);
        }
    }
    fs::write(place.path("o.parquet"), "good").unwrap();
    for report in ["o.parquet", "./o.parquet"] {
        let said = place.build(&["-o", "o.parquet", "--report", report]).expect(2);
        assert_eq!(
            said.stderr,
            format!(
                "error: `{report}` is both the output and the report\n  hint: name another file with --report\n"
            )
        );
    }
    let after: Vec<Vec<u8>> = INPUTS.iter().map(|name| fs::read(place.path(name)).unwrap()).collect();
    assert!(before == after);
    assert_eq!(fs::read_to_string(place.path("o.parquet")).unwrap(), "good");
}

#[test]
fn a_part_is_not_one_of_the_inputs_nor_the_report() {
    let place = Place::new(&quiet());
    let mut inputs = INPUTS;
    inputs[1] = "table-0002.parquet";
    fs::rename(place.path(INPUTS[1]), place.path(inputs[1])).unwrap();
    let before = fs::read(place.path(inputs[1])).unwrap();
    let flags = ["-o", "table.parquet", "--part-rows", "1"];
    let said = place.run(&[&inputs[..], &flags].concat()).expect(2);
    let expected = "error: `table-0002.parquet` is the input dia_sources: it would be replaced\n";
    assert!(said.stderr.starts_with(expected), "{}", said.stderr);
    fs::rename(place.path(inputs[1]), place.path("dia.parquet")).unwrap();
    inputs[1] = "dia.parquet";
    let run = |report| place.run(&[&inputs[..], &flags, &["--report", report]].concat());
    for report in ["table-0001.parquet", "./table.json"] {
        let said = run(report).expect(2);
        let expected = format!("error: `{report}` is both the output and the report\n");
        assert!(said.stderr.starts_with(&expected), "{}", said.stderr);
    }
    let said = run("table-1.parquet").expect(0);
    said.says(" in 2 parts in ");
    assert!(said.stderr.starts_with("`table.json`: "), "{}", said.stderr);
    assert_eq!(fs::read(place.path("dia.parquet")).unwrap(), before);
}

#[test]
fn wrong_command_lines_are_refused_before_anything_runs() {
    let place = Place::new(&quiet());
    let mut texts = String::new();
    let mut refused = |arguments: &[&str], what: &str| {
        let said = place.run(arguments);
        assert_eq!((said.code, said.stdout.as_str()), (Some(2), ""), "{what}: {}", said.stderr);
        texts += &format!("$ {what}\n{}\n", said.stderr);
    };
    for flags in [
        "--station W84",
        "--site 289.25058,0.864981",
        "--site here,and,there",
        "--site 289.25058,0.5,-0.5",
        "--site 500,0.864981,-0.500958",
        "--max-sep-mas -1",
        "--max-sep-mas few",
        "--max-dt-ms nan",
        "--max-dt-ms inf",
        "--max-sep-mas -1 --max-dt-ms -2",
        "--max-unmatched 101%",
        "--max-unmatched few",
        "--min-match 2",
        "--jobs 0",
        "--memory 0",
        "--memory much",
        "--compression zip",
        "--encodings dense",
        "--table broad",
        "--processing-label L --measured-on science",
        "--part-rows 0",
    ] {
        refused(&[with_inputs(&["-o", "o.parquet"]), flags.split(' ').collect()].concat(), flags);
    }
    refused(&[&INPUTS[..4], &["-o", "o.parquet"]].concat(), "four inputs");
    refused(&with_inputs(&["more.parquet", "-o", "o.parquet"]), "six inputs");
    refused(&INPUTS, "no output");
    refused(&with_inputs(&["-o", "."]), "-o .");
    assert_eq!(place.others(), Vec::<String>::new());
    insta::assert_snapshot!(texts);
}

/// The place of another observatory is needed, and the same numbers give the same positions.
#[test]
fn another_station_has_a_place() {
    let place = Place::new(&quiet());
    let rubin = place.made("rubin.parquet", &[]);
    let mut case = quiet();
    for row in &mut case.obs {
        row.stn = "W84";
    }
    place.put(&case);
    let there = |site| place.made("there.parquet", &["--station", "W84", "--site", site]);
    assert!(there("289.25058,0.864981,-0.500958") == rubin);
    assert!(there("-70.74942, 0.864981, -0.500958") != there("-60,0.864981,-0.500958"));
    let warning =
        "warning: none of the 3 rows in obs_sbn is of station X05; column `stn` has, for example, `W84`\n";
    place.build(&["-o", "none.parquet"]).expect(0).says(warning);
}

/// One observation of ten that no DiaSource agrees with.
fn one_of_ten() -> Case {
    let mut case = many(10);
    case.obs[3].dec += 1.0;
    case
}

#[test]
fn more_unmatched_than_allowed_is_an_error_that_keeps_the_last_good_output() {
    let place = Place::new(&one_of_ten());
    fs::write(place.path("o.parquet"), "good").unwrap();
    let said = place.build(&["-o", "o.parquet", "--report", "left.parquet"]);
    assert_eq!((said.code, said.stdout.as_str()), (Some(1), ""));
    insta::assert_snapshot!(said.stderr);
    assert_eq!(fs::read_to_string(place.path("o.parquet")).unwrap(), "good");
    let left = super::parquet::lines(&place.path("left.parquet"));
    assert!(matches!(&left[..], [one] if one.starts_with("o3 | 3 | too_far | 3 | ")), "{left:?}");
    assert_eq!(place.others(), ["left.parquet", "o.parquet"]);
    // As many as that are allowed.
    let said = place.build(&["-o", "o.parquet", "--max-unmatched", "10%", "--silent"]);
    assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""));
    assert_ne!(fs::read(place.path("o.parquet")).unwrap(), b"good");
}

#[test]
fn fewer_matches_than_the_minimum_keep_the_last_good_output() {
    let place = Place::new(&one_of_ten());
    fs::write(place.path("o.parquet"), "good").unwrap();
    let flags = ["-o", "o.parquet", "--max-unmatched", "10%", "--min-match"];
    let said = place.build(&[&flags[..], &["95%"]].concat());
    assert_eq!((said.code, said.stdout.as_str()), (Some(5), ""), "{}", said.stderr);
    insta::assert_snapshot!(said.stderr);
    assert_eq!(fs::read_to_string(place.path("o.parquet")).unwrap(), "good");
    place.build(&[&flags[..], &["90%"]].concat()).expect(0);
    // Objects without an orbit count too.
    let mut case = many(10);
    let gone = case.obs[1].provid.unwrap();
    case.orbits.retain(|orbit| orbit.designation != gone);
    place.put(&case);
    let said = place.build(&["-o", "o.parquet", "--min-match", "100%"]).expect(5);
    said.says("9 of 10 objects are in mpc_orbits by designation").says(gone);
}

/// Warnings are for people who ask for silence too.
#[test]
fn silence_does_not_cover_warnings() {
    let place = Place::new(&Case::new());
    let said = place.build(&["-o", "o.parquet", "--silent"]);
    assert_eq!((said.code, said.stdout.as_str()), (Some(0), ""));
    assert_eq!(
        said.stderr,
        "warning: mpc_orbits has neither a column `car` nor `mpc_orb_jsonb`: ephemerides are by gravity alone, and error \
         ellipses are NULL\n"
    );
}

/// A shell's limit on the size of a file stands for a disk that is full.
#[test]
fn rows_that_cannot_be_put_aside_are_an_error_that_leaves_no_file() {
    let place = Place::new(&many(3_000));
    let output = Command::new("sh")
        .args(["-c", "ulimit -f 1; exec \"$0\" \"$@\" --memory 100K --silent --output o.parquet"])
        .arg(env!("CARGO_BIN_EXE_ssp-build-sssource"))
        .args(INPUTS)
        .current_dir(place.folder.path())
        .output()
        .unwrap();
    let said = Streams::from(output).expect(1);
    let expected =
        "error: cannot build the SSSource table\n  caused by: cannot write temporary files to folder `.`";
    assert!(said.stderr.starts_with(expected) && said.stderr.contains("File too large"), "{}", said.stderr);
    assert_eq!(place.others(), Vec::<String>::new());
}

fn end(mut child: Child) -> Streams {
    let deadline = Instant::now() + Duration::from_secs(20);
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            child.kill().unwrap();
        }
        sleep(Duration::from_millis(5));
    }
    child.wait_with_output().unwrap().into()
}

#[test]
fn a_signal_leaves_no_file() {
    let place = Place::new(&many(60_000));
    let is_temporary = |name: &String| name.ends_with(".ssp-tmp");
    for (signal, code) in [("TERM", 143), ("INT", 130), ("HUP", 129)] {
        let mut command = Command::new("env");
        command.arg("--default-signal=HUP,INT,TERM").arg(env!("CARGO_BIN_EXE_ssp-build-sssource"));
        command.args(with_inputs(&["-o", "o.parquet", "--report", "left.parquet"]));
        command.current_dir(place.folder.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        while !place.others().iter().any(is_temporary) {
            assert!(child.try_wait().unwrap().is_none(), "it ended before it had a temporary file");
            sleep(Duration::from_millis(5));
        }
        let killed = Command::new("kill").args(["-s", signal, &child.id().to_string()]).status().unwrap();
        assert!(killed.success());
        end(child).expect(code).says(&format!("error: stopped by SIG{signal}\n"));
        assert!(!place.path("o.parquet").exists() && !place.others().iter().any(is_temporary));
    }
}

#[test]
fn the_table_has_the_declared_columns() {
    let place = Place::new(&many(40));
    place.made("o.parquet", &[]);
    let table = TableReader::open(&place.path("o.parquet")).unwrap();
    let declared = ssp::sssource::SCHEMA.arrow();
    assert_eq!(table.schema().fields(), declared.fields());
    assert_eq!((table.schema().fields().len(), table.rows()), (39, 40));
}

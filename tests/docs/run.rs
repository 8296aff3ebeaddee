//! The blocks of the pages, run: each page in a folder of its own, its blocks in order, on a server with the survey.
//!
//! | block | treatment |
//! |---|---|
//! | `console` | the text after `$ ` is run, and must print what the page says |
//! | `sh`, `python`, `sql` | run; must succeed. `sql` is for the database `mpc_sbn` |
//! | `text output` | what the block before printed |
//! | `yaml` | a pipeline, or a part of one that makes the demo's pipeline another: read as `ssp-run validate` reads it |
//! | any with `file=NAME` | written to that file first |
//! | any with `site` | for a site's own machines: not run, its commands of ours are only checked |

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use serde_json::Value;

use crate::output::{plain, same};
use crate::page::{Block, Page, pages, root};
use crate::site::Site;
use crate::support::python::python;

/// Where a page's blocks run.
struct Place {
    folder: tempfile::TempDir,
    environment: BTreeMap<String, String>,
}

/// The pages whose blocks begin in an empty folder; others find a finished `demo/` there.
const EMPTY: [&str; 1] = ["docs/tutorial.md"];

/// What `ssp-run demo` leaves, made once: the server's folder is not part of it.
fn demo(site: &Site) -> PathBuf {
    let folder = site.path("made");
    fs::create_dir(&folder).unwrap();
    let made = Command::new(env!("CARGO_BIN_EXE_ssp-run"))
        .args(["demo", "-q"])
        .current_dir(&folder)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    fs::remove_dir_all(folder.join("demo/postgres")).unwrap();
    folder.join("demo")
}

impl Place {
    fn new(site: &Site, demo: Option<&Path>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // The demo's server runs as another user if this is root.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(folder.path(), open).unwrap();
        let settings: BTreeMap<&str, &str> =
            site.connection().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let service = format!(
            "[mpc_sbn]\nhost={}\nport={}\nuser={}\ndbname=mpc_sbn\n",
            settings["PGHOST"], settings["PGPORT"], settings["PGUSER"]
        );
        fs::write(folder.path().join(".pg_service.conf"), service).unwrap();
        if let Some(demo) = demo {
            let copied = Command::new("cp").arg("-a").arg(demo).arg(folder.path()).status().unwrap();
            assert!(copied.success());
        }
        let programs = Path::new(env!("CARGO_BIN_EXE_ssp-run")).parent().unwrap().display().to_string();
        let python = python().parent().unwrap().display().to_string();
        let path = format!("{programs}:{python}:{}", std::env::var("PATH").unwrap());
        let butler = site.path("butler").display().to_string();
        let home = folder.path().display().to_string();
        let environment = [
            ("PATH", path.as_str()),
            ("HOME", &home),
            ("TZ", "UTC"),
            ("LC_ALL", "C.UTF-8"),
            ("NO_COLOR", "1"),
            ("PGSERVICEFILE", &format!("{home}/.pg_service.conf")),
            ("BUTLER_REPO", &butler),
        ];
        let environment =
            environment.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Self { folder, environment }
    }

    /// Runs a program with a text as its last argument: whether it succeeded, and all that it printed.
    fn run(&self, program: &[&str], text: &str) -> (bool, String) {
        let script = format!("exec 2>&1; {} \"$0\"", program.join(" "));
        let output = Command::new("bash")
            .args(["-c", &script, text])
            .current_dir(self.folder.path())
            .env_clear()
            .envs(&self.environment)
            .output()
            .unwrap();
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.success(), printed.replace(&format!("{}/", self.folder.path().display()), ""))
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Runs a block, after one that printed `before`: what it printed.
    fn block(&self, block: &Block, before: &str) -> Result<String, String> {
        if let Some(name) = block.value("file") {
            self.write(name, &block.text);
        }
        if block.has("site") {
            return Ok(String::new());
        }
        let ran = match block.language() {
            "console" => return self.console(&block.text),
            "text" if block.has("output") => {
                return same(&block.text, before)
                    .then(String::new)
                    .ok_or_else(|| format!("printed was:\n{before}"));
            }
            "yaml" => return yaml(&block.text).map(|()| String::new()),
            "sh" if block.value("file").is_none() => {
                self.run(&["bash", "-euo", "pipefail", "-c"], &block.text)
            }
            "python" if block.value("file").is_none() => self.run(&["python", "-c"], &block.text),
            "sql" => self.run(&["psql", "-X", "-v", "ON_ERROR_STOP=1", "service=mpc_sbn", "-c"], &block.text),
            _ => return Ok(String::new()),
        };
        match ran {
            (true, printed) => Ok(printed),
            (false, printed) => Err(printed),
        }
    }

    /// Commands and what they print; their exit codes may be any.
    fn console(&self, text: &str) -> Result<String, String> {
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            let Some(first) = line.strip_prefix("$ ") else {
                return Err(format!("a block of `console` begins with `$ `, and not with {line:?}"));
            };
            let mut command = first.to_owned();
            while command.ends_with('\\') {
                command.push('\n');
                command += lines.next().unwrap_or_default();
            }
            let mut expected = String::new();
            while let Some(line) = lines.next_if(|line| !line.starts_with("$ ")) {
                expected += line;
                expected.push('\n');
            }
            let (_, printed) = self.run(&["bash", "-c"], &command);
            if !same(&expected, &printed) {
                return Err(format!(
                    "`{command}` printed:\n{printed}\nwhich is, without what differs each time:\n{}",
                    plain(&printed)
                ));
            }
        }
        Ok(String::new())
    }
}

/// Reads a pipeline, or the demo's with the parts that are given here put into it.
fn yaml(text: &str) -> Result<(), String> {
    let part: Value = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
    // A list is what `fast-export --config` reads, and a mapping with columns a schema: the command that uses it checks it.
    let Some(keys) = part.as_object().filter(|keys| !keys.contains_key("columns")) else { return Ok(()) };
    let whole = if keys.contains_key("version") {
        text.to_owned()
    } else {
        let demo = fs::read_to_string(root().join("pipelines/demo.yaml")).unwrap();
        let mut demo: Value = serde_saphyr::from_str(&demo).unwrap();
        let known = ["vars", "database", "butler", "defaults", "executor", "hooks", "stages"];
        let stages = Value::from_iter([("stages".to_owned(), part.clone())]);
        merge(&mut demo, if keys.keys().all(|key| known.contains(&key.as_str())) { part } else { stages });
        demo.to_string()
    };
    let environment = |name: &str| (name == "BUTLER_REPO" || name == "HOME").then(|| "/somewhere".into());
    let reading = ssp::pipeline::read(Path::new("pipelines/p.yaml"), &whole, &BTreeMap::new(), &environment);
    let mistakes: Vec<String> = reading.mistakes.iter().map(|mistake| mistake.message.clone()).collect();
    if mistakes.is_empty() { Ok(()) } else { Err(mistakes.join("\n")) }
}

/// Puts keys into mappings down to two levels: a stage or a database is replaced or added to, its settings are not mixed.
fn merge(into: &mut Value, part: Value) {
    let Value::Object(part) = part else { return };
    for (name, value) in part {
        match (&mut into[&name], value) {
            (Value::Object(old), Value::Object(new)) => old.extend(new),
            (old, new) => *old = new,
        }
    }
}

fn wrong(page: &Page, place: &Place) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut printed = String::new();
    for block in page.blocks() {
        match place.block(&block, &printed) {
            Ok(now) => printed = now,
            Err(error) => {
                wrong.push(format!("{}:{}: ({})\n{error}", page.name(), block.line, block.info.join(" ")));
                printed.clear();
            }
        }
    }
    wrong
}

#[test]
fn every_block_that_can_be_run_does_what_the_page_says() {
    let site = Site::new();
    let demo = demo(&site);
    let pages: Vec<Page> = pages()
        .into_iter()
        .filter(|page| {
            page.name().starts_with("docs/") || page.name() == "README.md" || page.name() == "SECURITY.md"
        })
        .collect();
    let places: Vec<Place> = pages
        .iter()
        .map(|page| Place::new(&site, (!EMPTY.contains(&page.name().as_str())).then_some(demo.as_path())))
        .collect();
    let wrong: Vec<String> = thread::scope(|scope| {
        let runs: Vec<_> =
            pages.iter().zip(&places).map(|(page, place)| scope.spawn(move || wrong(page, place))).collect();
        runs.into_iter().flat_map(|run| run.join().unwrap()).collect()
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn a_page_that_is_wrong_is_found() {
    let site = Site::new();
    let place = Place::new(&site, None);
    let right = [
        "console\n$ echo 06:15:00 good; false\n07:16:01 good",
        "sh\ntest ! -e nothing",
        "python\nprint(1 + 1)",
        "text output\n2",
        "sql\nSELECT count(*) FROM obs_sbn",
        "yaml\na: {export: {table: t}, out: a.parquet}",
        "sh site\nno-such-program",
    ];
    let wrong_ones = [
        "console\n$ echo good\nbad",
        "console\ngood",
        "sh\ntest -e nothing",
        "python\nassert 1 + 1 == 3",
        "text output\n3",
        "sql\nSELECT nothing FROM obs_sbn",
        "yaml\na: {export: {tabel: t}, out: a.parquet}",
        "yaml\ndatabase: {password: x}",
    ];
    let page = |blocks: &[&str]| {
        let text: Vec<String> = blocks.iter().map(|block| format!("```{block}\n```\n")).collect();
        Page { path: root().join("docs/x.md"), text: text.join("\n") }
    };
    assert_eq!(wrong(&page(&right), &place), Vec::<String>::new());
    let found = wrong(&page(&wrong_ones), &place);
    assert_eq!(found.len(), wrong_ones.len(), "{}", found.join("\n\n"));
}

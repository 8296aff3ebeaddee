//! The report page in a real browser: after a good night, a failed one and a killed one.

#[path = "../support/cluster.rs"]
mod cluster;
#[path = "../support/python.rs"]
mod python;
#[path = "../support/said.rs"]
mod said;
#[path = "../cli/site.rs"]
mod site;
#[path = "../support/wait.rs"]
mod wait;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use python::python;
use serde_json::Value;
use site::{Site, put};

/// What Chromium saw of a page, at 400 and 1,400 pixels, light and dark.
fn look(page: &Path, selectors: &[&str]) -> Value {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let chromium = Path::new("/usr/bin/chromium");
    assert!(chromium.exists(), "there is no {}: run `ci/install chromium`", chromium.display());
    let mut command = Command::new(python());
    command.arg(root.join("tests/report/look.py")).arg(chromium).arg(page).args(selectors);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let seen: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(seen["said"], serde_json::json!([]), "the console is not empty");
    assert_eq!(seen["elsewhere"], serde_json::json!([]), "the page asked for something else");
    assert_eq!(seen["beyond"], serde_json::json!([]), "something is cut off");
    let widths = seen["widths"].as_object().unwrap();
    assert_eq!(widths.len(), 4, "{widths:?}");
    for (how, width) in widths {
        assert!(how.ends_with(&format!(" {width}")), "the page is {width} wide, {how}");
    }
    assert_ne!(seen["colors"]["light"], seen["colors"]["dark"]);
    for scheme in ["light", "dark"] {
        let paper = &seen["paper"][scheme];
        assert_eq!(paper["cut"], serde_json::json!([]), "something is cut off on paper");
        assert_eq!(paper["closed"], serde_json::json!([]), "something is not opened on paper");
        let colors = serde_json::json!(["rgb(255, 255, 255)", "rgb(0, 0, 0)", "light"]);
        assert_eq!(paper["colors"], colors, "{scheme} on paper");
        assert!(paper["pages"].as_u64().is_some_and(|pages| (1..20).contains(&pages)), "{paper}");
    }
    seen
}

fn named(site: &Site, name: &str) -> PathBuf {
    let said = site.ssp_run(&["report"]).expect(0);
    let page = site.path(said.stdout.trim());
    // Under a name that its screenshots can have.
    let copy = site.path(&format!("{name}.html"));
    put(&copy, &fs::read(page).unwrap());
    copy
}

#[test]
fn a_good_night() {
    let site = Site::new();
    site.ssp_run(&["-q"]).expect(0);
    site.sql("DELETE FROM obs_sbn WHERE id = (SELECT min(id) FROM obs_sbn WHERE stn = 'X05')");
    site.with_sssource_from_elsewhere();
    site.edit("    out: ssobject.parquet", "      on_missing: drop\n    out: ssobject.parquet");
    site.ssp_run(&["-q"]).expect(0);
    let page = named(&site, "good");
    let wanted = [
        ("header.s-done h1", 1),
        ("#failures", 0),
        ("svg.dag g.node", 7),
        ("svg.dag .edges path.tip", 8),
        ("svg.dag g.s-done", 4),
        ("table.timeline tbody tr", 7),
        ("table.outputs tbody tr", 7),
        // min_rows and max_shrink of obs_sbn, and what five lookups found.
        ("#margins tbody tr.s-done", 0),
        ("#margins tbody th", 0),
        ("#files a", 0),
        (".over a", 2),
        ("table.outputs svg.spark", 7),
        ("#reasons dt", 7),
        ("#table-ssobject svg.plot", 9),
        ("#table-ssobject .plot rect", 20),
        ("#table-ssobject table.counts tbody tr", 4),
        ("#table-sssource svg.plot", 1),
        ("#table-sssource .plot rect", 10),
        ("#table-sssource table.counts tbody tr", 5),
        ("script, img, link, iframe", 0),
    ];
    let seen = look(&page, &wanted.map(|(selector, _)| selector));
    for (selector, count) in wanted {
        let found = seen["found"][selector].as_u64().unwrap();
        // Of the rectangles of plots there are some, depending on the survey.
        let holds = if selector.ends_with("rect")
            || selector.starts_with("#margins")
            || selector.starts_with("#files")
        {
            found >= count
        } else {
            found == count
        };
        assert!(holds, "{selector}: {found}, not {count}");
    }
    let text = fs::read_to_string(&page).unwrap();
    for said in [
        "default-src 'none'",
        "<span class=\"pipeline\">demo<wbr></span>",
        "<code>pipelines/<wbr>demo.yaml<wbr></code>",
        "<dt>Database</dt>",
        "<dt>Collection</dt><dd>LSSTCam/runs/DRP/FL/w_2025_19/DM-50795</dd>",
        "<dt>Ids found</dt><dd>487 of 489<",
        "<dt>Newest observation</dt><dd>20",
        "<td>491 of at least 1</td>",
        "<td>0.2 % of at most 10 %</td>",
        " for too few detections, ",
        "<a href=\"obs_sbn.log\">obs_sbn.log</a>",
        "<a href=\"run.json\">run.json</a>",
        "−1 (−0.2\u{a0}%)",
        "on_missing",
        "too few detections",
        "rows without a match were left out",
        "Observed against predicted positions of 486 detections",
        "ephOffset: median 0.041",
        "Angle between the observed and the predicted position",
        "The largest offsets",
    ] {
        assert!(text.contains(said), "{said}");
    }
}

#[test]
fn the_page_of_all_runs_links_to_their_pages_and_follows_gc() {
    let site = Site::new();
    site.ssp_run(&["-q"]).expect(0);
    site.edit("min_rows: 1,", "min_rows: 100000,");
    for _ in 0..2 {
        site.ssp_run(&["-q", "--force-stage", "obs_sbn"]).expect(5);
    }
    let index = site.path("data/.ssp/runs/index.html");
    let copy = site.path("index.html");
    put(&copy, &fs::read(&index).unwrap());
    let selectors = ["tr.s-done a", "tr.s-failed a", "tbody tr", "script, img, link, iframe"];
    let seen = look(&copy, &selectors);
    assert_eq!(selectors.map(|selector| seen["found"][selector].as_u64().unwrap()), [1, 2, 3, 0]);
    let links = |text: &str| -> Vec<String> {
        text.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
    };
    let runs = index.parent().unwrap();
    let all = links(&fs::read_to_string(&index).unwrap());
    assert_eq!(all.len(), 3);
    // Every link of every page leads somewhere.
    for page in &all {
        let page = runs.join(page);
        let text = fs::read_to_string(&page).unwrap();
        assert!(links(&text).len() > 3, "{text}");
        for link in links(&text) {
            assert!(page.parent().unwrap().join(&link).exists(), "{link} of {}", page.display());
        }
    }
    // The second failed run is not needed by an output.
    site.ssp_run(&["gc", "--keep", "1"]).expect(0);
    assert_eq!(links(&fs::read_to_string(&index).unwrap()).len(), 2);
    assert_eq!(site.leftovers(), Vec::<PathBuf>::new());
}

#[test]
fn a_night_that_failed() {
    let site = Site::new();
    site.ssp_run(&["-q"]).expect(0);
    let first = fs::read_link(site.path("data/.ssp/runs/latest")).unwrap().display().to_string();
    // So long that the page folds it.
    let query =
        format!("SELECT *, 1/(id - id) AS \"<script>\" FROM obs_sbn /* {} */", "why ".repeat(100).trim_end());
    site.edit("SELECT * FROM obs_sbn", &query);
    site.ssp_run(&["-q"]).expect(1);
    let page = named(&site, "failed");
    let wanted =
        ["main > #failures:first-child article.failure", "pre", "svg.dag .s-failed", ".s-blocked .word"];
    let seen = look(&page, &wanted);
    for selector in wanted {
        assert!(seen["found"][selector].as_u64().unwrap() >= 1, "{selector}: {seen}");
    }
    assert_eq!(seen["paper"]["light"]["details"].as_u64(), Some(1), "nothing was there to be opened");
    let text = fs::read_to_string(&page).unwrap();
    assert!(
        text.contains("division by zero") && text.contains("obs_sbn.parquet") && !text.contains("<script"),
        "{text}"
    );
    // The run of the last good output, with its time and a link.
    let kept =
        format!("of run <a href=\"../{first}/report.html\">{first}</a> ({}-{}-", &first[..4], &first[4..6]);
    assert!(text.contains(&kept), "{kept}\n{text}");
    assert!(text.contains(&format!("<a href=\"../{first}/report.html\">run before</a>")), "{text}");
    assert!(text.contains("Fix the cause, then run <code>ssp-run pipelines/demo.yaml</code>"), "{text}");
}

#[test]
fn a_check_that_failed_is_named_as_such() {
    let site = Site::new();
    site.edit("min_rows: 1,", "min_rows: 100000,");
    site.ssp_run(&["-q"]).expect(5);
    let seen = look(&named(&site, "check"), &["#checks", "article.failure", "#margins tr.s-failed"]);
    assert_eq!(seen["found"]["#margins tr.s-failed"], 1);
    assert_eq!((&seen["found"]["#checks"], &seen["found"]["article.failure"]), (&1.into(), &1.into()));
}

#[test]
fn a_report_is_made_anew_and_the_same() {
    let site = Site::new();
    site.ssp_run(&["report"]).expect(2).says("no runs yet");
    site.ssp_run(&["-q"]).expect(0);
    let path = site.path(site.ssp_run(&["report"]).stdout.trim());
    let first = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    assert_eq!(site.path(site.ssp_run(&["report"]).stdout.trim()), path);
    assert!(fs::read(&path).unwrap() == first, "another page from the same records");
    let run = path.parent().unwrap().file_name().unwrap().to_str().unwrap();
    let unknown = site.ssp_run(&["report", "20010101T000000Z"]);
    assert_eq!((unknown.code, unknown.stdout.as_str()), (Some(2), ""));
    assert!(unknown.stderr.contains(&format!("the newest runs are {run}")), "{}", unknown.stderr);

    // A run whose table is gone, and one that was killed.
    fs::remove_file(&path).unwrap();
    fs::remove_file(site.path("data/ssobject.parquet")).unwrap();
    let record = path.with_file_name("run.json");
    let text = fs::read_to_string(&record).unwrap();
    put(&record, text.replacen("\"status\": \"done\"", "\"status\": \"running\"", 1).as_bytes());
    site.ssp_run(&["report"]).expect(0);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("ssobject.parquet was removed") && text.contains("Running"), "{text}");
}

#[test]
fn a_report_is_opened_or_it_is_said_why_not() {
    let site = Site::new();
    site.ssp_run(&["-q"]).expect(0);
    let page = site.ssp_run(&["report"]).stdout;
    let (programs, launcher) = (site.path("programs"), site.path("programs/xdg-open"));
    fs::create_dir(&programs).unwrap();
    let open = || {
        let output = site.command(&["report", "--open"]).env("PATH", &programs).output().unwrap();
        let [said, stderr] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        assert_eq!(said, page, "{stderr}");
        (output.status.code(), stderr)
    };
    let refused = |(code, stderr): (Option<i32>, String)| {
        assert_eq!(code, Some(1), "{stderr}");
        assert!(stderr.starts_with("error: no browser can be started on this machine\n"), "{stderr}");
        assert!(stderr.contains("hint: copy the printed file to a machine with a browser"), "{stderr}");
    };
    // A machine without a desktop.
    refused(open());
    // What a desktop's launcher is given.
    let script = |end: &str| {
        put(&launcher, format!("#!/bin/sh\necho \"$@\" > opened\n{end}\n").as_bytes());
        fs::set_permissions(&launcher, fs::Permissions::from_mode(0o755)).unwrap();
    };
    script("exit 3");
    refused(open());
    fs::remove_file(site.path("opened")).unwrap();
    script("exit 0");
    assert_eq!(open(), (Some(0), String::new()));
    let opened = fs::read_to_string(site.path("opened")).unwrap();
    let whole = |path: &str| fs::canonicalize(site.path(path.trim_end())).unwrap();
    assert_eq!(whole(&opened), whole(&page));
    // A browser that stays is not waited for.
    script("exec /bin/sleep 20");
    let clock = std::time::Instant::now();
    assert_eq!(open(), (Some(0), String::new()));
    assert!(clock.elapsed().as_secs() < 10);
}

#[test]
fn a_report_that_cannot_be_written_is_a_warning_and_fails_no_run() {
    let site = Site::new();
    site.ssp_run(&["-q"]).expect(0);
    let latest = || fs::read_link(site.path("data/.ssp/runs/latest")).unwrap();
    let before = latest();
    let run = site.command(&["--force"]).stderr(std::process::Stdio::piped()).spawn().unwrap();
    while latest() == before {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    // A folder that is not empty, where the page should go.
    fs::create_dir_all(site.path("data/.ssp/runs").join(latest()).join("report.html/full")).unwrap();
    let output = run.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("no report page: "), "{said}");
    assert_eq!(site.leftovers(), Vec::<PathBuf>::new());
}

#[test]
fn the_drawing_is_a_file_of_its_own() {
    let site = Site::new();
    let said = site.ssp_run(&["graph", "--format", "svg"]).expect(0);
    assert!(said.stdout.starts_with("<svg ") && said.stdout.contains("xmlns=\"http://www.w3.org/2000/svg\""));
    assert_eq!(said.stdout.matches("class=\"tip\"").count(), 9);
    let file = site.path("graph.svg");
    put(&file, said.stdout.as_bytes());
    let parsed = Command::new(python())
        .args(["-c", "import sys, xml.dom.minidom as m; m.parse(sys.argv[1])"])
        .arg(&file)
        .output()
        .unwrap();
    assert!(parsed.status.success(), "{}", String::from_utf8_lossy(&parsed.stderr));
}

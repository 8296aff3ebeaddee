//! The report page in a real browser: what is on it, that it fits a telephone, that it complains of nothing.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::site::{Site, put};

/// A window of each width, and the page's own width in it.
struct Seen {
    dom: String,
    console: String,
    width: u32,
}

/// The page as Chromium has it in a window of a width. It is shown in a frame of a page that measures it.
fn seen(site: &Site, page: &str, width: u32) -> Seen {
    let quoted = page.replace('&', "&amp;").replace('"', "&quot;");
    let wrapper = format!(
        "<!doctype html><body style='margin:0'><iframe style='border:0;width:{width}px;height:900px' srcdoc=\"{quoted}\" \
         onload=\"document.title = 'width ' + this.contentDocument.documentElement.scrollWidth; \
         const copy = document.createElement('div'); \
         copy.append(...this.contentDocument.body.cloneNode(true).childNodes); document.body.append(copy)\"></iframe>"
    );
    let file = site.path("wrapper.html");
    put(&file, wrapper.as_bytes());
    let output = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--dump-dom"])
        .arg(format!("--user-data-dir={}", site.path("chromium").display()))
        .arg(format!("--window-size={},1000", width.max(500)))
        .arg(format!("file://{}", file.display()))
        .output()
        .expect("chromium is there (on Debian: apt-get install chromium)");
    let dom = String::from_utf8(output.stdout).unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let console = said.lines().filter(|line| line.contains("CONSOLE")).collect::<Vec<_>>().join("\n");
    let title = dom.split("<title>width ").nth(1).unwrap_or_else(|| panic!("not measured: {said}\n{dom}"));
    let width = title.split('<').next().unwrap().parse().unwrap();
    Seen { dom, console, width }
}

fn page_of(site: &Site) -> String {
    let path = site.ssp_run(&["report"]).stdout;
    let name = path.trim().replace("SITE", &site.path("").display().to_string());
    assert!(name.ends_with("/report.html"), "{path}");
    fs::read_to_string(site.path("").join(Path::new(&name))).unwrap()
}

#[test]
fn the_page_of_a_run_is_whole_in_a_browser_and_fits_a_telephone() {
    let site = Site::new();
    assert_eq!(site.ssp_run(&["-q"]).code, Some(0));
    let good = page_of(&site);
    // A name and an error that would be markup if they were not escaped.
    site.edit("SELECT * FROM obs_sbn", "SELECT '<img src=x onerror=alert(1)>'::int FROM obs_sbn");
    assert_eq!(site.ssp_run(&["-q"]).code, Some(1));
    let bad = page_of(&site);
    for (what, page) in [("good", &good), ("bad", &bad)] {
        for width in [400, 1400] {
            let seen = seen(&site, page, width);
            assert_eq!(seen.console, "", "{what} at {width}");
            assert!(seen.width <= width, "{what} at {width}: it is {} wide", seen.width);
            for element in ["<h1>", "class=\"dag\"", "id=\"stages\"", "<table", "obs_sbn", "ssobject"] {
                assert!(seen.dom.contains(element), "{what} at {width}: no {element}");
            }
            // Three edges and their tips: a drawing that is not well formed loses them.
            assert_eq!(seen.dom.matches("<path class=\"tip\"").count() % 3, 0, "{what}");
            assert!(seen.dom.matches("></path><path class=\"tip\"").count() >= 3, "{what}");
            assert!(!seen.dom.contains("<img"), "{what}: markup from outside");
        }
    }
    assert!(bad.contains("id=\"failures\"") && bad.contains("invalid input syntax for type integer"));
    assert!(good.contains("H against G12") && !good.contains("id=\"failures\""));
    // Nothing from elsewhere, no scripts.
    for page in [&good, &bad] {
        assert!(!page.contains("<script") && !page.contains("src=\"http") && !page.contains("@import"));
        assert!(page.contains("Content-Security-Policy"));
    }
}

#[test]
fn a_report_is_found_or_made_anew() {
    let site = Site::new();
    let said = site.ssp_run(&["report"]);
    assert_eq!(said.code, Some(2), "{}", said.stderr);
    assert!(said.stderr.contains("nothing was ever run here"), "{}", said.stderr);
    assert_eq!(site.ssp_run(&["-q"]).code, Some(0));
    let page = page_of(&site);
    fs::remove_file(site.path("data/.ssp/runs/latest/report.html")).unwrap();
    assert_eq!(page_of(&site), page, "the same records make the same page");
    let said = site.ssp_run(&["report", "20200101"]);
    assert_eq!(said.code, Some(2), "{}", said.stderr);
    assert!(said.stderr.contains("the newest are"), "{}", said.stderr);
    let drawing = site.ssp_run(&["graph", "--format", "svg"]).stdout;
    assert!(drawing.starts_with("<svg") && drawing.contains("xmlns="), "{drawing}");
}

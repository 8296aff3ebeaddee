//! Faults of stores: those that pass are tried again, the others are named, and none is taken for another.

use std::fs;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use assert_cmd::cargo::CommandCargoExt as _;

use crate::fixture::{CLEAN, RUN_A, RUN_Z, selection, write};
use crate::proxy::{Fault, Request};
use crate::site::{BUCKET, Site, encoded, enlarge};

/// Whether a request is for a dataset's file, and the first such one.
fn first_read() -> impl Fn(&Request) -> bool + Send + Sync + 'static {
    let is_done = AtomicBool::new(false);
    move |request| request.path.contains(".parq") && !is_done.swap(true, Ordering::SeqCst)
}

#[test]
fn what_passes_is_tried_again() {
    let expected = Site::empty().extract(CLEAN, &[]).good();
    for fault in [
        Fault::SlowDown,
        Fault::Answer(500, "InternalError", "We encountered an internal error."),
        Fault::ResetBefore,
        Fault::ResetAfter,
        Fault::EndsEarly(1000),
    ] {
        let site = Site::new();
        site.proxy.when(first_read(), fault);
        assert!(site.extract(CLEAN, &[]).good() == expected);
    }
}

#[test]
fn a_store_that_fails_again_and_again_is_unreachable() {
    let site = Site::new();
    // Not even if what is missing may be left out: a store that fails does not say that anything is missing.
    for (fault, said) in [
        (Fault::SlowDown, "SlowDown"),
        (Fault::ResetBefore, "caused by"),
        (Fault::EndsEarly(1000), "caused by"),
        (Fault::WrongLength(-3), "caused by"),
        (Fault::WrongLength(5), "caused by"),
    ] {
        site.proxy.behave();
        site.proxy.always(fault);
        let text = site.extract(CLEAN, &[]).failed(4, &site);
        assert!(text.contains(&format!("cannot reach `s3://{BUCKET}/LSSTCam/")), "{text}");
        assert!(text.contains("`AWS_ACCESS_KEY_ID`") && text.contains(said), "{text}");
    }
}

#[test]
fn what_is_denied_is_told_with_the_origin_of_the_credentials() {
    let site = Site::new();
    let mut variables = site.variables();
    let repo = site.fixture.repo();
    variables[2].1 = "hunter2".to_owned();
    let text = site.extract_with(&variables, repo, CLEAN, &[]).failed(4, &site);
    assert!(text.contains("was denied") && text.contains("`AWS_ACCESS_KEY_ID`"), "{text}");
    assert!(text.contains("SignatureDoesNotMatch"), "{text}");

    site.proxy.always(Fault::TimeTooSkewed);
    let text = site.extract(CLEAN, &[]).failed(4, &site);
    assert!(text.contains("was denied") && text.contains("RequestTimeTooSkewed"), "{text}");

    site.proxy.behave();
    site.proxy.always(Fault::Answer(404, "NoSuchBucket", "The specified bucket does not exist"));
    for collection in [CLEAN, RUN_Z] {
        let text = site.extract(collection, &[]).failed(4, &site);
        assert!(text.contains(&format!("there is no bucket `{BUCKET}`")), "{text}");
    }
    // Something else than a store answers.
    site.proxy.behave();
    site.proxy.always(Fault::Answer(404, "Other", "File not found"));
    let text = site.extract(CLEAN, &[]).failed(4, &site);
    assert!(text.contains("check the endpoint"), "{text}");
    site.proxy.behave();
    site.proxy.always(Fault::Answer(400, "ExpiredToken", "The provided token has expired."));
    let text = site.extract(CLEAN, &[]).failed(4, &site);
    assert!(text.contains("was denied") && text.contains("ExpiredToken"), "{text}");
}

#[test]
fn a_server_that_is_not_there_is_unreachable() {
    let site = Site::new();
    let mut variables = site.variables();
    variables[0].1 = "http://me:hunter2@127.0.0.1:9".to_owned();
    // This one is for when that is not set.
    variables.push(("AWS_ENDPOINT_URL_S3", site.proxy.endpoint()));
    let text = site.extract_with(&variables, site.fixture.repo(), CLEAN, &[]).failed(4, &site);
    assert!(text.contains("cannot reach `s3://") && text.contains("`S3_ENDPOINT_URL`"), "{text}");
    assert!(
        text.contains("(http://127.0.0.1:9, credentials of") && site.proxy.requests().is_empty(),
        "{text}"
    );
    // Nor is a configuration in a store.
    let text = site.extract_with(&variables, "s3://other/butler.yaml", CLEAN, &[]).failed(4, &site);
    assert!(
        text.contains("there is no Butler repository") && text.contains("s3://other/butler.yaml"),
        "{text}"
    );
}

#[test]
fn an_object_that_is_not_there_is_a_missing_dataset() {
    let site = Site::new();
    let datasets = site.fixture.open().datasets(&selection(CLEAN)).unwrap();
    fs::remove_file(site.bucket.join(&datasets[0].records[0].path)).unwrap();
    let said = site.extract(CLEAN, &["--on-missing", "error"]).failed(1, &site);
    assert!(said.contains("its file is missing: `s3://butler-files/LSSTCam/"), "{said}");
    let said = site.extract(CLEAN, &[]);
    assert!(said.text.contains("its file is missing: `s3://butler-files/LSSTCam/"), "{}", said.text);
    said.good();
    // One of another size than was recorded is no dataset, either.
    let path = site.bucket.join(&datasets[1].records[0].path);
    for length in [0, 5, 200_000] {
        write(&path, &vec![b'x'; length]);
        let said = site.extract(CLEAN, &["--on-missing", "error"]).failed(1, &site);
        assert!(said.contains(&format!("has {length} bytes, but")), "{said}");
    }
    // Nor is one that is no Parquet.
    let size = datasets[1].records[0].size.unwrap();
    write(&path, &vec![b'x'; usize::try_from(size).unwrap()]);
    let said = site.extract(CLEAN, &["--on-missing", "error"]).failed(1, &site);
    assert!(said.contains("s3://butler-files/LSSTCam/") && said.contains("Parquet"), "{said}");
}

#[test]
fn an_object_that_changes_while_it_is_read_is_an_error() {
    let site = Site::empty();
    enlarge(&site.fixture);
    site.move_to_bucket();
    let far = |request: &Request| request.range().is_some_and(|range| range.starts_with("bytes=4-"));
    site.proxy.when(far, Fault::Etag("another".to_owned()));
    let said = site.extract(RUN_A, &[]).failed(1, &site);
    assert!(said.contains("was changed while it was read") && said.contains("s3://butler-files/"), "{said}");
}

#[test]
fn profiles_have_their_endpoint_and_login_in_variables_or_in_files() {
    let site = Site::new();
    let expected = Site::empty().extract(CLEAN, &[]).good();
    site.fixture.edit_config(&format!("s3://{BUCKET}/"), &format!("s3://night@{BUCKET}/"));
    let login = |secret: &str| {
        format!("http://{}:{}@{}", site.s3.access_key(), encoded(secret), site.proxy.address())
    };
    let variable = |value: String| vec![("LSST_RESOURCES_S3_PROFILE_night", value)];
    let extract = |variables: Vec<(&'static str, String)>| {
        site.extract_with(&variables, site.fixture.repo(), CLEAN, &[])
    };
    assert!(extract(variable(login(site.s3.secret()))).good() == expected);
    let text = extract(variable(login("hunter2"))).failed(4, &site);
    assert!(text.contains("`LSST_RESOURCES_S3_PROFILE_night`") && text.contains("was denied"), "{text}");

    // The endpoint in the variable, the key in a file of the AWS tools.
    let file = site.fixture.folder.path().join("credentials");
    let keys = |secret: &str| {
        let text = format!(
            "[night]\naws_access_key_id = {}\naws_secret_access_key = {secret}\n",
            site.s3.access_key()
        );
        write(&file, text.as_bytes());
        let mut variables = variable(site.proxy.endpoint());
        variables.push(("AWS_SHARED_CREDENTIALS_FILE", file.to_str().unwrap().to_owned()));
        variables
    };
    assert!(extract(keys(site.s3.secret())).good() == expected);
    let text = extract(keys("hunter2")).failed(4, &site);
    assert!(text.contains("profile `night` in `") && text.contains("credentials`"), "{text}");
    let text = extract(variable(site.proxy.endpoint())).failed(4, &site);
    assert!(text.contains("there is no profile `night`"), "{text}");
}

/// An endpoint that takes connections and never answers.
fn silence() -> String {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || listener.incoming().flatten().collect::<Vec<_>>());
    format!("http://{address}")
}

/// Runs a pipeline with one extract; `more` are further lines of its stage or of the file.
fn run(site: &Site, variables: Vec<(&str, String)>, more: &str) -> (Option<i32>, String) {
    let folder = site.fixture.folder.path();
    let pipeline = format!(
        "version: 1\nname: x\nout_dir: data\nbutler: {{repo: repo}}\nstages:\n  a:\n    extract: {{collection: {CLEAN}}}\n    \
         out: a.parquet\n{more}"
    );
    write(&folder.join("pipeline.yaml"), pipeline.as_bytes());
    let mut command = Command::cargo_bin("ssp-run").unwrap();
    let output =
        command.arg("pipeline.yaml").current_dir(folder).env_clear().envs(variables).output().unwrap();
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

#[test]
fn who_waits_for_a_store_stops_when_told_to() {
    let site = Site::new();
    let mut variables = site.variables();
    variables[0].1 = silence();
    let folder = site.fixture.folder.path();
    let mut command = Command::cargo_bin("extract-catalog").unwrap();
    command.args(["out.parquet", site.fixture.repo(), CLEAN]).current_dir(folder).env_clear();
    let mut child = command.envs(variables.clone()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(700));
    let told = Instant::now();
    Command::new("kill").arg(child.id().to_string()).status().unwrap();
    let status = child.wait().unwrap();
    assert!(
        status.code() == Some(143) && told.elapsed() < Duration::from_secs(10),
        "{status} {:?}",
        told.elapsed()
    );

    let began = Instant::now();
    let (_, said) = run(&site, variables, "    timeout: 1s\n");
    assert!(said.contains("took longer than its timeout, 1s"), "{said}");
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[test]
fn a_run_that_cannot_reach_a_store_ends_with_4() {
    let site = Site::new();
    site.proxy.always(Fault::ResetBefore);
    let (code, said) = run(&site, site.variables(), "database: {retries: 0}\n");
    assert!(code == Some(4) && said.contains("cannot reach `s3://"), "{said}");
}

#[test]
fn requests_have_no_token_where_there_is_none() {
    let site = Site::new();
    site.extract(CLEAN, &[]).good();
    let requests = site.proxy.requests();
    assert!(requests.iter().all(|request| request.header("x-amz-security-token").is_none()), "{requests:?}");
}

//! The servers do what the tests with them rely on; curl is the client.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use ssp::throwaway::S3;
use tempfile::TempDir;

use crate::proxy::{Fault, Proxy};
use crate::static_server::{Options, StaticServer};

/// Headers and body of an answer.
fn curl(words: &[&str]) -> String {
    let output = Command::new("curl").args(["--silent", "--include"]).args(words).output();
    String::from_utf8_lossy(&output.expect("the tests need curl").stdout).replace('\r', "")
}

/// Of a signed request.
fn signed(s3: &S3, words: &[&str]) -> String {
    let user = format!("{}:{}", s3.access_key(), s3.secret());
    let payload = ["--header", "x-amz-content-sha256: UNSIGNED-PAYLOAD"];
    curl(&[&["--aws-sigv4", "aws:amz:us-east-1:s3", "--user", &user], payload.as_slice(), words].concat())
}

fn served() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("k + é.bin"), "0123456789").unwrap();
    folder
}

const PATH: &str = "k%20%2B%20%C3%A9.bin";

#[test]
fn nginx_serves_ranges() {
    let folder = served();
    let server = StaticServer::start(folder.path(), Options::default());
    let url = format!("{}/{PATH}", server.url());
    let answer = curl(&["--range", "2-4", &url]);
    assert!(answer.starts_with("HTTP/1.1 206 ") && answer.ends_with("\n\n234"), "{answer}");
    assert!(answer.contains("\nETag: "), "{answer}");
    assert_eq!(server.requests(), [format!("GET /{PATH} \"bytes=2-4\" 206 3")]);
}

#[test]
fn nginx_can_do_without_ranges_and_etags() {
    let folder = served();
    let options = Options { no_etag: true, no_ranges: true, ..Options::default() };
    let server = StaticServer::start(folder.path(), options);
    let answer = curl(&["--range", "2-4", &format!("{}/{PATH}", server.url())]);
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\n\n0123456789"), "{answer}");
    assert!(!answer.contains("ETag:") && !answer.contains("Last-Modified:"), "{answer}");
}

#[test]
fn nginx_serves_tls_with_a_certificate_of_its_authority() {
    let folder = served();
    let server = StaticServer::start(folder.path(), Options { tls: true, ..Options::default() });
    let url = format!("{}/{PATH}", server.url());
    assert!(server.address().ends_with(url.split(['/', ':']).nth(4).unwrap()));
    let answer = curl(&["--cacert", server.authority().to_str().unwrap(), &url]);
    assert!(answer.ends_with("\n\n0123456789"), "{answer}");
    assert_eq!(curl(&[&url]), "");
}

#[test]
fn the_s3_server_checks_signatures_and_creates_an_object_once() {
    let folder = tempfile::tempdir().unwrap();
    let s3 = S3::start(folder.path()).unwrap();
    let bucket = s3.make_bucket("bucket").unwrap();
    let url = format!("{}/bucket/{PATH}", s3.endpoint());
    assert!(curl(&[&url]).starts_with("HTTP/1.1 403 "));
    let create = ["--header", "If-None-Match: *", "--request", "PUT", "--data-binary", "0123456789", &url];
    assert!(signed(&s3, &create).starts_with("HTTP/1.1 200 "));
    assert!(signed(&s3, &create).starts_with("HTTP/1.1 412 "));
    assert_eq!(fs::read_to_string(bucket.join("k + é.bin")).unwrap(), "0123456789");
    let answer = signed(&s3, &["--range", "2-4", &url]);
    assert!(answer.starts_with("HTTP/1.1 206 ") && answer.ends_with("\n\n234"), "{answer}");
    assert!(!format!("{s3:?}").contains(s3.secret()));
}

#[test]
fn a_proxy_keeps_signatures_valid() {
    let folder = tempfile::tempdir().unwrap();
    let s3 = S3::start(folder.path()).unwrap();
    fs::write(s3.make_bucket("bucket").unwrap().join("k"), "0123456789").unwrap();
    let proxy = Proxy::start(s3.address());
    let url = format!("{}/bucket/k", proxy.endpoint());
    assert!(signed(&s3, &["--range", "2-4", &url]).ends_with("\n\n234"));
    proxy.at(2, Fault::Answer(412, "PreconditionFailed", "the object has changed"));
    assert!(signed(&s3, &[&url]).starts_with("HTTP/1.1 412 "));
}

#[test]
fn the_s3_server_stops_when_it_is_dropped_and_starts_again_with_its_buckets() {
    let folder = tempfile::tempdir().unwrap();
    let first = S3::start(folder.path()).unwrap();
    first.make_bucket("bucket").unwrap();
    let endpoint = first.endpoint();
    drop(first);
    let begin = Instant::now();
    // The shell that keeps it has ended; it has at most a moment more.
    while !curl(&[&endpoint]).is_empty() {
        assert!(begin.elapsed() < Duration::from_secs(5), "the server is still running");
    }
    let second = S3::start(folder.path()).unwrap();
    let list = signed(&second, &[&format!("{}/", second.endpoint())]);
    assert!(list.contains("<Name>bucket</Name>"), "{list}");
    assert!(Path::new(second.folder()).join("bucket").is_dir());
}

//! Deliveries to S3: what is asked of the server, and what is left after faults.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ssp::throwaway::S3;
use tempfile::TempDir;

use crate::place::{Delivery, Place, deliveries, only};
use crate::proxy::{Fault, Proxy, Request};

/// A bucket behind a proxy, and a pipeline that delivers to it.
pub struct Bucket {
    pub place: Place,
    pub proxy: Proxy,
    pub s3: S3,
    _folder: TempDir,
}

pub fn bucket() -> Bucket {
    let folder = tempfile::tempdir().unwrap();
    let s3 = S3::start(folder.path()).unwrap();
    let proxy = Proxy::start(s3.address());
    Bucket { place: Place::with_s3(&s3, &proxy), proxy, s3, _folder: folder }
}

impl Bucket {
    pub fn out(&self) -> PathBuf {
        self.s3.folder().join("bucket/out")
    }
}

fn puts(name: &'static str) -> impl Fn(&Request) -> bool + Send + Sync {
    move |request| request.method == "PUT" && request.path.split('?').next().unwrap().ends_with(name)
}

/// The first requests that put an object, up to a number.
fn first(number: usize, name: &'static str) -> impl Fn(&Request) -> bool + Send + Sync {
    let count = AtomicUsize::new(0);
    move |request| puts(name)(request) && count.fetch_add(1, Ordering::SeqCst) < number
}

#[test]
fn the_claim_is_first_and_the_manifest_last_and_both_replace_nothing() {
    let bucket = bucket();
    bucket.place.run(&["p.yaml"]).expect(0).shows("delivered_to s3://bucket/out/");
    only(&bucket.out());
    let requests = bucket.proxy.requests();
    let puts: Vec<&Request> = requests.iter().filter(|request| request.method == "PUT").collect();
    let (first, last) = (puts[0], puts[puts.len() - 1]);
    assert!(first.path.ends_with("/_delivery.json") && last.path.ends_with("/manifest.json"));
    for request in [first, last] {
        assert_eq!(request.header("if-none-match"), Some("*"));
    }
    assert_eq!(last.number, requests.len(), "{requests:#?}");
    assert!(no_object_is_read_back(&requests));
    let heads = |request: &&Request| request.method == "HEAD" && request.number > first.number;
    assert_eq!(requests.iter().filter(heads).count(), 3);
}

#[test]
fn a_large_table_is_put_in_parts() {
    let bucket = bucket();
    bucket.place.table("in/small.parquet", 2_400_000, 5);
    assert!(fs::metadata(bucket.place.path("in/small.parquet")).unwrap().len() > 17 << 20);
    bucket.place.run(&["p.yaml"]).expect(0);
    let (delivery, _) = only(&bucket.out());
    assert_eq!(delivery.objects["Small.parquet"], fs::read(bucket.place.path("in/small.parquet")).unwrap());
    let requests = bucket.proxy.requests();
    assert_eq!(requests.iter().filter(|request| request.path.contains("partNumber=")).count(), 2);
    assert!(no_object_is_read_back(&requests));
}

/// The `ETag` proves what was put: only the claim is read, before the manifest is put.
fn no_object_is_read_back(requests: &[Request]) -> bool {
    requests.iter().all(|request| request.method != "GET" || request.path.ends_with("/_delivery.json"))
}

/// With encryption by KMS, an `ETag` is no checksum.
#[test]
fn without_a_checksum_of_the_store_all_is_read_back() {
    let bucket = bucket();
    bucket.proxy.when(|request| request.method != "PUT", Fault::Etag("other".to_owned()));
    bucket.place.run(&["p.yaml"]).expect(0);
    only(&bucket.out());
    let requests = bucket.proxy.requests();
    let is_read = |request: &&Request| request.method == "GET" && !request.path.ends_with("/_delivery.json");
    assert_eq!(requests.iter().filter(is_read).count(), 3);
}

#[test]
fn an_object_with_other_bytes_than_were_sent_fails_the_delivery() {
    let bucket = bucket();
    let out = bucket.out();
    bucket.proxy.when(|request| request.method != "PUT", Fault::Etag("other".to_owned()));
    bucket.proxy.when(
        puts("Small.parquet"),
        Fault::After(Box::new(move |_| {
            let file = fs::read_dir(&out).unwrap().next().unwrap().unwrap().path().join("Small.parquet");
            let mut bytes = fs::read(&file).unwrap();
            bytes[100] ^= 1;
            fs::write(&file, bytes).unwrap();
        })),
    );
    bucket.place.run(&["p.yaml"]).expect(1).shows("does not contain the bytes that were sent");
    assert_eq!(deliveries(&bucket.out()).len(), 0);
    assert!(!bucket.place.state().exists());
}

#[test]
fn a_failed_delivery_removes_what_it_put() {
    let bucket = bucket();
    bucket.place.table("in/parts/z.parquet", 2_400_000, 5);
    bucket
        .proxy
        .when(|request| request.path.contains("partNumber=2"), Fault::Answer(403, "AccessDenied", "no"));
    let said = bucket.place.run(&["p.yaml"]).expect(4).shows("was denied");
    assert!(!said.text.contains("could not be removed"), "{}", said.text);
    // The report does not say that no stage ran.
    let page = fs::read_to_string(bucket.place.path("data/.ssp/runs/latest/report.html")).unwrap();
    assert!(page.contains("an object store or Slurm could not be reached") && !page.contains("no stage ran"));
    assert_eq!(deliveries(&bucket.out()).len(), 0);
    assert!(!bucket.place.state().exists());
    let deletes: Vec<String> = bucket
        .proxy
        .requests()
        .into_iter()
        .filter(|request| request.method == "DELETE" && !request.path.contains("uploadId"))
        .map(|request| request.path)
        .collect();
    let claims = deletes.iter().filter(|path| path.ends_with("/_delivery.json")).count();
    assert!(deletes.last().unwrap().ends_with("/_delivery.json") && claims == 1, "{deletes:?}");
    assert_eq!(uploads(&bucket.s3), 0);
    bucket.proxy.behave();
    bucket.place.run(&["p.yaml"]).expect(0);
    only(&bucket.out());
}

/// The files of uploads that have not ended.
pub fn uploads(s3: &S3) -> usize {
    let names = fs::read_dir(s3.folder()).unwrap().flatten();
    names.filter(|entry| entry.file_name().to_string_lossy().starts_with(".upload")).count()
}

#[test]
fn what_cannot_be_removed_is_named_and_the_next_run_finishes_it() {
    let bucket = bucket();
    bucket.proxy.when(puts("b.parquet"), Fault::Answer(403, "AccessDenied", "no"));
    bucket.proxy.when(|request| request.method == "DELETE", Fault::Answer(403, "AccessDenied", "no"));
    bucket.place.run(&["p.yaml"]).expect(4).shows("could not be removed").shows("Small.parquet");
    let [half] = deliveries(&bucket.out()).try_into().unwrap();
    assert!(half.manifest.is_none() && bucket.place.state().exists());
    bucket.proxy.behave();
    bucket.place.run(&["p.yaml"]).expect(0);
    let (whole, _) = only(&bucket.out());
    assert_eq!(whole.id(), half.id());
    assert!(!bucket.place.state().exists());
}

/// The time in the key of a request, which is the name of the folder of its delivery.
fn prefix_of(request: &Request) -> &str {
    request.path.split('/').nth(3).unwrap()
}

/// A delivery that its timeout has stopped half-way.
fn half() -> (Bucket, Delivery) {
    let bucket = bucket();
    bucket.proxy.when(puts("b.parquet"), Fault::Delay(Duration::from_secs(5)));
    let text = fs::read_to_string(bucket.place.path("p.yaml")).unwrap();
    bucket.place.write("p.yaml", &format!("{text}    timeout: 1s\n"));
    bucket.place.run(&["p.yaml"]).expect(1).shows("took longer than its timeout, 1s");
    let [half] = deliveries(&bucket.out()).try_into().unwrap();
    assert!(half.manifest.is_none() && bucket.place.state().exists());
    bucket.proxy.behave();
    (bucket, half)
}

#[test]
fn a_copy_of_the_output_folder_leaves_the_delivery_of_the_original_alone() {
    let (bucket, half) = half();
    let state = bucket.place.state();
    let folder = state.parent().unwrap().to_owned();
    // As a copy: the same file in another folder.
    let copy = folder.with_file_name("copy");
    fs::create_dir(&copy).unwrap();
    fs::copy(&state, copy.join(state.file_name().unwrap())).unwrap();
    fs::rename(&folder, folder.with_file_name("original")).unwrap();
    fs::rename(&copy, &folder).unwrap();
    bucket.place.table("in/small.parquet", 7, 9);
    bucket.place.run(&["p.yaml"]).expect(0).shows("was left as it is");
    let both = deliveries(&bucket.out());
    assert_eq!((both.len(), &both[0].objects), (2, &half.objects));
}

#[test]
fn another_server_is_another_target() {
    let (bucket, half) = half();
    let mut command = bucket.place.command(&["p.yaml"]);
    // The server itself, without the proxy.
    command.env("S3_ENDPOINT_URL", bucket.s3.endpoint());
    let output = command.output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success() && said.contains("was left as it is"), "{said}");
    let both = deliveries(&bucket.out());
    assert_eq!((both.len(), &both[0].objects), (2, &half.objects));
    // What was delivered there was not delivered here.
    bucket.place.run(&["p.yaml"]).expect(0).shows("endpoint");
    assert_eq!(deliveries(&bucket.out()).len(), 3);
}

#[test]
fn a_claim_that_is_denied_leaves_nothing_to_finish() {
    let bucket = bucket();
    bucket.proxy.when(puts("_delivery.json"), Fault::Answer(403, "AccessDenied", "Access Denied"));
    bucket.place.run(&["p.yaml"]).expect(4).shows("was denied");
    assert!(!bucket.place.state().exists() && !bucket.out().exists());
}

#[test]
fn a_delivery_whose_claim_was_removed_gets_no_manifest() {
    let bucket = bucket();
    let out = bucket.out();
    bucket.proxy.when(
        puts("b.parquet"),
        Fault::After(Box::new(move |request| {
            let prefix = prefix_of(request);
            fs::remove_file(out.join(prefix).join("_delivery.json")).unwrap();
        })),
    );
    bucket.place.run(&["p.yaml"]).expect(1).shows("was removed while the delivery ran");
    let mut prefixes = fs::read_dir(bucket.out()).unwrap();
    assert!(prefixes.all(|prefix| !prefix.unwrap().path().join("manifest.json").exists()));
}

#[test]
fn a_stage_that_is_gone_is_told_of_by_the_next_run() {
    let (bucket, _) = half();
    bucket.place.edit("  ppdb:", "  renamed:");
    bucket.place.run(&["p.yaml"]).expect(0).shows("stage `ppdb` is not in the pipeline file any more");
}

#[test]
fn a_stopped_delivery_is_finished_by_the_next_run() {
    let (bucket, half) = half();
    bucket.place.run(&["p.yaml"]).expect(0);
    let (whole, _) = only(&bucket.out());
    assert_eq!(whole.id(), half.id());
}

#[test]
fn a_prefix_of_another_delivery_is_left_alone() {
    let bucket = bucket();
    let out = bucket.out();
    bucket.proxy.when(
        puts("_delivery.json"),
        Fault::Before(Box::new(move |request| {
            let prefix = prefix_of(request);
            fs::create_dir_all(out.join(prefix)).unwrap();
            fs::write(out.join(prefix).join("_delivery.json"), r#"{"id": "another"}"#).unwrap();
            fs::write(out.join(prefix).join("Small.parquet"), "another").unwrap();
        })),
    );
    bucket.place.run(&["p.yaml"]).expect(1).shows("exists already and is not part of this delivery");
    // Several new prefixes were tried.
    let others = deliveries(&bucket.out());
    assert_eq!(others.len(), 5);
    for another in others {
        assert_eq!(
            (another.objects["Small.parquet"].as_slice(), another.objects.len()),
            (&b"another"[..], 2)
        );
    }
    assert!(!bucket.place.state().exists());
    bucket.proxy.behave();
    bucket.place.run(&["p.yaml"]).expect(0);
    assert_eq!(deliveries(&bucket.out()).len(), 6);
}

#[test]
fn an_object_that_is_there_before_the_delivery_is_not_replaced() {
    let bucket = bucket();
    let out = bucket.out();
    bucket.proxy.at(
        1,
        Fault::Before(Box::new(move |request| {
            let prefix = prefix_of(request);
            fs::create_dir_all(out.join(prefix)).unwrap();
            fs::write(out.join(prefix).join("manifest.json"), r#"{"id": "another", "tables": []}"#).unwrap();
        })),
    );
    bucket.place.run(&["p.yaml"]).expect(0);
    let files = |folder: &PathBuf| fs::read_dir(folder).unwrap().count();
    let mut folders: Vec<_> =
        fs::read_dir(bucket.out()).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    assert!(folders.len() == 2 && files(&folders[0]) == 1 && files(&folders[1]) > 2);
}

/// The server did what it was asked for, but the answer was lost.
#[test]
fn a_lost_answer_is_no_other_delivery() {
    for name in ["_delivery.json", "Small.parquet", "manifest.json"] {
        let bucket = bucket();
        bucket.proxy.when(first(1, name), Fault::ResetAfter);
        bucket.place.run(&["p.yaml"]).expect(0);
        only(&bucket.out());
        assert_eq!(bucket.place.told().len(), 1, "{name}");
    }
}

#[test]
fn a_manifest_without_an_answer_is_left_to_the_next_attempt() {
    let bucket = bucket();
    // Each request is repeated 4 times, and the manifest is put 3 times.
    bucket.proxy.when(first(15, "manifest.json"), Fault::Answer(500, "InternalError", "no"));
    bucket.place.run(&["p.yaml"]).expect(0).shows("may exist: the store did not answer");
    only(&bucket.out());
}

#[test]
fn no_secret_is_recorded_or_shown() {
    let bucket = bucket();
    bucket.proxy.when(puts("b.parquet"), Fault::Answer(403, "AccessDenied", "no"));
    let failed = bucket.place.run(&["p.yaml"]).expect(4).shows("AWS_ACCESS_KEY_ID");
    bucket.proxy.behave();
    let good = bucket.place.run(&["p.yaml"]).expect(0);
    let (delivery, _) = only(&bucket.out());
    let put: String =
        delivery.objects.values().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect();
    for text in [failed.text, good.text, bucket.place.records(), put] {
        assert!(!text.contains(bucket.s3.secret()) && !text.contains(bucket.s3.access_key()));
    }
}

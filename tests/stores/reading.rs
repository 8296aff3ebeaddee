//! Repositories in stores give the same bytes as repositories on this machine, by few requests.

use std::fs;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch};
use ssp::butler::Repository;

use crate::fixture::{CHAIN_AB, CLEAN, Fixture, RUN_A, RUN_O, RUN_Z, nothing, selection, write, write_table};
use crate::proxy::Request;
use crate::site::{BUCKET, Site, move_files, write_ids};
use crate::static_server::{Options, StaticServer};

/// Bytes at the end of a file that come with its footer.
const TAIL: u64 = 64 << 10;

/// What the same command makes of the same repository on this machine.
fn local(collection: &str, words: &[&str]) -> Vec<u8> {
    let site = Site::empty();
    site.extract(collection, words).good()
}

#[test]
fn all_collections_have_the_same_bytes_as_on_this_machine() {
    let site = Site::new();
    // With zip members, names with blanks and percent signs, and visits in several runs.
    for collection in [CLEAN, RUN_A, RUN_O, RUN_Z, CHAIN_AB] {
        assert!(site.extract(collection, &[]).good() == local(collection, &[]), "{collection}");
    }
    let ids = write_ids(&site, &[7_000_000_000_000_123, 600_000_000_000_000_001]);
    let words = ["--filter-ids", ids.as_str(), "--filter-column", "id"];
    assert!(site.extract(RUN_A, &words).good() == local(RUN_A, &words));
    assert!(site.extract(RUN_A, &["--columns", "ra,dec"]).good() == local(RUN_A, &["--columns", "ra,dec"]));
}

#[test]
fn keys_are_taken_as_they_are_recorded_and_uris_are_decoded() {
    let site = Site::new();
    let expected = local(CLEAN, &[]);
    let datasets = site.fixture.open().datasets(&selection(CLEAN)).unwrap();
    let names = ["50% off #1 + a b~é.parq", "a?b=c&d;e,f.parq", "%41%2F.parq", "plain.parq"];
    assert_eq!(datasets.len(), names.len());
    for (dataset, name) in datasets.iter().zip(names) {
        let path = &dataset.records[0].path;
        fs::rename(site.bucket.join(path), site.bucket.join(name)).unwrap();
        site.fixture.sql(&format!("UPDATE file_datastore_records SET path = '{name}' WHERE path = '{path}'"));
    }
    assert!(site.extract(CLEAN, &[]).good() == expected);
    // The same as absolute URIs, which are percent-encoded.
    for name in names {
        let encoded: String = name.bytes().map(|byte| format!("%{byte:02X}")).collect();
        site.fixture.sql(&format!(
            "UPDATE file_datastore_records SET path = 's3://{BUCKET}/{encoded}' WHERE path = '{name}'"
        ));
    }
    site.fixture.edit_config(&format!("  root: s3://{BUCKET}/\n"), "  root: <butlerRoot>\n");
    assert!(site.extract(CLEAN, &[]).good() == expected);
}

#[test]
fn butler_yaml_and_the_repository_index_may_be_in_a_store_too() {
    let site = Site::empty();
    move_files(&site.fixture.root, &site.bucket);
    let registry = site.fixture.root.join("gen3.sqlite3");
    site.fixture.edit_config("<butlerRoot>/gen3.sqlite3", registry.to_str().unwrap());
    site.fixture.edit_config("  cls: lsst.daf", "  includeConfigs: more/records.yaml\n  cls: lsst.daf");
    fs::rename(site.fixture.root.join("butler.yaml"), site.bucket.join("butler.yaml")).unwrap();
    fs::create_dir(site.bucket.join("more")).unwrap();
    write(&site.bucket.join("more/records.yaml"), b"name: !include name.yaml\n");
    write(&site.bucket.join("more/name.yaml"), b"files of the night\n");
    write(&site.bucket.join("index.yaml"), format!("main: s3://{BUCKET}/butler.yaml\n").as_bytes());
    let expected = local(CLEAN, &[]);
    let mut variables = site.variables();
    for repo in [format!("s3://{BUCKET}"), format!("s3://{BUCKET}/butler.yaml")] {
        assert!(site.extract_with(&variables, &repo, CLEAN, &[]).good() == expected, "{repo}");
    }
    variables.push(("DAF_BUTLER_REPOSITORY_INDEX", format!("s3://{BUCKET}/index.yaml")));
    assert!(site.extract_with(&variables, "main", CLEAN, &[]).good() == expected);
    // SQLite is on this machine.
    let text = fs::read_to_string(site.bucket.join("butler.yaml")).unwrap();
    let text = text.replace(registry.to_str().unwrap(), "<butlerRoot>/gen3.sqlite3");
    write(&site.bucket.join("butler.yaml"), text.as_bytes());
    let said = site.extract_with(&variables, "main", CLEAN, &[]).failed(1, &site);
    assert!(said.contains("SQLite reads only local files"), "{said}");
}

#[test]
fn a_datastore_root_can_be_given_and_datastores_can_be_chained() {
    let site = Site::empty();
    move_files(&site.fixture.root, &site.bucket);
    let root = format!("s3://{BUCKET}");
    assert!(site.extract(CLEAN, &["--datastore-root", &root]).good() == local(CLEAN, &[]));
    // The first datastore lacks the files: as Butler, the next one is asked.
    site.fixture.edit_config(
        "datastore:\n",
        &format!(
            "datastore:\n  cls: x.ChainedDatastore\n  datastores:\n    - datastore: {{cls: x.FileDatastore, \
             root: 's3://{BUCKET}/nothing', records: {{table: file_datastore_records}}}}\n    - datastore: \
             {{cls: x.FileDatastore, root: 's3://{BUCKET}', records: {{table: file_datastore_records}}}}\nunused:\n"
        ),
    );
    assert!(site.extract(CLEAN, &[]).good() == local(CLEAN, &[]));
}

#[test]
fn web_servers_are_read_with_and_without_ranges_versions_and_tls() {
    for options in [
        Options::default(),
        Options { no_etag: true, no_ranges: true, ..Options::default() },
        Options { tls: true, ..Options::default() },
    ] {
        let site = Site::empty();
        let big = enlarge(&site.fixture);
        let expected = site.extract(RUN_A, &[]).good();
        move_files(&site.fixture.root, &site.bucket);
        let tls = options.tls;
        let server = StaticServer::start(&site.bucket, options);
        site.fixture.edit_config("  root: <butlerRoot>\n", &format!("  root: {}/\n", server.url()));
        let mut variables = Vec::new();
        if tls {
            // Whose certificate nobody knows is not trusted.
            let said = site.extract_with(&variables, site.fixture.repo(), RUN_A, &[]).failed(4, &site);
            assert!(said.contains(&format!("cannot reach `{}", server.url())), "{said}");
            variables.push(("SSL_CERT_FILE", server.authority().to_str().unwrap().to_owned()));
        }
        let said = site.extract_with(&variables, site.fixture.repo(), RUN_A, &[]);
        assert!(said.good() == expected && big > 10 * TAIL);
    }
}

/// Puts a file of many rows, of which a few have ids that are asked for, in the place of a small one.
fn enlarge(fixture: &Fixture) -> u64 {
    let path = fixture.file_of(RUN_A, 2_025_071_500_012);
    let rows = 200_000;
    let columns: Vec<(String, ArrayRef)> = std::iter::once((
        "diaSourceId".to_owned(),
        Arc::new(Int64Array::from_iter_values((0..rows).map(|row| 1_000_000 + row * 3))) as ArrayRef,
    ))
    .chain((0..8).map(|column| {
        let values = (0..rows).map(|row| ((row * 7919 + column) % 10_007) as f64 / 7.0);
        (format!("extra{column}"), Arc::new(Float64Array::from_iter_values(values)) as ArrayRef)
    }))
    .collect();
    write_table(&path, &RecordBatch::try_from_iter(columns).unwrap());
    let size = fs::metadata(&path).unwrap().len();
    let name = path.file_name().unwrap().to_str().unwrap();
    fixture.sql(&format!("UPDATE file_datastore_records SET file_size = {size} WHERE path LIKE '%/{name}'"));
    size
}

/// The bytes that a request asks for.
fn asked(request: &Request) -> (u64, u64) {
    let range = request.range().and_then(|range| range.strip_prefix("bytes=")).expect("a range");
    let (start, end) = range.split_once('-').expect("a bounded range");
    (start.parse().unwrap(), end.parse::<u64>().unwrap() + 1)
}

#[test]
fn only_what_is_needed_is_fetched_and_no_byte_twice() {
    let site = Site::empty();
    let size = enlarge(&site.fixture);
    move_files(&site.fixture.root, &site.bucket);
    site.fixture.edit_config("  root: <butlerRoot>\n", &format!("  root: s3://{BUCKET}/\n"));
    let of_visit = ["--where", "visit = 2025071500012"];
    let fetched = |words: &[&str]| {
        site.proxy.forget();
        site.extract(RUN_A, &[&of_visit[..], words].concat()).good();
        let requests = site.proxy.requests();
        assert!(requests.iter().all(|request| request.method == "GET"), "{requests:?}");
        let mut ranges: Vec<(u64, u64)> = requests.iter().map(asked).collect();
        ranges.sort_unstable();
        assert!(ranges.windows(2).all(|pair| pair[0].1 <= pair[1].0), "{ranges:?}");
        (ranges.len(), ranges.iter().map(|(start, end)| end - start).sum::<u64>())
    };
    // The end, and all before it in as few pieces as are worth it.
    let (requests, bytes) = fetched(&[]);
    assert!(bytes <= size && bytes > size - TAIL && requests <= 3, "{requests} {bytes} {size}");
    // One column of nine.
    let (requests, bytes) = fetched(&["--columns", "extra3"]);
    assert!(bytes < size / 4 && requests == 2, "{requests} {bytes} {size}");
    // No id is there, as the footer says: nothing else is fetched.
    let none = write_ids(&site, &[1, 2, 3]);
    assert_eq!(fetched(&["--filter-ids", &none, "--filter-column", "id"]), (1, TAIL));
    // None is there, which only the column of the ids can say.
    let between = write_ids(&site, &[1_000_001]);
    let (requests, bytes) = fetched(&["--filter-ids", &between, "--filter-column", "id"]);
    assert!(requests == 2 && bytes < size / 2, "{requests} {bytes} {size}");
    // One is: of the other columns only the pages with it, by the index of pages.
    let one = write_ids(&site, &[1_300_002]);
    let (requests, bytes) = fetched(&["--filter-ids", &one, "--filter-column", "id"]);
    assert!(requests <= 12 && bytes < size, "{requests} {bytes} {size}");
}

#[test]
fn many_datasets_are_read_at_once_within_the_limit() {
    let site = Site::new();
    site.proxy.always(crate::proxy::Fault::Delay(std::time::Duration::from_millis(30)));
    let expected = local(CHAIN_AB, &[]);
    for jobs in ["1", "2"] {
        assert!(site.extract(CHAIN_AB, &["--jobs", jobs]).good() == expected);
    }
    let most = site.proxy.most_in_flight();
    assert!((3..=16).contains(&most), "{most}");
    let repository = Repository::open(site.fixture.repo(), &nothing()).unwrap();
    let datasets = repository.datasets(&selection(CHAIN_AB)).unwrap().len();
    // One request each, as these are small.
    assert_eq!(site.proxy.requests().len(), 2 * datasets);
}

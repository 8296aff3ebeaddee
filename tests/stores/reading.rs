//! Repositories in stores give the same bytes as repositories on this machine, by few requests.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use assert_cmd::cargo::CommandCargoExt as _;
use ssp::parquet::write::{TableWriter, WriteOptions};

use crate::fixture::{CHAIN_AB, CLEAN, RUN_A, RUN_O, RUN_Z, selection, write};
use crate::proxy::{Fault, Request};
use crate::site::{BUCKET, Site, encoded, enlarge, move_files, record_size, rows, write_ids};
use crate::static_server::{Options, StaticServer};

/// Bytes at the end of a file that come with its footer.
const TAIL: u64 = 64 << 10;

/// What the same command makes of the same repository on this machine.
fn local(collection: &str, words: &[&str]) -> Vec<u8> {
    Site::empty().extract(collection, words).good()
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
fn keys_are_those_that_the_butler_makes_of_records() {
    let site = Site::new();
    let expected = local(CLEAN, &[]);
    let datasets = site.fixture.open().datasets(&selection(CLEAN)).unwrap();
    // How a path is recorded, and the key that it stands for.
    let names = [
        ("50% off + a b~é.parq", "50% off + a b~é.parq"),
        ("a%231&c=d;e,f.parq", "a#1&c=d;e,f.parq"),
        ("./x//%3Fy/../%41.parq", "x/A.parq"),
        ("plain.parq#part", "plain.parq"),
    ];
    let paths: BTreeSet<&String> =
        datasets.iter().flat_map(|dataset| dataset.records.iter().map(|record| &record.path)).collect();
    let names: Vec<(String, String)> = (0..paths.len())
        .map(|place| (format!("{place}/{}", names[place % 4].0), format!("{place}/{}", names[place % 4].1)))
        .collect();
    for (path, (recorded, key)) in paths.into_iter().zip(&names) {
        let file = site.bucket.join(key);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::rename(site.bucket.join(path), file).unwrap();
        site.fixture
            .sql(&format!("UPDATE file_datastore_records SET path = '{recorded}' WHERE path = '{path}'"));
    }
    assert!(site.extract(CLEAN, &[]).good() == expected);
    // The same as absolute URIs, which are percent-encoded.
    for (recorded, key) in &names {
        let encoded = encoded(key).replace("%2F", "/");
        site.fixture.sql(&format!(
            "UPDATE file_datastore_records SET path = 's3://{BUCKET}/{encoded}' WHERE path = '{recorded}'"
        ));
    }
    site.fixture.edit_config(&format!("  root: s3://{BUCKET}/\n"), "  root: <butlerRoot>\n");
    assert!(site.extract(CLEAN, &[]).good() == expected);
}

#[test]
fn files_of_many_row_groups_have_the_same_bytes_as_on_this_machine() {
    let site = Site::empty();
    let path = site.fixture.file_of(RUN_A, 2_025_071_500_012);
    let batches = [0..70_000, 70_000..70_001, 70_001..200_000].map(rows);
    let options = WriteOptions { row_group_rows: 900, ..WriteOptions::default() };
    let mut writer = TableWriter::create(&path, batches[0].schema(), &options).unwrap();
    for batch in &batches {
        writer.write(batch).unwrap();
    }
    writer.seal().unwrap().file.publish().unwrap();
    record_size(&site.fixture, &path);
    let ids = write_ids(&site, &[1_000_000, 1_000_003, 1_300_000, 1_599_997]);
    let of_ids = ["--filter-ids", ids.as_str(), "--filter-column", "id"];
    let before = [site.extract(RUN_A, &[]).good(), site.extract(RUN_A, &of_ids).good()];
    site.move_to_bucket();
    assert!([site.extract(RUN_A, &[]).good(), site.extract(RUN_A, &of_ids).good()] == before);
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
        let server = StaticServer::start(&site.bucket, options);
        site.fixture.edit_config("  root: <butlerRoot>\n", &format!("  root: {}/\n", server.url()));
        let mut variables = Vec::new();
        if options.tls {
            // A server with an unknown certificate is not trusted.
            let said = site.extract_with(&variables, site.fixture.repo(), RUN_A, &[]).failed(4, &site);
            assert!(said.contains(&format!("cannot reach `{}", server.url())), "{said}");
            variables.push(("SSL_CERT_FILE", server.authority().to_str().unwrap().to_owned()));
        }
        let said = site.extract_with(&variables, site.fixture.repo(), RUN_A, &[]);
        assert!(said.good() == expected && big > 10 * TAIL);
    }
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
    site.move_to_bucket();
    let of_visit = ["--where", "visit = 2025071500012"];
    let ids = |name: &str, ids: &[i64]| {
        let path = write_ids(&site, ids);
        let named = path.replace("ids.parquet", name);
        fs::rename(path, &named).unwrap();
        named
    };
    let (none, between) = (ids("none.parquet", &[1]), ids("between.parquet", &[1_000_001]));
    let (one, many) = (ids("one.parquet", &[1_300_000]), (0..20).map(|row| 1_000_000 + row * 3_000));
    let many = ids("many.parquet", &many.collect::<Vec<i64>>());
    let fetched = |words: &[&str]| {
        site.proxy.forget();
        site.extract(RUN_A, &[&of_visit[..], words].concat()).good();
        let requests = site.proxy.requests();
        assert!(requests.iter().all(|request| request.method == "GET"), "{requests:?}");
        let mut ranges: Vec<(u64, u64)> = requests.iter().map(asked).collect();
        ranges.sort_unstable();
        // Where no id is found, examples of the column are read for what is said of that.
        if words.first() == Some(&"--filter-ids") && words[1] != one && words[1] != many {
            ranges.dedup();
        }
        assert!(ranges.windows(2).all(|pair| pair[0].1 <= pair[1].0), "{ranges:?}");
        (ranges.len(), ranges.iter().map(|(start, end)| end - start).sum::<u64>())
    };
    // The end, and all before it in as few pieces as are worth it.
    let (requests, bytes) = fetched(&[]);
    assert!(bytes <= size && bytes > size - TAIL && requests <= 3, "{requests} {bytes} {size}");
    // One column of nine.
    let (requests, bytes) = fetched(&["--columns", "extra3"]);
    assert!(bytes < size / 4 && requests == 2, "{requests} {bytes} {size}");
    // No id is there, as the footer says: only a rest of the index of pages is fetched.
    let (requests, bytes) = fetched(&["--filter-ids", &none, "--filter-column", "id"]);
    assert!(requests <= 2 && bytes < TAIL + 4096, "{requests} {bytes}");
    // None is there, which only the column of the ids can say.
    let (requests, bytes) = fetched(&["--filter-ids", &between, "--filter-column", "id"]);
    assert!(requests == 2 && bytes < size / 2, "{requests} {bytes} {size}");
    // One is: of the other columns only the pages with it, by the index of pages.
    let (requests, bytes) = fetched(&["--filter-ids", &one, "--filter-column", "id"]);
    assert!(requests <= 12 && bytes < size, "{requests} {bytes} {size}");
    // Many ids are between the smallest and the largest: all is fetched at once.
    let (requests, _) = fetched(&["--filter-ids", &many, "--filter-column", "id"]);
    assert!(requests <= 3, "{requests}");
}

#[test]
fn many_datasets_are_read_at_once_within_the_limit() {
    let site = Site::new();
    site.proxy.always(Fault::Delay(Duration::from_millis(30)));
    let expected = local(CHAIN_AB, &[]);
    for jobs in ["1", "2"] {
        assert!(site.extract(CHAIN_AB, &["--jobs", jobs]).good() == expected);
    }
    let most = site.proxy.most_in_flight();
    assert!((3..=16).contains(&most), "{most}");
    // One request each, as these are small.
    let mut asked: BTreeMap<String, usize> = BTreeMap::new();
    for request in site.proxy.requests() {
        *asked.entry(request.path).or_default() += 1;
    }
    assert!(asked.len() > 9 && asked.values().all(|times| *times == 2), "{asked:?}");
}

const PIPELINE: &str = "
version: 1
name: extracts
out_dir: data
butler: {repo: repo}
stages:
  visits:
    extract: {collection: COLLECTION, on_missing: skip}
    out: visits.parquet
";

/// Runs a pipeline with one extract; the methods of the requests that it made, and what it said.
fn run(site: &Site, words: &[&str]) -> (Vec<String>, String) {
    site.proxy.forget();
    let folder = site.fixture.folder.path();
    write(&folder.join("pipeline.yaml"), PIPELINE.replace("COLLECTION", CLEAN).as_bytes());
    let mut command = std::process::Command::cargo_bin("ssp-run").unwrap();
    command.current_dir(folder).env_clear().envs(site.variables()).arg("pipeline.yaml").args(words);
    let output = command.output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success(), "{said}");
    (site.proxy.requests().into_iter().map(|request| request.method).collect(), said)
}

#[test]
fn a_dataset_is_copied_from_the_last_output_only_if_its_version_is_the_same() {
    let site = Site::new();
    // A visit that comes and goes makes the stage run.
    let of_visit = format!(
        "visit = 2025071500011 AND collection_id = (SELECT collection_id FROM collection WHERE name = '{CLEAN}')"
    );
    site.fixture.sql(&format!(
        "CREATE TABLE kept AS SELECT * FROM dataset_tags_00000001 WHERE {of_visit};
         DELETE FROM dataset_tags_00000001 WHERE {of_visit};"
    ));
    let come = || site.fixture.sql("INSERT INTO dataset_tags_00000001 SELECT * FROM kept");
    let go = || site.fixture.sql(&format!("DELETE FROM dataset_tags_00000001 WHERE {of_visit}"));
    let of = |methods: &[String], method: &str| methods.iter().filter(|found| *found == method).count();
    let (methods, _) = run(&site, &[]);
    let visits = of(&methods, "GET");
    assert!(visits >= 3 && methods.len() == visits, "{methods:?}");
    // The store is asked for no object while the registry is unchanged.
    assert_eq!(run(&site, &[]).0, Vec::<String>::new());
    // Only the new visit is read: of the others the store is asked for their versions.
    come();
    let (methods, said) = run(&site, &[]);
    assert_eq!((of(&methods, "HEAD"), of(&methods, "GET")), (visits, 1), "{methods:?} {said}");
    // Another object of the same size is read again.
    let file = site.fixture.file_of(CLEAN, 2_025_071_500_012);
    let file = site.bucket.join(file.strip_prefix(&site.fixture.root).unwrap());
    let mut changed = fs::read(&file).unwrap();
    // A byte of the name of the program that wrote it.
    let at = changed.windows(11).rposition(|window| window == b"parquet-cpp").unwrap();
    changed[at] ^= 0x20;
    write(&file, &changed);
    go();
    let (methods, _) = run(&site, &[]);
    assert_eq!((of(&methods, "HEAD"), of(&methods, "GET")), (visits, 1), "{methods:?}");
    // A store that does not tell versions apart proves nothing.
    site.proxy.always(Fault::Etag(String::new()));
    come();
    run(&site, &[]);
    go();
    let (methods, _) = run(&site, &[]);
    assert_eq!(of(&methods, "GET"), visits, "{methods:?}");
}

//! Each pitfall of Butler repositories, by name.

use std::fs;
use std::io::{Cursor, Write};
use std::path::PathBuf;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use ssp::butler::{Error, Selection};
use ssp::stages::Datasets;
use ssp::stages::Spec as _;
use ssp::stages::extract;
use ssp::stages::extract::{Duplicates, OnMissingDataset};

use crate::fixture::{
    CALIB, CHAIN, CHAIN_AB, CLEAN, EMPTYCHAIN, Fixture, NESTED, RUN_A, RUN_B, RUN_O, RUN_Z, TAGGED,
    WITHCALIB, selection, spec, visit_of, write,
};

const V0: i64 = 2_025_071_500_010;
const V1: i64 = 2_025_071_500_011;

fn visits(fixture: &Fixture, selection: &Selection) -> Vec<(i64, String)> {
    let datasets = fixture.open().datasets(selection).unwrap();
    datasets.iter().map(|dataset| (visit_of(dataset), dataset.run.clone())).collect()
}

#[test]
fn a_dataset_that_a_chain_reaches_twice_is_listed_once() {
    let fixture = Fixture::sqlite();
    assert_eq!(visits(&fixture, &selection(NESTED)).len(), 17);
    let kept = Selection { keep_duplicates: true, ..selection(NESTED) };
    assert_eq!(visits(&fixture, &kept).len(), 21);
    // Several collections are a chain too.
    let twice = Selection { collections: vec![TAGGED.to_owned(), RUN_A.to_owned()], ..selection(TAGGED) };
    assert_eq!(visits(&fixture, &twice).len(), 8);
    let kept = Selection { keep_duplicates: true, ..twice };
    assert_eq!(visits(&fixture, &kept).len(), 11);
}

#[test]
fn reprocessings_of_a_visit_are_all_listed_unless_the_first_is_asked_for() {
    let fixture = Fixture::sqlite();
    let runs = |selection: &Selection| {
        let found = visits(&fixture, selection);
        found.into_iter().filter(|(visit, _)| *visit == V1).map(|(_, run)| run).collect::<Vec<_>>()
    };
    assert_eq!(runs(&selection(CHAIN)), [RUN_A, RUN_B]);
    assert_eq!(runs(&Selection { find_first: true, ..selection(CHAIN) }), [RUN_B]);
    assert_eq!(runs(&Selection { find_first: true, ..selection(CHAIN_AB) }), [RUN_A]);
    let given = Selection {
        collections: vec![RUN_A.to_owned(), RUN_B.to_owned()],
        find_first: true,
        ..selection(RUN_A)
    };
    assert_eq!(runs(&given), [RUN_A]);
}

#[test]
fn an_unstored_first_find_hides_a_readable_one() {
    let fixture = Fixture::sqlite();
    let found = fixture.open().datasets(&Selection { find_first: true, ..selection(CHAIN) }).unwrap();
    let first = found.iter().find(|dataset| visit_of(dataset) == V0).unwrap();
    assert_eq!((first.run.as_str(), first.records.len()), (RUN_B, 0));
}

#[test]
fn negative_positions_come_first() {
    let fixture = Fixture::sqlite();
    // NESTED was made by prepending: its first child is the TAGGED collection, at a negative position.
    let first = Selection { find_first: true, ..selection(NESTED) };
    assert!(visits(&fixture, &first).contains(&(V1, RUN_A.to_owned())));
}

#[test]
fn an_empty_chain_has_no_datasets_and_is_no_output() {
    let fixture = Fixture::sqlite();
    assert_eq!(visits(&fixture, &selection(EMPTYCHAIN)), []);
    let error = fixture.extract(&spec(EMPTYCHAIN)).err().unwrap();
    assert!(matches!(error, extract::Error::NoDatasets { .. }), "{error}");
    assert!(error.to_string().contains(EMPTYCHAIN) && error.to_string().contains("no output was written"));
}

#[test]
fn a_circle_of_chains_ends() {
    let fixture = Fixture::sqlite();
    fixture.sql(&format!(
        "INSERT INTO collection_chain SELECT a.collection_id, 99, b.collection_id FROM collection a, collection b
         WHERE a.name = '{CHAIN}' AND b.name = '{NESTED}'"
    ));
    assert_eq!(visits(&fixture, &selection(NESTED)).len(), 17);
}

#[test]
fn calibration_members_are_passed_over_and_calibrations_refused() {
    let fixture = Fixture::sqlite();
    assert_eq!(visits(&fixture, &selection(WITHCALIB)).len(), 16);
    assert_eq!(visits(&fixture, &selection(CALIB)), []);
    let calibration = Selection { dataset_type: "fixture_calib".to_owned(), ..selection(WITHCALIB) };
    let error = fixture.open().datasets(&calibration).unwrap_err();
    assert!(matches!(error, Error::Calibration { .. }), "{error}");
    let run = Selection { collections: vec![format!("{CALIB}/run")], ..calibration };
    assert_eq!(fixture.open().datasets(&run).unwrap().len(), 1);
}

#[test]
fn dataset_types_with_the_same_dimensions_share_a_table() {
    let fixture = Fixture::sqlite();
    let other = |name: &str| Selection { dataset_type: name.to_owned(), ..selection(RUN_A) };
    assert_eq!(visits(&fixture, &selection(RUN_A)).len(), 7);
    assert_eq!(visits(&fixture, &other("preloaded_ss_object_visit")).len(), 4);
    assert_eq!(visits(&fixture, &other("never_put_visit")), []);
}

#[test]
fn other_dimensions_are_part_of_the_data_id() {
    let fixture = Fixture::sqlite();
    let by_detector = Selection {
        dataset_type: "dia_source_detector".to_owned(),
        condition: Some("detector = 42 AND band = 'u' AND day_obs IN (20250701..20250731)".to_owned()),
        ..selection(RUN_A)
    };
    let datasets = fixture.open().datasets(&by_detector).unwrap();
    assert_eq!(datasets.len(), 1);
    let text = "{instrument: 'LSSTCam', visit: 2025071500010, detector: 42}";
    assert_eq!(datasets[0].data_id.to_string(), text);
}

#[test]
fn a_component_is_not_a_dataset_type() {
    let fixture = Fixture::sqlite();
    let component = Selection { dataset_type: "dia_source_visit.columns".to_owned(), ..selection(RUN_A) };
    assert!(matches!(fixture.open().datasets(&component).unwrap_err(), Error::Component(_)));
}

#[test]
fn collection_names_are_literal() {
    let fixture = Fixture::sqlite();
    assert_eq!(visits(&fixture, &selection(RUN_O)), [(V0, RUN_O.to_owned())]);
    let error = fixture.open().datasets(&selection("u/fixture/*")).unwrap_err().to_string();
    assert!(error.contains("patterns are not supported"), "{error}");
    fixture.sql("UPDATE collection SET name = 'it''s [a] *, \"name\"' WHERE name = 'u/fixture/tagged'");
    assert_eq!(visits(&fixture, &selection("it's [a] *, \"name\"")).len(), 4);
}

#[test]
fn run_names_and_paths_are_taken_as_they_are_written() {
    let fixture = Fixture::sqlite();
    let (product, table) = fixture.extract(&spec(RUN_O)).unwrap();
    assert_eq!((product.rows(), table.reader.row_groups()), (12, 1));
    // A percent sign in a record is no code, a hash before the last segment no fragment.
    let old = fixture.file_of(RUN_A, V0);
    let folder = fixture.root.join("run#1/%41 b");
    fs::create_dir_all(&folder).unwrap();
    write(&folder.join("a.parq"), &fs::read(&old).unwrap());
    fs::remove_file(&old).unwrap();
    fixture.sql("UPDATE file_datastore_records SET path = 'run#1/%41 b/a.parq' WHERE path LIKE '%w_2025_30%/dia_source_visit/%2025071500010/%'");
    let mut spec = spec(RUN_A);
    spec.condition = Some(format!("visit = {V0}"));
    assert_eq!(fixture.extract(&spec).unwrap().0.rows(), 70);
}

#[test]
fn absolute_uris_are_decoded() {
    let fixture = Fixture::sqlite();
    let moved = fixture.folder.path().join("sp ace +é%41.parq");
    write(&moved, &fs::read(fixture.file_of(RUN_A, V0)).unwrap());
    let uri = format!("file://{}/sp%20ace%20%2B%C3%A9%2541.parq", fixture.folder.path().display());
    fixture.sql(&format!("UPDATE file_datastore_records SET path = '{uri}' WHERE path LIKE '%w_2025_30%/dia_source_visit/%2025071500010/%'"));
    let mut spec = spec(RUN_A);
    spec.condition = Some(format!("visit = {V0}"));
    assert_eq!(fixture.extract(&spec).unwrap().0.rows(), 70);
}

#[test]
fn all_unreadable_datasets_are_listed_and_nothing_is_written() {
    let fixture = Fixture::sqlite();
    let cut = fixture.file_of(RUN_A, V1);
    let bytes = fs::read(&cut).unwrap();
    write(&cut, &bytes[..bytes.len() - 1]);
    let garbage = fixture.file_of(RUN_B, V1);
    let size = fs::metadata(&garbage).unwrap().len();
    write(&garbage, &vec![b'x'; usize::try_from(size).unwrap()]);
    let error = fixture.extract(&spec(CHAIN)).err().unwrap();
    let text = error.to_string();
    assert!(text.starts_with("5 of 15 datasets cannot be read; no output was written\n"), "{text}");
    for wanted in [
        "visit: 2025071500010} of run `LSSTCam/runs/DRP/fixture/w_2025_31/20250808T010203Z` (bc8813ce-a2ce-5e2b-b12a-4cabe65e9955): not stored",
        "its file is missing: `",
        &format!("has {} bytes, but {} were recorded", bytes.len() - 1, bytes.len()),
        "as Parquet: ",
    ] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    assert_eq!(fs::read_dir(fixture.folder.path()).unwrap().count(), 1, "something was written");

    let mut skipping = spec(CHAIN);
    skipping.on_missing = Some(OnMissingDataset::Skip);
    let (product, table) = fixture.extract(&skipping).unwrap();
    assert_eq!(product.figures["datasets_skipped"], 5);
    assert_eq!((product.warnings.len(), table.reader.rows()), (5, 766 - 60 - 66));
    assert!(product.warnings[0].contains("not stored"), "{:?}", product.warnings);
}

#[test]
fn if_nothing_can_be_read_skipping_is_an_error_too() {
    let fixture = Fixture::sqlite();
    let mut spec = spec(RUN_B);
    spec.condition = Some(format!("visit = {V0}"));
    spec.on_missing = Some(OnMissingDataset::Skip);
    assert!(matches!(fixture.extract(&spec).err().unwrap(), extract::Error::Unreadable { total: 1, .. }));
}

#[test]
fn an_unknown_size_is_not_compared() {
    let fixture = Fixture::sqlite();
    fixture.sql("UPDATE file_datastore_records SET file_size = -1 WHERE path LIKE '%w_2025_30%'");
    fixture.sql("UPDATE file_datastore_records SET file_size = NULL WHERE path LIKE '%w_2025_31%'");
    assert_eq!(fixture.extract(&spec(CLEAN)).unwrap().0.rows(), 592);
}

#[test]
fn trashed_datasets_are_read_as_long_as_they_are_recorded() {
    let fixture = Fixture::sqlite();
    fixture.sql(
        "INSERT INTO dataset_location_trash (dataset_id, datastore_name) SELECT dataset_id, datastore_name FROM dataset_location;
         DELETE FROM dataset_location;",
    );
    assert_eq!(fixture.extract(&spec(CLEAN)).unwrap().0.rows(), 592);
}

#[test]
fn the_first_datastore_that_has_the_file_is_read() {
    let fixture = Fixture::sqlite();
    let path = fixture.root.join("butler.yaml");
    let text = fs::read_to_string(&path).unwrap();
    let (_, rest) = text.split_once("registry:").unwrap();
    let chain = "datastore:\n  cls: x.ChainedDatastore\n  datastores:\n  - {cls: x.FileDatastore, root: <butlerRoot>/fast, records: {table: fast_records}}\n  - datastore: {cls: x.FileDatastore, root: <butlerRoot>}\nregistry:";
    write(&path, (chain.to_owned() + rest).as_bytes());
    fixture.sql("CREATE TABLE fast_records AS SELECT * FROM file_datastore_records");
    // Recorded in the first, but the file is only in the second.
    let mut spec = spec(RUN_A);
    spec.condition = Some(format!("visit IN ({V0}, {V1})"));
    assert_eq!(fixture.extract(&spec).unwrap().0.rows(), 70 + 60);
    // Another file in the first comes first.
    let datasets = fixture.open().datasets(&selection(RUN_A)).unwrap();
    let fast = fixture.root.join("fast").join(&datasets[0].records[0].path);
    write(&fast, &fs::read(fixture.file_of(RUN_B, V1)).unwrap());
    fixture.sql("UPDATE fast_records SET file_size = -1");
    assert_eq!(fixture.extract(&spec).unwrap().0.rows(), 66 + 60);
    // One of the wrong size there is an error, as it is with Butler.
    fixture.sql("UPDATE fast_records SET file_size = 7");
    assert!(fixture.extract(&spec).err().unwrap().to_string().contains("but 7 were recorded"));
    // A file that is in neither is missing.
    fs::remove_file(&fast).unwrap();
    fs::remove_file(fixture.file_of(RUN_A, V1)).unwrap();
    assert!(fixture.extract(&spec).err().unwrap().to_string().contains("is missing: `"));
}

/// Puts the two zipped datasets into a zip file of another making.
fn rezip(fixture: &Fixture, method: zip::CompressionMethod) -> PathBuf {
    let datasets = fixture.open().datasets(&selection(RUN_Z)).unwrap();
    let location = &fixture.open().locate(&datasets[0]).unwrap()[0];
    let mut archive =
        zip::ZipArchive::new(Cursor::new(fs::read(location.place.path().unwrap()).unwrap())).unwrap();
    let mut other = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for index in 0..archive.len() {
        let mut member = archive.by_index(index).unwrap();
        let options = zip::write::SimpleFileOptions::default().compression_method(method);
        other.start_file(member.name().unwrap().into_owned(), options).unwrap();
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut member, &mut bytes).unwrap();
        other.write_all(&bytes).unwrap();
    }
    write(location.place.path().unwrap(), &other.finish().unwrap().into_inner());
    location.place.path().unwrap().to_owned()
}

#[test]
fn members_of_zip_files_are_read_stored_and_deflated() {
    let fixture = Fixture::sqlite();
    let (_, stored) = fixture.extract(&spec(RUN_Z)).unwrap();
    assert_eq!((stored.reader.rows(), stored.reader.row_groups()), (43, 2));
    let zip = rezip(&fixture, zip::CompressionMethod::Deflated);
    let (_, deflated) = fixture.extract(&spec(RUN_Z)).unwrap();
    assert_eq!(stored.batches, deflated.batches);
    // Its recorded size is the member's, not the zip file's.
    fixture.sql("UPDATE file_datastore_records SET file_size = file_size + 1 WHERE path LIKE 'zips/%'");
    let error = fixture.extract(&spec(RUN_Z)).err().unwrap().to_string();
    assert!(
        error.contains("2 of 2") && error.contains(".zip#") && error.contains("were recorded"),
        "{error}"
    );
    fixture.sql("UPDATE file_datastore_records SET path = path || 'x' WHERE path LIKE 'zips/%'");
    let error = fixture.extract(&spec(RUN_Z)).err().unwrap().to_string();
    assert!(error.contains("cannot read `") && error.contains("not found"), "{error}");
    write(&zip, b"PK no more");
    assert!(
        fixture.extract(&spec(RUN_Z)).err().unwrap().to_string().contains("2 of 2 datasets cannot be read")
    );
}

#[test]
fn a_damaged_deflated_member_is_found_by_its_checksum() {
    let fixture = Fixture::sqlite();
    let zip = rezip(&fixture, zip::CompressionMethod::Deflated);
    let mut bytes = fs::read(&zip).unwrap();
    let middle = bytes.len() / 4;
    bytes[middle] ^= 0x55;
    write(&zip, &bytes);
    let error = fixture.extract(&spec(RUN_Z)).err().unwrap().to_string();
    assert!(error.contains("of 2 datasets cannot be read"), "{error}");
}

#[test]
fn an_empty_dataset_alone_gives_its_columns() {
    let fixture = Fixture::sqlite();
    let mut spec = spec(RUN_A);
    spec.condition = Some("visit = 2025071500013".to_owned());
    let (product, table) = fixture.extract(&spec).unwrap();
    assert_eq!((product.rows(), table.reader.row_groups()), (0, 0));
    assert_eq!(table.reader.schema().fields().len(), 28);
    assert_eq!(table.metadata("lsst::arrow::rowcount").as_deref(), Some("0"));
}

#[test]
fn rows_come_by_data_id_then_run() {
    let fixture = Fixture::sqlite();
    let mut spec = spec(CHAIN_AB);
    spec.on_missing = Some(OnMissingDataset::Skip);
    let (_, table) = fixture.extract(&spec).unwrap();
    let visits = table.column("visit");
    assert!(visits.as_primitive::<Int64Type>().values().is_sorted());
    // Whatever the order of the collections: both runs of a visit come in the order of their names.
    let mut other = crate::fixture::spec(CHAIN);
    other.on_missing = Some(OnMissingDataset::Skip);
    assert_eq!(table.batches, fixture.extract(&other).unwrap().1.batches);
}

#[test]
fn the_key_of_datasets_is_one_line_each_and_sees_a_change() {
    let fixture = Fixture::sqlite();
    let extract = spec(CHAIN).checked().unwrap();
    let key = || Datasets::from(extract::plan(&extract, &fixture.open()).unwrap()).lines();
    let before = key();
    assert_eq!((before.len(), &before), (15, &key()));
    assert!(before.iter().any(|line| line.ends_with(" not stored")), "{before:?}");
    assert!(before.iter().all(|line| !line.contains(fixture.repo())), "{before:?}");
    fixture.sql("UPDATE file_datastore_records SET file_size = 1 WHERE path LIKE '%w_2025_30%/dia_source_visit/%2025071500010/%'");
    let after = key();
    assert_eq!(before.iter().filter(|line| !after.contains(line)).count(), 1);
}

#[test]
fn duplicates_are_written_as_often_as_they_are_reached_only_on_request() {
    let fixture = Fixture::sqlite();
    let mut spec = spec(NESTED);
    spec.on_missing = Some(OnMissingDataset::Skip);
    let once = fixture.extract(&spec).unwrap().0.rows();
    spec.duplicates = Some(Duplicates::Keep);
    assert_eq!((once, fixture.extract(&spec).unwrap().0.rows()), (766 + 43, 1008));
}

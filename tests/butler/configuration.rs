//! `butler.yaml` in all its forms, the repository index, and what is refused.

use std::fs;
use std::path::Path;

use ssp::butler::{Error, Repository};
use ssp::errors::Classified as _;

use ssp::environment::Environment;

use crate::fixture::{CLEAN, Fixture, TAGGED, nothing, selection, with, write};

fn datasets(repo: &str, env: &Environment) -> usize {
    Repository::open(repo, env).unwrap().datasets(&selection(TAGGED)).unwrap().len()
}

fn refused(fixture: &Fixture) -> Error {
    match Repository::open(fixture.repo(), &nothing()) {
        Ok(_) => panic!("it was opened"),
        Err(error) => error,
    }
}

#[test]
fn a_folder_and_its_file_name_the_repository() {
    let fixture = Fixture::sqlite();
    assert_eq!(datasets(fixture.repo(), &nothing()), 4);
    assert_eq!(datasets(&format!("{}/", fixture.repo()), &nothing()), 4);
    assert_eq!(datasets(&format!("{}/butler.yaml", fixture.repo()), &nothing()), 4);
    assert_eq!(datasets(&format!("file://{}", fixture.repo()), &nothing()), 4);
}

#[test]
fn labels_are_found_in_the_index_given_inline_or_as_a_file() {
    let fixture = Fixture::sqlite();
    let text = format!("embargo: davs://there/butler.yaml\nmain: {}\n", fixture.repo());
    let inline = with(&[("DAF_BUTLER_REPOSITORIES", &text)]);
    assert_eq!(datasets("main", &inline), 4);
    let json = format!("{{\"main\": \"file://{}\"}}", fixture.repo());
    let inline_json = with(&[("DAF_BUTLER_REPOSITORIES", &json)]);
    assert_eq!(datasets("main", &inline_json), 4);
    let file = fixture.folder.path().join("index.yaml");
    write(&file, text.as_bytes());
    let by_file = with(&[("DAF_BUTLER_REPOSITORY_INDEX", file.to_str().unwrap())]);
    assert_eq!(datasets("main", &by_file), 4);
    // What is no label is a path.
    assert_eq!(datasets(fixture.repo(), &by_file), 4);

    let unknown = Repository::open("mian", &inline).err().unwrap();
    assert!(unknown.is_unreachable());
    assert!(unknown.to_string().contains("the repository index has: embargo, main"), "{unknown}");
    let remote = Repository::open("embargo", &inline).err().unwrap().to_string();
    assert!(
        remote.contains("davs://there/butler.yaml") && remote.contains("`davs` is not one of"),
        "{remote}"
    );
}

#[test]
fn a_broken_index_matters_only_to_those_who_need_it() {
    let fixture = Fixture::sqlite();
    let both = with(&[("DAF_BUTLER_REPOSITORIES", "x"), ("DAF_BUTLER_REPOSITORY_INDEX", "x")]);
    assert_eq!(datasets(fixture.repo(), &both), 4);
    let gone = with(&[("DAF_BUTLER_REPOSITORY_INDEX", "/nope")]);
    assert_eq!(datasets(&format!("file://{}", fixture.repo()), &gone), 4);
    for (name, said) in [
        ("./main", "no Butler repository `./main`"),
        ("davs://there/main", "`davs` is not one of"),
        ("main", "/nope"),
    ] {
        let error = Repository::open(name, &gone).err().unwrap().to_string();
        assert!(error.contains(said), "{error}");
    }
    let error = Repository::open("main", &both).err().unwrap().to_string();
    assert!(
        error.contains("DAF_BUTLER_REPOSITORIES") && error.contains("DAF_BUTLER_REPOSITORY_INDEX"),
        "{error}"
    );
    let list = with(&[("DAF_BUTLER_REPOSITORIES", "[a, b]")]);
    let error = Repository::open("main", &list).err().unwrap().to_string();
    assert!(error.contains("map labels to repositories"), "{error}");
}

#[test]
fn a_missing_repository_is_unreachable_and_says_where_it_looked() {
    let error = Repository::open("/nowhere/repo", &nothing()).err().unwrap();
    assert!(error.is_unreachable());
    assert!(error.to_string().contains("`/nowhere/repo`"), "{error}");
}

#[test]
fn a_missing_or_damaged_registry_is_unreachable() {
    let fixture = Fixture::sqlite();
    write(&fixture.root.join("gen3.sqlite3"), b"this is no database, whatever its name says");
    assert!(refused(&fixture).is_unreachable());
    fs::remove_file(fixture.root.join("gen3.sqlite3")).unwrap();
    let error = refused(&fixture);
    assert!(error.is_unreachable() && error.to_string().contains("gen3.sqlite3"), "{error}");
}

#[test]
fn a_remote_butler_or_root_is_refused_by_name() {
    let fixture = Fixture::sqlite();
    fixture.edit_config("datastore:\n", "cls: lsst.daf.butler.remote_butler.RemoteButler\nremote_butler: {url: https://b.example/api}\ndatastore:\n");
    let error = refused(&fixture).to_string();
    assert!(error.contains("https://b.example/api") && error.contains("not supported"), "{error}");

    let fixture = Fixture::sqlite();
    fixture.edit_config("  root: <butlerRoot>\n", "  root: davs://me:hunter2@there/files\n");
    let datasets = fixture.open().datasets(&selection(CLEAN)).unwrap();
    let error = fixture.open().locate(&datasets[0]).unwrap_err().to_string();
    assert!(
        error.contains("`davs://there/files/LSSTCam/") && error.contains("`davs` is not one of"),
        "{error}"
    );
    assert!(!error.contains(fixture.repo()) && !error.contains("hunter2"), "{error}");
    assert!(error.contains("give that folder with `--datastore-root`"), "{error}");
    // Unless the files are given.
    let here = fixture.open().with_datastore_root(fixture.repo()).unwrap();
    assert!(here.locate(&datasets[0]).unwrap()[0].place.path().unwrap().is_file());
}

#[test]
fn advice_on_what_is_elsewhere_is_what_helps_there() {
    // The root of all: the registry may still be here, or in PostgreSQL.
    let fixture = Fixture::sqlite();
    let registry = fixture.root.join("gen3.sqlite3");
    fixture.edit_config("datastore:\n", "root: davs://there/re po/\ndatastore:\n");
    let error = refused(&fixture).to_string();
    assert!(
        error.contains("the registry of") && error.contains("local copy of its `butler.yaml`"),
        "{error}"
    );
    fixture.edit_config("<butlerRoot>/gen3.sqlite3", registry.to_str().unwrap());
    let datasets = fixture.open().datasets(&selection(CLEAN)).unwrap();
    let error = fixture.open().locate(&datasets[0]).unwrap_err().to_string();
    assert!(
        error.contains("`davs://there/re po/LSSTCam/") && error.contains("with `--datastore-root`"),
        "{error}"
    );
    let here = fixture.open().with_datastore_root(fixture.repo()).unwrap();
    assert!(here.locate(&datasets[0]).unwrap()[0].place.path().unwrap().is_file());

    // A dataset that was ingested where it lay.
    fixture.sql("UPDATE file_datastore_records SET path = 'davs://key:secret@there/' || path");
    let datasets = fixture.open().datasets(&selection(CLEAN)).unwrap();
    let here = fixture.open().with_datastore_root(fixture.repo()).unwrap();
    let error = here.locate(&datasets[0]).unwrap_err().to_string();
    assert!(error.contains("leave it out with `--where`") && !error.contains("secret"), "{error}");

    let index = with(&[("DAF_BUTLER_REPOSITORY_INDEX", "davs://data.example/index.yaml")]);
    let error = Repository::open("main", &index).err().unwrap().to_string();
    assert!(error.contains("set `DAF_BUTLER_REPOSITORY_INDEX` to a local copy of it"), "{error}");
}

#[test]
fn roots_may_be_absent_relative_or_uris() {
    let fixture = Fixture::sqlite();
    // The default root of a datastore is a folder of its own.
    fixture.edit_config("  root: <butlerRoot>\n", "");
    let first = |fixture: &Fixture| {
        let datasets = fixture.open().datasets(&selection(CLEAN)).unwrap();
        fixture.open().locate(&datasets[0]).unwrap()[0].place.path().unwrap().to_owned()
    };
    assert!(first(&fixture).starts_with(fixture.root.join("datastore")));
    // The default registry is gen3.sqlite3 in the root.
    fixture.edit_config("  db: sqlite:///<butlerRoot>/gen3.sqlite3\n", "");
    let elsewhere = fixture.folder.path().join("else where");
    fs::create_dir(&elsewhere).unwrap();
    let config = fs::read_to_string(fixture.root.join("butler.yaml")).unwrap();
    let uri = format!("root: file://{}\n", fixture.repo());
    write(&elsewhere.join("butler.yaml"), (uri + &config).as_bytes());
    assert_eq!(datasets(elsewhere.to_str().unwrap(), &nothing()), 4);
}

#[test]
fn sqlite_paths_have_three_or_four_slashes_and_a_driver() {
    let fixture = Fixture::sqlite();
    let absolute = format!("sqlite+pysqlite:///{}/gen3.sqlite3", fixture.repo());
    assert!(absolute.contains(":////"));
    fixture.edit_config("sqlite:///<butlerRoot>/gen3.sqlite3", &absolute);
    assert_eq!(datasets(fixture.repo(), &nothing()), 4);
    fixture.edit_config(&absolute, "sqlite://");
    assert!(refused(&fixture).is_unreachable());
    fixture.edit_config("sqlite://", "oracle://host/db");
    assert!(refused(&fixture).to_string().contains("database type `oracle` is not supported"));
}

#[test]
fn anchors_includes_and_include_tags_are_read() {
    let fixture = Fixture::sqlite();
    let root = &fixture.root;
    fs::create_dir(root.join("conf")).unwrap();
    write(&root.join("conf/datastore.yaml"), b"cls: a.b.FileDatastore\nrecords: !include records.yaml\n");
    write(&root.join("conf/records.yaml"), b"table: file_datastore_records\n");
    write(
        &root.join("conf/base.yaml"),
        b"datastore: {root: /nowhere}\nregistry: {db: 'sqlite:///<butlerRoot>/wrong.sqlite3', namespace: x}\n",
    );
    write(
        &root.join("butler.yaml"),
        b"includeConfigs: [conf/base.yaml]\n\
          here: &here <butlerRoot>\n\
          registry: {db: 'sqlite:///<butlerRoot>/gen3.sqlite3'}\n\
          datastore:\n  includeConfigs: conf/more.yaml\n  root: *here\n",
    );
    write(&root.join("conf/more.yaml"), b"records: {table: other}\n");
    let text = fs::read_to_string(root.join("butler.yaml")).unwrap();
    write(&root.join("butler.yaml"), text.replace("conf/more.yaml", "conf/datastore.yaml").as_bytes());
    let repository = fixture.open();
    let datasets = repository.datasets(&selection(CLEAN)).unwrap();
    assert!(repository.locate(&datasets[0]).unwrap()[0].place.path().unwrap().is_file());

    write(&root.join("butler.yaml"), b"includeConfigs: butler.yaml\n");
    assert!(refused(&fixture).to_string().contains("include each other"));
    write(&root.join("butler.yaml"), b"includeConfigs: nothing.yaml\n");
    assert!(refused(&fixture).to_string().contains("`nothing.yaml`, which does not exist"));
    write(&root.join("butler.yaml"), b"datastore: !include nothing.yaml\n");
    assert!(refused(&fixture).to_string().contains("butler.yaml"));
    write(&root.join("butler.yaml"), b"datastore: {root: [1, 2\n");
    let error = refused(&fixture);
    assert!(matches!(error, Error::Config { .. }) && error.to_string().contains("line "), "{error}");
    for text in [&b"registry: {db: [1]}\n"[..], b""] {
        write(&root.join("butler.yaml"), text);
        assert!(matches!(refused(&fixture), Error::Config { .. }));
    }
}

#[test]
fn managers_that_are_not_known_are_refused() {
    for (sql, wanted) in [
        ("UPDATE butler_attributes SET value = '3.0.0' WHERE name LIKE 'version:%ByDimensions%'", "3.0.0"),
        (
            "UPDATE butler_attributes SET value = 'x.NameKeyCollectionManager' WHERE name LIKE '%managers.collections'",
            "NameKeyCollectionManager",
        ),
    ] {
        let fixture = Fixture::sqlite();
        fixture.sql(sql);
        let error = refused(&fixture);
        assert!(matches!(error, Error::Manager { .. }) && error.to_string().contains(wanted), "{error}");
        assert!(!error.is_unreachable());
    }
    let old = Fixture::sqlite();
    old.sql("UPDATE butler_attributes SET value = '1.0.0' WHERE name LIKE 'version:%ByDimensions%'");
    old.sql("UPDATE butler_attributes SET value = '5' WHERE name = 'config:dimensions.json'");
    assert_eq!(datasets(old.repo(), &nothing()), 4);
    let ancient = Fixture::sqlite();
    ancient.sql("DELETE FROM butler_attributes");
    assert_eq!(datasets(ancient.repo(), &nothing()), 4);
}

#[test]
fn renamed_dataset_types_are_found_by_their_new_name() {
    let fixture = Fixture::sqlite();
    fixture.edit_config(
        "    datasets: lsst.daf.butler.registry.datasets.byDimensions.ByDimensionsDatasetRecordStorageManagerUUID\n",
        "    datasets:\n      cls: a.B\n      config: {overrides: {dia_source_visit: {rename: sources}, other: {storageClass: X}}}\n",
    );
    let renamed = ssp::butler::Selection { dataset_type: "sources".to_owned(), ..selection(TAGGED) };
    assert_eq!(fixture.open().datasets(&renamed).unwrap().len(), 4);
    let error = fixture.open().datasets(&selection(TAGGED)).unwrap_err();
    assert!(matches!(error, Error::NoDatasetType { .. }), "{error}");
}

#[test]
fn a_datastore_root_is_for_repositories_with_one_datastore() {
    let fixture = Fixture::sqlite();
    let moved = fixture.folder.path().join("moved");
    fs::create_dir(&moved).unwrap();
    #[expect(clippy::disallowed_methods, reason = "a test moves its own fixture")]
    fs::rename(fixture.root.join("LSSTCam"), moved.join("LSSTCam")).unwrap();
    let datasets = fixture.open().datasets(&selection(CLEAN)).unwrap();
    let file = |repository: &Repository| {
        repository.locate(&datasets[0]).unwrap()[0].place.path().unwrap().to_owned()
    };
    assert!(!file(&fixture.open()).exists());
    for nowhere in ["/no/where", fixture.root.join("butler.yaml").to_str().unwrap()] {
        let error = fixture.open().with_datastore_root(nowhere).err().unwrap();
        assert!(
            matches!(&error, Error::NoDatastoreRoot { path, .. } if path == Path::new(nowhere)),
            "{error}"
        );
    }
    assert!(file(&fixture.open().with_datastore_root(moved.to_str().unwrap()).unwrap()).is_file());

    let text = fs::read_to_string(fixture.root.join("butler.yaml")).unwrap();
    let (_, rest) = text.split_once("registry:").unwrap();
    let chain = "datastore:\n  cls: x.ChainedDatastore\n  datastores:\n  - {cls: x.FileDatastore, name: fast}\n  - datastore: {cls: x.FileDatastore, name: bulk}\n  - {cls: x.InMemoryDatastore}\nregistry:";
    write(&fixture.root.join("butler.yaml"), (chain.to_owned() + rest).as_bytes());
    let error = fixture.open().with_datastore_root("/x").err().unwrap().to_string();
    assert!(error.contains("2 file datastores (fast, bulk)"), "{error}");
}

#[test]
fn a_password_in_a_configuration_that_is_wrong_is_not_shown() {
    let fixture = Fixture::sqlite();
    let url = "postgresql://me:hunter2@there/db";
    for (text, part) in [
        (format!("registry: {url}\n"), "invalid type: string \"...\""),
        (format!("registry: {{db: '{url}', port: '{url}'}}\n"), "invalid type: string \"...\""),
        (format!("registry: {{db: '{url}\n"), "line 1"),
        (
            "cls: RemoteButler\nremote_butler: {url: 'https://me:hunter2@there/x'}\n".to_owned(),
            "https://there/x",
        ),
    ] {
        write(&fixture.root.join("butler.yaml"), text.as_bytes());
        let error = refused(&fixture).to_string();
        assert!(error.contains(part) && !error.contains("hunter2"), "{text}: {error}");
    }
    for index in [format!("main: ['{url}']\n"), format!("main: '{url}"), format!("- '{url}'\n")] {
        let error = Repository::open("main", &with(&[("DAF_BUTLER_REPOSITORIES", &index)])).err().unwrap();
        assert!(!error.to_string().contains("hunter2"), "{index}: {error}");
    }
}

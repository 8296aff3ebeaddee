//! The schemas of `lsst-sdm-schemas` as `lsst-felis` reads them, and units as astropy understands them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use super::{FelisSchema, same_unit};
use crate::regular;
use crate::schema::TableSchema;

/// Name, type, length, whether NULL is allowed, unit.
type Column = (String, String, Option<u64>, bool, Option<String>);

#[derive(Deserialize)]
struct Read {
    files: BTreeMap<PathBuf, Vec<(String, Vec<Column>)>>,
    units: Vec<String>,
    same: BTreeSet<(String, String)>,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The Python that has lsst-felis: `.venv`, or `$SSP_PYTHON`.
fn python() -> PathBuf {
    let python =
        std::env::var_os("SSP_PYTHON").map_or_else(|| root().join(".venv/bin/python"), PathBuf::from);
    assert!(python.exists(), "there is no {}: run `ci/install venv`", python.display());
    python
}

#[test]
fn all_tables_and_units_of_rubin_are_read_as_lsst_felis_reads_them() {
    let own = ["ssobject", "sssource", "sssource_wide", "mpc_orbits", "dia_source"];
    let own = own.map(|name| TableSchema::load(&root().join(format!("schemas/{name}.yaml"))).unwrap());
    let own_units: BTreeSet<&String> =
        own.iter().flat_map(|table| table.columns.iter().filter_map(|column| column.unit.as_ref())).collect();
    let output = Command::new(python())
        .arg(root().join("tests/readers/felis_schemas.py"))
        .args(own_units)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let Read { files, units, same } = serde_json::from_slice(&output.stdout).unwrap();
    let mut columns = 0;
    for (path, expected) in files {
        let schema = FelisSchema::load(&path).unwrap_or_else(|error| panic!("{error}"));
        let read: Vec<(String, Vec<Column>)> = schema
            .tables
            .into_iter()
            .map(|table| {
                let columns = table.columns.into_iter().map(|column| {
                    let unit = column.unit().map(str::to_owned);
                    (column.name, column.datatype.to_string(), column.length, column.nullable, unit)
                });
                (table.name, columns.collect())
            })
            .collect();
        columns += read.iter().map(|(_, columns)| columns.len()).sum::<usize>();
        assert!(read == expected, "{}", path.display());
    }
    assert!(columns > 10_000, "{columns}");
    for (index, one) in units.iter().enumerate() {
        for other in &units[index + 1..] {
            let expected = same.contains(&(one.clone(), other.clone()));
            assert_eq!(same_unit(one, other), expected, "{one} and {other}");
        }
    }
    assert!(same.len() > 5);
}

/// The folder of Rubin's schemas.
fn rubin() -> PathBuf {
    let code =
        "import importlib.util as u; print(u.find_spec('lsst.sdm.schemas').submodule_search_locations[0])";
    let output = Command::new(python()).args(["-c", code]).output().unwrap();
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
}

/// The differences are shown on a page, so that readers know them, and a change of either side must come to it.
#[test]
fn the_differences_of_our_schemas_to_rubins_are_those_of_the_page() {
    let folder = rubin();
    let mut said: Vec<String> = Vec::new();
    for (own, file, table) in [
        ("ssobject", "ppdb.yaml", "SSObject"),
        ("sssource", "ppdb.yaml", "SSSource"),
        ("mpc_orbits", "ppdb.yaml", "mpc_orbits"),
        ("current_identifications", "sso_base.yaml", "current_identifications"),
        ("numbered_identifications", "sso_base.yaml", "numbered_identifications"),
    ] {
        let own = TableSchema::load(&root().join(format!("schemas/{own}.yaml"))).unwrap();
        let felis = FelisSchema::load(&folder.join(file)).unwrap().table(table).unwrap();
        let mut differences: Vec<String> =
            felis.compare(&own.arrow()).iter().map(ToString::to_string).collect();
        let shared = felis
            .columns
            .iter()
            .filter_map(|column| Some((column, own.columns.iter().find(|own| own.name == column.name)?)));
        let can_be_null = shared.filter(|(column, own)| own.nullable && !column.nullable);
        let names: Vec<String> = can_be_null.map(|(column, _)| format!("`{}`", column.name)).collect();
        if !names.is_empty() {
            differences.push(format!("can be NULL, but `nullable: false`: {}", names.join(", ")));
        }
        said.extend(differences.iter().map(|difference| format!("| `{file}#{table}` | {difference}")));
    }
    let page = regular::read_to_string(&root().join("docs/how-to/hold-outputs-to-felis.md")).unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| `") && line.contains(".yaml#"));
    // The last cell is the reason.
    let rows = rows.map(|line| line.trim_end_matches(" |").rsplit_once(" | ").unwrap().0);
    assert!(rows.eq(said.iter()), "the page must have these rows, each with a reason:\n{}", said.join("\n"));
}

//! Felis schemas with faults, and columns that do not fit.

use std::collections::HashMap;
use std::path::Path;

use arrow_schema::{DataType, Field, Schema, TimeUnit};

use super::super::{NamedSchema, UNIT};
use crate::errors::chain;

const BASE: &str = "
name: base
tables:
- name: Object
  columns:
  - {name: id, datatype: long, nullable: false}
  - {name: name, datatype: char, length: 16, description: A name.}
  - {name: h, datatype: float, 'ivoa:unit': mag}
  - {name: srp, datatype: double, 'fits:tunit': m2.t-1}
  - {name: t, datatype: timestamp}
";

const TAKEN: &str = "
name: taken
resources: {base: {uri: sub/base.yaml}}
tables:
- name: Mine
  columns: [{name: own, datatype: boolean, 'ivoa:unit': ''}]
  columnRefs:
    base:
      Object:
        h: {overrides: {datatype: double, nullable: false}}
        id:
        label: {ref_name: name, overrides: {length: 8}}
";

/// A folder with the two schemas, one of them with other text.
#[expect(clippy::disallowed_methods, reason = "a fixture")]
fn folder(from: &str, to: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("sub")).unwrap();
    for (name, text) in [("taken.yaml", TAKEN), ("sub/base.yaml", BASE)] {
        std::fs::write(folder.path().join(name), text.replace(from, to)).unwrap();
    }
    folder
}

fn named(folder: &Path, name: &str, allow_missing: bool) -> NamedSchema {
    NamedSchema::parse(name).unwrap().below(folder, allow_missing)
}

/// A field; without a unit if that is empty.
fn field(name: &str, data_type: DataType, unit: &str) -> Field {
    let unit = (!unit.is_empty()).then(|| (UNIT.to_owned(), unit.to_owned()));
    Field::new(name, data_type, true).with_metadata(HashMap::from_iter(unit))
}

fn differences(table: &str, allow_missing: bool, fields: Vec<Field>) -> Vec<String> {
    let folder = folder("", "");
    let declared = named(folder.path(), table, allow_missing).load().unwrap();
    declared.compare(&Schema::new(fields)).iter().map(ToString::to_string).collect()
}

const OBJECT: &str = "felis:sub/base.yaml#Object";

fn object() -> Vec<Field> {
    vec![
        field("id", DataType::Int64, ""),
        field("name", DataType::LargeUtf8, ""),
        field("h", DataType::Float32, "mag"),
        field("srp", DataType::Float64, "m**2 t**-1"),
        field("t", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), ""),
    ]
}

#[test]
fn columns_of_resources_come_after_the_own_ones_with_other_names_and_overrides() {
    let folder = folder("", "");
    let schema = named(folder.path(), "felis:taken.yaml#Mine", false);
    let declared = schema.load().unwrap();
    let names: Vec<&str> = declared.columns().iter().map(|column| column.name).collect();
    assert_eq!(names, ["own", "h", "id", "label"]);
    let said: Vec<_> = declared.columns().iter().map(|column| (column.unit, column.description)).collect();
    assert_eq!(said, [(None, None), (Some("mag"), None), (None, None), (None, Some("A name."))]);
    let limits: Vec<_> = declared.limits().map(|limits| (limits.nullable, limits.length)).collect();
    assert_eq!(limits, [(true, None), (false, None), (false, None), (true, Some(8))]);
    let types = [DataType::Boolean, DataType::Float64, DataType::Int64, DataType::Utf8];
    let fields: Vec<Field> =
        names.into_iter().zip(types).map(|(name, kind)| Field::new(name, kind, true)).collect();
    assert_eq!(declared.compare(&Schema::new(fields)), []);
    assert_eq!(schema.resources().unwrap(), [folder.path().join("sub/base.yaml")]);
}

#[test]
fn all_differences_of_the_columns_are_found_at_once() {
    assert_eq!(differences(OBJECT, false, object()), Vec::<String>::new());
    let mut fields = object();
    fields[0] = field("id", DataType::Int32, "");
    fields[2] = field("h", DataType::Float32, "d");
    fields[4] = field("t", DataType::Timestamp(TimeUnit::Second, Some("Europe/Paris".into())), "s");
    fields[1] = field("more", DataType::Utf8, "");
    fields.swap(2, 3);
    let expected = [
        "column `id` is int32, but declared as long",
        "column `name` is missing",
        "column `h` has unit `d`, but is declared with unit `mag`",
        "column `t` is Timestamp(s, \"Europe/Paris\"), but declared as timestamp",
        "column `t` has unit `s`, but is declared with no unit",
        "column `more` is not declared",
        "column `srp` is in the place of column `h`",
    ];
    assert_eq!(differences(OBJECT, false, fields.clone()), expected);
    let mut rest = expected.to_vec();
    rest.remove(1);
    assert_eq!(differences(OBJECT, true, fields), rest);
}

#[test]
fn a_type_is_each_type_of_arrow_that_holds_its_values_and_no_other() {
    let cases = [
        ("boolean", vec![DataType::Boolean]),
        ("byte", vec![DataType::Int8, DataType::UInt8]),
        ("short", vec![DataType::Int16]),
        ("int", vec![DataType::Int32]),
        ("long", vec![DataType::Int64]),
        ("float", vec![DataType::Float32]),
        ("double", vec![DataType::Float64]),
        ("text", vec![DataType::Utf8, DataType::LargeUtf8, DataType::Utf8View]),
        ("binary", vec![DataType::Binary, DataType::LargeBinary, DataType::BinaryView]),
        ("timestamp", vec![DataType::Timestamp(TimeUnit::Millisecond, None)]),
    ];
    let all: Vec<DataType> = cases.iter().flat_map(|(_, kinds)| kinds.clone()).collect();
    for (name, kinds) in &cases {
        let folder = folder("datatype: long", &format!("datatype: {name}"));
        let declared = named(folder.path(), OBJECT, true).load().unwrap();
        for kind in &all {
            let found = declared.compare(&Schema::new(vec![Field::new("id", kind.clone(), true)]));
            assert_eq!(found.is_empty(), kinds.contains(kind), "{name} {kind}");
        }
    }
}

#[test]
fn each_fault_is_named_with_its_file_and_its_place() {
    let taken = "felis:taken.yaml#Mine";
    for (from, to, name, said) in [
        ("", "", "felis:none.yaml#Mine", "cannot read schema file `@/none.yaml`: "),
        (
            "",
            "",
            "felis:taken.yaml#Mines",
            "Felis schema `@/taken.yaml` has no table `Mines` (did you mean `Mine`?); it has: Mine",
        ),
        ("name: taken", "name: [", taken, "`@/taken.yaml` is not a Felis schema: "),
        (
            "datatype: long",
            "datatype: longer",
            taken,
            "resource `base` of Felis schema `@/taken.yaml`: `@/sub/base.yaml` is not a Felis schema: ",
        ),
        ("datatype: long", "datatype: longer", taken, "line 6"),
        (
            "uri: sub/base",
            "uri: base",
            taken,
            "resource `base` of Felis schema `@/taken.yaml`: cannot read schema file `@/base.yaml`: ",
        ),
        ("uri: sub/base.yaml", "uri: 'resource://a/b.yaml'", taken, "`resource://a/b.yaml` is not a path"),
        (
            "name: base",
            "resources: {up: {uri: ../taken.yaml}}",
            taken,
            "resource `up` of Felis schema `@/sub/base.yaml`: `@/sub/../taken.yaml` is a resource of itself",
        ),
        (
            "    base:",
            "    bases:",
            taken,
            "table `Mine` of Felis schema `@/taken.yaml`: `columnRefs` names resource `bases`, which is not in `resources` (did you mean `base`?)",
        ),
        (
            "      Object:",
            "      Objects:",
            taken,
            "names table `Objects`, which is not in resource `base` (did you mean `Object`?)",
        ),
        (
            "ref_name: name",
            "ref_name: names",
            taken,
            "names column `names`, which is not in table `Object` of resource `base` (did you mean `name`?)",
        ),
        (
            "        id:",
            "        own: {ref_name: id}",
            taken,
            "`@/taken.yaml#Mine` declares column `own` twice",
        ),
    ] {
        let folder = folder(from, to);
        let error = named(folder.path(), name, false).load().unwrap_err();
        let text = chain(&error).join(": ").replace(folder.path().to_str().unwrap(), "@");
        assert!(text.contains(said), "{to}: {text}");
    }
    for wrong in ["felis:a.yaml", "felis:a.yaml#", "felis:#T", "felis:"] {
        assert!(NamedSchema::parse(wrong).is_err(), "{wrong}");
    }
}

//! Outputs held to tables of Felis schemas: `schema: felis:FILE.yaml#TABLE`.

use std::fs;

use crate::python::python;
use crate::site::{Site, copy, put};

const SURVEY: &str = "
name: survey
resources: {base: {uri: base.yaml}}
tables:
- name: Obs
  columns:
  - {name: id, datatype: int, nullable: false}
  columnRefs:
    base:
      Station:
        stn:
- name: Ids
  columns: [{name: id, datatype: int}]
";
const BASE: &str = "
name: base
tables:
- name: Station
  columns:
  - {name: stn, datatype: char, length: 3, nullable: false, description: Code of the observatory., 'ivoa:unit': none}
";
const SCHEMA: &str = "schema: felis:felis/survey.yaml#Obs";

/// A site whose `obs_sbn` has two columns and a Felis schema.
fn site() -> Site {
    let site = Site::new();
    fs::create_dir(site.path("felis")).unwrap();
    put(&site.path("felis/survey.yaml"), SURVEY.as_bytes());
    put(&site.path("felis/base.yaml"), BASE.as_bytes());
    site.edit("SELECT * FROM obs_sbn", "SELECT id, stn FROM obs_sbn");
    site.edit("ORDER BY id", "ORDER BY obs_sbn.id");
    site.edit("checks: {min_rows: 1, max_shrink: 10%}", SCHEMA);
    site
}

/// What the export came to.
fn worked(site: &Site) -> Vec<String> {
    site.ssp_run(&["-q", "--stage", "obs_sbn"]).expect(0);
    let worked = site.worked().into_iter();
    worked.filter(|line| line.starts_with("obs_sbn: ") && line.contains("schema_changed")).collect()
}

#[test]
fn a_stage_runs_again_when_its_felis_schema_changes_in_any_part() {
    let site = site();
    assert_eq!(worked(&site), Vec::<String>::new());
    assert_eq!(worked(&site), Vec::<String>::new());
    let line = |what: &str| vec![format!("obs_sbn: unchanged (schema_changed: {what})")];
    put(&site.path("felis/survey.yaml"), SURVEY.replace("name: survey", "name: survey2").as_bytes());
    assert_eq!(worked(&site), line("schema"));
    put(&site.path("felis/base.yaml"), BASE.replace("length: 3", "length: 4").as_bytes());
    assert_eq!(worked(&site), line("resources of the schema"));
    site.edit(SCHEMA, &format!("{SCHEMA}\n    allow_missing: true"));
    assert_eq!(worked(&site), line("allow_missing"));
    put(
        &site.path("felis/survey.yaml"),
        SURVEY.replace("name: Ids", "name: Obs2").replace("name: Obs\n", "name: X\n").as_bytes(),
    );
    site.ssp_run(&["-q", "--stage", "obs_sbn"]).expect(5).says("has no table `Obs` (did you mean `Obs2`?)");
    put(&site.path("felis/base.yaml"), b"tables: []");
    site.ssp_run(&["-q", "--stage", "obs_sbn"])
        .expect(1)
        .says("names table `Station`, which is not in resource `base`");
}

#[test]
fn another_table_of_the_same_file_is_another_schema() {
    let site = site();
    worked(&site);
    site.edit("SELECT id, stn", "SELECT id");
    site.edit("survey.yaml#Obs", "survey.yaml#Ids");
    let [line] = worked(&site).try_into().unwrap();
    assert!(line.contains("schema_changed: table of the schema"), "{line}");
}

#[test]
fn all_differences_are_in_one_message_and_the_last_good_output_is_kept() {
    let site = site();
    worked(&site);
    let good = site.outputs();
    site.edit(
        "SELECT id, stn",
        "SELECT CASE WHEN row_number() OVER (ORDER BY id) > 1 THEN 'abcd' END AS stn, id::bigint AS id, 2 AS more",
    );
    let failed = site.ssp_run(&["-q", "--stage", "obs_sbn"]).expect(5);
    let said = "check `schema` failed: `data/obs_sbn.parquet` does not fit table `Obs` of Felis schema \
                `pipelines/../felis/survey.yaml`: column `id` is int64, but declared as int; column `more` is not declared; column \
                `stn` is in the place of column `id`; column `stn` has NULL in row 1 (1 in all), but is declared \
                `nullable: false`; column `stn` has length 4 in row 2, but is declared with at most 3; if that is \
                right, change `pipelines/../felis/survey.yaml`: change the type, add the new column, change the order, remove \
                `nullable: false`, raise the length";
    failed.says(said);
    assert!(site.outputs() == good);
}

#[test]
fn columns_may_be_missing_only_if_the_file_says_so() {
    let site = site();
    site.edit("SELECT id, stn", "SELECT id");
    for arguments in [&["validate", "--connect"][..], &["-q", "--stage", "obs_sbn"]] {
        let failed = site.ssp_run(arguments);
        assert!(failed.code != Some(0));
        let said = "table `Obs` of Felis schema `pipelines/../felis/survey.yaml`: column `stn` is missing; if that is right, change \
                    `pipelines/../felis/survey.yaml`: remove the missing column or set `allow_missing: true`";
        failed.says(said);
    }
    site.edit(SCHEMA, &format!("{SCHEMA}\n    allow_missing: true"));
    worked(&site);
    site.edit(&format!("{SCHEMA}\n    allow_missing"), "allow_missing");
    site.ssp_run(&["validate"]).expect(2).says("`allow_missing` is about the columns of a schema");
}

#[test]
fn validate_names_each_fault_of_a_felis_schema_with_its_place() {
    let site = site();
    let place = |said: &str| {
        site.ssp_run(&["validate"]).expect(2).says(said).says("pipelines/demo.yaml:26:13: ");
    };
    for (to, said) in [
        ("felis:felis/none.yaml#Obs", "cannot read schema file `pipelines/../felis/none.yaml`"),
        (
            "felis:felis/survey.yaml#Obss",
            "Felis schema `pipelines/../felis/survey.yaml` has no table `Obss` (did you mean `Obs`?)",
        ),
        ("felis:felis/survey.yaml", "names no table of a Felis schema: write `felis:FILE.yaml#TABLE`"),
        ("felis:~/survey.yaml#Obs", "`~/survey.yaml#Obs` begins with `~`"),
    ] {
        site.edit("felis:felis/survey.yaml#Obs", to);
        place(said);
        site.edit(to, "felis:felis/survey.yaml#Obs");
    }
    put(&site.path("felis/base.yaml"), b"resources: {a: {uri: survey.yaml}}\ntables: []");
    place(
        "resource `base` of Felis schema `pipelines/../felis/survey.yaml`: resource `a` of Felis schema `pipelines/../felis/base.yaml`: \
           `pipelines/../felis/survey.yaml` is a resource of itself",
    );
    put(&site.path("felis/base.yaml"), BASE.replace("name: stn", "name: station").as_bytes());
    place("table `Obs` of Felis schema `pipelines/../felis/survey.yaml`: `columnRefs` names column `stn`");
    put(&site.path("felis/base.yaml"), BASE.as_bytes());
    site.edit(SCHEMA, &format!("{SCHEMA}\n    checks: {{unique: [idd]}}"));
    let wrong = site.ssp_run(&["validate"]);
    let said = "check `unique` names column `idd`, which is not in table `Obs` of Felis schema `pipelines/../felis/survey.yaml` (did you mean `id`?)";
    wrong.says(said);
}

#[test]
fn a_schema_that_a_felis_schema_takes_columns_from_is_no_output() {
    let site = site();
    put(
        &site.path("felis/survey.yaml"),
        SURVEY.replace("uri: base.yaml", "uri: ../data/base.yaml").as_bytes(),
    );
    fs::create_dir(site.path("data")).unwrap();
    put(&site.path("data/base.yaml"), BASE.as_bytes());
    site.edit("out: mpc_orbits.parquet", "out: base.yaml");
    site.ssp_run(&["validate"]).expect(2).says("it is the schema of stage `obs_sbn`");
}

#[test]
fn describe_takes_units_and_descriptions_from_the_felis_schema() {
    let site = site();
    // A column of a table has the comment of the database.
    site.edit("SELECT id, stn", "SELECT id, stn || '' AS stn");
    worked(&site);
    let said = site.ssp_run(&["describe", "obs_sbn", "--json"]).expect(0);
    let found: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    let column = &found["columns"][1];
    assert_eq!(column["unit"], "none");
    assert_eq!(column["description"], "Code of the observatory.");
    assert_eq!(found["warnings"], serde_json::json!([]));
}

/// The schemas of `lsst-sdm-schemas`.
#[test]
fn the_tables_of_the_demo_fit_rubins_schemas_as_the_page_says() {
    let site = Site::new();
    let code =
        "import importlib.util as u; print(u.find_spec('lsst.sdm.schemas').submodule_search_locations[0])";
    let output = std::process::Command::new(python()).args(["-c", code]).output().unwrap();
    copy(std::path::Path::new(String::from_utf8(output.stdout).unwrap().trim()), &site.path("sdm_schemas"));
    for table in ["ssobject", "sssource"] {
        let out = format!("out: {table}.parquet");
        let name = if table == "ssobject" { "SSObject" } else { "SSSource" };
        site.edit(&out, &format!("{out}\n    schema: felis:sdm_schemas/ppdb.yaml#{name}"));
    }
    let failed = site.ssp_run(&["-q"]).expect(5);
    let said = "does not fit table `SSSource` of Felis schema `pipelines/../sdm_schemas/ppdb.yaml`: column `ssObjectId` \
                has NULL in row 475 (13 in all), but is declared `nullable: false`; if that is right, change";
    failed.says(said);
    let path = site.path("sdm_schemas/ppdb.yaml");
    let text = fs::read_to_string(&path).unwrap();
    let (before, after) = text.split_once("- name: SSSource").unwrap();
    let after =
        after.replacen("        ssObjectId:\n", "        ssObjectId: {overrides: {nullable: true}}\n", 1);
    put(&path, format!("{before}- name: SSSource{after}").as_bytes());
    site.ssp_run(&["-q"]).expect(0);
    let report = fs::read_to_string(site.path("data/.ssp/runs/latest/run.json")).unwrap();
    assert!(report.contains("80 columns as declared") && report.contains("39 columns as declared"));
}

//! Deliveries without the tables of failed stages.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::place::{Place, deliveries, only};

/// A stage `ssobject`, which fails while its input `in/sssource.parquet` is broken, and a delivery of its table.
fn place(more: &str) -> Place {
    let place = Place::new("out/${run}/");
    put_input(&place, "dia_sources");
    put_input(&place, "mpc_orbits");
    place.write("in/sssource.parquet", "broken");
    place.pipeline(
        "out/${run}/",
        "{SSObject: ssobject, Small: in/small.parquet}",
        &format!(
            "{more}  ssobject:\n    build-ssobject: {{sssource: in/sssource.parquet, dia_sources: in/dia_sources.parquet, \
            mpc_orbits: in/mpc_orbits.parquet}}\n    out: ssobject.parquet\n"
        ),
    );
    place
}

/// Puts a good input of `ssobject` into its place.
fn put_input(place: &Place, name: &str) {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/ssobject_case");
    let name = format!("{name}.parquet");
    fs::copy(fixtures.join(&name), place.path("in").join(name)).unwrap();
}

#[test]
fn a_whole_delivery_waits_for_a_good_night() {
    let place = place("");
    place.run(&["p.yaml"]).expect(1).shows("BLOCKED ppdb need ssobject");
    assert!(!place.path("out").exists());
    put_input(&place, "sssource");
    place.run(&["p.yaml"]).expect(0);
    let (_, manifest) = only(&place.path("out"));
    let made = &manifest["tables"][0]["made"];
    assert_eq!((&made["stage"], &made["kind"]), (&json!("ssobject"), &json!("build-ssobject")));
    assert_eq!(made["written_by"], manifest["run"]);
    // A part of it is not delivered the next time either.
    place.write("in/sssource.parquet", "broken");
    place.run(&["p.yaml"]).expect(1);
    only(&place.path("out"));
}

#[test]
fn a_partial_delivery_says_what_is_missing_and_is_followed_by_a_whole_one() {
    let place = place("      allow_partial: true\n");
    place.run(&["p.yaml"]).expect(1).shows("the delivery is partial: it has no table `SSObject`");
    let (_, manifest) = only(&place.path("out"));
    assert_eq!(manifest["partial"], true);
    assert_eq!(manifest["missing"], json!([{"table": "SSObject", "stage": "ssobject"}]));
    assert_eq!(manifest["tables"].as_array().unwrap().len(), 1);
    // Nothing new: it is not delivered again.
    place.run(&["p.yaml"]).expect(1).shows("up to date ppdb");
    assert_eq!(deliveries(&place.path("out")).len(), 1);
    put_input(&place, "sssource");
    place.run(&["p.yaml"]).expect(0);
    let all = deliveries(&place.path("out"));
    let manifest = all[1].manifest.as_ref().unwrap();
    assert_eq!((all.len(), &manifest["partial"]), (2, &json!(false)));
    // The last good output of a stage that failed is not of this night.
    place.write("in/sssource.parquet", "broken again");
    place.run(&["p.yaml"]).expect(1);
    let all = deliveries(&place.path("out"));
    assert_eq!((all.len(), &all[2].manifest.as_ref().unwrap()["partial"]), (3, &json!(true)));
}

#[test]
fn a_delivery_of_no_table_fails() {
    let place = place("      allow_partial: true\n");
    place.edit(", Small: in/small.parquet", "");
    place.run(&["p.yaml"]).expect(1).shows("no table can be delivered: the stages of all tables failed");
    assert!(!place.path("out").exists());
}

#[test]
fn one_stage_delivers_the_last_good_outputs_of_the_others() {
    let place = place("");
    place.run(&["--stage", "ppdb", "--only", "p.yaml"]).expect(1).shows("which has no output yet");
    put_input(&place, "sssource");
    place.run(&["--stage", "ssobject", "p.yaml"]).expect(0);
    place.run(&["--stage", "ppdb", "--only", "p.yaml"]).expect(0);
    only(&place.path("out"));
}

/// What was delivered cannot be taken back, so the older outputs are delivered again.
#[test]
fn after_a_rollback_the_older_tables_are_delivered() {
    let place = place("");
    place.edit("out_dir: data\n", "out_dir: data\nkeep: 3\n");
    put_input(&place, "sssource");
    place.run(&["p.yaml"]).expect(0);
    place.edit("in/mpc_orbits.parquet}", "in/mpc_orbits.parquet, fit: {clip_sigma: 2}}");
    place.run(&["p.yaml"]).expect(0);
    assert_eq!(deliveries(&place.path("out")).len(), 2);
    place.run(&["rollback", "-p", "p.yaml"]).expect(0);
    place.run(&["--stage", "ppdb", "--only", "p.yaml"]).expect(0);
    let all = deliveries(&place.path("out"));
    assert_eq!(all.len(), 3);
    assert_eq!(all[2].objects["SSObject.parquet"], all[0].objects["SSObject.parquet"]);
}
